//! `kubectl tailrace report`

use std::fs;

use serde_json::{Value, json};

use crate::{
    plugin::Plugin,
    results::{keep_intervals, load_test, succeeded, with, with_spec, write},
    support::{Namespace, api_server},
};

/// A LoadTest that is over, with its histograms.
async fn finished(name: &str) -> (Namespace, Plugin) {
    let server = api_server().await;
    let namespace = server.namespace().await;
    load_test(&namespace, name).await;
    let histograms = format!("{name}-histograms");
    keep_intervals(&namespace, &histograms).await;
    let kept = json!({ "histograms": { "configMap": histograms, "intervalSeconds": 1 } });
    write(&namespace, name, with(&mut succeeded(), kept)).await;
    let plugin = Plugin::new(server.kubeconfig(), &namespace.name);
    (namespace, plugin)
}

#[tokio::test]
async fn all_files_are_written_into_a_folder() {
    let (_, plugin) = finished("filed").await;
    let said = plugin.run(&["report", "filed", "-o", "results/filed"]).await;
    assert_eq!((said.code, said.errors.as_str()), (0, ""), "{said:#?}");
    let folder = plugin.folder("results/filed");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    let expected = [
        "junit.xml",
        "latency_histogram.png",
        "latency_histogram.svg",
        "latency_results.txt",
        "over_time.png",
        "over_time.svg",
        "percentiles.png",
        "percentiles.svg",
        "results.json",
        "stages.png",
        "stages.svg",
    ];
    assert_eq!(names, expected);
    assert_eq!(said.output.lines().count(), expected.len());
    let text = fs::read_to_string(folder.join("latency_results.txt")).unwrap();
    for part in [
        "succeeded: 2400 images, all answered; p95 31ms",
        "2026-11-21 18:40:12 UTC to 2026-11-21 18:41:25 UTC",
        "open load: 20 images/s from each of 2 producers",
        "29.000 to 34.000",
        "P95 at most 50ms: 31.007ms",
        "node1 ran producers and the Pipeline",
        &"3f7a9c0b".repeat(8),
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[tokio::test]
async fn programs_read_json_and_junit_from_standard_output() {
    let (_, plugin) = finished("read").await;
    let said = plugin.run(&["report", "read", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["latencyMicros"]["p95"], 31_007);
    assert_eq!(json["confidenceMicros"]["p99"], json!({ "low": 33_000, "high": null }));
    assert_eq!(json["intervals"]["list"][59]["scheduled"], 40);
    let said = plugin.run(&["report", "read", "-o", "junit"]).await;
    assert!(said.output.contains("<testcase classname=\"tailrace.LoadTest."), "{said:#?}");
    let said = plugin.run(&["report", "read"]).await;
    assert!(said.output.starts_with("LoadTest ") && said.output.contains("31.007"), "{said:#?}");
}

#[tokio::test]
async fn what_is_missing_is_told_and_the_rest_is_written() {
    let (namespace, plugin) = finished("whole").await;
    with_spec(&namespace, "poor", ", rawLog: true").await;
    let gone = json!({ "histograms": { "configMap": "gone", "intervalSeconds": 1 } });
    write(&namespace, "poor", with(&mut succeeded(), gone)).await;
    let said = plugin.run(&["report", "poor", "-o", "poor"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.errors.contains("ConfigMap \"gone\" with the histograms was deleted"), "{said:#?}");
    assert!(said.errors.contains("the pod of Job \"poor-producer-1\" was deleted"), "{said:#?}");
    assert!(plugin.folder("poor/stages.png").exists() && !plugin.folder("poor/percentiles.png").exists());
}

#[tokio::test]
async fn a_test_that_is_not_over_has_no_report() {
    let (namespace, plugin) = finished("over").await;
    load_test(&namespace, "fresh").await;
    let said = plugin.run(&["report", "fresh", "-o", "json"]).await;
    let expected =
        "error: LoadTest \"fresh\" is not over (it is Queued): wait for it with kubectl tailrace watch fresh";
    assert_eq!(said.sentence(), expected);
    let said = plugin.run(&["report", "over", "-o", "csv"]).await;
    assert!(said.sentence().contains("csv is the table of an Experiment"), "{said:#?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said() {
    let (_, plugin) = finished("full").await;
    fs::write(plugin.folder("file"), "").unwrap();
    let said = plugin.run(&["report", "full", "-o", "file"]).await;
    assert!(said.sentence().contains("cannot be written"), "{said:#?}");
}
