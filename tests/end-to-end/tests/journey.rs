//! A user's way: a Pipeline, load tests on it, their numbers, the database, and the end of it all.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
};
use kube::api::LogParams;
use mongodb::bson::{Bson, Document, doc};
use tailrace_crds::{
    LoadTest, Pipeline,
    load_test::{Counts, LoadTestStatus, Phase},
};
use tailrace_end_to_end::{
    Cluster,
    cluster::{has_reason, holds},
    database::Database,
};

const PIPELINE: &str = include_str!("../../../examples/pipeline.yaml");

const SPLIT: &str = include_str!("../../../examples/split.yaml");

const CLOSED: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: LoadTest
metadata: {name: NAME}
spec:
  pipelineRef: {name: cifar}
  producers: 2
  load: {closed: {}}
  warmup: 2s
  duration: 8s
";

const OPEN: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: LoadTest
metadata: {name: NAME}
spec:
  pipelineRef: {name: cifar}
  producers: 2
  load: {open: {ratePerProducer: 20}}
  warmup: 2s
  duration: 8s
  rawLog: true
  slos: [{metric: P95, max: 1h}, {metric: UnansweredPercent, max: '0'}, {metric: AchievedRatePercent, min: '90'}]
";

const LONG: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: LoadTest
metadata: {name: long}
spec:
  pipelineRef: {name: cifar}
  producers: 2
  load: {closed: {}}
  duration: 10m
";

#[tokio::test]
async fn a_pipeline_is_measured_archived_and_deleted() -> Result<()> {
    let cluster = Cluster::with_namespace("end-to-end").await?;

    let begun = Instant::now();
    cluster.apply::<Pipeline>(PIPELINE).await?;
    let pipeline = cluster.ready("cifar").await?;
    println!("Pipeline ready after {:.1?}", begun.elapsed());
    says_what_it_runs(&pipeline)?;

    let closed = a_closed_load_is_measured_although_the_operator_is_killed(&cluster).await?;
    let mut load_tests = an_open_load_keeps_its_schedule(&cluster).await?;
    load_tests.push(closed);
    load_tests.push(the_topology_is_changed_and_a_closed_load_is_measured(&cluster).await?);
    the_database_holds_what_the_producers_count(&cluster, &load_tests).await?;

    a_load_test_deleted_in_flight_leaves_no_producer(&cluster).await?;
    deleted_load_tests_take_the_pods_with_their_raw_logs_along(&cluster).await?;
    a_deleted_pipeline_leaves_only_its_volumes(&cluster).await
}

fn says_what_it_runs(pipeline: &Pipeline) -> Result<()> {
    let status = pipeline.status.as_ref().context("a ready Pipeline has a status")?;
    ensure!(status.observed_generation == pipeline.metadata.generation, "the status is of an older generation");
    ensure!(status.model.as_ref().is_some_and(|m| m.name == "resnet20" && m.sha256.len() == 64), "{:?}", status.model);
    let images = status.topics.iter().find(|t| t.name == "iot_images").context("iot_images is missing")?;
    ensure!(images.partitions == 12, "{images:?}");
    Ok(())
}

async fn a_closed_load_is_measured_although_the_operator_is_killed(cluster: &Cluster) -> Result<LoadTestStatus> {
    cluster.apply::<LoadTest>(&CLOSED.replace("NAME", "closed")).await?;
    let running = |t: &LoadTest| t.status.as_ref().is_some_and(|s| s.phase == Phase::Running);
    cluster.wait::<LoadTest>("closed", Duration::from_secs(60), running).await?;
    cluster.kill_operator().await?;

    let status = finished(cluster, "closed").await?;
    ensure!(status.display.as_ref().is_some_and(|d| d.load.starts_with("closed")), "{:?}", status.display);
    has_sound_numbers(&status)?;
    Ok(status)
}

/// All runs; the last one kept its schedule. Producers that get too little of a busy machine say so instead of showing
/// numbers, so they have another try.
async fn an_open_load_keeps_its_schedule(cluster: &Cluster) -> Result<Vec<LoadTestStatus>> {
    let mut runs = Vec::new();
    for name in ["open-1", "open-2", "open-3"] {
        cluster.apply::<LoadTest>(&OPEN.replace("NAME", name)).await?;
        let load_test = cluster.finished(name, Duration::from_secs(120)).await?;
        runs.push(load_test.status.context("a finished LoadTest has a status")?);
        if !has_reason(&runs[runs.len() - 1].conditions, "ResultsValid", "GeneratorSaturated") {
            break;
        }
        println!("{name} had too little of the machine");
    }
    let status = runs.last().context("no run")?;
    succeeded(status)?;
    has_sound_numbers(status)?;
    let messages = status.result.messages.context("no counts")?;
    ensure!(messages.scheduled == 2 * 20 * 8, "the schedule has 320 images: {messages:?}");
    ensure!(status.display.as_ref().is_some_and(|d| d.load == "open 20/s"), "{:?}", status.display);
    ensure!(holds(&status.conditions, "SLOsMet") && status.result.slos.len() == 3, "{:?}", status.result.slos);
    independent_tools_agree(cluster, &format!("open-{}", runs.len()), status).await?;
    Ok(runs)
}

/// From what a user can read: the status, the ConfigMap of the histograms and the logs of the producers.
async fn independent_tools_agree(cluster: &Cluster, name: &str, status: &LoadTestStatus) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text);
    write("status.json", &serde_json::to_string(status)?)?;
    let histograms = status.histograms.as_ref().context("no histograms")?;
    let data = cluster.api::<ConfigMap>().get(&histograms.config_map).await?.data.context("an empty ConfigMap")?;
    write("latency.hlog", data.get("latency.hlog").context("no latency.hlog")?)?;
    for pod in cluster.names::<Pod>(&format!("tailrace.dev/load-test={name}")).await? {
        write(&format!("producer-{pod}.log"), &cluster.api::<Pod>().logs(&pod, &LogParams::default()).await?)?;
    }
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proof/check");
    let agreed = Command::new(check).arg(folder.path()).status()?;
    ensure!(agreed.success(), "numpy or HdrHistogram for Java come to other numbers");
    Ok(())
}

async fn the_topology_is_changed_and_a_closed_load_is_measured(cluster: &Cluster) -> Result<LoadTestStatus> {
    cluster.apply::<Pipeline>(SPLIT).await?;
    cluster.ready("cifar").await?;
    let fused = "tailrace.dev/pipeline=cifar,app.kubernetes.io/component=inference";
    cluster.gone::<Deployment>(fused, Duration::from_secs(30)).await?;
    ensure!(cluster.names::<Service>("app.kubernetes.io/component=inference-server").await?.len() == 1, "no Service");

    let status = a_test_is_measured_although_the_kubelet_stops(cluster, "split").await?;
    has_sound_numbers(&status)?;
    let environment = status.result.environment.as_ref().context("no environment")?;
    ensure!(environment.images.contains_key("inference-consumer"), "not measured with Split: {environment:?}");
    Ok(status)
}

/// The containers run on, and what the producers say reaches the API server without the kubelet.
async fn a_test_is_measured_although_the_kubelet_stops(cluster: &Cluster, name: &str) -> Result<LoadTestStatus> {
    cluster.apply::<LoadTest>(&CLOSED.replace("NAME", name)).await?;
    let running = |t: &LoadTest| t.status.as_ref().is_some_and(|s| s.phase == Phase::Running);
    cluster.wait::<LoadTest>(name, Duration::from_secs(60), running).await?;
    signal_kubelet("STOP")?;
    let status = finished(cluster, name).await;
    signal_kubelet("CONT")?;
    status
}

/// Of the only node.
fn signal_kubelet(signal: &str) -> Result<()> {
    let enter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../localcluster/enter");
    let kill = format!("kill -{signal} $(</run/kubernetes/kubelet.pid)");
    let sent = Command::new(enter).args(["node0", "bash", "-c", &kill]).status()?;
    ensure!(sent.success(), "the kubelet was not sent SIG{signal}");
    Ok(())
}

async fn finished(cluster: &Cluster, name: &str) -> Result<LoadTestStatus> {
    let load_test = cluster.finished(name, Duration::from_secs(120)).await?;
    let status = load_test.status.context("a finished LoadTest has a status")?;
    succeeded(&status)?;
    Ok(status)
}

fn succeeded(status: &LoadTestStatus) -> Result<()> {
    ensure!(status.phase == Phase::Succeeded, "the test did not succeed: {status:#?}");
    ensure!(holds(&status.conditions, "Succeeded") && holds(&status.conditions, "ResultsValid"), "{status:#?}");
    Ok(())
}

/// Every image is accounted for, the percentiles are in order, and the answers are mostly right.
fn has_sound_numbers(status: &LoadTestStatus) -> Result<()> {
    let messages = status.result.messages.as_ref().context("no counts")?;
    ensure!(messages.scheduled > 100, "too few images for a measurement: {messages:?}");
    ensure!(messages.lost == 0 && messages.send_errors == 0 && messages.answer_errors == 0, "{messages:?}");
    for counts in [messages, status.result.warmup_messages.as_ref().context("no counts of the warm-up")?] {
        adds_up(counts)?;
    }

    let latency = status.result.latency_micros.as_ref().context("no latency")?;
    ensure!(latency.count == messages.received, "{} values of {} answers", latency.count, messages.received);
    let ascending = [latency.min, latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.max];
    let ascending = ascending.into_iter().collect::<Option<Vec<u64>>>().context("a percentile is missing")?;
    ensure!(ascending.is_sorted() && ascending[0] > 0, "{ascending:?}");
    ensure!(latency.p50 < Some(1_000_000), "half of the images took more than a second: {latency:?}");

    let accuracy: f64 = status.result.accuracy_percent.as_ref().context("no accuracy")?.parse()?;
    ensure!((80.0..=100.0).contains(&accuracy), "{accuracy} % of the answers were right");
    Ok(())
}

fn adds_up(counts: &Counts) -> Result<()> {
    ensure!(counts.scheduled == counts.sent + counts.send_errors, "{counts:?}");
    ensure!(counts.sent == counts.received + counts.lost, "{counts:?}");
    Ok(())
}

async fn the_database_holds_what_the_producers_count(cluster: &Cluster, tests: &[LoadTestStatus]) -> Result<()> {
    let counts = tests.iter().flat_map(|t| [t.result.messages.as_ref(), t.result.warmup_messages.as_ref()]).flatten();
    let sent = usize::try_from(counts.map(|c| c.sent).sum::<u64>())?;

    let database = Database::connect(cluster, "cifar-database", "iot").await?;
    let of_producers = doc! {"source": {"$regex": "^[0-9a-f-]{36}-[0-9]+$"}};
    let images = documents_when_archived(&database, "images", &of_producers, sent).await?;
    let ids: BTreeSet<&str> = images.iter().filter_map(|d| d.get_str("_id").ok()).collect();
    ensure!(ids.len() == sent, "{} different _id in images, {sent} images sent", ids.len());

    let answers = documents(&database, "inferences", doc! {}).await?;
    let answered: BTreeSet<&str> = answers.iter().filter_map(|d| d.get_str("_id").ok()).collect();
    let unanswered: Vec<_> = ids.difference(&answered).take(3).collect();
    ensure!(unanswered.is_empty(), "no document in inferences for {unanswered:?}");
    images.iter().try_for_each(is_an_image)
}

/// The archive runs behind the answers: waits until it has caught up.
async fn documents_when_archived(
    database: &Database,
    collection: &str,
    filter: &Document,
    wanted: usize,
) -> Result<Vec<Document>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = documents(database, collection, filter.clone()).await?;
        if found.len() >= wanted || Instant::now() > deadline {
            ensure!(found.len() == wanted, "{} documents in {collection}, {wanted} images sent", found.len());
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn documents(database: &Database, collection: &str, filter: Document) -> Result<Vec<Document>> {
    Ok(database.collection(collection).find(filter).await?.try_collect().await?)
}

fn is_an_image(document: &Document) -> Result<()> {
    ensure!(document.get_str("contentType")? == "image/png", "{:?}", document.get("contentType"));
    ensure!(matches!(document.get("time"), Some(Bson::DateTime(_))), "{:?}", document.get("time"));
    let picture = document.get_binary_generic("picture")?;
    ensure!(picture.starts_with(b"\x89PNG"), "the picture is not a PNG");
    let size = document.get("size").and_then(|s| s.as_i64().or(s.as_i32().map(i64::from)));
    ensure!(size == Some(i64::try_from(picture.len())?), "size {size:?}, picture of {} bytes", picture.len());
    Ok(())
}

async fn a_load_test_deleted_in_flight_leaves_no_producer(cluster: &Cluster) -> Result<()> {
    cluster.apply::<LoadTest>(LONG).await?;
    let running = |t: &LoadTest| t.status.as_ref().is_some_and(|s| s.phase == Phase::WarmingUp);
    cluster.wait::<LoadTest>("long", Duration::from_secs(60), running).await?;
    ensure!(cluster.names::<Pod>("tailrace.dev/load-test=long").await?.len() == 2, "two producers run");
    cluster.delete::<LoadTest>("long").await?;
    cluster.gone::<Job>("tailrace.dev/load-test=long", Duration::from_secs(60)).await?;
    cluster.gone::<Pod>("tailrace.dev/load-test=long", Duration::from_secs(60)).await
}

async fn deleted_load_tests_take_the_pods_with_their_raw_logs_along(cluster: &Cluster) -> Result<()> {
    let of_producers = "tailrace.dev/load-test";
    ensure!(!cluster.names::<Pod>(of_producers).await?.is_empty(), "the raw logs are kept as long as their LoadTests");
    for name in cluster.names::<LoadTest>("").await? {
        cluster.delete::<LoadTest>(&name).await?;
    }
    cluster.gone::<Pod>(of_producers, Duration::from_secs(60)).await?;
    cluster.gone::<ConfigMap>(of_producers, Duration::from_secs(60)).await
}

async fn a_deleted_pipeline_leaves_only_its_volumes(cluster: &Cluster) -> Result<()> {
    let volumes = cluster.names::<PersistentVolumeClaim>("").await?;
    ensure!(volumes.len() == 2, "Kafka and the database have a volume each: {volumes:?}");
    cluster.delete::<Pipeline>("cifar").await?;
    let (of_pipeline, limit) = ("tailrace.dev/pipeline=cifar", Duration::from_secs(90));
    cluster.gone::<StatefulSet>(of_pipeline, limit).await?;
    cluster.gone::<Deployment>(of_pipeline, limit).await?;
    cluster.gone::<Job>(of_pipeline, limit).await?;
    cluster.gone::<Pod>(of_pipeline, limit).await?;
    ensure!(cluster.names::<PersistentVolumeClaim>("").await? == volumes, "deletionPolicy Retain keeps the volumes");
    Ok(())
}
