use std::{fs, io::Cursor};

use image::{ExtendedColorType, ImageFormat, RgbImage};
use tailrace_classifier::{CIFAR_10, RAW_BYTES, SIDE};
use tailrace_wire::{JPEG, PNG, RAW};

use super::*;

const SELECTION: Selection = Selection { seed: 42, index: 0, producers: 1, wanted: None };

/// A set whose image n is filled with the byte n and is of class n % 10.
fn test_set(images: u8) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..images).flat_map(|value| [value; RAW_BYTES]).collect();
    let (width, height) = ((SIDE * SIDE) as u32, u32::from(images));
    image::save_buffer(folder.path().join("test_batch.png"), &pixels, width, height, ExtendedColorType::Rgb8).unwrap();
    let labels: Vec<u8> = (0..images).map(|image| image % 10).collect();
    fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
    folder
}

/// An image of one colour.
fn file(value: u8, side: u32, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_pixel(side, side, image::Rgb([value; 3])).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A folder with these files, written in this order.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn cifar10(folder: &Path) -> Images {
    Images { source: DatasetSource::Cifar10Test, folder: folder.into(), encoding: None, limit: 1 << 20 }
}

fn files(folder: &Path) -> Images {
    Images { source: DatasetSource::Folder, ..cifar10(folder) }
}

fn encoded(images: Images, encoding: Encoding) -> Images {
    Images { encoding: Some(encoding), ..images }
}

fn load(images: &Images) -> Vec<Picture> {
    Dataset::load(images, SELECTION).unwrap().0
}

fn refused(images: &Images) -> String {
    Dataset::load(images, SELECTION).unwrap_err().to_string()
}

/// The value of the pixel at the top left, as the classifier sees it.
fn first_byte(picture: &Picture) -> u8 {
    tailrace_classifier::decode(picture.content_type, &picture.bytes).unwrap().as_bytes()[0]
}

fn labels(pictures: &[Picture]) -> Vec<(u8, Option<&str>)> {
    let mut labels: Vec<_> = pictures.iter().map(|picture| (first_byte(picture), picture.label.as_deref())).collect();
    labels.sort_unstable();
    labels
}

#[test]
fn the_test_set_is_shuffled_and_keeps_its_labels_in_every_encoding() {
    let folder = test_set(20);
    let expected: Vec<_> = (0..20).map(|value| (value, Some(CIFAR_10[usize::from(value % 10)]))).collect();
    let order = |images: &Images| load(images).iter().map(first_byte).collect::<Vec<_>>();
    let as_png = order(&cifar10(folder.path()));
    assert_ne!(as_png, (0..20).collect::<Vec<u8>>(), "they are shuffled");
    for (encoding, content_type) in
        [(Encoding::Png, PNG), (Encoding::Raw, RAW), (Encoding::Jpeg { quality: 100 }, JPEG)]
    {
        let images = encoded(cifar10(folder.path()), encoding);
        let pictures = load(&images);
        assert!(pictures.iter().all(|picture| picture.content_type == content_type), "{encoding:?}");
        assert_eq!(labels(&pictures), expected, "{encoding:?}");
        assert_eq!(order(&images), as_png, "{encoding:?}");
    }
    assert!(load(&cifar10(folder.path())).iter().all(|picture| picture.content_type == PNG), "PNG is the default");
}

#[test]
fn the_order_is_a_function_of_the_seed() {
    assert_eq!(SELECTION.order(10), [7, 1, 5, 4, 6, 9, 3, 8, 2, 0]);
    assert_ne!(Selection { seed: 43, ..SELECTION }.order(10), SELECTION.order(10));
}

#[test]
fn producers_begin_at_different_places_of_the_same_order() {
    let alone = SELECTION.order(10);
    let second = Selection { index: 1, producers: 2, ..SELECTION }.order(10);
    assert_eq!(second, [&alone[5..], &alone[..5]].concat());
}

#[test]
fn no_more_is_encoded_than_will_be_sent() {
    let folder = test_set(20);
    let all = Dataset::load(&cifar10(folder.path()), Selection { wanted: Some(30), ..SELECTION }).unwrap();
    assert_eq!(all.0.len(), 20);
    let three = Dataset::load(&cifar10(folder.path()), Selection { wanted: Some(3), ..SELECTION }).unwrap();
    assert_eq!(three.0, all.0[..3]);
    assert_eq!(three.picture(3), three.picture(0));
}

#[test]
fn a_wrong_test_set_is_refused_with_the_name_of_the_file() {
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(&cifar10(empty.path())).contains("test_lables.json"));
    let folder = test_set(5);
    let (labels, pictures) = (folder.path().join("test_lables.json"), folder.path().join("test_batch.png"));
    let refused = || refused(&cifar10(folder.path()));
    fs::write(&labels, "[1, 2]").unwrap();
    assert!(refused().contains("1024 x 5"), "{}", refused());
    fs::write(&labels, "[1, 2, 3, 4, 10]").unwrap();
    assert!(refused().contains("10 is no class"));
    fs::write(&labels, "{}").unwrap();
    assert!(refused().contains("no JSON list"));
    fs::write(&labels, "[1, 2, 3, 4, 5]").unwrap();
    image::save_buffer(&pictures, &[0; 5 * 1024], 1024, 5, ExtendedColorType::L8).unwrap();
    assert!(refused().contains("Grayscale"), "{}", refused());
    fs::write(&pictures, &file(0, 32, ImageFormat::Png)[..60]).unwrap();
    assert!(refused().contains("test_batch.png"), "{}", refused());
}

#[test]
fn files_are_sent_as_they_are_with_the_content_type_that_their_bytes_say() {
    let (png, jpeg) = (file(10, 40, ImageFormat::Png), file(200, 40, ImageFormat::Jpeg));
    let folder = folder(&[("a.jpg", &png), ("b", &jpeg)]);
    let mut pictures = load(&files(folder.path()));
    pictures.sort_by_key(first_byte);
    assert_eq!((pictures[0].content_type, &*pictures[0].bytes), (PNG, &png[..]));
    assert_eq!((pictures[1].content_type, &*pictures[1].bytes), (JPEG, &jpeg[..]));
}

#[test]
fn files_are_encoded_anew_where_an_encoding_is_given() {
    let folder = folder(&[("a.png", &file(10, 40, ImageFormat::Png)), ("b.jpg", &file(200, 40, ImageFormat::Jpeg))]);
    for (encoding, content_type) in [(Encoding::Png, PNG), (Encoding::Raw, RAW), (Encoding::Jpeg { quality: 90 }, JPEG)]
    {
        let pictures = load(&encoded(files(folder.path()), encoding));
        assert!(pictures.iter().all(|picture| picture.content_type == content_type), "{encoding:?}");
        assert_eq!(labels(&pictures), [(10, None), (200, None)], "{encoding:?}");
    }
}

#[test]
fn the_first_folder_is_the_label_and_files_at_the_top_have_none() {
    let image = |value| file(value, 32, ImageFormat::Png);
    let folder = folder(&[
        ("cat/1.png", &image(1)),
        ("cat/more/2.png", &image(2)),
        ("dog/1.png", &image(3)),
        ("4.png", &image(4)),
        (".DS_Store", b"hidden"),
        (".git/objects", b"hidden"),
        ("lost+found/5.png", b"of the file system"),
    ]);
    let expected = [(1, Some("cat")), (2, Some("cat")), (3, Some("dog")), (4, None)];
    assert_eq!(labels(&load(&files(folder.path()))), expected);
}

#[test]
fn the_same_files_have_the_same_order_however_they_were_written() {
    let content: Vec<_> = (0..30).map(|value| file(value, 32, ImageFormat::Png)).collect();
    let names: Vec<_> = (0..30).map(|value| format!("{}/{value:02}.png", value % 3)).collect();
    let mut written: Vec<(&str, &[u8])> =
        names.iter().zip(&content).map(|(name, content)| (name.as_str(), &content[..])).collect();
    let first = folder(&written);
    written.reverse();
    let second = folder(&written);
    assert_eq!(load(&files(first.path())), load(&files(second.path())));
    let another_seed = Selection { seed: 43, ..SELECTION };
    assert_ne!(Dataset::load(&files(first.path()), another_seed).unwrap().0, load(&files(first.path())));
}

#[test]
fn a_file_that_cannot_be_sent_is_refused_by_its_name_and_with_what_to_do() {
    let (image, jpeg) = (file(1, 32, ImageFormat::Png), file(1, 32, ImageFormat::Jpeg));
    for (name, bytes, sentence) in [
        ("cat/readme.txt", &b"no image"[..], "is neither a PNG nor a JPEG file"),
        ("cat/empty.png", b"", "is neither a PNG nor a JPEG file"),
        ("cat/cut.png", &image[..50], "cannot be sent: the bytes are not a readable image/png"),
        (
            "cat/cut.jpg",
            &jpeg[..jpeg.len() * 9 / 10],
            "cannot be sent: the bytes are not a readable image/jpeg: it was cut",
        ),
        ("cat/end.jpg", &jpeg[..jpeg.len() - 1], "cannot be sent: the bytes are not a readable image/jpeg: it was cut"),
        ("cat/web.png", b"RIFF\x24\0\0\0WEBPVP8 ", "cannot be sent: the image is a WebP file"),
        ("cat/large.png", &file(1, 2049, ImageFormat::Png), "send at most 2048 x 2048"),
    ] {
        let folder = folder(&[("cat/0.png", &image), (name, bytes)]);
        let message = refused(&files(folder.path()));
        assert!(message.contains(name) && message.contains(sentence), "{message}");
    }
}

#[test]
fn links_are_not_followed() {
    let folder = folder(&[("cat/0.png", &file(1, 32, ImageFormat::Png))]);
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("cat/1.png")).unwrap();
    let message = refused(&files(folder.path()));
    assert!(message.contains("cat/1.png is neither a file nor a folder"), "{message}");
}

#[test]
fn a_folder_without_images_or_that_is_not_there_is_refused_by_its_name() {
    let empty = folder(&[(".hidden", b"")]);
    assert!(refused(&files(empty.path())).contains("there are no images in"), "{}", refused(&files(empty.path())));
    let message = refused(&files("/nowhere/at/all".as_ref()));
    assert!(message.starts_with("cannot read /nowhere/at/all: "), "{message}");
}

#[test]
fn what_would_not_fit_into_memory_or_into_a_record_is_refused() {
    let image = file(1, 32, ImageFormat::Png);
    let folder = folder(&[("1.png", &image), ("2.png", &image)]);
    let enough = Images { limit: 2 * image.len() as u64, ..files(folder.path()) };
    assert_eq!(load(&enough).len(), 2);
    let message = refused(&Images { limit: enough.limit - 1, ..enough });
    assert!(message.contains("bytes as they are sent: send fewer or smaller ones"), "{message}");
    let memory = &mut Memory { folder: folder.path(), limit: u64::MAX, taken: 0 };
    assert!(memory.keep("a.png".as_ref(), &vec![0; MOST_RECORD_BYTES], PNG, None).is_ok());
    let message = memory.keep("a.png".as_ref(), &vec![0; MOST_RECORD_BYTES + 1], PNG, None).unwrap_err().to_string();
    assert!(message.starts_with("a.png has 1000001 bytes as it would be sent, and a record"), "{message}");
}
