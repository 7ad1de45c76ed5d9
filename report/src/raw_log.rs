//! One line a message, as a producer leaves it at the end of its log: CSV, compressed with Zstandard, in base64 between
//! two lines that say so.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use tailrace_measure::raw_log::{END, FOLLOWS};

/// More than any producer writes: a bomb ends here.
const LONGEST_CSV: u64 = 1 << 30;

/// One message. Times are on the producer's monotonic clock, in microseconds from the common start; what did not happen
/// is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The index of the producer.
    pub producer: u32,
    /// The number of the message within its producer.
    pub sequence: u64,
    /// The part of the test to which its intended send belongs.
    pub window: Window,
    /// When it was to be sent.
    pub intended_us: i64,
    /// When it was sent.
    pub sent_us: Option<i64>,
    /// When Kafka had taken it.
    pub acknowledged_us: Option<i64>,
    /// When its answer came.
    pub answered_us: Option<i64>,
    /// How long it waited in the classifier.
    pub queue_us: Option<u64>,
    /// How long it was classified.
    pub compute_us: Option<u64>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A part of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Before the measurement.
    Warmup,
    /// What counts.
    Measurement,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered with the right label.
    Correct,
    /// Answered with a wrong label.
    Wrong,
    /// Answered with a label, and the right one is not known.
    Unlabelled,
    /// Answered with an error.
    Error,
    /// Not answered in time.
    Lost,
    /// Not taken by Kafka.
    SendError,
}

/// A log that holds no messages that can be read.
#[derive(Debug, thiserror::Error)]
pub enum RawLogError {
    /// The log has no such part.
    #[error("the log holds no raw log: the line \"{FOLLOWS}\" is missing")]
    Missing,
    /// The log ends before the raw log does.
    #[error("the raw log is cut short: the line \"{END}\" is missing")]
    CutShort,
    /// Not base64.
    #[error("the raw log is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not Zstandard.
    #[error("the raw log cannot be decompressed: {0}")]
    Zstandard(std::io::Error),
    /// Not the columns that are wanted.
    #[error("the raw log is not the CSV that was expected: {0}")]
    Csv(#[from] csv::Error),
}

impl Message {
    /// From the intended send to the answer with a label, in microseconds; none is infinite.
    pub fn latency_us(&self) -> Option<i64> {
        let labelled = matches!(self.outcome, Outcome::Correct | Outcome::Wrong | Outcome::Unlabelled);
        self.answered_us.filter(|_| labelled).map(|answered| answered - self.intended_us)
    }
}

/// The messages in the log of a producer's pod.
///
/// # Errors
/// A [`RawLogError`] if there is no raw log in it, or one that is not whole.
pub fn parse(log: &str) -> Result<Vec<Message>, RawLogError> {
    let mut lines = log.lines().skip_while(|line| line.trim() != FOLLOWS);
    lines.next().ok_or(RawLogError::Missing)?;
    let mut encoded = String::new();
    for line in lines {
        if line.trim() == END {
            return decode(&encoded);
        }
        // Other threads log, too: the lines of base64 are those without a space.
        if !line.trim().contains(' ') {
            encoded.push_str(line.trim());
        }
    }
    Err(RawLogError::CutShort)
}

fn decode(encoded: &str) -> Result<Vec<Message>, RawLogError> {
    let compressed = BASE64_STANDARD.decode(encoded)?;
    let mut csv = Vec::new();
    let decoder = zstd::Decoder::with_buffer(compressed.as_slice()).map_err(RawLogError::Zstandard)?;
    decoder.take(LONGEST_CSV).read_to_end(&mut csv).map_err(RawLogError::Zstandard)?;
    let messages = csv::Reader::from_reader(csv.as_slice()).into_deserialize();
    Ok(messages.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tailrace_measure::{
        accounting::{self, Record},
        raw_log::{HEADER, line},
    };

    use super::*;

    const CSV: &str =
        "producer,sequence,window,intended_us,sent_us,acknowledged_us,answered_us,queue_us,compute_us,outcome
0,0,warmup,0,12,900,2100,100,700,correct
0,1,measurement,50000,50010,50900,52149,100,700,wrong
0,2,measurement,100000,100010,100900,,,,lost
0,3,measurement,150000,150010,150900,152000,,,error
";

    fn log(csv: &str) -> String {
        let encoded = BASE64_STANDARD.encode(zstd::encode_all(csv.as_bytes(), 3).unwrap());
        let lines: Vec<_> = encoded.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("INFO ready\n{FOLLOWS}\n{}\n{END}\nINFO over\n", lines.join("\n"))
    }

    #[test]
    fn messages_are_found_at_the_end_of_a_log() {
        let messages = parse(&log(CSV)).unwrap();
        let outcomes: Vec<_> = messages.iter().map(|message| message.outcome).collect();
        assert_eq!(outcomes, [Outcome::Correct, Outcome::Wrong, Outcome::Lost, Outcome::Error]);
        let latencies: Vec<_> = messages.iter().map(Message::latency_us).collect();
        assert_eq!(latencies, [Some(2_100), Some(2_149), None, None], "what has no label has no finite latency");
        assert_eq!((messages[0].window, messages[1].window), (Window::Warmup, Window::Measurement));
        assert_eq!(
            (messages[1].queue_us, messages[2].sent_us, messages[2].answered_us),
            (Some(100), Some(100_010), None)
        );
    }

    #[test]
    fn what_a_producer_writes_is_read() {
        let ms = Duration::from_millis;
        let answer = accounting::Answer { outcome: accounting::Outcome::Unlabelled, queue: ms(1), compute: ms(2) };
        let record = Record {
            sequence: 7,
            measured: true,
            intended: ms(100),
            sent: Some(ms(101)),
            acknowledged: None,
            answered: Some((ms(110), answer)),
            lost: false,
        };
        let message = Message {
            producer: 3,
            sequence: 7,
            window: Window::Measurement,
            intended_us: 100_000,
            sent_us: Some(101_000),
            acknowledged_us: None,
            answered_us: Some(110_000),
            queue_us: Some(1_000),
            compute_us: Some(2_000),
            outcome: Outcome::Unlabelled,
        };
        assert_eq!(parse(&log(&format!("{HEADER}\n{}", line(3, &record)))).unwrap(), [message]);
    }

    #[test]
    fn what_others_log_in_between_is_passed_over() {
        let interrupted = log(CSV).replacen('\n', "\n2026-11-21T12:00:00Z  INFO another thread\n", 4);
        assert_eq!(parse(&interrupted).unwrap(), parse(&log(CSV)).unwrap());
    }

    #[test]
    fn a_log_without_messages_says_what_is_wrong_with_it() {
        let refused = |log: &str| parse(log).unwrap_err().to_string();
        assert!(refused("INFO ready\n").contains("holds no raw log"));
        assert!(refused(&log(CSV).replace(END, "")).contains("cut short"));
        assert!(refused(&format!("{FOLLOWS}\n!!!!\n{END}\n")).contains("not base64"));
        assert!(refused(&format!("{FOLLOWS}\nAAAA\n{END}\n")).contains("cannot be decompressed"));
        assert!(refused(&log("a,b\n1,2\n")).contains("not the CSV that was expected"));
    }
}
