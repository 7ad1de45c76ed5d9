//! The texts, whole: a change of one of them is seen as what it is.
//!
//! `UPDATE=1 cargo test --test texts` writes them anew.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::{fs, path::Path};

use tailrace_measure::{judgement::Verdict, load::Load, result::TestResult};
use tailrace_report::{
    files, json, junit,
    raw_log::Message,
    table, text,
    values::{Run, Validity},
};

mod support;

/// Compares with the file of that name beside this one.
fn is_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} has changed: see it, then write it anew with UPDATE=1");
}

#[test]
fn a_result_reads_well() {
    is_golden("latency_results.txt", &text::of_run(&support::run(u64::MAX)).unwrap());
}

#[test]
fn a_closed_load_with_losses_a_regression_and_a_raw_log_reads_well() {
    let run = Run { raw_log: support::messages(), ..support::troubled_run() };
    let text = text::of_run(&run).unwrap();
    assert!(matches!(run.load, Load::Closed { .. }) && text.contains("closed load, which hides waiting"));
    is_golden("troubled.txt", &text);
}

#[test]
fn a_test_that_never_started_says_so_in_every_form() {
    let validity = Validity { valid: false, reason: "PipelineNotFound".into(), message: "there is no Pipeline".into() };
    let run = Run {
        verdict: Verdict::Invalid,
        validity,
        started: None,
        result: TestResult { environment: support::run(u64::MAX).result.environment, ..TestResult::default() },
        intervals: None,
        ..support::run(u64::MAX)
    };
    let text = text::of_run(&run).unwrap();
    assert!(text.contains("NOT VALID (PipelineNotFound)") && text.contains("Nothing was measured."), "{text}");
    assert!(text.contains("never started; ended 2026-11-21 18:41:25 UTC") && !text.contains("60 s"), "{text}");
    let suite = |run: &Run| {
        let xml = junit::of_run(run).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
        ["time", "timestamp"].map(|name| suite.attribute(name).map(str::to_owned))
    };
    assert_eq!(suite(&run), [Some("0".into()), Some("2026-11-21T18:41:25".into())]);
    assert_eq!(suite(&Run { finished: None, ..run.clone() }), [Some("0".into()), None]);
    assert!(json::of_run(&run)["measuredSeconds"].is_null());
    assert!(json::of_run(&run)["latencyMicros"].is_null());
    let names: Vec<_> = files::of_run(&run).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["latency_results.txt", "results.json", "junit.xml"]);
}

#[test]
fn a_test_that_was_ended_early_says_how_long_it_measured() {
    let mut run = Run { verdict: Verdict::Aborted, ..support::run(u64::MAX) };
    run.result.measured_micros = Some(8_612_345);
    let text = text::of_run(&run).unwrap();
    assert!(text.contains("measured        8.612 s of 60 s after a warm-up of 10 s"), "{text}");
    assert_eq!(json::of_run(&run)["measuredSeconds"], 8.612);
    assert!(junit::of_run(&run).unwrap().contains("time=\"8.612\""));
    run.result.measured_micros = Some(0);
    let text = text::of_run(&run).unwrap();
    assert!(text.contains("measured        nothing\n"), "it was ended in the warm-up: {text}");
}

#[test]
fn an_experiment_reads_well() {
    is_golden("sweep.txt", &text::of_sweep(&support::sweep()));
}

#[test]
fn the_table_of_an_experiment_has_a_line_for_each_load_test() {
    let table = table::sweep(&support::sweep()).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 1 + 15);
    let head = "producers,repetition,load_test,verdict,p50_us,p90_us,p95_us,p99_us,lost,achieved_images_per_second";
    assert_eq!(lines[0], head);
    assert!(lines[1].starts_with("1,1,sweep-1-1,succeeded,"), "{}", lines[1]);
    let unbounded: Vec<_> = lines[15].split(',').collect();
    assert_eq!(unbounded[6], "inf", "{unbounded:?}");
}

#[test]
fn messages_come_back_from_their_table() {
    let table = table::messages(&support::messages()).unwrap();
    let messages: Vec<Message> = csv::Reader::from_reader(table.as_bytes()).deserialize().map(Result::unwrap).collect();
    assert_eq!(messages, support::messages());
}

#[test]
fn json_has_all_numbers_and_null_for_what_is_unbounded() {
    let run = support::troubled_run();
    let json = json::of_run(&run);
    assert_eq!(json["version"], 1);
    assert_eq!(json["verdict"], "Missed");
    assert_eq!(json["load"]["hidesWaiting"], true);
    assert_eq!(json["messages"]["lost"], 120);
    assert_eq!(json["latencyMicros"]["p50"], run.result.latency_micros.unwrap().p50.unwrap());
    assert!(json["latencyMicros"]["max"].is_null(), "a lost image is infinite");
    assert_eq!(json["slos"][0]["max"], 8_000.0);
    assert_eq!(json["slos"][0]["unit"], "microseconds");
    assert_eq!(json["comparison"]["metrics"][0]["differenceMicros"], 1_331);
    assert!(json["comparison"]["metrics"][0]["differenceHigh"].is_null());
    assert_eq!(json["intervals"]["list"].as_array().unwrap().len(), 60);
    assert_eq!(json["startTime"], json["no such field"], "the names are those of the documentation");
    assert_eq!(json["started"], "2026-11-21T18:40:12Z");
}

/// Name of each test case, and the name of the element in it.
fn cases(xml: &str) -> Vec<(String, String)> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let outcome = |case: roxmltree::Node| case.first_element_child().map(|child| child.tag_name().name().to_owned());
    cases.map(|case| (case.attribute("name").unwrap().to_owned(), outcome(case).unwrap_or_default())).collect()
}

fn named(cases: &[(&str, &str)]) -> Vec<(String, String)> {
    cases.iter().map(|(name, outcome)| ((*name).to_owned(), (*outcome).to_owned())).collect()
}

#[test]
fn junit_has_a_case_for_the_validity_each_slo_and_the_baseline() {
    let mut run = support::troubled_run();
    run.result.slos[1].met = false;
    let xml = junit::of_run(&run).unwrap();
    let expected = [
        ("the result is valid", ""),
        ("P95 at most 8ms", ""),
        ("LostPercent at most 0.5 %", "failure"),
        ("not slower than main by more than 10 %", "failure"),
    ];
    assert_eq!(cases(&xml), named(&expected));
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let counts = ["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap());
    assert_eq!((suite.attribute("name"), counts), (Some("tailrace.LoadTest.iot.open"), ["4", "2", "0", "0"]));
}

#[test]
fn what_is_not_valid_is_not_judged_by_junit() {
    let validity = Validity { valid: false, reason: "GeneratorSaturated".into(), message: "p95 < 1 & late".into() };
    let run = Run { validity, verdict: Verdict::Invalid, ..support::run(u64::MAX) };
    let xml = junit::of_run(&run).unwrap();
    let expected =
        [("the result is valid", "failure"), ("P95 at most 8ms", "skipped"), ("LostPercent at most 0.5 %", "skipped")];
    assert_eq!(cases(&xml), named(&expected));
    assert!(xml.contains("type=\"GeneratorSaturated\"") && xml.contains("p95 &lt; 1 &amp; late"), "{xml}");
}

#[test]
fn json_keeps_its_shape() {
    let run = Run { intervals: None, ..support::troubled_run() };
    is_golden("results.json", &files::json_text(&json::of_run(&run)));
    is_golden("sweep.json", &files::json_text(&json::of_sweep(&support::sweep())));
}
