//! The Open Inference Protocol (KServe V2), with the binary tensor extension.

use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use image::ImageFormat;
use serde_json::{Value, json};

use crate::{
    support::{Worker, image_file, sample},
    tensors::{INFER, bytes_tensor, image_tensor, infer, infer_binary, output, parted, pixels},
};

fn with(mut tensor: Value, field: &str, value: Value) -> Value {
    tensor[field] = value;
    tensor
}

#[test]
fn the_server_and_the_model_say_what_they_are() {
    let server = Worker::start_server(&[]);
    let get = |path: &str| {
        let response = server.ask(&format!("GET {path}"), &[], b"");
        assert_eq!(response.status, 200, "{path}");
        response.json()
    };
    assert_eq!(get("/v2/health/live"), json!({"live": true}));
    assert_eq!(get("/v2/health/ready"), json!({"ready": true}));
    assert_eq!(
        get("/v2")["extensions"],
        json!(["binary_tensor_data", "classification", "model_configuration", "statistics"])
    );
    for model in ["/v2/models/resnet20", "/v2/models/resnet20/versions/1"] {
        assert_eq!(get(&format!("{model}/ready")), json!({"name": "resnet20", "ready": true}));
        let metadata = get(model);
        assert_eq!((&metadata["name"], &metadata["versions"]), (&json!("resnet20"), &json!(["1"])));
        assert_eq!(
            metadata["inputs"],
            json!([
                {"name": "image", "datatype": "UINT8", "shape": [-1, 32, 32, 3]},
                {"name": "file", "datatype": "BYTES", "shape": [-1]},
            ])
        );
        assert_eq!(
            metadata["outputs"],
            json!([
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
                {"name": "index", "datatype": "INT64", "shape": [-1]},
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
            ])
        );
    }
}

#[test]
fn a_batch_in_json_flat_or_nested_is_answered_in_json() {
    let server = Worker::start_server(&[]);
    let flat = pixels(&[0, 1, 3]);
    let nested: Vec<_> = flat.chunks(3072).map(|image| image.chunks(3).collect::<Vec<_>>()).collect();
    for data in [json!(flat), json!(nested)] {
        let response = infer(&server, &json!({"id": "42", "inputs": [with(image_tensor(3), "data", data)]}));
        let answer = response.json();
        assert_eq!(answer["model_name"], "resnet20");
        assert_eq!((&answer["model_version"], &answer["id"]), (&json!("1"), &json!("42")));
        assert_eq!(output(&answer, "label"), json!(["cat", "ship", "airplane"]));
        assert_eq!(output(&answer, "index"), json!([3, 8, 0]));
        assert_eq!(answer["outputs"][0]["shape"], json!([3, 10]));
        let probabilities = output(&answer, "probabilities");
        let sum: f64 = probabilities.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).sum();
        assert!((sum - 3.0).abs() < 1e-3, "{probabilities}");
        assert!(answer["parameters"]["compute_micros"].as_u64().unwrap() > 0);
    }
}

#[test]
fn binary_tensors_are_understood_and_sent() {
    let server = Worker::start_server(&[]);
    let tensor = with(image_tensor(2), "parameters", json!({"binary_data_size": 2 * 3072}));
    let request = json!({"inputs": [tensor], "parameters": {"binary_data_output": true}});
    let response = infer_binary(&server, &request, &pixels(&[0, 1]));
    let (answer, tensors) = parted(&response);
    assert_eq!(response.header("content-type"), Some("application/octet-stream"));

    let sizes: Vec<_> = answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| output["parameters"]["binary_data_size"].as_u64().unwrap() as usize)
        .collect();
    assert_eq!(sizes, [2 * 10 * 4, 2 * 8, 4 + 3 + 4 + 4]);
    let (probabilities, rest) = tensors.split_at(80);
    let (indices, labels) = rest.split_at(16);
    let best = probabilities[12..16].try_into().map(f32::from_le_bytes).unwrap();
    assert!((0.1..=1.0).contains(&best), "the probability of a cat is {best}");
    assert_eq!(indices, [3_i64.to_le_bytes(), 8_i64.to_le_bytes()].concat());
    assert_eq!(labels, bytes_tensor(&[b"cat".to_vec(), b"ship".to_vec()]));
}

#[test]
fn a_request_chooses_its_outputs_their_order_and_their_form() {
    let server = Worker::start_server(&[]);
    let outputs = json!([{"name": "label", "parameters": {"binary_data": false}}, {"name": "index"}]);
    let request = json!({
        "inputs": [with(image_tensor(1), "data", json!(pixels(&[1])))],
        "outputs": outputs,
        "parameters": {"binary_data_output": true, "anything_else": {"is": ["ignored"]}},
    });
    let response = infer(&server, &request);
    let (answer, tensors) = parted(&response);
    assert_eq!(answer["outputs"][0], json!({"name": "label", "datatype": "BYTES", "shape": [1], "data": ["ship"]}));
    assert_eq!(
        answer["outputs"][1],
        json!({"name": "index", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}})
    );
    assert_eq!(tensors, 8_i64.to_le_bytes());
}

#[test]
fn files_are_understood_in_binary_and_in_base64() {
    let server = Worker::start_server(&[]);
    let files = [sample(0), image_file(&sample(1), ImageFormat::Jpeg)];
    let tensor = json!({"name": "file", "datatype": "BYTES", "shape": [2]});
    let bytes = bytes_tensor(&files);
    let binary = with(tensor.clone(), "parameters", json!({"binary_data_size": bytes.len()}));
    let text = with(tensor, "data", json!(files.map(|file| STANDARD.encode(file))));
    let answers = [
        infer_binary(&server, &json!({"inputs": [binary]}), &bytes).json(),
        infer(&server, &json!({"inputs": [text]})).json(),
    ];
    for answer in answers {
        assert_eq!(output(&answer, "label"), json!(["cat", "ship"]));
    }
}

#[test]
fn a_null_is_the_same_as_nothing() {
    let server = Worker::start_server(&[]);
    let input = || json!({"name": "file", "datatype": "BYTES", "shape": [1], "data": [STANDARD.encode(sample(1))]});
    let input_with = |parameters: Value| with(input(), "parameters", parameters);
    for request in [
        json!({"id": null, "inputs": [input()]}),
        json!({"parameters": null, "inputs": [input()]}),
        json!({"parameters": {"binary_data_output": null, "priority": null}, "inputs": [input()]}),
        json!({"inputs": [input()], "outputs": null}),
        json!({"inputs": [input_with(json!(null))]}),
        json!({"inputs": [input_with(json!({"binary_data_size": null, "shared_memory_region": null}))]}),
        json!({"inputs": [input()], "outputs": [{"name": "label", "parameters": null}]}),
        json!({"inputs": [input()], "outputs": [{"name": "label", "parameters": {
            "binary_data": null, "classification": null, "shared_memory_region": null,
        }}]}),
        json!({"id": "1", "parameters": null, "inputs": [input_with(json!(null))], "outputs": null, "model": null}),
    ] {
        let answer = infer(&server, &request).json();
        assert_eq!(output(&answer, "label"), json!(["ship"]), "{request}");
    }
    let error = infer(&server, &json!({"inputs": null})).error(400);
    assert!(error.contains("there are 0 inputs"), "{error}");
    let error = infer(&server, &json!({"inputs": [with(input(), "data", json!(null))]})).error(400);
    assert!(error.contains("it has no data"), "{error}");
}

#[test]
fn whole_floats_are_pixels_and_others_are_refused() {
    let server = Worker::start_server(&[]);
    let floats: Vec<f64> = pixels(&[1]).into_iter().map(f64::from).collect();
    let answer = infer(&server, &json!({"inputs": [with(image_tensor(1), "data", json!(floats))]})).json();
    assert_eq!(output(&answer, "label"), json!(["ship"]));
    let scaled: Vec<f64> = floats.iter().map(|value| value / 255.0).collect();
    let error = infer(&server, &json!({"inputs": [with(image_tensor(1), "data", json!(scaled))]})).error(400);
    assert!(error.contains("expected numbers from 0 to 255"), "{error}");
}

#[test]
fn a_compressed_request_is_answered() {
    let server = Worker::start_server(&[]);
    let request = serde_json::to_vec(&json!({"inputs": [with(image_tensor(1), "data", json!(pixels(&[1])))]})).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&request).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&request).unwrap();
    for (encoding, body) in [("gzip", &gzip), ("deflate", &deflate.finish().unwrap())] {
        let headers = ["Content-Type: application/json", &format!("Content-Encoding: {encoding}")];
        let answer = server.ask(INFER, &headers, body).json();
        assert_eq!(output(&answer, "label"), json!(["ship"]), "{encoding}");
    }
    // The length of the JSON is that before the compression.
    let tensor = with(image_tensor(1), "parameters", json!({"binary_data_size": 3072}));
    let json = serde_json::to_vec(&json!({"inputs": [tensor]})).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&[&json[..], &pixels(&[1])].concat()).unwrap();
    let header = format!("Inference-Header-Content-Length: {}", json.len());
    let answer = server.ask(INFER, &[&header, "Content-Encoding: gzip"], &gzip.finish().unwrap()).json();
    assert_eq!(output(&answer, "label"), json!(["ship"]));
}

#[test]
fn the_likeliest_classes_come_in_words_where_they_are_asked_for() {
    let server = Worker::start_server(&[]);
    let outputs = json!([{"name": "probabilities", "parameters": {"classification": 2}}, {"name": "index"}]);
    let request = json!({"inputs": [with(image_tensor(2), "data", json!(pixels(&[0, 1])))], "outputs": outputs});
    let answer = infer(&server, &request).json();
    assert_eq!((&answer["outputs"][0]["datatype"], &answer["outputs"][0]["shape"]), (&json!("BYTES"), &json!([2, 2])));
    let classes = output(&answer, "probabilities");
    let parts: Vec<_> = classes[0].as_str().unwrap().split(':').collect();
    assert_eq!(parts[1..], ["3", "cat"]);
    assert!(parts[0].parse::<f64>().unwrap() > 0.1, "{classes}");
    assert!(classes[2].as_str().unwrap().ends_with(":8:ship"), "{classes}");
    let all = json!([{"name": "probabilities", "parameters": {"classification": 99}}]);
    let request = json!({"inputs": [with(image_tensor(1), "data", json!(pixels(&[0])))], "outputs": all});
    assert_eq!(infer(&server, &request).json()["outputs"][0]["shape"], json!([1, 10]));
}

#[test]
fn configuration_statistics_and_index_are_answered() {
    let server = Worker::start_server(&[]);
    let get = |path: &str| server.ask(&format!("GET {path}"), &[], b"").json();
    for model in ["/v2/models/resnet20", "/v2/models/resnet20/versions/1"] {
        let config = get(&format!("{model}/config"));
        assert_eq!((&config["name"], &config["max_batch_size"]), (&json!("resnet20"), &json!(0)));
        let image = json!({"name": "image", "data_type": "TYPE_UINT8", "dims": [-1, 32, 32, 3], "optional": true});
        assert_eq!(config["input"][0], image);
        assert_eq!(config["output"][2], json!({"name": "label", "data_type": "TYPE_STRING", "dims": [-1]}));
    }

    let statistics = |path: &str| get(path)["model_stats"][0].clone();
    assert_eq!(statistics("/v2/models/stats")["inference_count"], 0);
    let images = json!({"inputs": [with(image_tensor(3), "data", json!(pixels(&[0, 1, 3])))]});
    assert_eq!(infer(&server, &images).status, 200);
    server.ask("POST /predict", &[], b"no image").error(400);
    for path in ["/v2/models/stats", "/v2/models/resnet20/stats", "/v2/models/resnet20/versions/1/stats"] {
        let found = statistics(path);
        assert_eq!((&found["name"], &found["version"]), (&json!("resnet20"), &json!("1")));
        assert_eq!((&found["inference_count"], &found["inference_stats"]["fail"]["count"]), (&json!(3), &json!(1)));
        assert!((1..=4).contains(&found["execution_count"].as_u64().unwrap()), "{found}");
        assert_eq!(found["inference_stats"]["compute_infer"]["count"], 3);
        let nanos = |what: &str| found["inference_stats"][what]["ns"].as_u64().unwrap();
        assert!(nanos("compute_infer") > 0 && nanos("success") == nanos("queue") + nanos("compute_infer"), "{found}");
        assert!(found["last_inference"].as_i64().unwrap() > 1_700_000_000_000, "{found}");
    }

    for body in ["", "{}", r#"{"ready": true}"#, r#"{"ready": null}"#] {
        let index = server.ask("POST /v2/repository/index", &[], body.as_bytes()).json();
        assert_eq!(index, json!([{"name": "resnet20", "version": "1", "state": "READY", "reason": ""}]), "{body}");
    }
}

#[test]
fn what_is_not_offered_says_so() {
    let server = Worker::start_server(&[]);
    assert_eq!(server.ask("GET /v2/systemsharedmemory/status", &[], b"").json(), json!([]));
    assert_eq!(server.ask("GET /v2/cudasharedmemory/region/a/status", &[], b"").json(), json!([]));
    assert_eq!(server.ask("POST /v2/systemsharedmemory/unregister", &[], b"").status, 200);
    for (request, sentence) in [
        ("POST /v2/systemsharedmemory/region/a/register", "shared memory is not offered: send the tensors in the body"),
        ("POST /v2/repository/models/resnet20/unload", "a server has its one model for as long as it runs"),
        ("POST /v2/repository/models/other/load", "a server has its one model for as long as it runs"),
        ("GET /v2/trace/setting", "traces and logs are not set over HTTP"),
        ("POST /v2/models/resnet20/trace/setting", "traces and logs are not set over HTTP"),
        ("POST /v2/logging", "traces and logs are not set over HTTP"),
        ("POST /v2/models/resnet20/generate", "this model takes images and makes no text"),
    ] {
        let error = server.ask(request, &[], b"{}").error(501);
        assert!(error.starts_with(sentence), "{request}: {error}");
    }
    server.ask("GET /v2/models/other/config", &[], b"").error(404);
    server.ask("GET /v2/models/resnet20/versions/2/stats", &[], b"").error(404);
}

#[test]
fn other_models_and_versions_do_not_exist() {
    let server = Worker::start_server(&[]);
    let error = server.ask("GET /v2/models/resnet50", &[], b"").error(404);
    assert_eq!(error, "there is no model \"resnet50\": this server has \"resnet20\"");
    let error = server.ask("POST /v2/models/resnet20/versions/2/infer", &[], b"{}").error(404);
    assert_eq!(error, "the model \"resnet20\" has only the version \"1\"");
    server.ask("GET /v2/models/resnet20/infer", &[], b"").error(405);
    server.ask("GET /v2/models/%ff", &[], b"").error(400);
}

#[test]
fn what_is_not_as_the_metadata_say_is_refused_in_one_sentence() {
    let server = Worker::start_server(&[]);
    let image = || with(image_tensor(1), "data", json!(pixels(&[0])));
    let file = |data: Value| json!({"name": "file", "datatype": "BYTES", "shape": [1], "data": data});
    let cases = [
        (json!({"inputs": []}), "there are 0 inputs: send one"),
        (json!({"inputs": [image(), file(json!([""]))]}), "there are 2 inputs: send one"),
        (json!({"inputs": [with(image(), "name", json!("x"))]}), "there is no input \"x\""),
        (json!({"inputs": [with(image(), "datatype", json!("FP32"))]}), "input \"image\" is UINT8 [n, 32, 32, 3]"),
        (json!({"inputs": [with(image(), "shape", json!([3072]))]}), "input \"image\" is UINT8 [n, 32, 32, 3]"),
        (json!({"inputs": [with(image(), "shape", json!([0, 32, 32, 3]))]}), "input \"image\" is UINT8 [n, 32, 32, 3]"),
        (json!({"inputs": [with(image(), "shape", json!([2, 32, 32, 3]))]}), "its shape says 2 images, its data are 1"),
        (json!({"inputs": [with(image(), "data", json!([1, 2]))]}), "2 numbers are not 3072 for each image"),
        (json!({"inputs": [with(image(), "data", json!([256]))]}), "expected numbers from 0 to 255"),
        (json!({"inputs": [with(image(), "data", json!(["a"]))]}), "its data are strings: send numbers"),
        (json!({"inputs": [image_tensor(1)]}), "it has no data"),
        (json!({"inputs": [file(json!(["&"]))]}), "a file is not in base64"),
        (json!({"inputs": [file(json!([STANDARD.encode("nothing")]))]}), "a raw image has 3072 bytes"),
        (json!({"inputs": [image()], "outputs": [{"name": "x"}]}), "there is no output \"x\": ask for probabilities"),
        (
            json!({"inputs": [image()], "outputs": [{"name": "label", "parameters": {"classification": 3}}]}),
            "it has no classes",
        ),
        (json!("inputs"), "the JSON is no inference request"),
    ];
    for (request, expected) in cases {
        let error = infer(&server, &request).error(400);
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    let error = infer(&server, &json!({"inputs": [with(image(), "shape", json!([257, 32, 32, 3]))]})).error(413);
    assert_eq!(error, "257 images are too many: send at most 256 in a request");
}

#[test]
fn binary_tensors_of_a_wrong_size_are_refused() {
    let server = Worker::start_server(&[]);
    let sized =
        |size: usize| json!({"inputs": [with(image_tensor(1), "parameters", json!({"binary_data_size": size}))]});
    let error = infer_binary(&server, &sized(4000), &pixels(&[0])).error(400);
    assert!(error.contains("binary_data_size is 4000, but only 3072 bytes are left"), "{error}");
    let error = infer_binary(&server, &sized(3072), &pixels(&[0, 0])).error(400);
    assert!(error.contains("3072 bytes of the body belong to no input"), "{error}");
    let error = server.ask(INFER, &["Inference-Header-Content-Length: 99"], b"{}").error(400);
    assert_eq!(error, "Inference-Header-Content-Length is 99, but the body has 2 bytes");

    let cut = [&100_u32.to_le_bytes()[..], b"short"].concat();
    let file =
        json!({"name": "file", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": cut.len()}});
    let error = infer_binary(&server, &json!({"inputs": [file]}), &cut).error(400);
    assert!(error.contains("do not part into as many files"), "{error}");
}

#[test]
fn one_undecodable_file_of_a_batch_is_named() {
    let server = Worker::start_server(&[]);
    let bytes = bytes_tensor(&[sample(0), b"\x89PNG\r\n\x1a\nbroken".to_vec()]);
    let file =
        json!({"name": "file", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": bytes.len()}});
    let error = infer_binary(&server, &json!({"inputs": [file]}), &bytes).error(400);
    assert!(error.starts_with("image 1: the bytes are not a readable image/png"), "{error}");
}
