//! What an image is: its first bytes decide, for who sends it often does not know.

use crate::{DecodeError, jpeg, pixels::RAW_BYTES};

pub(crate) const RAW: &str = "application/octet-stream";
pub(crate) const PNG: &str = "image/png";
pub(crate) const JPEG: &str = "image/jpeg";

/// What else the media types are called.
const NAMES: [(&str, &str); 10] = [
    (RAW, RAW),
    ("binary/octet-stream", RAW),
    (PNG, PNG),
    ("image/x-png", PNG),
    ("image/apng", PNG),
    (JPEG, JPEG),
    ("image/jpg", JPEG),
    ("image/pjpeg", JPEG),
    ("image/jfif", JPEG),
    ("image/x-citrix-jpeg", JPEG),
];

/// Where a signature begins, and its bytes. A file of a format has all of them.
type Signature = &'static [(usize, &'static [u8])];

/// Formats of pictures that are not read, by their signatures.
const OTHERS: [(&str, Signature); 13] = [
    ("WebP", &[(0, b"RIFF"), (8, b"WEBP")]),
    ("GIF", &[(0, b"GIF87a")]),
    ("GIF", &[(0, b"GIF89a")]),
    // Its four reserved bytes.
    ("BMP", &[(0, b"BM"), (6, &[0; 4])]),
    ("TIFF", &[(0, b"II*\0")]),
    ("TIFF", &[(0, b"MM\0*")]),
    ("TIFF", &[(0, b"II+\0")]),
    ("TIFF", &[(0, b"MM\0+")]),
    ("AVIF", &[(4, b"ftypavi")]),
    ("HEIF", &[(4, b"ftyphei")]),
    ("HEIF", &[(4, b"ftypmif1")]),
    ("JPEG XL", &[(0, b"\0\0\0\x0cJXL \r\n\x87\n")]),
    ("JPEG 2000", &[(0, b"\0\0\0\x0cjP  \r\n\x87\n")]),
];

/// What an image is, given the content type that it came with: `image/png`, `image/jpeg`, or `application/octet-stream`
/// for raw pixels as in [`Pixels`](crate::Pixels). The first bytes say it of a file, and its content type need not be
/// right; of raw pixels they say nothing, and the content type must.
///
/// # Errors
/// [`DecodeError::UnsupportedFormat`] when it is a file of another format, [`DecodeError::UnsupportedType`] when
/// neither the first bytes nor the content type say anything that is understood.
pub fn media_type(content_type: &str, bytes: &[u8]) -> Result<&'static str, DecodeError> {
    let named = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let named = NAMES.iter().find(|(name, _)| *name == named).map(|(_, media_type)| *media_type);
    // Pixels may begin with any bytes, though hardly with all those of a segment that leads to another one.
    let may_be_pixels = named == Some(RAW) && bytes.len() == RAW_BYTES;
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(PNG);
    }
    if bytes.starts_with(b"\xff\xd8\xff") && (!may_be_pixels || jpeg::has_a_segment(bytes)) {
        return Ok(JPEG);
    }
    let has =
        |(place, bytes_there): &(usize, &[u8])| bytes.get(*place..).is_some_and(|rest| rest.starts_with(bytes_there));
    if let Some((format, _)) = OTHERS.iter().find(|(_, signature)| signature.iter().all(has)) {
        return Err(DecodeError::UnsupportedFormat { format });
    }
    named.ok_or_else(|| DecodeError::UnsupportedType { found: content_type.chars().take(100).collect() })
}
