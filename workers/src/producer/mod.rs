//! Sends images on a schedule and measures how long their answers take.
//!
//! A run goes through these steps, each of them a file here:
//! 1. [`arguments`] become a [`plan`].
//! 2. The images are encoded ([`dataset`]) while Kafka is connected to ([`connection`]).
//! 3. The classifier must have nothing left to do ([`idle`]). Whatever is waited for until then is said ([`waiting`]).
//! 4. The producer says that it is ready and learns the common start ([`coordination`]), which becomes the zero of a
//!    monotonic [`clock`].
//! 5. Threads of their own send and receive ([`load`], [`replies`]) and enter what happens into the [`accounts`].
//! 6. The [`measurement`] is delivered.

mod accounts;
mod arguments;
mod clock;
mod connection;
mod coordination;
mod dataset;
mod idle;
mod load;
mod measurement;
mod outstanding;
mod plan;
mod raw_log;
mod replies;
mod session;
mod skipped;
mod throttling;
mod waiting;

pub use arguments::{Args, LoadModel, LoadTestArgs, Member, TestArgs};
pub use dataset::{DatasetArgs, DatasetSource};

pub(crate) use coordination::{Coordination, Progress};
pub(crate) use measurement::Measurement;
pub(crate) use session::measure;

use coordination::{Alone, Delivery, Kubernetes};

use crate::{sentence::sentence, shutdown};

/// Runs the load and delivers its measurement: to the ProducerReport of a LoadTest, or to standard output.
///
/// # Errors
/// When there is no measurement, or when it could not be delivered; the ProducerReport says why, too, if it can be
/// reached.
pub fn run(args: Args) -> anyhow::Result<()> {
    // One thread for the API server and for signals: what is timed has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Kubernetes::from_args(&args.load_test, args.test.ready_timeout).await? {
            Some(load_test) => work_for(&load_test, &args).await,
            None => work_for(&Alone, &args).await,
        }
    })
}

async fn work_for<C: Delivery>(coordination: &C, args: &Args) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    let member = Member::new(args.index, args.source.clone());
    let measured = tokio::select! {
        measured = measure(&args.test, &member, coordination, &stop) => measured,
        () = stop.cancelled() => Err(anyhow::anyhow!("the producer was asked to stop before the end of its run")),
    };
    match measured {
        Ok(mut measurement) => {
            let log = measurement.raw_log.take();
            let written = log.map_or(Ok(()), |log| log.write(&mut std::io::stdout().lock()));
            // The numbers are there whether the log could be written or not.
            coordination.deliver(&measurement).await?;
            Ok(written?)
        }
        Err(failure) => {
            stop.cancel();
            coordination.fail(&sentence(&failure)).await;
            Err(failure)
        }
    }
}
