//! An error in one sentence.

/// The error and its causes, each once: many errors quote their cause already.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow!("connection refused").context("no broker").context("cannot start: no broker");
        assert_eq!(sentence(&error), "cannot start: no broker: connection refused");
    }
}
