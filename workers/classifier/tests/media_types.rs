//! What an image is.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use tailrace_classifier::{RAW_BYTES, media_type};

const RAW: &str = "application/octet-stream";
const PNG: &str = "image/png";
const JPEG: &str = "image/jpeg";
const PNG_BYTES: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const JPEG_BYTES: &[u8] = b"\xff\xd8\xff\xe0\0\x04JF\xff\xda";

#[test]
fn the_first_bytes_decide_whatever_the_content_type_says() {
    for content_type in [
        "image/png",
        "image/jpeg",
        "image/jpg",
        "image/pjpeg",
        "image/x-png",
        "image/webp",
        "image/*",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "",
        "\u{fffd}",
    ] {
        assert_eq!(media_type(content_type, PNG_BYTES).unwrap(), PNG, "{content_type}");
        assert_eq!(media_type(content_type, JPEG_BYTES).unwrap(), JPEG, "{content_type}");
    }
}

#[test]
fn raw_pixels_may_begin_with_the_bytes_of_a_file() {
    for first in [&b"\xff\xd8\xff"[..], b"\xff\xd8\xff\xd8\xff", b"\xff\xd8\xff\xdb\x01\x02\x03", b"BM", b"RIFF"] {
        let mut pixels = vec![7; RAW_BYTES];
        pixels[..first.len()].copy_from_slice(first);
        assert_eq!(media_type("Application/Octet-Stream; charset=binary", &pixels).unwrap(), RAW, "{first:?}");
        assert_eq!(media_type("binary/octet-stream", &pixels).unwrap(), RAW, "{first:?}");
    }
    let mut cut = vec![7; RAW_BYTES];
    cut[..JPEG_BYTES.len()].copy_from_slice(JPEG_BYTES);
    assert_eq!(media_type(RAW, &cut).unwrap(), JPEG, "a JPEG that was cut there is none");
}

#[test]
fn other_formats_are_refused_by_name() {
    for (format, bytes) in [
        ("WebP", &b"RIFF\x24\0\0\0WEBPVP8 "[..]),
        ("GIF", b"GIF89a\x20\0\x20\0"),
        ("GIF", b"GIF87a\x20\0\x20\0"),
        ("BMP", b"BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0"),
        ("TIFF", b"II*\0\x08\0\0\0"),
        ("TIFF", b"MM\0*\0\0\0\x08"),
        ("AVIF", b"\0\0\0\x20ftypavif\0\0\0\0"),
        ("HEIF", b"\0\0\0\x20ftypheic\0\0\0\0"),
    ] {
        for content_type in ["image/png", RAW, "image/webp", "image/gif"] {
            let error = media_type(content_type, bytes).unwrap_err().to_string();
            assert_eq!(error, format!("the image is a {format} file, which is not read: send PNG or JPEG"));
        }
    }
}

#[test]
fn what_nobody_knows_is_taken_at_its_word_or_refused_by_it() {
    assert_eq!(media_type("IMAGE/X-PNG", b"hello").unwrap(), PNG);
    assert_eq!(media_type(RAW, b"hello").unwrap(), RAW);
    let error = media_type("image/webp", b"hello").unwrap_err().to_string();
    assert!(error.contains("\"image/webp\"") && error.contains("send image/png"), "{error}");
}
