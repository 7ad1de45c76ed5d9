//! From pixels to what is sent of them.

use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageError,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, EncodingError, SamplingFactor};
use tailrace_classifier::{DecodeError, Pixels};
use tailrace_wire::{JPEG, PNG, RAW};

/// What is made of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A PNG file of its size.
    Png,
    /// A JPEG file of its size with a colour for every four pixels (4:2:0), as cameras make them.
    Jpeg {
        /// From 1 to 100.
        quality: u8,
    },
    /// 3072 bytes: the 32 x 32 pixels that the network would see, row by row, each as red, green, blue.
    Raw,
}

/// An image cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Not as PNG.
    #[error("no PNG file can be made of it: {0}")]
    Png(#[from] ImageError),
    /// Not as JPEG.
    #[error("no JPEG file can be made of it: {0}")]
    Jpeg(#[from] EncodingError),
    /// Not as pixels.
    #[error("it cannot be brought to 32 x 32 pixels: {0}")]
    Raw(#[from] DecodeError),
}

impl Encoding {
    /// The content type of what comes out.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => PNG,
            Self::Jpeg { .. } => JPEG,
            Self::Raw => RAW,
        }
    }

    /// The bytes that are sent of `image`: always the same for the same image.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(self, image: DynamicImage) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Png => png(image),
            Self::Jpeg { quality } => jpeg(image, quality),
            Self::Raw => Ok(Pixels::from_image(image)?.as_bytes().to_vec()),
        }
    }
}

/// With a fixed filter and the fast compressor the 10,000 images of CIFAR-10 take a tenth of a second, and 10 % more
/// bytes than with the best effort, which takes ten times as long.
fn png(image: DynamicImage) -> Result<Vec<u8>, EncodeError> {
    let (rgb, mut file) = (image.into_rgb8(), Vec::new());
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Paeth).write_image(
        rgb.as_raw(),
        rgb.width(),
        rgb.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(file)
}

fn jpeg(image: DynamicImage, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let (rgb, mut file) = (image.into_rgb8(), Vec::new());
    // What is larger than a JPEG file can be becomes zero, which the encoder refuses.
    let [width, height] = [rgb.width(), rgb.height()].map(|side| u16::try_from(side).unwrap_or_default());
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.encode(rgb.as_raw(), width, height, ColorType::Rgb)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use tailrace_classifier::decode;

    use super::*;

    fn pattern(width: u32, height: u32) -> DynamicImage {
        let mut bytes = (0..).map(|byte: u32| (byte * 7 % 251) as u8);
        RgbImage::from_fn(width, height, |_, _| image::Rgb([(); 3].map(|()| bytes.next().unwrap()))).into()
    }

    /// Two colours in turn.
    fn stripes(pixels: [[u8; 3]; 2]) -> DynamicImage {
        RgbImage::from_fn(32, 32, |x, _| image::Rgb(pixels[(x % 2) as usize])).into()
    }

    /// As the classifier sees it after it was encoded.
    fn seen(image: &DynamicImage, encoding: Encoding) -> Vec<u8> {
        let bytes = encoding.encode(image.clone()).unwrap();
        decode(encoding.content_type(), &bytes).unwrap().as_bytes().to_vec()
    }

    fn differences(image: &DynamicImage, encoding: Encoding) -> impl Iterator<Item = u8> {
        let (before, after) = (image.to_rgb8().into_raw(), seen(image, encoding));
        before.into_iter().zip(after).map(|(before, after)| before.abs_diff(after))
    }

    #[test]
    fn png_and_raw_keep_every_pixel() {
        for encoding in [Encoding::Png, Encoding::Raw] {
            assert_eq!(differences(&pattern(32, 32), encoding).max(), Some(0), "{encoding:?}");
        }
    }

    #[test]
    fn a_file_keeps_the_size_of_its_image_and_raw_pixels_are_those_that_the_classifier_would_see() {
        let image = pattern(50, 40);
        for encoding in [Encoding::Png, Encoding::Jpeg { quality: 75 }] {
            let file = image::load_from_memory(&encoding.encode(image.clone()).unwrap()).unwrap();
            assert_eq!((file.width(), file.height()), (50, 40), "{encoding:?}");
        }
        assert_eq!(seen(&image, Encoding::Raw), seen(&image, Encoding::Png));
        assert_eq!(Encoding::Raw.encode(image).unwrap().len(), 3072);
    }

    #[test]
    fn a_better_quality_is_closer_to_the_image() {
        let difference =
            |quality| differences(&pattern(32, 32), Encoding::Jpeg { quality }).map(u32::from).sum::<u32>();
        assert!(difference(10) > difference(75) && difference(75) > difference(100));
    }

    #[test]
    fn four_pixels_of_a_jpeg_share_a_colour_but_not_their_brightness() {
        let best = Encoding::Jpeg { quality: 100 };
        assert!(differences(&stripes([[0; 3], [255; 3]]), best).max() < Some(8));
        assert!(differences(&stripes([[255, 0, 0], [0, 0, 255]]), best).max() > Some(80));
    }
}
