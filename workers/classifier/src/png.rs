//! PNG files (ISO/IEC 15948).

use std::{fmt::Display, io::Cursor};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{
    DecodeError,
    files::{MAX_SIDE, check_size},
    media_type::PNG,
};

/// What a decoder may allocate, in bytes: the largest image with 16 bits in four channels.
const MAX_DECODER_BYTES: u64 = 8 * (MAX_SIDE as u64) * (MAX_SIDE as u64);
/// The bytes of a signature; of a chunk's length and type; of its checksum.
const SIGNATURE: usize = 8;
const HEAD: usize = 8;
const CHECKSUM: usize = 4;

/// Decodes a whole file, upright.
///
/// # Errors
/// A [`DecodeError`] that says what is wrong.
pub fn open(bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    // The decoder stops with the last row.
    if bytes.starts_with(b"\x89PNG") && !has_end(bytes) {
        return Err(malformed("it was cut: the chunk of its end is missing"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(malformed)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    let orientation = decoder.orientation().map_err(malformed)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(malformed)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn malformed(why: impl Display) -> DecodeError {
    DecodeError::Malformed { content_type: PNG, why: why.to_string() }
}

/// Whether the chunks lead to that of the end.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(next) = after.get(length.saturating_add(CHECKSUM)..) else { return false };
        if head.ends_with(b"IEND") {
            return true;
        }
        rest = next;
    }
    false
}
