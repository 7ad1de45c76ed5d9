//! Image files to pixels.

use std::io::Cursor;

use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use crate::DecodeError;

/// Width and height of what the network sees, in pixels.
pub const SIDE: usize = 32;
/// Bytes of an image of 32 x 32 pixels, RGB.
pub const RAW_BYTES: usize = SIDE * SIDE * 3;
/// The widest and highest PNG or JPEG that is decoded, in pixels.
pub const MAX_SIDE: u32 = 2048;
/// What a decoder may allocate, in bytes: the largest image with 16 bits in four channels.
const MAX_DECODER_BYTES: u64 = 8 * (MAX_SIDE as u64) * (MAX_SIDE as u64);

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

const RAW: &str = "application/octet-stream";
const PNG: &str = "image/png";
const JPEG: &str = "image/jpeg";

/// Which of the media types that are understood a content type names; its parameters and capitals do not matter.
///
/// # Errors
/// [`DecodeError::UnsupportedType`] when it names another.
pub fn media_type(content_type: &str) -> Result<&'static str, DecodeError> {
    let named = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let understood = [RAW, PNG, JPEG].into_iter().find(|understood| *understood == named);
    understood.ok_or_else(|| DecodeError::UnsupportedType { found: content_type.chars().take(100).collect() })
}

/// Decodes an image file of a content type: `image/png`, `image/jpeg`, or `application/octet-stream` for raw pixels
/// as in [`Pixels`]. A PNG or JPEG of another size, up to [`MAX_SIDE`], is brought to 32 x 32 (bilinear).
///
/// # Errors
/// A [`DecodeError`] that says what to send instead.
pub fn decode(content_type: &str, bytes: &[u8]) -> Result<Pixels, DecodeError> {
    match media_type(content_type)? {
        PNG => Pixels::from_image(open(ImageFormat::Png, bytes)?),
        JPEG => Pixels::from_image(open(ImageFormat::Jpeg, bytes)?),
        _ => Pixels::from_rgb(bytes),
    }
}

/// Decodes an image file of at most [`MAX_SIDE`] x [`MAX_SIDE`] pixels in the size that it has.
///
/// # Errors
/// A [`DecodeError`] that says what to send instead.
pub fn open(format: ImageFormat, bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    let malformed = |source| DecodeError::Malformed { content_type: format.to_mime_type(), source };
    let (width, height) = reader(format, bytes).into_dimensions().map_err(malformed)?;
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(DecodeError::TooLarge { width, height });
    }
    reader(format, bytes).decode().map_err(malformed)
}

fn reader(format: ImageFormat, bytes: &[u8]) -> ImageReader<Cursor<&[u8]>> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 255 / width.max(1)) as u8, (y * 255 / height.max(1)) as u8, 128])
        })
    }

    fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(image.clone()).write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn a_png_keeps_every_pixel() {
        let image = gradient(32, 32);
        let pixels = decode("image/png", &encode(&image, ImageFormat::Png)).unwrap();
        assert_eq!(pixels.as_bytes().as_slice(), image.as_raw().as_slice());
    }

    #[test]
    fn raw_bytes_are_the_pixels() {
        let image = gradient(32, 32);
        let pixels = decode("application/octet-stream", image.as_raw()).unwrap();
        assert_eq!(pixels.as_bytes().as_slice(), image.as_raw().as_slice());
    }

    #[test]
    fn a_jpeg_is_close_to_its_original() {
        let image = gradient(32, 32);
        let pixels = decode("image/jpeg", &encode(&image, ImageFormat::Jpeg)).unwrap();
        let largest = pixels.as_bytes().iter().zip(image.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(largest < Some(24), "largest difference {largest:?}");
    }

    #[test]
    fn another_size_is_brought_to_32_by_32() {
        for (width, height) in [(1, 1), (31, 33), (640, 480)] {
            let pixels = decode("image/png", &encode(&gradient(width, height), ImageFormat::Png)).unwrap();
            assert_eq!(pixels.as_bytes()[2], 128, "blue is the same everywhere");
        }
    }

    #[test]
    fn a_grey_image_has_three_equal_channels() {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::new_luma16(32, 32).write_to(&mut file, ImageFormat::Png).unwrap();
        assert_eq!(decode("image/png", &file.into_inner()).unwrap().as_bytes(), &[0; RAW_BYTES]);
    }

    #[test]
    fn a_content_type_may_have_parameters_and_capitals() {
        assert!(decode("Application/Octet-Stream; charset=binary", &[0; RAW_BYTES]).is_ok());
    }

    #[test]
    fn other_content_types_are_refused_by_name() {
        let error = decode("image/webp", &[]).unwrap_err().to_string();
        assert!(error.contains("\"image/webp\"") && error.contains("send image/png"), "{error}");
    }

    #[test]
    fn raw_bytes_of_another_number_are_refused() {
        let error = decode("application/octet-stream", &[0; 3071]).unwrap_err();
        assert!(matches!(error, DecodeError::RawSize { found: 3071 }), "{error}");
    }

    #[test]
    fn a_jpeg_that_says_png_is_refused() {
        let error = decode("image/png", &encode(&gradient(32, 32), ImageFormat::Jpeg)).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { content_type: "image/png", .. }), "{error}");
    }

    #[test]
    fn a_cut_png_is_refused() {
        let file = encode(&gradient(32, 32), ImageFormat::Png);
        let error = decode("image/png", &file[..file.len() / 2]).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
    }

    /// A PNG of a few kilobytes that would decode to gigabytes is refused by its header alone.
    #[test]
    fn a_decompression_bomb_is_refused_unopened() {
        let mut file = encode(&gradient(1, 1), ImageFormat::Png);
        file[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        let checksum = crc32(&file[12..29]);
        file[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = decode("image/png", &file).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { width: 30000, height: 30000 }), "{error}");
    }

    /// The checksum of a PNG chunk (PNG specification, annex D).
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_image_or_an_error(
            content_type in prop_oneof!["image/png", "image/jpeg", "application/octet-stream", ".*"],
            bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        ) {
            let _ = decode(&content_type, &bytes);
        }

        #[test]
        fn a_damaged_file_is_an_image_or_an_error(
            jpeg in any::<bool>(),
            place in any::<proptest::sample::Index>(),
            value in any::<u8>(),
        ) {
            let (content_type, format) =
                if jpeg { ("image/jpeg", ImageFormat::Jpeg) } else { ("image/png", ImageFormat::Png) };
            let mut file = encode(&gradient(32, 32), format);
            let place = place.index(file.len());
            file[place] = value;
            let _ = decode(content_type, &file);
        }
    }
}
