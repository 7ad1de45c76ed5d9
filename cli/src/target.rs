//! Which object is meant.

use std::str::FromStr;

/// An object as kubectl's users name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The name of a LoadTest.
    LoadTest(String),
    /// The name of an Experiment.
    Experiment(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once('/').unwrap_or(("loadtest", text));
        if name.is_empty() || name.contains('/') {
            return Err("write NAME, loadtest/NAME or experiment/NAME".into());
        }
        match kind.to_ascii_lowercase().trim_end_matches(".tailrace.dev") {
            "loadtest" | "loadtests" | "trl" => Ok(Self::LoadTest(name.to_owned())),
            "experiment" | "experiments" | "tre" => Ok(Self::Experiment(name.to_owned())),
            _ => Err(format!(
                "\"{kind}\" is neither loadtest nor experiment: write NAME, loadtest/NAME or experiment/NAME"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_kubectl_writes_them() {
        let load_test = Ok(Target::LoadTest("first".into()));
        for text in ["first", "loadtest/first", "loadtests/first", "trl/first", "loadtest.tailrace.dev/first"] {
            assert_eq!(text.parse(), load_test);
        }
        assert_eq!("tre/sweep".parse(), Ok(Target::Experiment("sweep".into())));
        for text in ["", "pod/first", "loadtest/", "loadtest/a/b"] {
            assert!(text.parse::<Target>().unwrap_err().contains("experiment/NAME"), "{text}");
        }
    }
}
