//! Of several operators one works: the one that holds the lease.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio_util::sync::CancellationToken;

use crate::settings::LeaseSettings;

/// Seconds after which the lease of an operator that died is free.
const LEASE_SECONDS: u64 = 10;
/// Seconds before that at which it is renewed.
const RENEW_EARLIER_SECONDS: u64 = 7;
/// How often an operator that waits for the lease says so. The first time is after the lease of one that died would be
/// free.
const SAY_AGAIN: Duration = Duration::from_secs(15);

/// Why an operator stopped leading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another operator has taken the lease.
    #[error("the lease {0} was lost to another operator")]
    Lost(String),
    /// The lease could not be read or written.
    #[error("the lease cannot be held: {0}")]
    Lease(#[from] LeaseManagerError),
    /// The task that renews the lease ended by itself.
    #[error("the renewal of the lease failed: {0}")]
    Renewal(#[from] tokio::task::JoinError),
}

/// Waits for the lease, runs `work` while it is held and gives it back when `shutdown` is cancelled.
///
/// The token that `work` gets is cancelled when it has to end.
///
/// # Errors
/// When the lease is lost, after `work` has ended: the process should end too, and come back as a candidate.
pub async fn lead<W: Future<Output = ()>>(
    client: Client,
    settings: &LeaseSettings,
    shutdown: CancellationToken,
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<(), Error> {
    let lease = LeaseManagerBuilder::new(client.clone(), &settings.name)
        .with_namespace(&settings.namespace)
        .with_identity(&settings.identity)
        .with_duration(LEASE_SECONDS)
        .with_grace(RENEW_EARLIER_SECONDS)
        .build()
        .await?;
    let (mut leading, renewal) = lease.watch().await;

    let won = tokio::select! {
        won = leading.wait_for(|leading| *leading) => won.is_ok(),
        () = shutdown.cancelled() => false,
        () = say_who_leads(&client, settings) => false,
    };
    let mut lost = false;
    if won {
        tracing::info!(identity = settings.identity, "leading");
        let ending = shutdown.child_token();
        let watch_lease = async {
            tokio::select! {
                _ = leading.wait_for(|leading| !*leading) => { lost = true; ending.cancel(); }
                () = ending.cancelled() => {}
            }
        };
        tokio::join!(work(ending.clone()), watch_lease);
    }
    drop(leading);
    renewal.await??;
    if lost { Err(Error::Lost(settings.name.clone())) } else { Ok(()) }
}

/// Logs again and again which operator holds the lease. It never ends.
async fn say_who_leads(client: &Client, settings: &LeaseSettings) {
    let LeaseSettings { identity, namespace, name } = settings;
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    loop {
        tokio::time::sleep(SAY_AGAIN).await;
        match leases.get_opt(name).await {
            Ok(lease) => {
                let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_else(|| "nobody".into());
                tracing::info!(identity, "waits for the lease {name} in namespace {namespace}, which {holder} holds");
            }
            Err(error) => tracing::warn!(identity, "waits for the lease {name} in namespace {namespace}: {error}"),
        }
    }
}
