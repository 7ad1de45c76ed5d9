//! Reads what a decision needs.

use kube::{Api, ResourceExt, api::ListParams};
use tailrace_crds::{Experiment, LoadTest};

use super::observation::Observation;
use crate::{
    context::Context,
    controllers::now,
    writer::{Error, bounded},
};

/// Reads the Experiment and the LoadTests beside it, or nothing if it is gone. `cached` only says which one.
pub async fn observe(context: &Context, cached: &Experiment) -> Result<Option<Observation>, Error> {
    let namespace = cached.namespace().unwrap_or_default();
    let experiments = Api::<Experiment>::namespaced(context.client.clone(), &namespace);
    let Some(experiment) = bounded("read", cached, experiments.get_opt(&cached.name_any())).await? else {
        return Ok(None);
    };
    let tests = Api::<LoadTest>::namespaced(context.client.clone(), &namespace);
    let tests = bounded("list the LoadTests of", &experiment, tests.list(&ListParams::default())).await?.items;
    Ok(Some(Observation { experiment, tests, now: now() }))
}
