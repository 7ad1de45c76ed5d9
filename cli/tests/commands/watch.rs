//! `kubectl tailrace watch`

use std::time::Duration;

use serde_json::{Value, json};
use tailrace_crds::LoadTest;
use tokio::time::sleep;

use crate::{
    plugin::Plugin,
    proxy::Proxy,
    results::{condition, load_test, succeeded, with, write},
    support::{Namespace, api_server},
};

async fn namespace() -> (Namespace, Plugin) {
    let server = api_server().await;
    let namespace = server.namespace().await;
    let plugin = Plugin::new(server.kubeconfig(), &namespace.name);
    (namespace, plugin)
}

fn running(sent: u64, left: u64) -> Value {
    json!({
        "phase": "Running",
        "messages": { "scheduled": sent, "sent": sent, "received": sent - 1 },
        "progress": { "time": "2026-11-21T18:40:30.000000Z", "secondsLeft": left, "p95Micros": 3_900, "rate": "39.8" },
    })
}

#[tokio::test]
async fn the_exit_code_says_what_came_of_it() {
    let (namespace, plugin) = namespace().await;
    let valid =
        |valid| condition("ResultsValid", valid, if valid { "Valid" } else { "GeneratorSaturated" }, "so it is");
    let ended = |phase: &str, conditions: Value, message: &str| json!({ "phase": phase, "conditions": conditions, "message": message });
    // As older versions have written it.
    let failed = |conditions: Value, message: &str| ended("Failed", conditions, message);
    let missed = json!([valid(true), condition("SLOsMet", false, "SLOMissed", "P95 is 31ms")]);
    let regressed = json!([valid(true), condition("Succeeded", false, "Regressed", "P95 is 42 % slower")]);
    let ends = [
        ("good", json!({}), 0, "good succeeded: 2400 images, all answered; p95 31ms"),
        ("new-invalid", ended("Invalid", json!([valid(false)]), "too slow"), 2, "new-invalid not valid: too slow"),
        ("new-missed", ended("Missed", missed.clone(), "P95 is 31ms"), 3, "new-missed objective missed: P95 is 31ms"),
        ("invalid", failed(json!([valid(false)]), "too slow"), 2, "invalid not valid: too slow"),
        ("missed", failed(missed, "P95 is 31ms"), 3, "missed objective missed: P95 is 31ms"),
        ("regressed", failed(regressed, "P95 is 42 % slower"), 3, "regressed objective missed: P95 is 42 % slower"),
        ("aborted", json!({ "phase": "Aborted", "message": "ended by abort" }), 4, "aborted aborted: ended by abort"),
    ];
    for (name, changes, code, line) in ends {
        load_test(&namespace, name).await;
        write(&namespace, name, with(&mut succeeded(), changes)).await;
        let said = plugin.run(&["watch", name]).await;
        assert_eq!(said.code, code, "{name}: {said:#?}");
        assert_eq!(said.output.lines().next(), Some(line));
        assert!(said.output.contains("SLO met: P95 at most 50ms, 31.007ms"), "{said:#?}");
        assert!(said.errors.is_empty(), "{said:#?}");
    }
}

#[tokio::test]
async fn a_test_is_followed_with_its_numbers_to_its_end() {
    let (namespace, plugin) = namespace().await;
    load_test(&namespace, "followed").await;
    write(&namespace, "followed", json!({ "phase": "Queued", "message": "waits for LoadTest \"other\"" })).await;
    let mut watch = plugin.start(&["watch", "loadtest/followed"]);
    sleep(Duration::from_secs(2)).await;
    write(&namespace, "followed", running(800, 42)).await;
    sleep(Duration::from_secs(1)).await;
    assert!(watch.is_running());
    write(&namespace, "followed", succeeded()).await;
    let said = watch.ends().await;
    assert_eq!(said.code, 0, "{said:#?}");
    let lines: Vec<_> = said.output.lines().collect();
    assert_eq!(lines[0], "followed Queued: waits for LoadTest \"other\"");
    assert_eq!(lines[1], "followed Running: 800 sent, 799 answered, 39.8 images/s, p95 3.9ms, 42 s left");
    assert!(lines[2].starts_with("followed succeeded: "), "{lines:#?}");
    assert!(lines[3].contains("p50 10ms, p90 28ms, p95 31ms, p99 34ms"), "{lines:#?}");
}

#[tokio::test]
async fn an_api_server_that_goes_away_and_comes_back_does_not_end_it() {
    let server = api_server().await;
    let namespace = server.namespace().await;
    let mut kubeconfig = server.kubeconfig().clone();
    let proxy = Proxy::in_front_of(&mut kubeconfig);
    let plugin = Plugin::new(&kubeconfig, &namespace.name);
    load_test(&namespace, "survivor").await;
    write(&namespace, "survivor", running(800, 42)).await;
    let mut watch = plugin.start(&["watch", "survivor"]);
    sleep(Duration::from_secs(2)).await;
    assert!(proxy.is_used(), "{proxy:?}");
    proxy.cut();
    sleep(Duration::from_secs(3)).await;
    assert!(watch.is_running());
    // What it misses it has to find out afterwards.
    write(&namespace, "survivor", succeeded()).await;
    proxy.mend();
    let said = watch.ends().await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.errors.starts_with("the cluster does not answer, trying again: "), "{said:#?}");
}

#[tokio::test]
async fn a_test_that_is_deleted_ends_it_with_a_sentence() {
    let (namespace, plugin) = namespace().await;
    load_test(&namespace, "deleted").await;
    let watch = plugin.start(&["watch", "deleted"]);
    sleep(Duration::from_secs(2)).await;
    namespace.delete::<LoadTest>("deleted").await;
    let said = watch.ends().await;
    assert_eq!(said.sentence(), "error: LoadTest \"deleted\" was deleted before it was over");
}

#[tokio::test]
async fn what_cannot_be_watched_is_said_in_one_sentence() {
    let (namespace, plugin) = namespace().await;
    let missing = plugin.run(&["watch", "nobody"]).await;
    let expected = format!("error: LoadTest \"nobody\" does not exist in namespace \"{}\"", namespace.name);
    assert_eq!(missing.sentence(), expected);
    let nowhere = plugin.run(&["watch", "first", "--kubeconfig", "nowhere"]).await;
    assert!(nowhere.sentence().starts_with("error: no cluster to speak to: "), "{nowhere:#?}");
    let context = plugin.run(&["watch", "first", "--context", "other"]).await;
    assert!(context.sentence().contains("other"), "{context:#?}");
    let experiment = plugin.run(&["watch", "experiment/sweep"]).await;
    assert!(experiment.sentence().contains("only a LoadTest can be watched"), "{experiment:#?}");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_said_in_one_sentence() {
    let mut kubeconfig = api_server().await.kubeconfig().clone();
    Proxy::in_front_of(&mut kubeconfig).cut();
    let said = Plugin::new(&kubeconfig, "default").run(&["watch", "first"]).await;
    assert!(said.sentence().starts_with("error: LoadTest \"first\" cannot be read: "), "{said:#?}");
}

#[tokio::test]
async fn wrong_arguments_are_no_result_that_is_not_valid() {
    let (_, plugin) = namespace().await;
    for arguments in [&["watch"][..], &["watch", "a/b/c"], &["look", "first"], &["report", "pod/first"]] {
        let said = plugin.run(arguments).await;
        assert_eq!(said.code, 1, "2 would be the code of a result that is not valid: {said:#?}");
        assert!(!said.errors.is_empty());
    }
}
