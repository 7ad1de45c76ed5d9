//! Makes the objects of a Pipeline what they should be.

use std::fmt::Debug;

use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client, Resource, ResourceExt, api::ListParams, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use tailrace_crds::Pipeline;

use super::{
    attempts::{self, Attempts},
    build::Resources,
    observe::{Observed, is_owned_by, jobs_and_pods},
};
use crate::{
    labels::PIPELINE,
    writer::{self, Writer, bounded},
};

/// Applies everything but the Jobs, and returns what there is then. Addresses come first, since the
/// pods look for them when they start; all pods start at once and wait for each other themselves.
pub async fn workloads(
    client: &Client,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &Resources,
) -> Result<Observed, writer::Error> {
    for service in &resources.services {
        writer.apply(service).await?;
    }
    for policy in &resources.network_policies {
        writer.apply(policy).await?;
    }
    writer.apply(&resources.permissions.account).await?;
    writer.apply(&resources.permissions.role).await?;
    writer.apply(&resources.permissions.binding).await?;
    let mut observed = Observed {
        kafka: optional(writer, resources.kafka.as_ref()).await?,
        database: optional(writer, resources.database.as_ref()).await?,
        archive: optional(writer, resources.archive.as_ref()).await?,
        ..Observed::default()
    };
    for (component, deployment) in &resources.inference {
        observed.inference.push((*component, writer.apply(deployment).await?));
    }
    delete_what_is_not_wanted(client, writer, pipeline, resources).await?;
    (observed.jobs, observed.pods) = jobs_and_pods(client, pipeline).await?;
    Ok(observed)
}

async fn optional<K>(writer: &Writer, object: Option<&K>) -> Result<Option<K>, writer::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match object {
        Some(object) => writer.apply(object).await.map(Some),
        None => Ok(None),
    }
}

/// The archive can be switched off, and the managed database with it; the topology can be changed.
async fn delete_what_is_not_wanted(
    client: &Client,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &Resources,
) -> Result<(), writer::Error> {
    let inference = resources.inference.iter().map(|(_, deployment)| deployment);
    let sets = [&resources.kafka, &resources.database].into_iter().flatten();
    tokio::try_join!(
        delete_others(client, writer, pipeline, inference.chain(&resources.archive)),
        delete_others(client, writer, pipeline, sets),
        delete_others(client, writer, pipeline, resources.services.iter()),
        delete_others(client, writer, pipeline, resources.network_policies.iter()),
    )?;
    Ok(())
}

/// Deletes the objects of a kind that the Pipeline owns, but for those that are `wanted`.
async fn delete_others<'a, K>(
    client: &Client,
    writer: &Writer,
    pipeline: &Pipeline,
    wanted: impl Iterator<Item = &'a K>,
) -> Result<(), writer::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + 'a,
{
    let wanted: Vec<String> = wanted.map(ResourceExt::name_any).collect();
    let api: Api<K> = Api::namespaced(client.clone(), &pipeline.namespace().unwrap_or_default());
    let made_for_it = ListParams::default().labels(&format!("{PIPELINE}={}", pipeline.name_any()));
    let found = bounded("look for what is not wanted any more of", pipeline, api.list(&made_for_it)).await?;
    for object in found.iter().filter(|object| is_owned_by(*object, pipeline)) {
        if !wanted.contains(&object.name_any()) && object.meta().deletion_timestamp.is_none() {
            writer.delete(object).await?;
        }
    }
    Ok(())
}

/// Makes the attempts that are due, and deletes those that are superseded. The check of changed pods waits until the
/// old ones are gone, whose answer would prove nothing.
pub async fn jobs(
    writer: &Writer,
    resources: &Resources,
    observed: &Observed,
    topics: &Attempts<'_>,
    check: &Attempts<'_>,
) -> Result<(), writer::Error> {
    let may_check = observed.is_rolled_out();
    for (template, standing, may_start) in [(&resources.topics, topics, true), (&resources.check, check, may_check)] {
        if let (Attempts::Due(number, _), true) = (standing, may_start) {
            writer.apply(&attempts::attempt(template, *number)).await?;
        }
    }
    let kept = [topics, check].map(|attempts| [attempts.current(), attempts.failed()]);
    let kept: Vec<String> = kept.into_iter().flatten().flatten().map(ResourceExt::name_any).collect();
    for job in observed.jobs.iter().filter(|job| !kept.contains(&job.name_any())) {
        delete(writer, job).await?;
    }
    Ok(())
}

async fn delete(writer: &Writer, job: &Job) -> Result<(), writer::Error> {
    if job.metadata.deletion_timestamp.is_some() { Ok(()) } else { writer.delete(job).await }
}
