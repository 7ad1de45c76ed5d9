//! What the database needs now and then: documents that have been kept for long enough go, and how full it is is said.

use std::time::Duration;

use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};
use tailrace_crds::pipeline::VolumeUse;
use tokio_util::sync::CancellationToken;

use super::{expiry::Expiry, metrics::Metrics};
use crate::{readiness::Readiness, shutdown};

/// How often.
const INTERVAL: Duration = Duration::from_secs(300);
/// After something failed.
const AGAIN: Duration = Duration::from_secs(30);

/// Goes on until asked to stop.
pub async fn run(
    database: Database,
    retention: Option<Duration>,
    readiness: Readiness,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut expiry = Expiry::new(database.clone(), retention);
    while !stop.is_cancelled() {
        let done = look(&database, &mut expiry, &readiness, &metrics, &stop).await;
        let failed = done.inspect_err(|error| tracing::warn!("the upkeep of the database: {error}")).is_err();
        shutdown::sleep(&stop, if failed { AGAIN } else { INTERVAL }).await;
    }
}

async fn look(
    database: &Database,
    expiry: &mut Expiry,
    readiness: &Readiness,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> mongodb::error::Result<()> {
    expiry.enforce(stop).await?;
    if let Some(volume) = volume(&database.run_command(doc! {"dbStats": 1}).await?) {
        metrics.volume(&volume);
        readiness.volume("database", volume);
    }
    Ok(())
}

/// MongoDB says how full its file system is, FerretDB only how large its files are.
fn volume(stats: &Document) -> Option<VolumeUse> {
    let bytes = |name| match stats.get(name)? {
        Bson::Double(number) => Some(*number as i64),
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    };
    match (bytes("fsUsedSize"), bytes("fsTotalSize")) {
        (Some(used_bytes), capacity_bytes @ Some(_)) => Some(VolumeUse { used_bytes, capacity_bytes }),
        _ => Some(VolumeUse { used_bytes: bytes("totalSize").or_else(|| bytes("storageSize"))?, capacity_bytes: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_preferred_to_the_files() {
        let files = doc! {"db": "iot", "storageSize": 100.0, "totalSize": 120_i64};
        assert_eq!(volume(&files), Some(VolumeUse { used_bytes: 120, capacity_bytes: None }));
        let both = doc! {"totalSize": 120, "fsUsedSize": 700.0, "fsTotalSize": 1000.0};
        assert_eq!(volume(&both), Some(VolumeUse { used_bytes: 700, capacity_bytes: Some(1000) }));
        assert_eq!(volume(&doc! {}), None);
    }
}
