//! By what objects are found without being unpacked: what reconciliations ask of all objects of a namespace or cluster.

use kube::{Resource, ResourceExt};
use tailrace_crds::{Experiment, LoadTest, Pipeline, conditions::types};

use crate::{
    conditions::is_true,
    labels,
    load_test::{observation::is_finished, queue::holder},
    ownership::controller_of,
    pipeline::neighbours,
};

/// By what an object is found without being unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The Pipeline that it is labelled with or, of a LoadTest, that it is for.
    pub pipeline: Option<Box<str>>,
    /// The phase, for the metrics. Pipelines are `Ready` or `NotReady`.
    pub phase: Box<str>,
    /// Of a LoadTest, whether it is over.
    pub over: bool,
    /// Of a LoadTest, the UID of its controller.
    pub controller: Option<Box<str>>,
    /// Of a Pipeline, the UID of the LoadTest that has it.
    pub holder: Option<Box<str>>,
    /// Of a Pipeline, its topics and brokers.
    pub topics: Box<[u64]>,
}

impl Facts {
    /// Whether it is labelled as a part of that Pipeline, or is a LoadTest for it.
    pub fn is_of(&self, pipeline: &str) -> bool {
        self.pipeline.as_deref() == Some(pipeline)
    }
}

/// Of an object that is a part of a Pipeline.
pub fn labelled<K: Resource>(object: &K) -> Facts {
    let pipeline = object.labels().get(labels::PIPELINE).map(|name| name.as_str().into());
    Facts { pipeline, ..Facts::default() }
}

/// Of a Pipeline.
pub fn pipeline(pipeline: &Pipeline) -> Facts {
    let ready = pipeline.status.as_ref().is_some_and(|status| is_true(&status.conditions, types::READY));
    Facts {
        phase: if ready { "Ready" } else { "NotReady" }.into(),
        holder: holder(pipeline).map(|holder| holder.uid.as_str().into()),
        topics: neighbours::digests(pipeline),
        ..Facts::default()
    }
}

/// Of a LoadTest.
pub fn load_test(test: &LoadTest) -> Facts {
    let phase = test.status.as_ref().map(|status| status.phase).unwrap_or_default();
    Facts {
        pipeline: Some(test.spec.pipeline_ref.name.as_str().into()),
        phase: format!("{phase:?}").into(),
        over: is_finished(test),
        controller: controller_of(test).map(|controller| controller.uid.as_str().into()),
        ..Facts::default()
    }
}

/// Of an Experiment.
pub fn experiment(experiment: &Experiment) -> Facts {
    let phase = experiment.status.as_ref().map(|status| status.phase).unwrap_or_default();
    Facts { phase: format!("{phase:?}").into(), ..Facts::default() }
}
