//! What the operator makes of an object that was admitted.

use k8s_openapi::serde::de::DeserializeOwned;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tailrace_crds::{Experiment, LoadTest, Pipeline, ProducerReport, duration::Duration, load_test::Slo};
use tailrace_operator::{
    experiment,
    load_test::build as of_load_test,
    pipeline::{
        build::{build, documents},
        validate::{Invalid, validate},
    },
    settings::Settings,
};

use crate::{
    admission::Admission,
    fields::Kind,
    support::{self, settings},
};

/// One for all, so that what is made of most objects is the same.
const UID: &str = "4c5a3b9e-0a53-4a6e-9d4c-5a7f3b0e6c11";

/// That an object can be read, and that the API server takes what is made of it.
pub async fn is_usable(admission: &Admission, kind: Kind, admitted: Value) -> Result<(), String> {
    match kind {
        Kind::Pipeline => pipeline(admission, &read(admitted)?).await,
        Kind::LoadTest => load_test(admission, &read(admitted)?).await,
        Kind::Experiment => experiment(admission, &read(admitted)?).await,
        Kind::ProducerReport => read::<ProducerReport>(admitted).map(|_| ()),
    }
}

fn read<K: support::Kind + DeserializeOwned>(mut admitted: Value) -> Result<K, String> {
    admitted["metadata"]["uid"] = UID.into();
    serde_path_to_error::deserialize(admitted).map_err(|error| format!("cannot be read: {}: {error}", error.path()))
}

async fn pipeline(admission: &Admission, pipeline: &Pipeline) -> Result<(), String> {
    let settings = settings("");
    let validated = match validate(pipeline, &settings) {
        Ok(validated) => validated,
        // What needs arithmetic over several fields is a condition.
        Err(Invalid::VolumeTooSmall { .. } | Invalid::BrokerMemory(_)) => return Ok(()),
        Err(invalid) => return Err(format!("should have been refused: {invalid}")),
    };
    let mut made = build(&validated, &settings.images);
    made.name_jobs_after(&validated, &[], &[]);
    for service in &made.services {
        admission.takes(service).await?;
    }
    for policy in &made.network_policies {
        admission.takes(policy).await?;
    }
    for account in &made.permissions.accounts {
        admission.takes(account).await?;
    }
    admission.takes(&made.permissions.role).await?;
    admission.takes(&made.permissions.binding).await?;
    for (_, claim) in &made.claims {
        admission.takes(claim).await?;
    }
    for server in [&made.kafka, &made.database].into_iter().flatten() {
        admission.takes(server).await?;
    }
    for deployment in made.inference.iter().map(|(_, deployment)| deployment).chain(&made.archive) {
        admission.takes(deployment).await?;
    }
    for job in [&made.topics, &made.check] {
        admission.takes(job).await?;
    }
    match documents::delete_documents(&validated, &settings.images, &any_test()) {
        Some(job) => admission.takes(&job).await,
        None => Ok(()),
    }
}

async fn load_test(admission: &Admission, test: &LoadTest) -> Result<(), String> {
    let settings = settings("");
    if let Some(why) = of_load_test::why_impossible(test) {
        return Err(format!("should have been refused: {why}"));
    }
    limits_are_read(&test.spec.slos)?;
    let permissions = of_load_test::permissions(test, None);
    if let Some(account) = &permissions.account {
        admission.takes(account).await?;
    }
    admission.takes(&permissions.role).await?;
    admission.takes(&permissions.binding).await?;
    admission.takes(&of_load_test::report(test, test.spec.producers - 1)).await?;
    admission.takes(&job(test, &settings)).await
}

/// The Job of the last producer, which has the longest name.
fn job(test: &LoadTest, settings: &Settings) -> k8s_openapi::api::batch::v1::Job {
    of_load_test::job(test, &any_pipeline(), settings, test.spec.producers - 1)
}

fn limits_are_read(slos: &[Slo]) -> Result<(), String> {
    for slo in slos {
        let text = slo.max.as_ref().or(slo.min.as_ref()).ok_or("an SLO has neither max nor min")?;
        let is_read = if slo.metric.is_percent() {
            text.parse::<f64>().is_ok_and(|share| (0.0..=100.0).contains(&share))
        } else {
            text.parse::<Duration>().is_ok()
        };
        if !is_read {
            return Err(format!("the limit {text} of {:?} cannot be read", slo.metric));
        }
    }
    Ok(())
}

/// The first LoadTest, with the rules of LoadTests, and what is made of it.
async fn experiment(admission: &Admission, experiment: &Experiment) -> Result<(), String> {
    let spec = &experiment.spec;
    let points = spec.sweep.as_ref().map(|sweep| experiment::sweep::points(sweep, &spec.template));
    let planned = match experiment::plan::next(spec, &points.unwrap_or_default()) {
        experiment::plan::Next::Run(planned) => planned,
        experiment::plan::Next::End(verdict) => return Err(format!("has no LoadTest: {}", verdict.message)),
    };
    let test = experiment::build::load_test(experiment, 1, &planned);
    let spec = serde_json::to_value(&test.spec).unwrap();
    match admission.of(Kind::LoadTest, &test.name_any(), &spec).await {
        Ok(admitted) => load_test(admission, &read(admitted)?).await,
        Err(status) => Err(format!("its LoadTest is refused: {}", status.message)),
    }
}

fn any_test() -> LoadTest {
    let mut test: LoadTest = serde_json::from_value(json!({
        "apiVersion": "tailrace.dev/v1alpha1", "kind": "LoadTest", "metadata": { "name": "first", "uid": UID },
        "spec": { "pipelineRef": { "name": "cifar" }, "load": { "closed": {} } },
    }))
    .unwrap();
    test.meta_mut().namespace = None;
    test
}

fn any_pipeline() -> Pipeline {
    serde_json::from_value(json!({
        "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline", "metadata": { "name": "cifar", "uid": UID },
        "spec": {}, "status": { "kafka": { "bootstrapServers": "cifar-kafka:9092" } },
    }))
    .unwrap()
}
