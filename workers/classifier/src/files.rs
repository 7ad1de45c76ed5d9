//! Image files.

use image::DynamicImage;

use crate::{
    DecodeError, jpeg,
    media_type::{JPEG, PNG, media_type},
    pixels::Pixels,
    png,
};

/// The widest and highest PNG or JPEG that is decoded, in pixels.
pub const MAX_SIDE: u32 = 2048;

/// Decodes an image that came with a content type: see [`media_type`]. A PNG or JPEG of another size than 32 x 32, up
/// to [`MAX_SIDE`], is brought to it (bilinear).
///
/// # Errors
/// A [`DecodeError`] that says what to send instead.
pub fn decode(content_type: &str, bytes: &[u8]) -> Result<Pixels, DecodeError> {
    match media_type(content_type, bytes)? {
        file @ (PNG | JPEG) => Pixels::from_image(open(file, bytes)?),
        _ => Pixels::from_rgb(bytes),
    }
}

/// Decodes an image file of a [`media_type`], of at most [`MAX_SIDE`] x [`MAX_SIDE`] pixels, in the size that it has
/// and as it is to be looked at: what Exif says of how the camera was held is done. A file that was cut is refused.
///
/// # Errors
/// A [`DecodeError`] that says what to send instead.
pub fn open(media_type: &str, bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    if media_type == JPEG { jpeg::open(bytes) } else { png::open(bytes) }
}

/// Width and height, if they are not too large.
pub(crate) fn check_size(width: u64, height: u64) -> Result<(u32, u32), DecodeError> {
    let side = |side: u64| u32::try_from(side).ok().filter(|side| *side <= MAX_SIDE);
    side(width).zip(side(height)).ok_or(DecodeError::TooLarge { width, height })
}
