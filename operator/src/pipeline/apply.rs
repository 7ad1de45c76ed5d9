//! Makes the objects of a Pipeline what they should be.

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::ResourceExt;
use serde::Serialize;
use serde_json::json;
use tailrace_crds::Pipeline;

use super::{
    attempts::{self, Attempts},
    build::{
        Resources,
        claims::{SERVERS, claim_name},
    },
    observe::{Observed, is_labelled, jobs_and_pods},
    refusals::Refusals,
    reports,
    validate::Validated,
    volumes::{self, Standing, Volume},
};
use crate::{
    accounts,
    context::Context,
    labels::Component,
    ownership::is_owned_by,
    reading,
    watch::{Watch, Watched},
    writer::{self, Writer},
};

/// Makes the claims of the volumes what they should be, those `found` of servers that are not wanted at present
/// included.
pub async fn claims(
    context: &Context,
    writer: &Writer,
    pipeline: &Validated,
    resources: &Resources,
    found: &[PersistentVolumeClaim],
    refusals: &mut Refusals,
) -> Result<Vec<Volume>, writer::Error> {
    let mut volumes = vec![];
    for component in SERVERS {
        let name = claim_name(&pipeline.name, component);
        let found = found.iter().find(|claim| claim.name_any() == name);
        let wanted = resources.claims.iter().find(|(server, _)| *server == component).map(|(_, claim)| claim);
        // One that goes with an earlier Pipeline is to go.
        let usable = found.filter(|claim| volumes::why_unusable(claim, pipeline).is_none());
        if let Some((claim, owners)) = usable.and_then(|claim| Some((claim, volumes::owners(claim, pipeline)?))) {
            let version = claim.resource_version();
            let change = json!({ "metadata": { "ownerReferences": owners, "resourceVersion": version } });
            writer.merge(claim, change).await?;
        }
        if let Some(wanted) = wanted {
            let made = volume(context, writer, pipeline, component, found, wanted).await;
            volumes.push(made.or_else(|error| without_claim(component, wanted, error, refusals))?);
        }
    }
    Ok(volumes)
}

/// No server starts without its volume.
fn without_claim(
    component: Component,
    wanted: &PersistentVolumeClaim,
    error: writer::Error,
    refusals: &mut Refusals,
) -> Result<Volume, writer::Error> {
    let why = error.to_string();
    refusals.sort_out(wanted, Err(error))?;
    Ok(Volume { component, name: wanted.name_any(), claim: None, standing: Standing::Unusable(why) })
}

async fn volume(
    context: &Context,
    writer: &Writer,
    pipeline: &Validated,
    component: Component,
    found: Option<&PersistentVolumeClaim>,
    wanted: &PersistentVolumeClaim,
) -> Result<Volume, writer::Error> {
    let name = wanted.name_any();
    let Some(claim) = found else {
        return match writer.create(wanted).await {
            Ok(claim) => Ok(Volume { component, name, claim: Some(claim), standing: Standing::Good }),
            // One that is kept has no owner: it is ours if the watch only does not know it yet.
            Err(error) if error.taken().is_some() => {
                let there = reading::get::<PersistentVolumeClaim>(&context.client, wanted, "read", &name).await?;
                let ours = there.and_then(Result::ok).filter(|claim| is_labelled(claim, &pipeline.name));
                if let Some(claim) = ours {
                    let why = volumes::why_unusable(&claim, pipeline);
                    let standing = why.map_or_else(|| volumes::standing(&claim), Standing::Unusable);
                    return Ok(Volume { component, name, claim: Some(claim), standing });
                }
                let standing = volumes::somebody_elses(&name, &pipeline.name);
                Ok(Volume { component, name, claim: None, standing })
            }
            Err(error) => Err(error),
        };
    };
    let standing = match (volumes::why_unusable(claim, pipeline), volumes::growth(claim, wanted)) {
        (Some(why), _) => Standing::Unusable(why),
        (None, None) => volumes::standing(claim),
        (None, Some(size)) => {
            let change = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
            match writer.merge(claim, change).await {
                Ok(()) => volumes::standing(claim),
                Err(error) if error.is_refusal() => volumes::cannot_grow(claim, size, &error.to_string()),
                Err(error) => return Err(error),
            }
        }
    };
    Ok(Volume { component, name, claim: Some(claim.clone()), standing })
}

/// Applies the other objects but the Jobs, and returns what there is then. Addresses come first, since the pods look
/// for them when they start; all pods start at once and wait for each other themselves. No server starts on a volume
/// that cannot be used. An object that the API server refuses keeps no other one from being made.
pub async fn workloads(
    context: &Context,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &Resources,
    volumes: Vec<Volume>,
    refusals: &mut Refusals,
) -> Result<Observed, writer::Error> {
    let Context { watches, applied, .. } = context;
    make_accounts(context, writer, pipeline, resources, refusals).await?;
    for service in &resources.services {
        refusals.sort_out(service, applied.keep(writer, watches.services(), service).await)?;
    }
    for policy in &resources.network_policies {
        refusals.sort_out(policy, applied.keep(writer, watches.network_policies(), policy).await)?;
    }
    let permissions = &resources.permissions;
    let role = applied.keep(writer, watches.roles(), &permissions.role).await;
    refusals.sort_out(&permissions.role, role)?;
    let binding = applied.keep(writer, watches.role_bindings(), &permissions.binding).await;
    refusals.sort_out(&permissions.binding, binding)?;
    let mut observed = Observed { volumes, ..Observed::default() };
    for (component, wanted) in [(Component::Kafka, &resources.kafka), (Component::Database, &resources.database)] {
        let Some(wanted) = wanted else { continue };
        let made = server(context, writer, &observed, component, wanted).await;
        let made = made.or_else(|error| refusals.sort_out(wanted, Err(error)))?;
        match component {
            Component::Kafka => observed.kafka = made,
            _ => observed.database = made,
        }
    }
    if let Some(archive) = &resources.archive {
        let made = applied.keep(writer, watches.deployments(), archive).await;
        observed.archive = refusals.sort_out(archive, made)?;
    }
    for (component, deployment) in &resources.inference {
        let made = applied.keep(writer, watches.deployments(), deployment).await;
        observed.inference.push((*component, refusals.sort_out(deployment, made)?.unwrap_or_default()));
    }
    delete_what_is_not_wanted(context, writer, pipeline, resources).await?;
    let owned = jobs_and_pods(watches, pipeline);
    (observed.jobs, observed.pods, observed.leaving) = (owned.jobs, owned.pods, owned.leaving);
    observed.workers = reports::current(pipeline, &observed.pods);
    Ok(observed)
}

/// The StatefulSet of a server whose volume can be used. A set that has a claim template cannot lose it: it is replaced
/// by one without, and its pod and its claim stay.
async fn server(
    context: &Context,
    writer: &Writer,
    observed: &Observed,
    component: Component,
    wanted: &StatefulSet,
) -> Result<Option<StatefulSet>, writer::Error> {
    if observed.volume(component).is_some_and(|volume| volume.why_unusable().is_some()) {
        return Ok(None);
    }
    let has_template = |set: &StatefulSet| {
        set.spec.as_ref().is_some_and(|spec| spec.volume_claim_templates.iter().flatten().next().is_some())
    };
    let (before, error) = match context.applied.keep(writer, context.watches.stateful_sets(), wanted).await {
        Ok(set) if has_template(&set) => (Some(set), None),
        Ok(set) => return Ok(Some(set)),
        Err(error) if error.is_refusal() => {
            let set = reading::get::<StatefulSet>(&context.client, wanted, "read", &wanted.name_any()).await?;
            (set.and_then(Result::ok).filter(has_template), Some(error))
        }
        Err(error) => return Err(error),
    };
    match (before, error) {
        (Some(set), _) if set.metadata.deletion_timestamp.is_some() => Ok(None),
        (Some(set), _) => writer.delete_alone(&set).await.map(|()| None),
        (None, error) => error.map_or(Ok(None), Err),
    }
}

/// They have the pull secrets that the namespace's own account has at that time.
async fn make_accounts(
    context: &Context,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &Resources,
    refusals: &mut Refusals,
) -> Result<(), writer::Error> {
    let watch = context.watches.accounts();
    for account in &resources.permissions.accounts {
        let is_new = watch.get(&pipeline.namespace().unwrap_or_default(), &account.name_any()).is_none();
        let made = refusals.sort_out(account, context.applied.keep(writer, watch, account).await)?;
        let Some(made) = made.filter(|_| is_new) else { continue };
        if let Some(secrets) = accounts::pull_secrets(&context.client, pipeline).await? {
            writer.merge(&made, json!({ "imagePullSecrets": secrets })).await?;
        }
    }
    Ok(())
}

/// Makes the Services that are not there. They concern no pod that runs, and without them a pod finds the others no
/// more.
pub async fn missing_services(writer: &Writer, resources: &Resources) -> Result<(), writer::Error> {
    for service in &resources.services {
        match writer.create(service).await {
            Err(error) if error.taken().is_none() && !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The archive can be switched off, and the managed database with it; the topology can be changed.
async fn delete_what_is_not_wanted(
    context: &Context,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &Resources,
) -> Result<(), writer::Error> {
    let watches = &context.watches;
    let inference = resources.inference.iter().map(|(_, deployment)| deployment);
    let sets = [&resources.kafka, &resources.database].into_iter().flatten();
    tokio::try_join!(
        delete_others(watches.deployments(), writer, pipeline, inference.chain(&resources.archive)),
        delete_others(watches.stateful_sets(), writer, pipeline, sets),
        delete_others(watches.services(), writer, pipeline, resources.services.iter()),
        delete_others(watches.network_policies(), writer, pipeline, resources.network_policies.iter()),
        delete_others(watches.accounts(), writer, pipeline, resources.permissions.accounts.iter()),
    )?;
    Ok(())
}

/// Deletes the objects of a kind that the Pipeline owns, but for those that are `wanted`.
async fn delete_others<'a, K: Watched + Serialize>(
    watch: &Watch<K>,
    writer: &Writer,
    pipeline: &Pipeline,
    wanted: impl Iterator<Item = &'a K>,
) -> Result<(), writer::Error> {
    let wanted: Vec<String> = wanted.map(ResourceExt::name_any).collect();
    let name = pipeline.name_any();
    for object in watch.of_pipeline(&pipeline.namespace().unwrap_or_default(), &name) {
        let is_its_own = is_owned_by(object.as_ref(), pipeline);
        if is_its_own && !wanted.contains(&object.name_any()) && object.meta().deletion_timestamp.is_none() {
            writer.delete(object.as_ref()).await?;
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
    refusals: &mut Refusals,
) -> Result<(), writer::Error> {
    let may_check = observed.is_rolled_out();
    for (template, standing, may_start) in [(&resources.topics, topics, true), (&resources.check, check, may_check)] {
        if let (Attempts::Due(number, _), true) = (standing, may_start) {
            let attempt = attempts::attempt(template, *number);
            refusals.sort_out(&attempt, writer.create(&attempt).await)?;
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
