//! `kubectl tailrace report experiment/NAME`

use std::fs;

use serde_json::{Value, json};
use tailrace_crds::Experiment;

use crate::{
    plugin::Plugin,
    results::{keep_intervals, load_test, succeeded, with, write},
    support::{Namespace, api_server},
};

fn yaml(name: &str, kind: &str) -> String {
    format!(
        "{{apiVersion: tailrace.dev/v1alpha1, kind: Experiment, metadata: {{name: {name}}}, spec: {{{kind}, template: \
         {{pipelineRef: {{name: cifar}}, load: {{open: {{ratePerProducer: 20}}}}, slos: [{{metric: P95, max: 50ms}}]}}}}}}"
    )
}

fn run(load_test: &str, phase: &str, p95: Value) -> Value {
    json!({
        "loadTest": load_test, "phase": phase, "valid": true, "lost": 0, "achievedRate": "39.9",
        "latencyMicros": { "p50": 10_000, "p90": 28_000, "p95": p95, "p99": null },
    })
}

/// A sweep over one and two producers that is over, one of whose LoadTests still exists.
async fn finished_sweep() -> (Namespace, Plugin) {
    let server = api_server().await;
    let namespace = server.namespace().await;
    namespace.create_yaml::<Experiment>(&yaml("sweep", "sweep: {producers: [2, 1]}")).await;
    let status = json!({
        "phase": "Failed", "message": "1 of 2 LoadTests did not succeed", "done": 2, "total": 2, "round": 1,
        "points": [
            { "producers": 2, "ratePerProducer": 20, "validRuns": 1, "runs": [run("sweep-1-01-1", "Succeeded", json!(31_007))] },
            { "producers": 1, "ratePerProducer": 20, "validRuns": 1, "runs": [run("sweep-1-02-1", "Failed", Value::Null)] },
        ],
    });
    namespace.patch_status::<Experiment>("sweep", status).await.unwrap();
    load_test(&namespace, "sweep-1-01-1").await;
    keep_intervals(&namespace, "sweep-1-01-1-histograms").await;
    let kept = json!({ "histograms": { "configMap": "sweep-1-01-1-histograms", "intervalSeconds": 1 } });
    write(&namespace, "sweep-1-01-1", with(&mut succeeded(), kept)).await;
    let plugin = Plugin::new(server.kubeconfig(), &namespace.name);
    (namespace, plugin)
}

#[tokio::test]
async fn a_sweep_has_its_table_its_curve_and_the_files_of_each_load_test() {
    let (_, plugin) = finished_sweep().await;
    let said = plugin.run(&["report", "experiment/sweep", "-o", "sweep"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.errors, "LoadTest \"sweep-1-02-1\" does not exist any more: only the table has its numbers\n");
    for name in ["results.txt", "results.csv", "results.json", "sweep.png", "sweep.svg"] {
        assert!(plugin.folder("sweep").join(name).exists(), "{name}");
    }
    for name in ["latency_histogram.png", "percentiles.svg", "latency_results.txt"] {
        assert!(plugin.folder("sweep/sweep-1-01-1").join(name).exists(), "{name}");
    }
    let table = fs::read_to_string(plugin.folder("sweep/results.csv")).unwrap();
    let lines: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "1,1,sweep-1-02-1,objective missed,10000,28000,inf,inf,0,39.9",
            "2,1,sweep-1-01-1,succeeded,10000,28000,31007,inf,0,39.9",
        ]
    );
    assert_eq!(plugin.run(&["report", "tre/sweep", "-o", "csv"]).await.output, table);
}

#[tokio::test]
async fn a_search_is_shown_over_the_rate_of_all_producers() {
    let (namespace, plugin) = finished_sweep().await;
    namespace.create_yaml::<Experiment>(&yaml("search", "maxRate: {from: 20, to: 80}")).await;
    let point = |rate, name| {
        let runs = [run(name, "Succeeded", json!(31_007))];
        json!({ "producers": 2, "ratePerProducer": rate, "validRuns": 1, "runs": runs })
    };
    let points = [point(10, "search-1"), point(40, "search-2"), point(20, "search-3")];
    let status =
        json!({ "phase": "Succeeded", "message": "40 images/s held", "done": 3, "round": 1, "points": points });
    namespace.patch_status::<Experiment>("search", status).await.unwrap();
    let said = plugin.run(&["report", "experiment/search", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&said.output).unwrap();
    let values: Vec<_> = json["points"].as_array().unwrap().iter().map(|point| point["value"].clone()).collect();
    assert_eq!(
        (json["varies"].as_str(), values),
        (Some("imagesPerSecond"), vec![json!(20.0), json!(40.0), json!(80.0)])
    );
}

#[tokio::test]
async fn an_experiment_that_is_not_over_has_no_report() {
    let (namespace, plugin) = finished_sweep().await;
    namespace.create_yaml::<Experiment>(&yaml("fresh", "sweep: {producers: [1]}")).await;
    let said = plugin.run(&["report", "experiment/fresh"]).await;
    assert!(said.sentence().starts_with("error: Experiment \"fresh\" is not over (it is Pending)"), "{said:#?}");
    let said = plugin.run(&["report", "experiment/sweep", "-o", "junit"]).await;
    assert!(said.sentence().contains("junit is the verdict of a LoadTest"), "{said:#?}");
}
