//! From the objects of a cluster to plain results.

mod intervals;
pub mod load_test;
mod raw_log;
mod verdict;

use kube::ResourceExt;
use tailrace_crds::LoadTest;
use tailrace_report::values::Run;

pub use verdict::verdict;

use crate::{cluster::Cluster, failure::Failure};

/// The result of a LoadTest that is over, with all that was kept of it.
pub async fn of_load_test(cluster: &Cluster, name: &str) -> Result<Run, Failure> {
    let load_test: LoadTest = cluster.get("LoadTest", name).await?;
    let status = load_test.status.clone().unwrap_or_default();
    let Some(verdict) = verdict(&status) else {
        return Err(Failure::NotOver {
            kind: "LoadTest",
            name: name.to_owned(),
            phase: format!("{:?}", status.phase),
            wait: format!("kubectl tailrace watch {name}"),
        });
    };
    let mut run = load_test::run(&load_test, &status, verdict);
    if let Some(histograms) = &status.histograms {
        run.intervals = intervals::read(cluster, &histograms.config_map).await?;
    }
    if load_test.spec.raw_log {
        run.raw_log = raw_log::read(cluster, &load_test.name_any(), load_test.spec.producers).await?;
    }
    Ok(run)
}
