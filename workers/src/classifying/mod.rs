//! The classifying threads and the queue in front of them, whoever fills it.
//!
//! There is a thread for each core that the process is given. One thread whose images all cores share would answer an
//! image alone later (0.87 ms instead of 0.67) and fewer a second (1,358 instead of 3,373 one by one, 2,778 instead of
//! 3,127 eight by eight: `make bench-pipeline` on two cores). And there is no timer: a batch is what waits when a
//! thread is free, at most `--max-batch` images, so that one image alone is never delayed.

mod job;
mod metrics;
mod queue;
mod thread;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread as threads,
};

use anyhow::bail;
use prometheus_client::registry::Registry;
use tailrace_classifier::{InstructionSet, Model};

use crate::{ending::Ending, model::ModelArgs, self_check, sentence::sentence};
pub use job::{Job, Timing, Unclassified, label};
pub use metrics::{Metrics, RunningTotals, Totals};
use queue::Queue;
pub use queue::{Entrance, Full};
use thread::Thread;

/// The flags of every part that classifies.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The most images that one thread takes together. One image alone never waits for others.
    #[arg(long, env = "TAILRACE_MAX_BATCH", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_batch: u16,
}

/// Threads that classify.
pub struct Classifying {
    model: Arc<Model>,
    thread: Thread,
    threads: usize,
}

impl Classifying {
    /// Loads the model and starts the threads; returns when each has computed once. Should one fail later, the process
    /// ends with its reason.
    ///
    /// # Errors
    /// When the model cannot be loaded or computed, or there are no threads to be had.
    pub fn start(args: &Args, ending: &Arc<Ending>) -> anyhow::Result<Self> {
        let classifier = Arc::new(args.model.load()?);
        self_check::run(&classifier)?;
        let threads = threads::available_parallelism()?.get();
        let model = Arc::new(classifier.model().clone());
        let instructions = InstructionSet::in_use()?;
        tracing::info!("model {} ({}) on {threads} threads with {instructions}", model.name(), model.sha256());
        let thread =
            Thread { classifier, queue: Queue::new(threads), metrics: Metrics::default(), most: args.max_batch.into() };
        let (sender, warm) = channel();
        for number in 0..threads {
            spawn(number, &thread, sender.clone(), ending)?;
        }
        drop(sender);
        if warm.iter().take(threads).count() < threads {
            ending.result()?;
            bail!("a classifying thread ended at its start");
        }
        Ok(Self { model, thread, threads })
    }

    /// Which model classifies.
    pub fn model(&self) -> Arc<Model> {
        self.model.clone()
    }

    /// A way into the queue for so many images.
    pub fn entrance(&self, capacity: usize) -> Entrance<Box<dyn Job>> {
        self.thread.queue.entrance(capacity)
    }

    /// How many images all threads together have in hand at most.
    pub fn images_in_hand(&self) -> usize {
        self.threads * self.thread.most
    }

    /// What it has done since it started.
    pub fn totals(&self) -> RunningTotals {
        self.thread.metrics.totals()
    }

    /// Its metrics under their names.
    pub fn register(&self, registry: &mut Registry) {
        self.thread.metrics.register(registry.sub_registry_with_prefix("tailrace_inference"));
    }
}

/// However a thread ends, the process must not go on without it.
fn spawn(number: usize, thread: &Thread, warm: Sender<()>, ending: &Arc<Ending>) -> std::io::Result<()> {
    let (thread, ending) = (thread.clone(), ending.clone());
    threads::Builder::new().name(format!("classifier-{number}")).spawn(move || {
        match catch_unwind(AssertUnwindSafe(|| thread.run(warm))) {
            Ok(Err(error)) => ending.fail(sentence(&error)),
            Err(_) => ending.fail("a classifying thread panicked".to_owned()),
        }
    })?;
    Ok(())
}
