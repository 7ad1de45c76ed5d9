//! What the API server refuses, and what it says to write instead.

use tailrace_crds::{LoadTest, load_test::DatasetSource};

use crate::{
    producers::{load_test, namespace, yaml},
    support::Namespace,
};

async fn refusal(namespace: &Namespace, yaml: &str) -> String {
    namespace.try_create_yaml::<LoadTest>(yaml).await.expect_err("it was accepted")
}

#[tokio::test]
async fn zero_producers_are_refused_with_the_numbers_that_are_possible() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml("none", 0, "{closed: {}}", "")).await;
    assert!(
        message.contains("spec.producers") && message.contains("write a number of producers from 1 to 100"),
        "{message}"
    );
}

#[tokio::test]
async fn a_negative_rate_is_refused_with_the_rates_that_are_possible() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml("negative", 1, "{open: {ratePerProducer: -20}}", "")).await;
    assert!(message.contains("write a rate from 1 to 10000 images a second"), "{message}");
}

#[tokio::test]
async fn a_closed_load_that_cannot_be_is_refused_with_what_can() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml("none", 1, "{closed: {outstanding: 0}}", "")).await;
    assert!(
        message.contains("write a number of images from 1 to 1000 that each producer has outstanding"),
        "{message}"
    );
    let message = refusal(&namespace, &yaml("long", 1, "{closed: {thinkTime: 2h}}", "")).await;
    assert!(message.contains("write a duration of at most 1h"), "{message}");
}

#[tokio::test]
async fn unknown_arrivals_are_refused_with_those_that_are_known() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml("odd", 1, "{open: {ratePerProducer: 1, arrivals: Bursts}}", "")).await;
    assert!(message.contains("Constant") && message.contains("Poisson"), "{message}");
}

#[tokio::test]
async fn an_slo_that_cannot_be_judged_is_refused_with_one_that_can() {
    let namespace = namespace().await;
    for (slo, answer) in [
        ("{metric: P95}", "exactly one of max and min must be set"),
        ("{metric: P95, max: 1s, min: 1ms}", "exactly one of max and min must be set"),
        ("{metric: P95, max: '50'}", "write a number with a unit, such as 50ms"),
        ("{metric: LostPercent, max: 1ms}", "write a number from 0 to 100 without a unit"),
        ("{metric: UnansweredPercent, max: 1ms}", "write a number from 0 to 100 without a unit"),
        ("{metric: LostPercent, max: '101'}", "write a number from 0 to 100 without a unit"),
        ("{metric: AchievedRatePercent, min: '99'}", "leave AchievedRatePercent out, or write an open load"),
        ("{metric: P42, max: 1s}", "P999"),
    ] {
        let message = refusal(&namespace, &yaml("slo", 1, "{closed: {}}", &format!(", slos: [{slo}]"))).await;
        assert!(message.contains(answer), "{slo}: {message}");
    }
}

#[tokio::test]
async fn images_that_cannot_be_are_refused_with_those_that_can() {
    let namespace = namespace().await;
    for (dataset, answer) in [
        ("{source: Volume}", "write volume: {claimName: NAME} with the name of a PersistentVolumeClaim"),
        ("{volume: {claimName: photos}}", "write source: Volume, or leave volume out"),
        ("{jpegQuality: 75}", "write encoding: Jpeg, or leave jpegQuality out"),
        ("{encoding: Png, jpegQuality: 75}", "write encoding: Jpeg, or leave jpegQuality out"),
        ("{encoding: Jpeg, jpegQuality: 0}", "write a JPEG quality from 1 to 100"),
        ("{encoding: Jpeg, jpegQuality: 101}", "write a JPEG quality from 1 to 100"),
        ("{encoding: Webp}", "Raw"),
        ("{source: Imagenet}", "Cifar10Test"),
        ("{source: Volume, volume: {claimName: ''}}", "claimName"),
        ("{source: Volume, volume: {claimName: my photos}}", "write the name of a PersistentVolumeClaim"),
        ("{source: Volume, volume: {claimName: a, path: /b}}", "write a path without a / at the beginning"),
        ("{source: Volume, volume: {claimName: a, path: b/../../c}}", "write a path without a / at the beginning"),
        ("{source: Volume, volume: {claimName: a, path: ..}}", "write a path without a / at the beginning"),
        ("{seed: -1}", "write a seed of 0 or more"),
    ] {
        let more = format!(", dataset: {dataset}");
        let message = refusal(&namespace, &yaml("images", 1, "{closed: {}}", &more)).await;
        assert!(message.contains("spec.dataset") && message.contains(answer), "{dataset}: {message}");
    }
    for (name, dataset) in [
        ("a", "{}"),
        ("b", "{encoding: Raw, seed: 0}"),
        ("c", "{encoding: Jpeg, jpegQuality: 1}"),
        ("d", "{source: Volume, volume: {claimName: a, path: b..c/d}, encoding: Jpeg}"),
    ] {
        let more = format!(", dataset: {dataset}");
        namespace.create_yaml::<LoadTest>(&yaml(name, 1, "{closed: {}}", &more)).await;
    }
}

#[tokio::test]
async fn a_pod_template_that_cannot_be_is_refused_with_what_to_write() {
    let namespace = namespace().await;
    for (template, answer) in [
        ("{resources: {claims: [{name: gpu}]}}", "leave claims out, and write requests and limits"),
        ("{resources: {requests: {cpu: 2 cores}}}", "not a quantity"),
        ("{resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}", "a request is larger than its limit"),
        ("{nodeSelector: {a b: c}}", "not the key of a label of nodes"),
        ("{nodeSelector: {a..b/c: d}}", "not the key of a label of nodes"),
        ("{labels: {a.-b/c: d}}", "not the key of a label"),
        ("{annotations: {a-.b/c: d}}", "not the key of an annotation"),
        ("{tolerations: [{key: a..b/c, operator: Exists}]}", "not the key of a taint"),
        ("{resources: {requests: {example.com/gpu: 1}}}", "devices are not shared"),
        ("{imagePullSecrets: [{name: a}, {name: a}]}", "Duplicate value"),
        (
            "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In}]}]}}}}",
            "write values for In and NotIn",
        ),
        ("{tolerations: [{effect: NoSchedule}]}", "write operator: Exists for that, or the key of a taint"),
        ("{topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}", "maxSkew"),
        ("{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: Never}]}", "ScheduleAnyway"),
        ("{tolerations: all}", "tolerations"),
        ("{topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone}]}", "whenUnsatisfiable"),
    ] {
        let more = format!(", podTemplate: {template}");
        let message = refusal(&namespace, &yaml("pods", 1, "{closed: {}}", &more)).await;
        assert!(message.contains("spec.podTemplate") && message.contains(answer), "{template}: {message}");
    }
}

#[tokio::test]
async fn a_name_that_no_pipeline_can_have_is_refused() {
    let namespace = namespace().await;
    for name in ["team-a/cifar", "Cifar Pipeline", "resnet.v2", "3d-cams", "", &"x".repeat(70)] {
        let named = yaml("ref", 1, "{closed: {}}", "").replace("name: cifar", &format!("name: '{name}'"));
        let message = refusal(&namespace, &named).await;
        assert!(message.contains("spec.pipelineRef.name"), "{name}: {message}");
    }
}

#[tokio::test]
async fn durations_as_programs_print_them_are_accepted() {
    let namespace = namespace().await;
    for (number, time) in ["33.333333333333336ms", "0.03333333333333333s", "66666us", "100µs", "7ns"].iter().enumerate()
    {
        let load = format!("{{closed: {{thinkTime: {time}}}}}");
        let test = namespace.create_yaml::<LoadTest>(&yaml(&format!("t{number}"), 1, &load, "")).await;
        assert_eq!(test.spec.load.closed.unwrap().think_time.to_string(), *time);
    }
}

#[tokio::test]
async fn what_is_no_duration_is_refused_with_an_example_of_one() {
    let namespace = namespace().await;
    for (field, value) in [("startTimeout", "5x"), ("readyTimeout", "-5s"), ("startTimeout", "10")] {
        let message = refusal(&namespace, &yaml("late", 1, "{closed: {}}", &format!(", {field}: '{value}'"))).await;
        assert!(message.contains(field) && message.contains("write a number with a unit, such as 250ms"), "{message}");
    }
}

#[tokio::test]
async fn durations_out_of_range_are_refused_with_the_range() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml("late", 1, "{closed: {}}", ", startTimeout: 25h")).await;
    assert!(message.contains("write a duration of at most 24h"), "{message}");
    let short = yaml("short", 1, "{closed: {}}", "").replace("duration: 1s", "duration: 500ms");
    let message = refusal(&namespace, &short).await;
    assert!(message.contains("write a duration from 1s to 24h"), "{message}");
}

#[tokio::test]
async fn two_load_models_at_once_are_refused_and_both_explained() {
    let namespace = namespace().await;
    for load in ["{open: {ratePerProducer: 20}, closed: {}}", "{}"] {
        let message = refusal(&namespace, &yaml("both", 1, load, "")).await;
        assert!(message.contains("exactly one of open and closed must be set: open sends on a schedule"), "{message}");
    }
}

#[tokio::test]
async fn a_name_too_long_for_its_jobs_is_refused() {
    let namespace = namespace().await;
    let message = refusal(&namespace, &yaml(&"x".repeat(49), 1, "{closed: {}}", "")).await;
    assert!(message.contains("at most 48 characters"), "{message}");
}

#[tokio::test]
async fn the_spec_cannot_be_changed_and_the_message_says_to_create_a_new_test() {
    let namespace = namespace().await;
    let mut test = load_test(&namespace, "fixed", 1).await;
    test.spec.producers = 2;
    let changed = namespace.api().replace("fixed", &Default::default(), &test).await;
    let message = changed.expect_err("it was accepted").to_string();
    assert!(message.contains("create a new LoadTest"), "{message}");
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let namespace = namespace().await;
    let yaml = "{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {name: short}, \
                 spec: {pipelineRef: {name: cifar}, producers: 1, load: {closed: {}}}}";
    let test: LoadTest = namespace.create_yaml(yaml).await;
    let spec = test.spec;
    assert_eq!((spec.warmup.to_string(), spec.duration.to_string()), ("10s".into(), "60s".into()));
    assert_eq!((spec.start_timeout.to_string(), spec.ready_timeout.to_string()), ("600s".into(), "300s".into()));
    assert_eq!((spec.dataset.source, spec.dataset.encoding, spec.dataset.seed), (DatasetSource::Cifar10Test, None, 42));
    assert_eq!(spec.pod_template, None);
    let closed = spec.load.closed.unwrap();
    assert_eq!((closed.outstanding, closed.think_time.to_string()), (1, "0s".into()));
}

#[tokio::test]
async fn a_baseline_that_cannot_be_is_refused() {
    let namespace = namespace().await;
    let with = |baseline: &str| yaml("candidate", 1, "{closed: {}}", &format!(", baselineRef: {baseline}"));
    for (baseline, answer) in [
        ("{name: candidate}", "a LoadTest cannot be its own baseline: write the name of another one"),
        ("{name: 'team-a/main'}", "write the name of a LoadTest"),
        ("{name: main, maxRegressionPercent: -1}", "write a number of percent from 0 to 1000"),
    ] {
        let message = refusal(&namespace, &with(baseline)).await;
        assert!(message.contains(answer), "{message}");
    }
}
