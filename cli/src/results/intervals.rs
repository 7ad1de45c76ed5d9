//! The measurement second by second, from the ConfigMap that belongs to a LoadTest.

use k8s_openapi::api::core::v1::ConfigMap;
use tailrace_measure::intervals::{Files, Intervals};

use crate::{cluster::Cluster, failure::Failure};

/// None, and a word about it, if it was deleted.
pub async fn read(cluster: &Cluster, name: &str) -> Result<Option<Intervals>, Failure> {
    let config_map: ConfigMap = match cluster.get("ConfigMap", name).await {
        Err(Failure::NotFound { .. }) => {
            eprintln!("ConfigMap \"{name}\" with the histograms was deleted: there are no pictures of them");
            return Ok(None);
        }
        found => found?,
    };
    let mut data = config_map.data.unwrap_or_default();
    let mut file = |key: &str| {
        data.remove(key).ok_or_else(|| Failure::Result(format!("the ConfigMap \"{name}\" has no key {key}")))
    };
    let files = Files { histograms: file(Files::HISTOGRAMS)?, counts: file(Files::COUNTS)? };
    let intervals = files.read().map_err(|error| Failure::Result(format!("the ConfigMap \"{name}\": {error}")))?;
    Ok(Some(intervals))
}
