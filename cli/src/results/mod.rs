//! From the objects of a cluster to plain results.

mod experiment;
mod intervals;
pub mod load_test;
mod raw_log;
mod verdict;

use kube::ResourceExt;
use tailrace_crds::{Experiment, LoadTest};
use tailrace_report::values::{Run, Sweep};

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
    if load_test.lost_its_histograms() {
        eprintln!(
            "the Experiment of LoadTest \"{name}\" has deleted its histograms, since it keeps those of its newest LoadTests \
             alone (spec.histogramsHistoryLimit): there are no pictures of them"
        );
    } else if let Some(histograms) = &status.histograms {
        run.intervals = intervals::read(cluster, &histograms.config_map).await?;
    }
    if load_test.spec.raw_log {
        run.raw_log = raw_log::read(cluster, &load_test.name_any(), load_test.spec.producers).await?;
    }
    Ok(run)
}

/// The results of an Experiment that is over, and of those of its LoadTests that still exist.
pub async fn of_experiment(cluster: &Cluster, name: &str) -> Result<(Sweep, Vec<Run>), Failure> {
    let experiment: Experiment = cluster.get("Experiment", name).await?;
    let status = experiment.status.clone().unwrap_or_default();
    if !status.phase.is_final() {
        return Err(Failure::NotOver {
            kind: "Experiment",
            name: name.to_owned(),
            phase: format!("{:?}", status.phase),
            wait: format!("kubectl wait --for=condition=Finished tre/{name} --timeout=24h"),
        });
    }
    let sweep = experiment::sweep(&experiment, &status);
    let mut runs = vec![];
    for repetition in sweep.points.iter().flat_map(|point| &point.repetitions) {
        match of_load_test(cluster, &repetition.name).await {
            Ok(run) => runs.push(run),
            Err(Failure::NotFound { name, .. }) => {
                eprintln!("LoadTest \"{name}\" does not exist any more: only the table has its numbers");
            }
            Err(Failure::NotOver { name, .. }) => eprintln!("LoadTest \"{name}\" is not over, and is left out"),
            Err(failure) => return Err(failure),
        }
    }
    Ok((sweep, runs))
}
