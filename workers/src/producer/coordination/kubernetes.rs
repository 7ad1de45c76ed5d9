use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher::watch_object},
};
use serde_json::json;
use tailrace_crds::{
    LoadTest, ProducerReport,
    producer_report::{ProducerProgress, ProducerReportStatus, Waiting},
};

use super::{
    super::{arguments::LoadTestArgs, measurement::Measurement},
    Coordination, Delivery, Progress,
};
use crate::backoff::Backoff;

const FIELD_MANAGER: &str = "tailrace-producer";
/// How long one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the API server may be away before a producer gives up: to claim its report and say that it is ready, to
/// deliver the result, and, within the time that Kubernetes gives a pod to end, to say why it failed.
const CLAIM_PATIENCE: Duration = Duration::from_secs(120);
const RESULT_PATIENCE: Duration = Duration::from_secs(600);
const FAILURE_PATIENCE: Duration = Duration::from_secs(20);

/// Works for a LoadTest: its status has the common start, and a ProducerReport takes what there is to say.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    load_tests: Api<LoadTest>,
    reports: Api<ProducerReport>,
    load_test: String,
    report: String,
    pod_uid: String,
    node: String,
    /// How long the common start may take to be known.
    start_timeout: Duration,
}

/// The API server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CoordinationError {
    /// It refused a write; another attempt would be refused, too.
    #[error("the ProducerReport {report} does not take {what}: {message}")]
    Refused {
        /// The report.
        report: String,
        /// What was written.
        what: &'static str,
        /// The server's words.
        message: String,
    },
    /// It was away for too long.
    #[error("{what} could not be written to the ProducerReport {report} within {patience:?}: {message}")]
    Away {
        /// What was written.
        what: &'static str,
        /// The report.
        report: String,
        /// How long it was tried.
        patience: Duration,
        /// What the last attempt said.
        message: String,
    },
    /// There is no LoadTest any more.
    #[error("the LoadTest {0} was deleted before it began")]
    Deleted(String),
    /// The LoadTest is over.
    #[error("the LoadTest {0} was over before it began")]
    Over(String),
    /// Nobody set the common start.
    #[error(
        "the LoadTest {load_test} has no start time {timeout:?} after this producer was ready: see the operator's log"
    )]
    NoStart {
        /// The LoadTest.
        load_test: String,
        /// How long it was waited for.
        timeout: Duration,
    },
}

impl Kubernetes {
    /// The coordination of a producer whose command line names a LoadTest; none if it does not.
    ///
    /// # Errors
    /// When the pod's service account cannot be read.
    pub async fn from_args(args: &LoadTestArgs, ready_timeout: Duration) -> anyhow::Result<Option<Self>> {
        let LoadTestArgs {
            load_test: Some(load_test),
            producer_report: Some(report),
            namespace: Some(namespace),
            pod_uid: Some(pod_uid),
            node: Some(node),
        } = args
        else {
            return Ok(None);
        };
        let client = Client::try_default().await.context("the API server cannot be reached")?;
        Ok(Some(Self {
            load_tests: Api::namespaced(client.clone(), namespace),
            reports: Api::namespaced(client, namespace),
            load_test: load_test.clone(),
            report: report.clone(),
            pod_uid: pod_uid.clone(),
            node: node.clone(),
            start_timeout: ready_timeout + CLAIM_PATIENCE,
        }))
    }

    /// Each write names the pod, so that the API server refuses it if the report belongs to another one.
    fn status(&self) -> ProducerReportStatus {
        ProducerReportStatus { pod_uid: Some(self.pod_uid.clone()), ..ProducerReportStatus::default() }
    }

    /// All that is written replaces what was waited for before.
    async fn write(
        &self,
        what: &'static str,
        status: &ProducerReportStatus,
        patience: Duration,
    ) -> Result<(), CoordinationError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let message = match self.attempt(status).await {
                Ok(()) => return Ok(()),
                Err(Failed::ForEver(message)) => {
                    return Err(CoordinationError::Refused { report: self.report.clone(), what, message });
                }
                Err(Failed::ForNow(message)) => message,
            };
            let delay = backoff.delay();
            if begun.elapsed() + delay >= patience {
                return Err(CoordinationError::Away { what, report: self.report.clone(), patience, message });
            }
            tracing::warn!("{what} could not be written and will be again: {message}");
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&self, status: &ProducerReportStatus) -> Result<(), Failed> {
        let mut patch = json!({ "status": status });
        if status.waiting.is_none() {
            // Left out, it would stay as it is.
            patch["status"]["waiting"] = serde_json::Value::Null;
        }
        let patch = Patch::Merge(patch);
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let written = self.reports.patch_status(&self.report, &parameters, &patch);
        match tokio::time::timeout(WRITE_TIMEOUT, written).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(refusal))) if matches!(refusal.code, 400 | 404 | 422) => {
                Err(Failed::ForEver(refusal.message.clone()))
            }
            Ok(Err(error)) => Err(Failed::ForNow(error.to_string())),
            Err(_) => Err(Failed::ForNow(format!("no answer within {WRITE_TIMEOUT:?}"))),
        }
    }

    async fn watch_for_start(&self) -> Result<Timestamp, CoordinationError> {
        let mut states = std::pin::pin!(watch_object(self.load_tests.clone(), &self.load_test).default_backoff());
        while let Some(state) = states.next().await {
            match state {
                Ok(Some(load_test)) => {
                    let status = load_test.status.unwrap_or_default();
                    if status.phase.is_final() {
                        return Err(CoordinationError::Over(self.load_test.clone()));
                    }
                    if let Some(MicroTime(start)) = status.start_time {
                        return Ok(start);
                    }
                }
                Ok(None) => return Err(CoordinationError::Deleted(self.load_test.clone())),
                Err(error) => tracing::warn!("watching the LoadTest {}: {error}", self.load_test),
            }
        }
        Err(self.no_start())
    }

    fn no_start(&self) -> CoordinationError {
        CoordinationError::NoStart { load_test: self.load_test.clone(), timeout: self.start_timeout }
    }
}

/// What came of an attempt to write.
enum Failed {
    ForNow(String),
    ForEver(String),
}

impl Coordination for Kubernetes {
    async fn claim(&self) -> anyhow::Result<()> {
        let status = ProducerReportStatus { node: Some(self.node.clone()), ..self.status() };
        Ok(self.write("its pod", &status, CLAIM_PATIENCE).await?)
    }

    /// One attempt: what is waited for longer is said again.
    async fn waits_for(&self, waiting: Option<&Waiting>) -> bool {
        let status = ProducerReportStatus { waiting: waiting.cloned(), ..self.status() };
        match self.attempt(&status).await {
            Ok(()) => true,
            Err(Failed::ForNow(message) | Failed::ForEver(message)) => {
                tracing::warn!("what it waits for could not be written: {message}");
                false
            }
        }
    }

    async fn common_start(&self) -> anyhow::Result<Timestamp> {
        let waiting = Waiting {
            reason: "CommonStart".to_owned(),
            message: "the common start, which is set when all producers of the LoadTest are ready".to_owned(),
        };
        let ready_at = Some(MicroTime(Timestamp::now()));
        let status = ProducerReportStatus { ready_at, waiting: Some(waiting), ..self.status() };
        self.write("that it is ready", &status, CLAIM_PATIENCE).await?;
        tracing::info!("ready; waiting for the common start");
        let started = tokio::time::timeout(self.start_timeout, self.watch_for_start()).await;
        Ok(started.map_err(|_| self.no_start())??)
    }

    /// One attempt: the next progress replaces it anyway.
    async fn progress(&self, Progress { counts, recent, since }: Progress) {
        let recent_latency = match recent.encode() {
            Ok(text) => text,
            Err(error) => return tracing::warn!("progress could not be written: {error}"),
        };
        let recent_millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let progress = ProducerProgress { messages: counts, recent_latency, recent_millis };
        let status = ProducerReportStatus { progress: Some(progress), ..self.status() };
        if let Err(Failed::ForNow(message) | Failed::ForEver(message)) = self.attempt(&status).await {
            tracing::warn!("progress could not be written: {message}");
        }
    }

    async fn aborted(&self) {
        let mut states = std::pin::pin!(watch_object(self.load_tests.clone(), &self.load_test).default_backoff());
        while let Some(state) = states.next().await {
            match state {
                Ok(Some(load_test)) if load_test.spec.abort => return tracing::info!("the test is aborted"),
                Ok(_) => {}
                Err(error) => tracing::warn!("watching the LoadTest {}: {error}", self.load_test),
            }
        }
        std::future::pending().await
    }
}

impl Delivery for Kubernetes {
    async fn deliver(&self, measurement: &Measurement) -> anyhow::Result<()> {
        let status = ProducerReportStatus { result: Some(measurement.result()?), ..self.status() };
        Ok(self.write("the result", &status, RESULT_PATIENCE).await?)
    }

    async fn fail(&self, sentence: &str) {
        let status = ProducerReportStatus { failure: Some(sentence.to_owned()), ..self.status() };
        if let Err(error) = self.write("the failure", &status, FAILURE_PATIENCE).await {
            tracing::warn!("{error}");
        }
    }
}
