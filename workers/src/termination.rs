//! What a finished container says: Kubernetes shows it in the pod's status.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::sentence::sentence;

/// Kubernetes shows no more of a message, in bytes.
const LONGEST: usize = 4096;

/// Where the message goes.
#[derive(clap::Args, Debug, Clone)]
pub struct TerminationMessage {
    /// The file for the result (JSON) or the reason of the failure (one sentence); ignored where it does not exist.
    #[arg(long = "termination-message", env = "TAILRACE_TERMINATION_MESSAGE", default_value = "/dev/termination-log")]
    path: PathBuf,
}

impl TerminationMessage {
    /// Writes the result as JSON, or the failure as a sentence, and hands the outcome on. The result is also printed.
    ///
    /// # Errors
    /// The outcome's own, or that of serialising it.
    pub fn report<T: Serialize>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<()> {
        match outcome {
            Ok(result) => {
                let json = serde_json::to_string(&result)?;
                println!("{json}");
                self.write(&json);
                Ok(())
            }
            Err(error) => {
                self.write(&sentence(&error));
                Err(error)
            }
        }
    }

    fn write(&self, message: &str) {
        let message = shortened(message);
        match overwrite(&self.path, message) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("cannot write the termination message to {}: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

fn shortened(message: &str) -> &str {
    let end = (0..=LONGEST.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    &message[..end.unwrap_or(0)]
}

/// The file is not created: only Kubernetes knows whether it wants one.
fn overwrite(path: &Path, message: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(message.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_ends_between_two_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(LONGEST)).len(), LONGEST);
        assert_eq!(shortened(&format!("a{}", "é".repeat(LONGEST))).len(), LONGEST - 1);
    }
}
