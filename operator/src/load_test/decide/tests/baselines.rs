//! Baselines that can be compared with, and others.

use super::*;

fn with_baseline(status: serde_json::Value) -> Observation {
    let mut test = load_test("main", 0);
    test.status = serde_json::from_value(status).unwrap();
    let mut seen = new_test().with_pipeline();
    seen.load_test.spec.baseline_ref = serde_json::from_value(json!({ "name": "main" })).unwrap();
    let baseline = crate::load_test::observation::Baseline {
        name: "main".into(),
        test: Some(test),
        waits_for_this: false,
        files: None,
    };
    Observation { baseline: Some(baseline), ..seen }
}

fn valid_baseline() -> Observation {
    let valid = json!({ "type": "ResultsValid", "status": "True", "reason": "Valid", "message": "", "lastTransitionTime": begin() });
    let histograms = json!({ "configMap": "main-histograms", "intervalSeconds": 1 });
    with_baseline(json!({ "phase": "Succeeded", "conditions": [valid], "histograms": histograms }))
}

#[test]
fn a_baseline_that_will_never_be_one_fails_the_test_at_once() {
    let mut in_a_circle = with_baseline(json!({ "phase": "Queued" }));
    in_a_circle.baseline.as_mut().unwrap().waits_for_this = true;
    let mut pruned = valid_baseline();
    let annotations = &mut pruned.baseline.as_mut().unwrap().test.as_mut().unwrap().metadata.annotations;
    annotations.get_or_insert_default().insert(PRUNED_ANNOTATION.into(), PRUNED_HISTOGRAMS.into());
    for (seen, why) in [
        (with_baseline(json!({ "phase": "Failed" })), "has no valid result: name another one"),
        (with_baseline(json!({ "phase": "Aborted" })), "has no valid result"),
        (in_a_circle, "waits for this one"),
        (pruned, "has no histograms any more, since its Experiment keeps those of its newest LoadTests alone"),
    ] {
        let (reason, message) = finished(&decide(&seen));
        assert_eq!(reason, reasons::BASELINE_NOT_USABLE);
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_baseline_that_may_become_one_is_waited_for() {
    for phase in ["Queued", "Starting", "WarmingUp", "Running", "Draining"] {
        let decision = decide(&with_baseline(json!({ "phase": phase })));
        assert_eq!((decision.status.phase, decision.status.waiting_since), (Phase::Queued, None), "{phase}");
    }
    let mut missing = valid_baseline();
    missing.baseline.as_mut().unwrap().test = None;
    assert_eq!(decide(&missing).status.waiting_since, Some(MicroTime(begin())), "but not for longer than startTimeout");
    assert_eq!(decide(&valid_baseline()).status.phase, Phase::Starting);
}
