use std::{collections::BTreeMap, path::PathBuf};

use tailrace_measure::slo::Slo;

use crate::producer::TestArgs;

/// Measures a pipeline with several producers, and writes the results into a folder.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What the producers do.
    #[command(flatten)]
    pub test: TestArgs,
    /// The name of this test in its results.
    #[arg(long, env = "TAILRACE_NAME", default_value = "load-test")]
    pub name: String,
    /// The name in the results of what is measured.
    #[arg(long, env = "TAILRACE_PIPELINE", default_value = "pipeline")]
    pub pipeline: String,
    /// The folder for the results. Those of an earlier test are replaced.
    #[arg(long, env = "TAILRACE_OUTPUT", default_value = "results")]
    pub output: PathBuf,
    /// What the result has to keep, such as `P95<=50ms`, `UnansweredPercent<=0` or `AchievedRatePercent>=99`: P50, P90,
    /// P95, P99, P999, Max, Mean, LostPercent, UnansweredPercent, AchievedRatePercent or AccuracyPercent. May be given
    /// several times, or separated by commas.
    #[arg(long = "slo", env = "TAILRACE_SLOS", value_delimiter = ',', value_name = "METRIC<=LIMIT")]
    pub slos: Vec<Slo>,
    /// A container image that takes part, for the results. May be given several times, or separated by commas.
    #[arg(long = "image", env = "TAILRACE_IMAGES", value_delimiter = ',', value_parser = image, value_name = "PART=IMAGE")]
    pub images: Vec<(String, String)>,
}

impl Args {
    /// Container images by part.
    pub fn images(&self) -> BTreeMap<String, String> {
        self.images.iter().cloned().collect()
    }
}

fn image(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(part, image)| !part.is_empty() && !image.is_empty());
    let (part, image) = parts.ok_or("write PART=IMAGE, such as kafka=apache/kafka:4.1.1")?;
    Ok((part.to_owned(), image.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &[&str]) -> Result<Args, String> {
        let line = ["load-test", "--bootstrap-servers", "localhost:9092"].iter().chain(words);
        CommandLine::try_parse_from(line).map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn objectives_may_be_repeated_or_separated_by_commas() {
        let repeated = parsed(&["--slo", "P95<=50ms", "--slo", "LostPercent<=0"]).unwrap();
        let separated = parsed(&["--slo", "P95<=50ms,LostPercent<=0"]).unwrap();
        assert_eq!(repeated.slos, separated.slos);
        assert_eq!(repeated.slos.len(), 2);
    }

    #[test]
    fn an_image_has_a_part() {
        let images = parsed(&["--image", "kafka=apache/kafka:4.1.1"]).unwrap().images();
        assert_eq!(images["kafka"], "apache/kafka:4.1.1");
        assert!(parsed(&["--image", "apache/kafka"]).unwrap_err().contains("write PART=IMAGE"));
    }
}
