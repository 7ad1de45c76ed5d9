//! What the network sees.

use image::{DynamicImage, imageops::FilterType};

use crate::DecodeError;

/// Width and height of what the network sees, in pixels.
pub const SIDE: usize = 32;
/// Bytes of an image of 32 x 32 pixels, RGB.
pub const RAW_BYTES: usize = SIDE * SIDE * 3;

/// An image of 32 x 32 pixels: 3072 bytes, row by row, each pixel as red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels(Box<[u8; RAW_BYTES]>);

impl Pixels {
    /// # Errors
    /// [`DecodeError::RawSize`] when there are not 3072 bytes.
    pub fn from_rgb(bytes: &[u8]) -> Result<Self, DecodeError> {
        let array = <[u8; RAW_BYTES]>::try_from(bytes).map_err(|_| DecodeError::RawSize { found: bytes.len() })?;
        Ok(Self(Box::new(array)))
    }

    /// An image of any size, brought to 32 x 32 (bilinear).
    ///
    /// # Errors
    /// [`DecodeError::RawSize`] should it come out in another size.
    pub fn from_image(image: DynamicImage) -> Result<Self, DecodeError> {
        let side = SIDE as u32;
        if (image.width(), image.height()) == (side, side) {
            return Self::from_rgb(&image.into_rgb8());
        }
        Self::from_rgb(&image.resize_exact(side, side, FilterType::Triangle).into_rgb8())
    }

    /// The 3072 bytes, row by row, each pixel as red, green, blue.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; RAW_BYTES] {
        &self.0
    }
}
