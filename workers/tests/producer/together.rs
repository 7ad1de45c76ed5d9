//! Several producers in one process: the load test without Kubernetes.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::dataset,
    support::{Pipeline, Worker, eventually, worker::Ended},
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };

/// What a test of three producers left behind.
struct Left {
    ended: Ended,
    folder: TempDir,
}

impl Left {
    fn by(pipeline: &Pipeline, flags: &str) -> Self {
        let (dataset, folder) = (dataset(), tempfile::tempdir().unwrap());
        let ended = Worker::run(&arguments(pipeline, &dataset, folder.path(), flags), &[]);
        println!("{}", ended.output);
        Self { ended, folder }
    }

    fn code(&self) -> i32 {
        self.ended.status.code().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn results(&self) -> Value {
        serde_json::from_str(&self.read("results.json")).unwrap()
    }
}

fn arguments(pipeline: &Pipeline, dataset: &TempDir, output: &Path, flags: &str) -> Vec<String> {
    let mut arguments = pipeline.arguments("load-test");
    let flags = format!("--producers 3 --rate 20 --warmup 500ms {flags}");
    arguments.extend(["--dataset".to_owned(), dataset.path().display().to_string()]);
    arguments.extend(["--output".to_owned(), output.display().to_string()]);
    arguments.extend(flags.split_whitespace().map(str::to_owned));
    arguments
}

#[test]
fn the_numbers_of_all_producers_are_one_result() {
    let pipeline = Pipeline::new("together", 2);
    let echo = Echo::start(&pipeline, ANSWERED);
    let left = Left::by(&pipeline, "--duration 2s --raw-log --slo P95<=1s,LostPercent<=0 --image kafka=apache/kafka:1");
    assert_eq!(echo.seen().len(), 150, "three producers send 20 images/s for 2.5 s");

    let results = left.results();
    let counts = ["scheduled", "sent", "received", "lost"].map(|name| results["messages"][name].as_u64().unwrap());
    assert_eq!(counts, [120, 120, 120, 0]);
    assert_eq!(results["producers"], 3);
    assert_eq!(results["slos"].as_array().unwrap().len(), 2);
    assert_eq!(results["environment"]["images"]["kafka"], "apache/kafka:1");
    let p50 = results["latencyMicros"]["p50"].as_u64().unwrap();
    assert!((20_000..120_000).contains(&p50), "the stand-in takes 20 ms, and the p50 is {p50} µs");

    let text = left.read("latency_results.txt");
    assert!(text.contains("each of 3 producers"), "{text}");
    let messages = text.lines().filter(|line| line.contains(",measurement,")).count();
    assert_eq!(messages, 120, "the raw log has a line for each message");
    assert!(fs::metadata(left.folder.path().join("latency_histogram.png")).unwrap().len() > 10_000);
    assert!(left.ended.output.contains("each of 3 producers"), "the summary is printed, too");
}

#[test]
fn the_exit_code_says_what_came_of_it() {
    let pipeline = Pipeline::new("together-code", 2);
    let _echo = Echo::start(&pipeline, ANSWERED);
    // A closed load has no schedule, so a busy machine cannot be too slow for it.
    let succeeded = Left::by(&pipeline, "--load closed --duration 2s --slo LostPercent<=0");
    assert_eq!((succeeded.code(), &succeeded.results()["verdict"]), (0, &"Succeeded".into()));
    let missed = Left::by(&pipeline, "--load closed --duration 2s --slo P50<=1ms");
    assert_eq!((missed.code(), &missed.results()["verdict"]), (3, &"Missed".into()));
    assert!(missed.ended.output.contains("was to be at most 1ms"));
    let too_few = Left::by(&pipeline, "--load closed --duration 2s --slo P99<=1s");
    assert_eq!((too_few.code(), &too_few.results()["validity"]["reason"]), (2, &"TooFewSamples".into()));
}

#[test]
fn a_test_that_is_interrupted_has_the_results_until_then() {
    let pipeline = Pipeline::new("together-abort", 2);
    let echo = Echo::start(&pipeline, ANSWERED);
    let (dataset, folder) = (dataset(), tempfile::tempdir().unwrap());
    let mut test = Worker::start(&arguments(&pipeline, &dataset, folder.path(), "--duration 5m"), &[]);
    eventually("images are sent", Duration::from_secs(30), || (echo.seen().len() > 90).then_some(()));
    test.process.signal("INT");
    assert_eq!(test.process.wait(Duration::from_secs(20)).code(), Some(4));

    let results: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("results.json")).unwrap()).unwrap();
    assert_eq!((&results["verdict"], &results["validity"]["reason"]), (&"Aborted".into(), &"Aborted".into()));
    let counts = ["scheduled", "received"].map(|name| results["messages"][name].as_u64().unwrap());
    assert!(counts[0] > 50 && counts[0] == counts[1], "{counts:?}");
}

#[test]
fn what_cannot_be_kept_is_not_measured() {
    let pipeline = Pipeline::new("together-folder", 1);
    let (dataset, file) = (dataset(), tempfile::NamedTempFile::new().unwrap());
    let arguments = arguments(&pipeline, &dataset, file.path(), "--duration 1s");
    let ended = Worker::run(&arguments, &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.output.contains("name another folder with --output"), "{}", ended.output);
}
