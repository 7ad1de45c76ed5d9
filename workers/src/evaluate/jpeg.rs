//! What a camera does to an image.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use tailrace_classifier::{Pixels, SIDE, decode};

/// The image after it was a JPEG file of this quality with a colour for every four pixels (4:2:0).
pub fn encoded_and_decoded(rgb: &[u8], quality: u8) -> anyhow::Result<Pixels> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.encode(rgb, SIDE as u16, SIDE as u16, ColorType::Rgb)?;
    Ok(decode("image/jpeg", &file)?)
}

#[cfg(test)]
mod tests {
    use tailrace_classifier::RAW_BYTES;

    use super::*;

    fn largest_difference(left: &[u8], right: &[u8]) -> u8 {
        left.iter().zip(right).map(|(left, right)| left.abs_diff(*right)).max().unwrap()
    }

    #[test]
    fn a_better_quality_is_closer_to_the_image() {
        let image: Vec<u8> = (0..RAW_BYTES).map(|byte| (byte * 7 % 251) as u8).collect();
        let difference = |quality| {
            let changed = encoded_and_decoded(&image, quality).unwrap();
            let sum: u32 = image.iter().zip(changed.as_bytes()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            sum
        };
        assert!(difference(10) > difference(75) && difference(75) > difference(100));
    }

    #[test]
    fn four_pixels_share_a_colour_but_not_their_brightness() {
        let stripes = |pixels: [[u8; 3]; 2]| -> Vec<u8> { pixels.into_iter().cycle().take(1024).flatten().collect() };
        let grey = stripes([[0; 3], [255; 3]]);
        assert!(largest_difference(&grey, encoded_and_decoded(&grey, 100).unwrap().as_bytes()) < 8);
        let red_and_blue = stripes([[255, 0, 0], [0, 0, 255]]);
        assert!(largest_difference(&red_and_blue, encoded_and_decoded(&red_and_blue, 100).unwrap().as_bytes()) > 80);
    }
}
