//! Why a command could not do what it was asked for: one sentence each.

use std::{error::Error, path::PathBuf, time::Duration};

/// Anything that ends a command with the exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no cluster to speak to.
    #[error("no cluster to speak to: {0} (--kubeconfig FILE and --context NAME say which)")]
    Kubeconfig(String),
    /// It does not answer, or refuses.
    #[error("{what}: {why}")]
    Cluster {
        /// What was tried.
        what: String,
        /// The innermost reason.
        why: String,
    },
    /// It does not answer within the time that is waited.
    #[error("{0}: the cluster did not answer within {1:?}")]
    Timeout(String, Duration),
    /// There is no such object.
    #[error("{kind} \"{name}\" does not exist in namespace \"{namespace}\"")]
    NotFound {
        /// Such as `LoadTest`.
        kind: &'static str,
        /// As it was written.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// It has no result yet.
    #[error("{kind} \"{name}\" is not over (it is {phase}): wait for it with {wait}")]
    NotOver {
        /// Such as `LoadTest`.
        kind: &'static str,
        /// As it was written.
        name: String,
        /// Where it is on its way.
        phase: String,
        /// A command.
        wait: String,
    },
    /// It went away while it was followed.
    #[error("LoadTest \"{0}\" was deleted before it was over")]
    Deleted(String),
    /// Another object has its name now.
    #[error("LoadTest \"{0}\" was deleted before it was over, and another one has its name now")]
    Replaced(String),
    /// The form does not go with the kind.
    #[error("{0}")]
    Output(&'static str),
    /// A result that cannot be shown.
    #[error("the result cannot be shown: {0}")]
    Result(String),
    /// A file.
    #[error("{path} cannot be written: {why}")]
    File {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
}

impl Failure {
    /// Of a request.
    pub fn of_request(what: impl Into<String>, error: &kube::Error) -> Self {
        Self::Cluster { what: what.into(), why: innermost(error) }
    }
}

/// The reason at the end of the chain, which is what a user can do something about, in one line.
pub fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().lines().collect::<Vec<_>>().join(" ").trim().to_owned()
}
