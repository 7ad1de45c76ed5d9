//! `kubectl tailrace watch`

mod display;
mod line;

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tailrace_crds::LoadTest;
use tailrace_measure::judgement::Verdict;

use self::display::Display;
use crate::{
    arguments::Watch,
    cluster::Cluster,
    failure::{Failure, innermost},
    results,
    target::Target,
};

/// How long the cluster may be away before that is the end.
const PATIENCE: Duration = Duration::from_secs(300);
/// The API server ends a watch after so many seconds, and a new one is begun.
const WATCH_SECONDS: u32 = 30;

/// Follows a LoadTest until it is over, and returns what came of it.
pub async fn run(cluster: &Cluster, arguments: &Watch) -> Result<Verdict, Failure> {
    let Target::LoadTest(name) = &arguments.target else {
        return Err(Failure::Output("only a LoadTest can be watched: write its name, or use kubectl get tre -w"));
    };
    // What is not there, or cannot be reached at all, is said at once.
    let mut seen: LoadTest = cluster.get("LoadTest", name).await?;
    let uid = seen.uid();
    let display = Display::new();
    let mut changes = pin!(changes(cluster, name));
    loop {
        if seen.uid() != uid {
            return Err(Failure::Replaced(name.clone()));
        }
        if let Some(verdict) = verdict(&seen) {
            display.finish(&seen, verdict);
            return Ok(verdict);
        }
        display.show(&seen);
        seen = next(name, &mut changes, &display).await?;
    }
}

fn verdict(load_test: &LoadTest) -> Option<Verdict> {
    load_test.status.as_ref().and_then(results::verdict)
}

/// What becomes of a LoadTest. Errors are tried again for ever, with growing pauses.
fn changes(cluster: &Cluster, name: &str) -> impl Stream<Item = watcher::Result<Event<LoadTest>>> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    watcher::watcher(cluster.api(), config).default_backoff()
}

/// The LoadTest after its next change.
async fn next(
    name: &str,
    changes: &mut (impl Stream<Item = watcher::Result<Event<LoadTest>>> + Unpin),
    display: &Display,
) -> Result<LoadTest, Failure> {
    let (mut listed, mut trouble_since) = (None, None);
    let deleted = || Failure::Deleted(name.to_owned());
    while let Some(change) = changes.next().await {
        match change {
            Ok(Event::Apply(load_test)) => return Ok(load_test),
            // It may have ended, and been deleted, while the cluster was away.
            Ok(Event::Delete(load_test)) if verdict(&load_test).is_some() => return Ok(load_test),
            Ok(Event::Delete(_)) => return Err(deleted()),
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(load_test)) => listed = Some(load_test),
            Ok(Event::InitDone) => return listed.ok_or_else(deleted),
            Err(error) => {
                let since = *trouble_since.get_or_insert_with(|| {
                    display.say(&format!("the cluster does not answer, trying again: {}", innermost(&error)));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    let what = format!("gave up after {PATIENCE:?} without an answer");
                    return Err(Failure::Cluster { what, why: innermost(&error) });
                }
            }
        }
    }
    Err(deleted())
}
