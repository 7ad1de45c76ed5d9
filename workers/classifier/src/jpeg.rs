//! JPEG files (ITU-T T.81).

use std::fmt::Display;

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{DecodeError, files::check_size, media_type::JPEG};

/// The start of image, and a marker's first byte.
const START: usize = 2;
const MARKER: u8 = 0xff;

/// What a scan of ones looks like: no Huffman code has only ones, so a decoder that needs them stops.
const NO_CODE: [u8; 32] = {
    let mut ones = [0; 32];
    let mut place = 0;
    while place < ones.len() {
        ones[place] = MARKER;
        place += 2;
    }
    ones
};

/// Decodes a whole file, upright.
///
/// A decoder fills with grey what it cannot read, and grey has a label, too. This one is strict, but takes zeros for
/// what is missing before a marker. So the end of the file is looked for first, and then ones are put before it.
///
/// # Errors
/// A [`DecodeError`] that says what is wrong.
pub fn open(bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let end = End::of(bytes).ok_or_else(|| match bytes.starts_with(&[MARKER, 0xd8]) {
        true => malformed("it was cut: the marker of its end is missing"),
        false => malformed("it does not begin as one"),
    })?;
    let mut headers = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    headers.decode_headers().map_err(malformed)?;
    let (width, height) = headers.dimensions().ok_or_else(|| malformed("it has no size"))?;
    let (width, height) = check_size(width as u64, height as u64)?;

    let grey = headers.input_colorspace() == Some(ColorSpace::Luma);
    let colours = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let file = end.after_ones(bytes);
    let mut decoder =
        JpegDecoder::new_with_options(ZCursor::new(file.as_slice()), options.jpeg_set_out_colorspace(colours));
    let pixels = decoder.decode().map_err(malformed)?;
    let image = if grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let mut image = image.ok_or_else(|| malformed("it has another size than it says"))?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

fn malformed(why: impl Display) -> DecodeError {
    DecodeError::Malformed { content_type: JPEG, why: why.to_string() }
}

/// Where a file ends.
struct End {
    /// The place of its marker.
    place: usize,
    /// Whether the decoder of its last scan goes on to the next marker by itself, wherever that is.
    may_be_moved: bool,
}

impl End {
    /// It is where the segments and scans lead to. The end of a thumbnail is within a segment, and what comes after the
    /// end (a second picture, for example) belongs to the file no more.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (mut from, mut progressive, mut scans) = (START, false, 0);
        loop {
            let place = from + bytes.get(from..)?.iter().position(|byte| *byte == MARKER)?;
            from = match bytes.get(place + 1)? {
                0xd9 => return Some(Self { place, may_be_moved: !progressive || scans > 1 }),
                // Filled with, before a marker.
                0xff => place + 1,
                // A byte of a scan that is no marker, and the markers that stand alone.
                0x00..=0x01 | 0xd0..=0xd8 => place + 2,
                segment => {
                    progressive |= *segment == 0xc2;
                    scans += usize::from(*segment == 0xda);
                    after_segment(bytes, place)?
                }
            };
        }
    }

    /// The file with bytes before its end that its last scan needs only if something is missing.
    fn after_ones(&self, bytes: &[u8]) -> Vec<u8> {
        let (before, after) = bytes.split_at(self.place);
        let ones = if self.may_be_moved { &NO_CODE[..] } else { &[] };
        [before, ones, &after[..2]].concat()
    }
}

/// Where the segment ends whose marker is at `place`.
fn after_segment(bytes: &[u8], place: usize) -> Option<usize> {
    let length = bytes.get(place + 2..place + 4)?;
    Some(place + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Whether the first segment leads to another marker, or out of these bytes.
pub fn has_a_segment(bytes: &[u8]) -> bool {
    let is_one = bytes.get(START + 1).is_some_and(|code| matches!(code, 0x02..=0xcf | 0xda..=0xfe));
    let next = after_segment(bytes, START).filter(|next| *next >= START + 4);
    is_one && next.is_some_and(|next| bytes.get(next).is_none_or(|byte| *byte == MARKER))
}
