//! The LoadTests of an Experiment, as a pure function of it.

use kube::{Resource, ResourceExt, core::ObjectMeta};
use tailrace_crds::{Experiment, LoadTest};

use super::plan::Planned;
use crate::labels;

/// The beginning of the names of all LoadTests of a round.
pub fn prefix(experiment: &Experiment, round: i32) -> String {
    format!("{}-{round}-", experiment.name_any())
}

/// The name of a LoadTest: the Experiment, the round, the place of the point and the repetition, from 1; one that is
/// made again has `-r1` or `-r2` at its end.
pub fn name(experiment: &Experiment, round: i32, planned: &Planned) -> String {
    let again = if planned.repeat == 0 { String::new() } else { format!("-r{}", planned.repeat) };
    format!("{}{:02}-{}{again}", prefix(experiment, round), planned.point + 1, planned.run + 1)
}

/// The LoadTest at one point. It goes when the Experiment goes.
pub fn load_test(experiment: &Experiment, round: i32, planned: &Planned) -> LoadTest {
    let mut spec = experiment.spec.template.clone();
    spec.producers = planned.producers;
    if let (Some(open), Some(rate)) = (&mut spec.load.open, planned.rate_per_producer) {
        open.rate_per_producer = rate;
    }
    let labels = [
        ("app.kubernetes.io/name", "tailrace"),
        ("app.kubernetes.io/managed-by", "tailrace-operator"),
        (labels::EXPERIMENT, &experiment.name_any()),
        (labels::ROUND, &round.to_string()),
    ];
    let metadata = ObjectMeta {
        name: Some(name(experiment, round, planned)),
        namespace: experiment.namespace(),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        owner_references: experiment.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    LoadTest { metadata, spec, status: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::fixtures::{max_rate, sweep};

    #[test]
    fn a_load_test_is_the_template_at_its_point() {
        let experiment = sweep(&[3, 5], 2);
        let planned = Planned { point: 1, run: 0, repeat: 0, producers: 5, rate_per_producer: None };
        let test = load_test(&experiment, 4, &planned);
        assert_eq!(test.name_any(), "sweep-4-02-1");
        assert_eq!((test.spec.producers, test.spec.pipeline_ref.name.as_str()), (5, "cifar"));
        assert_eq!((test.labels()[labels::EXPERIMENT].as_str(), test.labels()[labels::ROUND].as_str()), ("sweep", "4"));
        let owner = &test.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("Experiment", "uid-of-sweep", Some(true))
        );
    }

    #[test]
    fn a_rate_replaces_that_of_the_template_and_nothing_else_of_the_load() {
        let experiment = max_rate(10, 100);
        let planned = Planned { point: 0, run: 2, repeat: 0, producers: 2, rate_per_producer: Some(37) };
        let test = load_test(&experiment, 1, &planned);
        let (made, template) = (test.spec.load.open.unwrap(), experiment.spec.template.load.open.unwrap());
        assert_eq!((made.rate_per_producer, made.arrivals), (37, template.arrivals));
        assert_eq!(test.spec.slos, experiment.spec.template.slos);
    }

    #[test]
    fn the_longest_name_is_one_that_a_load_test_may_have() {
        let mut experiment = sweep(&[1], 1);
        experiment.metadata.name = Some("x".repeat(32));
        let last = Planned { point: 199, run: 49, repeat: 2, producers: 1, rate_per_producer: None };
        assert!(name(&experiment, 99_999, &last).len() <= 48);
    }
}
