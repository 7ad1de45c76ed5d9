//! Whether a Pipeline was the same at the end of a test as at its start.

use tailrace_crds::load_test::PipelineAtStart;

use super::observation::{Observation, pipeline_now};

/// What has changed since the common start, in one sentence.
pub fn since_start(seen: &Observation) -> Option<String> {
    let start = seen.status().pipeline_at_start?;
    let now = pipeline_now(seen).unwrap_or_default();
    let change = spec_changed(&start, &now).or_else(|| pod_changed(&start, &now))?;
    Some(format!("{change} during the run, so the numbers are of no one Pipeline: measure again"))
}

fn spec_changed(start: &PipelineAtStart, now: &PipelineAtStart) -> Option<String> {
    (start.generation != now.generation).then(|| "the spec of the Pipeline was changed".to_owned())
}

fn pod_changed(start: &PipelineAtStart, now: &PipelineAtStart) -> Option<String> {
    let gone = start.pods.iter().find_map(|(name, before)| match now.pods.get(name) {
        None => Some(format!("pod {name} went away")),
        Some(after) if after.split('/').next() != before.split('/').next() => Some(format!("pod {name} was replaced")),
        Some(after) if after != before => Some(format!("pod {name} was restarted")),
        Some(_) => None,
    });
    gone.or_else(|| {
        let new = now.pods.keys().find(|name| !start.pods.contains_key(*name))?;
        Some(format!("pod {new} was added"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(generation: i64, pods: &[(&str, &str)]) -> PipelineAtStart {
        let pods = pods.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
        PipelineAtStart { generation, pods }
    }

    fn change(now: &PipelineAtStart) -> Option<String> {
        let start = pipeline(1, &[("kafka-0", "a/0"), ("inference-x", "b/2")]);
        spec_changed(&start, now).or_else(|| pod_changed(&start, now))
    }

    #[test]
    fn each_change_is_named() {
        let kafka = ("kafka-0", "a/0");
        let cases = [
            (pipeline(2, &[kafka, ("inference-x", "b/2")]), "the spec of the Pipeline was changed"),
            (pipeline(1, &[kafka, ("inference-x", "b/3")]), "pod inference-x was restarted"),
            (pipeline(1, &[("kafka-0", "c/0"), ("inference-x", "b/2")]), "pod kafka-0 was replaced"),
            (pipeline(1, &[kafka]), "pod inference-x went away"),
            (pipeline(1, &[kafka, ("inference-x", "b/2"), ("inference-y", "d/0")]), "pod inference-y was added"),
        ];
        for (now, sentence) in cases {
            assert_eq!(change(&now).as_deref(), Some(sentence));
        }
        assert_eq!(change(&pipeline(1, &[kafka, ("inference-x", "b/2")])), None);
    }
}
