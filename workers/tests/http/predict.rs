//! `POST /predict`.

use image::ImageFormat;
use serde_json::Value;

use crate::support::{Worker, http::Response, image_file, raw_pixels, sample};

const PNG: &str = "Content-Type: image/png";

#[track_caller]
fn label(response: &Response) -> String {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    response.json()["label"].as_str().unwrap().to_owned()
}

#[test]
fn the_answer_names_the_label_the_five_likeliest_the_model_and_the_times() {
    let server = Worker::start_server(&[]);
    let answer = server.ask("POST /predict", &[PNG], &sample(0)).json();
    assert_eq!((&answer["label"], &answer["index"]), (&Value::from("cat"), &Value::from(3)));
    assert_eq!((&answer["model"], answer["modelSha256"].as_str().unwrap().len()), (&Value::from("resnet20"), 64));

    let five = answer["topFive"].as_array().unwrap();
    let confidences: Vec<_> = five.iter().map(|candidate| candidate["confidence"].as_f64().unwrap()).collect();
    assert_eq!(confidences.len(), 5);
    assert!(confidences.is_sorted_by(|one, other| one >= other), "{confidences:?}");
    assert!(confidences.iter().sum::<f64>() <= 1.0 + 1e-6, "{confidences:?}");
    for field in ["label", "index", "confidence"] {
        assert_eq!(five[0][field], answer[field], "the first is the answer");
    }
    assert!(answer["computeMicros"].as_u64().unwrap() > 0 && answer["queueMicros"].is_u64(), "{answer}");
}

#[test]
fn png_jpeg_raw_pixels_and_forms_are_understood() {
    let (server, ship) = (Worker::start_server(&[]), sample(1));
    let jpeg = image_file(&ship, ImageFormat::Jpeg);
    assert_eq!(label(&server.ask("POST /predict", &[PNG], &ship)), "ship");
    assert_eq!(label(&server.ask("POST /predict", &["Content-Type: image/jpeg"], &jpeg)), "ship");
    let raw = "Content-Type: application/octet-stream";
    assert_eq!(label(&server.ask("POST /predict", &[raw], &raw_pixels(&ship))), "ship");
    assert_eq!(label(&server.ask("POST /predict", &[], &jpeg)), "ship", "a file without a type is known by its bytes");

    let form = [
        b"--frontier\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na ship?\r\n--frontier\r\n".as_slice(),
        b"Content-Disposition: form-data; name=\"image\"; filename=\"ship.png\"\r\nContent-Type: image/png\r\n\r\n",
        &ship,
        b"\r\n--frontier--\r\n",
    ];
    let multipart = "Content-Type: multipart/form-data; boundary=frontier";
    assert_eq!(label(&server.ask("POST /predict", &[multipart], &form.concat())), "ship");
}

#[test]
fn the_first_bytes_say_what_a_file_is_and_a_wrong_type_or_name_is_no_refusal() {
    let (server, ship) = (Worker::start_server(&[]), sample(1));
    let jpeg = image_file(&ship, ImageFormat::Jpeg);
    for content_type in [
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "image/x-png",
        "image/jpg",
        "image/pjpeg",
        "image/webp",
        "text/plain",
        "nothing at all",
    ] {
        for file in [&ship, &jpeg] {
            let header = format!("Content-Type: {content_type}");
            assert_eq!(label(&server.ask("POST /predict", &[&header], file)), "ship", "{content_type}");
            let head = format!(
                "--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo.png\"\r\n\
                 Content-Type: {content_type}\r\n\r\n"
            );
            let form = [head.as_bytes(), file, b"\r\n--x--\r\n"];
            let multipart = "Content-Type: multipart/form-data; boundary=x";
            let response = server.ask("POST /predict", &[multipart], &form.concat());
            assert_eq!(label(&response), "ship", "{content_type} in a form");
        }
    }
}

#[test]
fn a_cut_file_and_one_of_another_format_are_refused_whatever_their_type() {
    let (server, ship) = (Worker::start_server(&[]), sample(1));
    let jpeg = image_file(&ship, ImageFormat::Jpeg);
    for content_type in ["image/jpeg", "image/png", "application/octet-stream"] {
        let header = format!("Content-Type: {content_type}");
        for file in [&ship, &jpeg] {
            for percent in [60, 80, 99] {
                let error = server.ask("POST /predict", &[&header], &file[..file.len() * percent / 100]).error(400);
                assert!(error.starts_with("the bytes are not a readable image/"), "{error}");
            }
        }
        for (format, file) in
            [("WebP", &b"RIFF\x24\0\0\0WEBPVP8 "[..]), ("GIF", b"GIF89a\x01\0"), ("TIFF", b"II*\0\x08")]
        {
            let error = server.ask("POST /predict", &[&header], file).error(415);
            assert_eq!(error, format!("the image is a {format} file, which is not read: send PNG or JPEG"));
        }
    }
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = Worker::start_server(&[]);
    let mut connection = server.connect();
    for (number, expected) in [(0, "cat"), (1, "ship"), (3, "airplane")] {
        assert_eq!(label(&connection.ask("POST /predict", &[PNG], &sample(number))), expected);
    }
}

#[test]
fn what_is_no_image_is_refused_in_one_sentence() {
    let server = Worker::start_server(&[]);
    let refused = |content_type: &str, body: &[u8], status| {
        server.ask("POST /predict", &[&format!("Content-Type: {content_type}")], body).error(status)
    };
    let error = refused("image/png", b"no picture at all", 400);
    assert!(error.starts_with("the bytes are not a readable image/png"), "{error}");
    let error = refused("application/octet-stream", &[0; 3071], 400);
    assert_eq!(error, "a raw image has 3072 bytes (32 x 32 pixels, RGB, row by row), not 3071");
    let error = refused("image/webp", b"RIFF", 415);
    assert!(error.contains("\"image/webp\" is not supported: send image/png"), "{error}");
    let error = refused("multipart/form-data; boundary=x", b"--x--\r\n", 400);
    assert_eq!(error, "the form has no field \"image\": send the image's file in it");
    let error = refused("multipart/form-data", b"", 400);
    assert!(error.contains("must name its boundary"), "{error}");

    let error = server.ask("POST /predict", &[PNG, "Content-Encoding: br"], &sample(0)).error(415);
    assert!(error.contains("Content-Encoding"), "{error}");
    let error = server.ask("POST /predict", &[PNG, "Content-Encoding: gzip"], &sample(0)).error(400);
    assert!(error.starts_with("the body is not what its Content-Encoding says"), "{error}");
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let server = Worker::start_server(&[]);
    let bomb = {
        let mut file = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(12_000, 3_000).write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    };
    let error = server.ask("POST /predict", &[PNG], &bomb).error(413);
    assert_eq!(error, "the image has 12000 x 3000 pixels: send at most 2048 x 2048");
}

#[test]
fn other_paths_and_methods_are_refused_in_json_and_counted() {
    let server = Worker::start_server(&[]);
    let error = server.ask("GET /nowhere", &[], b"").error(404);
    assert!(error.starts_with("there is no /nowhere: images go to POST /predict"), "{error}");
    let response = server.ask("GET /predict", &[], b"");
    assert!(response.error(405).starts_with("/predict does not take GET"));
    assert_eq!(response.header("allow"), Some("POST"));
    server.ask("POST /predict", &[PNG], &sample(0));

    let count = |series: &str| server.metric(&format!("tailrace_http_requests_total{{{series}}}"));
    assert_eq!(count("endpoint=\"Other\",code=\"404\""), 1.0);
    assert_eq!(count("endpoint=\"Predict\",code=\"405\""), 1.0);
    assert_eq!(count("endpoint=\"Predict\",code=\"200\""), 1.0);
    assert_eq!(server.metric("tailrace_inference_images_total{outcome=\"Classified\"}"), 1.0);
    for histogram in ["queue_seconds", "compute_seconds", "batch_images"] {
        assert_eq!(server.metric(&format!("tailrace_inference_{histogram}_count")), 1.0, "{histogram}");
    }
}
