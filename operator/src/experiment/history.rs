//! What of finished LoadTests is kept. Their numbers are in the table, so the LoadTests can go, and their big parts
//! first.

use std::{cmp::Reverse, collections::BTreeSet};

use kube::ResourceExt;
use tailrace_crds::{
    LoadTest,
    experiment::Run,
    load_test::{PRUNED_ANNOTATION, Phase},
};

use super::{
    observation::{Found, Observation},
    plan::is_over,
};
use crate::load_test::observation::is_finished;

/// What of finished LoadTests is deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// LoadTests with all that belongs to them.
    pub tests: Vec<LoadTest>,
    /// The ProducerReports of these.
    pub reports: Vec<LoadTest>,
    /// The ProducerReports and the histograms of these.
    pub histograms: Vec<LoadTest>,
}

/// What is too old to be kept. Only LoadTests whose row was written count: they are not made again.
pub fn history(seen: &Observation) -> History {
    let spec = &seen.experiment.spec;
    let status = seen.status();
    let rows = status.points.iter().flat_map(|point| &point.runs);
    let mut tests: Vec<&LoadTest> = rows.flat_map(over).filter_map(|name| finished(seen, name)).collect();
    tests.sort_by_key(|test| Reverse(test.status.as_ref().and_then(|status| status.completion_time.clone())));
    let needed = baselines(seen);
    let is_needed = |test: &LoadTest| needed.contains(&test.name_any());

    let (succeeded, failed): (Vec<_>, Vec<_>) = tests.iter().copied().partition(|test| phase(test) == Phase::Succeeded);
    let limits = [(succeeded, spec.successful_tests_history_limit), (failed, spec.failed_tests_history_limit)];
    let old = limits.into_iter().flat_map(|(tests, limit)| tests.into_iter().skip(count(limit)));
    let old: Vec<LoadTest> = old.filter(|test| !is_needed(test)).cloned().collect();
    tests.retain(|test| !old.iter().any(|old| old.name_any() == test.name_any()));

    let with_histograms = tests.iter().filter(|test| test.status.as_ref().is_some_and(|s| s.histograms.is_some()));
    let histograms = with_histograms.skip(count(spec.histograms_history_limit));
    let histograms: Vec<_> = histograms.filter(|test| !is_needed(test)).map(|test| test.name_any()).collect();
    let has_reports = |test: &&LoadTest| !test.annotations().contains_key(PRUNED_ANNOTATION);
    let (without, with): (Vec<&LoadTest>, _) =
        tests.into_iter().partition(|test| histograms.contains(&test.name_any()));
    History {
        tests: old,
        reports: with.into_iter().filter(has_reports).cloned().collect(),
        histograms: without.into_iter().filter(|test| !test.lost_its_histograms()).cloned().collect(),
    }
}

/// The LoadTests of a row that are over.
fn over(run: &Run) -> impl Iterator<Item = &String> {
    let last = is_over(Some(run)).then_some(&run.load_test);
    run.repeated.iter().map(|repeated| &repeated.load_test).chain(last)
}

fn finished<'a>(seen: &'a Observation, name: &str) -> Option<&'a LoadTest> {
    match seen.test(name) {
        Found::Ours(test) if is_finished(test) && test.metadata.deletion_timestamp.is_none() => Some(test),
        _ => None,
    }
}

/// The LoadTests that others are still to be compared with.
fn baselines(seen: &Observation) -> BTreeSet<String> {
    let unfinished = seen.tests.iter().filter(|test| !is_finished(test)).map(|test| &test.spec);
    let own = (!seen.status().phase.is_final()).then_some(&seen.experiment.spec.template);
    unfinished.chain(own).filter_map(|spec| Some(spec.baseline_ref.as_ref()?.name.clone())).collect()
}

fn phase(test: &LoadTest) -> Phase {
    test.status.as_ref().map_or(Phase::default(), |status| status.phase)
}

fn count(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use tailrace_crds::load_test::{Histograms, PRUNED_HISTOGRAMS, PRUNED_REPORTS};

    use super::*;
    use crate::experiment::{
        build,
        fixtures::{End, begin, ended, new, sweep},
        plan::Planned,
        table,
    };

    /// Six LoadTests one after another, of which the second misses an SLO and the fourth is not valid; all have
    /// histograms.
    fn six() -> Observation {
        let mut seen = new(sweep(&[1, 2, 3, 4, 5, 6], 1));
        let mut status = seen.status();
        status.round = 1;
        status.phase = tailrace_crds::experiment::Phase::Running;
        for point in 0..6 {
            let planned = Planned { point, run: 0, repeat: 0, producers: 1, rate_per_producer: None };
            let mut test = build::load_test(&seen.experiment, 1, &planned);
            let end = match point {
                1 => End::Missed,
                3 => End::Invalid("CountsDisagree"),
                _ => End::P95(1_000),
            };
            let now = begin() + std::time::Duration::from_secs(point as u64);
            let histograms = Histograms { config_map: String::new(), interval_seconds: 1 };
            let over = ended(&end, now);
            test.status = Some(tailrace_crds::load_test::LoadTestStatus {
                completion_time: Some(MicroTime(now)),
                histograms: Some(histograms),
                ..over
            });
            table::put(&mut status.points, &planned, table::run(&seen.experiment.spec, test.name_any(), Some(&test)));
            seen.tests.push(test.into());
        }
        seen.experiment.status = Some(status);
        seen
    }

    fn limits(seen: &mut Observation, succeeded: i32, failed: i32, histograms: i32) -> [Vec<String>; 3] {
        let spec = &mut seen.experiment.spec;
        spec.successful_tests_history_limit = succeeded;
        spec.failed_tests_history_limit = failed;
        spec.histograms_history_limit = histograms;
        let History { tests, reports, histograms } = history(seen);
        [tests, reports, histograms].map(|tests| {
            let mut names: Vec<_> = tests.iter().map(|test| test.name_any().replace("sweep-1-0", "")).collect();
            names.sort();
            names
        })
    }

    #[test]
    fn the_newest_are_kept_of_those_that_succeeded_and_of_those_that_did_not() {
        let [tests, reports, histograms] = limits(&mut six(), 2, 1, 2);
        assert_eq!(tests, ["1-1", "2-1", "3-1"]);
        assert_eq!(reports, ["5-1", "6-1"]);
        assert_eq!(histograms, ["4-1"]);
        let [tests, reports, histograms] = limits(&mut six(), 0, 0, 0);
        assert_eq!((tests.len(), reports.len(), histograms.len()), (6, 0, 0));
        let [tests, reports, histograms] = limits(&mut six(), 200, 200, 200);
        assert_eq!((tests.len(), reports.len(), histograms.len()), (0, 6, 0), "reports are of no use any more");
    }

    #[test]
    fn what_is_gone_is_not_deleted_again() {
        let mut seen = six();
        for test in &mut seen.tests[..3] {
            std::sync::Arc::make_mut(test).annotations_mut().insert(PRUNED_ANNOTATION.into(), PRUNED_HISTOGRAMS.into());
        }
        for test in &mut seen.tests[3..] {
            std::sync::Arc::make_mut(test).annotations_mut().insert(PRUNED_ANNOTATION.into(), PRUNED_REPORTS.into());
        }
        assert_eq!(limits(&mut seen, 200, 200, 3), [const { Vec::<String>::new() }; 3]);
        assert_eq!(limits(&mut seen, 200, 200, 2)[2], ["4-1"]);
    }

    #[test]
    fn a_test_whose_row_was_not_written_stays_and_so_does_a_baseline_that_is_waited_for() {
        let mut seen = six();
        seen.experiment.status.as_mut().unwrap().points[0].runs.clear();
        assert!(!limits(&mut seen, 0, 0, 0)[0].contains(&"1-1".to_owned()));

        let mut seen = six();
        let mut waiting = LoadTest::clone(&seen.tests[0]);
        waiting.metadata.name = Some("candidate".into());
        waiting.status = None;
        waiting.spec.baseline_ref = serde_json::from_value(serde_json::json!({ "name": "sweep-1-03-1" })).unwrap();
        seen.tests.push(waiting.into());
        let [tests, _, histograms] = limits(&mut seen, 0, 0, 0);
        assert!(tests.len() == 5 && !tests.contains(&"3-1".to_owned()) && histograms.is_empty());
    }
}
