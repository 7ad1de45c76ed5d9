//! A classifying thread: takes what waits, decodes it, classifies it, answers it.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc::Sender},
    time::Instant,
};

use tailrace_classifier::{Classifier, Pixels, Probabilities, RAW_BYTES};

use super::{
    job::{Job, Timing, Unclassified},
    metrics::{Metrics, Outcome},
    queue::Queue,
};

/// What each thread needs.
#[derive(Clone)]
pub struct Thread {
    pub classifier: Arc<Classifier>,
    pub queue: Arc<Queue<Box<dyn Job>>>,
    pub metrics: Metrics,
    /// The most images of a batch.
    pub most: usize,
}

impl Thread {
    /// Works until the process ends. The first computation of a thread is slow: `warm` hears when it is over.
    pub fn run(&self, warm: Sender<()>) -> anyhow::Result<Infallible> {
        self.classifier.probabilities(&[Pixels::from_rgb(&[0; RAW_BYTES])?])?;
        // Nobody listens where another thread failed already.
        let _ = warm.send(());
        drop(warm);
        loop {
            self.answer(self.queue.take(self.most))?;
        }
    }

    fn answer(&self, mut batch: Vec<Box<dyn Job>>) -> anyhow::Result<()> {
        let started = Instant::now();
        batch.retain(|job| {
            let abandoned = job.is_abandoned();
            if abandoned {
                self.metrics.image(Outcome::Abandoned, started.saturating_duration_since(job.arrived()));
            }
            !abandoned
        });
        if batch.is_empty() {
            return Ok(());
        }
        let outcomes = self.classify(&batch);
        let compute = started.elapsed();
        self.metrics.batch(batch.len(), compute);
        for (job, outcome) in batch.into_iter().zip(outcomes) {
            let queue = started.saturating_duration_since(job.arrived());
            self.metrics.answered(Outcome::of(&outcome), queue, compute);
            job.answer(outcome, Timing { queue, compute })?;
        }
        Ok(())
    }

    /// What became of each image, in their order. One that cannot be decoded is no hindrance to those beside it.
    fn classify(&self, batch: &[Box<dyn Job>]) -> Vec<Result<Probabilities, Unclassified>> {
        let (mut pixels, mut refusals) = (Vec::new(), Vec::new());
        for job in batch {
            match decode_safely(&**job) {
                Ok(decoded) => {
                    pixels.push(decoded);
                    refusals.push(None);
                }
                Err(refusal) => refusals.push(Some(refusal)),
            }
        }
        let computed = self.classifier.probabilities(&pixels).map_err(|error| {
            tracing::error!("{} images of a batch were not classified: {error}", pixels.len());
            error.to_string()
        });
        let mut classified = computed.as_deref().unwrap_or_default().iter();
        let failure = || Unclassified::Failed(computed.as_ref().err().cloned().unwrap_or_default());
        let outcome = |refusal| match refusal {
            Some(refusal) => Err(refusal),
            None => classified.next().cloned().ok_or_else(failure),
        };
        refusals.into_iter().map(outcome).collect()
    }
}

/// A decoder that panics on hostile bytes must not take down the images beside them.
fn decode_safely(job: &dyn Job) -> Result<Pixels, Unclassified> {
    catch_unwind(AssertUnwindSafe(|| job.decode())).map_err(|_| Unclassified::DecoderPanicked)?
}
