//! A LoadTest in one line, and in a few at its end.

use tailrace_crds::{LoadTest, load_test::Phase};
use tailrace_measure::display;
use tailrace_measure::judgement::Verdict;

use crate::results;

/// So many seconds of the load have passed, of so many.
pub fn seconds(load_test: &LoadTest) -> (u64, u64) {
    let spec = &load_test.spec;
    let all = (spec.warmup.get() + spec.duration.get()).as_secs();
    let status = load_test.status.as_ref();
    let left = status.and_then(|status| status.progress.as_ref()).map(|progress| progress.seconds_left);
    let left = left.map_or(all, |left| left.max(0).unsigned_abs().min(all));
    let over = status.is_some_and(|status| status.phase == Phase::Draining);
    (if over { all } else { all - left }, all)
}

/// Where it is, without numbers that go on: what is new of it is worth a line at once.
pub fn step(load_test: &LoadTest) -> String {
    let status = load_test.status.clone().unwrap_or_default();
    let message = if sends(status.phase) { None } else { status.message };
    format!("{:?} {}", status.phase, message.unwrap_or_default())
}

/// How it goes.
pub fn now(load_test: &LoadTest) -> String {
    let status = load_test.status.clone().unwrap_or_default();
    let mut parts = vec![];
    if sends(status.phase) {
        parts.extend(
            status.result.messages.map(|messages| format!("{} sent, {} answered", messages.sent, messages.received)),
        );
    }
    if let Some(progress) = status.progress.filter(|_| sends(status.phase)) {
        parts.extend(progress.rate.map(|rate| format!("{rate} images/s")));
        parts.extend(progress.p95_micros.map(|p95| format!("p95 {}", display::micros(p95.max(0).unsigned_abs()))));
        parts.push(match status.phase {
            Phase::Draining => "waiting for the last answers".to_owned(),
            _ => format!("{} s left", progress.seconds_left.max(0)),
        });
    }
    if parts.is_empty() {
        parts.extend(status.message);
    }
    let name = load_test.metadata.name.as_deref().unwrap_or_default();
    format!("{name} {:?}: {}", status.phase, parts.join(", ")).trim_end_matches([' ', ':']).to_owned()
}

fn sends(phase: Phase) -> bool {
    matches!(phase, Phase::WarmingUp | Phase::Running | Phase::Draining)
}

/// What came of it.
pub fn end(load_test: &LoadTest, verdict: Verdict) -> String {
    let status = load_test.status.clone().unwrap_or_default();
    let run = results::load_test::run(load_test, &status, verdict);
    let mut lines = vec![format!("{} {}: {}", run.name, verdict.title(), run.message)];
    if let Some(display) = status.display.filter(|display| display.p50.is_some()) {
        let percentiles = [("p50", display.p50), ("p90", display.p90), ("p95", display.p95), ("p99", display.p99)];
        let percentiles = percentiles.map(|(name, value)| format!("{name} {}", value.unwrap_or_default()));
        let hides = if run.load.is_closed() { " (closed load, which hides waiting)" } else { "" };
        lines.push(format!("  {}{hides}", percentiles.join(", ")));
    }
    lines.extend(
        run.result.slos.iter().map(|slo| format!("  SLO {}: {}, {}", slo.verdict(), slo.title(), slo.observed())),
    );
    lines.extend(
        run.result
            .comparison
            .iter()
            .map(|comparison| format!("  baseline {}: {}", comparison.baseline, comparison.message)),
    );
    lines
        .extend(run.result.warnings.iter().map(|warning| format!("  warning {}: {}", warning.reason, warning.message)));
    lines.join("\n")
}
