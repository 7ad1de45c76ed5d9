//! What the API server refuses, and what it says to write instead.

use tailrace_crds::Experiment;

use crate::{
    load_tests::{max_rate, sweep, yaml},
    producers::namespace,
};

const CLOSED: &str = "{pipelineRef: {name: cifar}, load: {closed: {}}}";

async fn is_refused(yaml: &str, answer: &str) {
    let namespace = namespace().await;
    let message = namespace.try_create_yaml::<Experiment>(yaml).await.expect_err("it was accepted");
    assert!(message.contains(answer), "{yaml}: {message}");
}

#[tokio::test]
async fn exactly_one_of_sweep_and_max_rate_is_wanted() {
    let both = format!("{{sweep: {{producers: [1]}}, maxRate: {{from: 1, to: 2}}, template: {CLOSED}}}");
    for spec in [both, format!("{{template: {CLOSED}}}")] {
        is_refused(&yaml("both", &spec), "exactly one of sweep and maxRate must be set: sweep measures").await;
    }
}

#[tokio::test]
async fn a_sweep_that_cannot_be_is_refused_with_one_that_can() {
    for (list, answer) in [
        ("{}", "exactly one of producers and ratesPerProducer must be set"),
        ("{producers: [1], ratesPerProducer: [1]}", "exactly one of producers and ratesPerProducer must be set"),
        ("{producers: []}", "spec.sweep.producers"),
        ("{producers: [0]}", "write numbers of producers from 1 to 100"),
        ("{producers: [101]}", "write numbers of producers from 1 to 100"),
        ("{producers: [2, 2]}", "write each number of producers once"),
        ("{ratesPerProducer: [5]}", "a closed load has no rate: sweep over producers, or write template.load.open"),
        ("{producers: [1], repetitions: 0}", "write a number of repetitions from 1 to 50"),
        ("{producers: [1, 2, 3, 4, 5], repetitions: 41}", "more than 200 LoadTests: write fewer of them"),
        ("{producers: [1], order: Random}", "Shuffled"),
        ("{producers: [1], seed: -1}", "write a seed of 0 or more"),
    ] {
        is_refused(&sweep("sweep", list), answer).await;
    }
    let rates = |rates: &str| {
        sweep("rates", &format!("{{ratesPerProducer: {rates}}}")).replace("closed: {}", "open: {ratePerProducer: 1}")
    };
    is_refused(&rates("[0]"), "write rates from 1 to 10000 images a second for each producer").await;
    is_refused(&rates("[7, 7]"), "write each rate once").await;
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused_with_one_that_can() {
    for (bounds, answer) in [
        ("{from: 0, to: 10}", "write a rate from 1 to 1000000 images a second"),
        ("{from: 10, to: 20001}", "write a lower maxRate.to, or more template.producers"),
        ("{from: 20, to: 10}", "write a lower from or a higher to"),
        ("{from: 11, to: 11}", "write a lower from or a higher to"),
        ("{from: 10, to: 20, resolutionPercent: 0}", "write a resolution from 1 to 50 percent"),
        ("{from: 10, to: 20, confirmations: 10}", "write a number of confirmations from 1 to 9"),
    ] {
        is_refused(&max_rate("search", bounds), answer).await;
    }
    let closed = format!("{{maxRate: {{from: 1, to: 2}}, template: {CLOSED}}}");
    is_refused(&yaml("closed", &closed), "a closed load has no rate to search for: write template.load.open").await;
    let without = max_rate("without", "{from: 10, to: 20}").replace("slos: [{metric: P95, max: 50ms}]", "slos: []");
    is_refused(&without, "write at least one into template.slos, such as {metric: P95, max: 50ms}").await;
}

#[tokio::test]
async fn a_template_has_the_rules_of_a_load_test() {
    let template = |load: &str, more: &str| {
        let template = format!("{{pipelineRef: {{name: cifar}}, load: {load}{more}}}");
        yaml("template", &format!("{{sweep: {{producers: [1]}}, template: {template}}}"))
    };
    is_refused(&template("{}", ""), "exactly one of open and closed must be set").await;
    is_refused(&template("{closed: {}}", ", duration: 5x"), "write a number with a unit, such as 250ms").await;
    is_refused(&template("{closed: {}}", ", slos: [{metric: P95}]"), "exactly one of max and min must be set").await;
    let resources = ", podTemplate: {resources: {requests: {cpu: 2 cores}}}";
    is_refused(&template("{closed: {}}", resources), "not a quantity").await;
    for name in ["team-a/cifar", "Cifar Pipeline", "resnet.v2", &"x".repeat(70)] {
        let named = template("{closed: {}}", "").replace("name: cifar", &format!("name: '{name}'"));
        is_refused(&named, "spec.template.pipelineRef.name").await;
    }
    let rate = ", slos: [{metric: AchievedRatePercent, min: '99'}]";
    is_refused(&template("{closed: {}}", rate), "leave AchievedRatePercent out, or write an open load").await;
}

#[tokio::test]
async fn names_and_cool_downs_that_are_too_long_are_refused() {
    is_refused(&sweep(&"x".repeat(33), "{producers: [1]}"), "at most 32 characters").await;
    let hot = sweep("hot", "{producers: [1]}").replace("coolDown: 0s", "coolDown: 25h");
    is_refused(&hot, "the cool-down is too long: write a duration of at most 24h").await;
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let namespace = namespace().await;
    let spec = format!("{{sweep: {{producers: [1, 2]}}, template: {CLOSED}}}");
    let spec = namespace.create_yaml::<Experiment>(&yaml("short", &spec)).await.spec;
    assert_eq!((spec.cool_down.to_string(), spec.suspend), ("10s".into(), false));
    let sweep = spec.sweep.unwrap();
    assert_eq!((sweep.repetitions, sweep.order, sweep.seed, sweep.stop_on_failure), (1, None, 42, false));
    assert_eq!((spec.template.producers, spec.template.duration.to_string()), (1, "60s".into()));
    let spec = namespace.create_yaml::<Experiment>(&max_rate("search", "{from: 10, to: 20}")).await.spec;
    let bounds = spec.max_rate.unwrap();
    assert_eq!((bounds.resolution_percent, bounds.confirmations), (5, 3));
}
