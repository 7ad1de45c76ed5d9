//! Image files, whole, cut, damaged, turned, and called by all sorts of names.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Cursor;

use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, codecs::png::PngEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use tailrace_classifier::{DecodeError, RAW_BYTES, decode};

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width.max(1)) as u8, (y * 255 / height.max(1)) as u8, 128]))
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
fn raw_bytes_of_another_number_are_refused() {
    let error = decode("application/octet-stream", &[0; 3071]).unwrap_err();
    assert!(matches!(error, DecodeError::RawSize { found: 3071 }), "{error}");
}

/// Files of every kind, small and not so small: what the JPEG is made of decides where its decoder may be deceived.
fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    let sizes = [(32, 32), (81, 49)];
    let pngs = sizes.map(|(width, height)| (format!("PNG {width}"), encode(&noise(width, height), ImageFormat::Png)));
    let jpegs = sizes.into_iter().flat_map(|(width, height)| {
        let samplings = [SamplingFactor::F_1_1, SamplingFactor::F_2_2];
        let options = [(false, 0), (true, 0), (false, 2), (true, 3)];
        let all = samplings.into_iter().flat_map(move |sampling| options.map(|options| (sampling, options)));
        all.map(move |(sampling, (progressive, restart))| {
            let name = format!("JPEG {width} {sampling:?}, progressive {progressive}, restart {restart}");
            (name, jpeg(&noise(width, height), sampling, progressive, restart))
        })
    });
    let mut grey = Vec::new();
    Encoder::new(&mut grey, 90).encode(&[9; 32 * 32], 32, 32, ColorType::Luma).unwrap();
    pngs.into_iter().chain(jpegs).chain([("grey JPEG".to_owned(), grey)])
}

/// Every place of a small file, and some of the others.
fn step(file: &[u8]) -> usize {
    file.len().div_ceil(5_000)
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut bytes = (0_u32..).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8);
    RgbImage::from_fn(width, height, |_, _| Rgb([(); 3].map(|()| bytes.next().unwrap())))
}

fn jpeg(image: &RgbImage, sampling: SamplingFactor, progressive: bool, restart: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    encoder.set_restart_interval(restart);
    let [width, height] = [image.width(), image.height()].map(|side| u16::try_from(side).unwrap());
    encoder.encode(image.as_raw(), width, height, ColorType::Rgb).unwrap();
    file
}

#[test]
fn no_beginning_of_a_file_is_an_image_whatever_its_content_type() {
    for (name, file) in files() {
        for content_type in ["image/png", "image/jpeg", "application/octet-stream", "text/plain"] {
            assert!(decode(content_type, &file).is_ok(), "{name}: {:?}", decode(content_type, &file));
        }
        for length in (0..file.len()).rev().step_by(step(&file)) {
            let error = decode("image/jpeg", &file[..length]);
            assert!(error.is_err(), "{name}: {length} bytes of {} are an image", file.len());
            assert!(decode("application/octet-stream", &file[..length]).is_err(), "{name}: {length}");
        }
    }
}

#[test]
fn a_file_that_was_cut_is_refused_with_a_sentence() {
    for (name, file) in files() {
        let error = decode("image/png", &file[..file.len() - 8]).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { .. }), "{name}: {error}");
        let media_type = if name.starts_with("PNG") { "image/png" } else { "image/jpeg" };
        let wanted = format!("the bytes are not a readable {media_type}: it was cut: the ");
        assert!(error.to_string().starts_with(&wanted), "{name}: {error}");
    }
}

/// Firmware that runs out of memory writes the end all the same. A progressive file may end after any of its scans;
/// only within one it is too early.
#[test]
fn a_file_that_ends_too_early_is_refused_although_it_says_that_it_ends() {
    for (name, file) in files().filter(|(name, _)| name.contains("progressive false") || name.starts_with("grey")) {
        let whole = decode("", &file).unwrap();
        let scan = file.windows(2).position(|marker| marker == b"\xff\xda").unwrap() + 14;
        for length in (scan..file.len() - 2).rev().step_by(step(&file)) {
            let ended = [&file[..length], b"\xff\xd9"].concat();
            if let Ok(pixels) = decode("", &ended) {
                assert_eq!(pixels, whole, "{name}: {length} bytes of {} are another image", file.len());
            }
        }
    }
}

#[test]
fn what_comes_after_the_end_of_a_file_does_not_matter() {
    for (name, file) in files() {
        let alone = decode("", &file).unwrap();
        for rest in [&b"\0\0\0"[..], b"\xff\xd8\xff\xe0\0\x10", &file] {
            assert_eq!(decode("", &[&file, rest].concat()).unwrap(), alone, "{name}");
        }
    }
}

/// The value of the tag Orientation (0x0112) in the only directory of an Exif block, by the numbers of Exif 2.3.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

/// Left half red, right half blue.
fn halves() -> RgbImage {
    RgbImage::from_fn(32, 32, |x, _| Rgb(if x < 16 { [250, 0, 0] } else { [0, 0, 250] }))
}

#[test]
fn an_image_is_upright_before_it_is_looked_at() {
    let (left, top, bottom) = ((2, 16), (16, 2), (16, 29));
    for (orientation, red) in [(1, left), (2, (29, 16)), (3, (29, 16)), (4, left), (6, top), (8, bottom)] {
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, 95);
        encoder.add_app_segment(1, [&b"Exif\0\0"[..], &exif(orientation)].concat()).unwrap();
        encoder.encode(halves().as_raw(), 32, 32, ColorType::Rgb).unwrap();
        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(halves().as_raw(), 32, 32, image::ExtendedColorType::Rgb8).unwrap();
        for file in [jpeg, png] {
            let pixels = decode("image/jpeg", &file).unwrap();
            let at = |(x, y): (usize, usize)| pixels.as_bytes()[(y * 32 + x) * 3];
            assert!(at(red) > 200, "orientation {orientation}: {}", at(red));
            let opposite = (31 - red.0, 31 - red.1);
            assert!(at(opposite) < 50 || red.0 == 16 && red.1 == 16, "orientation {orientation}");
        }
    }
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
