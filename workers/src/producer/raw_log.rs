//! A line for each message, compressed, at the end of the log.

use std::io::{self, Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use tailrace_measure::{
    accounting::Record,
    raw_log::{END, FOLLOWS, HEADER, line},
};

/// What is kept of a pod's log is 10 MiB by default; in base64 this takes eight of them.
const MOST_BYTES: usize = 6 << 20;
const LINE: usize = 4_096;

/// The messages of one producer in CSV, as they are settled, compressed with Zstandard.
pub struct RawLog {
    producer: u32,
    compressor: zstd::Encoder<'static, Vec<u8>>,
    left_out: u64,
}

impl RawLog {
    /// An empty log of the producer with this index.
    ///
    /// # Errors
    /// Those of the compressor.
    pub fn new(producer: u32) -> io::Result<Self> {
        let mut compressor = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        writeln!(compressor, "{HEADER}")?;
        Ok(Self { producer, compressor, left_out: 0 })
    }

    /// Adds a line for each record. When the log is full, the rest is only counted.
    ///
    /// # Errors
    /// Those of the compressor.
    pub fn add(&mut self, records: &[Record]) -> io::Result<()> {
        for (index, record) in records.iter().enumerate() {
            if self.compressor.get_ref().len() >= MOST_BYTES {
                self.left_out += (records.len() - index) as u64;
                break;
            }
            self.compressor.write_all(line(self.producer, record).as_bytes())?;
        }
        Ok(())
    }

    /// Writes the log in base64 between two lines that can be found again.
    ///
    /// # Errors
    /// Those of the compressor, and of `output`.
    pub fn write(self, output: &mut impl Write) -> io::Result<()> {
        if self.left_out > 0 {
            tracing::warn!("the raw log is full: {} messages are not in it", self.left_out);
        }
        let text = BASE64_STANDARD.encode(self.compressor.finish()?);
        writeln!(output, "{FOLLOWS}")?;
        for line in text.as_bytes().chunks(LINE) {
            output.write_all(line)?;
            output.write_all(b"\n")?;
        }
        writeln!(output, "{END}")?;
        output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tailrace_measure::accounting::{Answer, Outcome};

    use super::*;

    fn record(sequence: u64) -> Record {
        let ms = Duration::from_millis;
        let answer = Answer { outcome: Outcome::Wrong, queue: ms(1), compute: ms(2) };
        Record {
            sequence,
            measured: true,
            intended: ms(100),
            sent: Some(ms(101)),
            acknowledged: None,
            answered: Some((ms(110), answer)),
            lost: false,
        }
    }

    fn lines(log: RawLog) -> Vec<String> {
        let mut output = Vec::new();
        log.write(&mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        let body = text.strip_prefix(&format!("{FOLLOWS}\n")).unwrap().strip_suffix(&format!("{END}\n")).unwrap();
        let bytes = BASE64_STANDARD.decode(body.replace('\n', "")).unwrap();
        let csv = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap();
        csv.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_message_has_a_line() {
        let mut log = RawLog::new(3).unwrap();
        let never_sent = Record { sent: None, answered: None, measured: false, ..record(8) };
        let lost =
            Record { acknowledged: Some(Duration::from_micros(101_500)), answered: None, lost: true, ..record(9) };
        log.add(&[record(7), never_sent, lost]).unwrap();
        let expected = [
            HEADER,
            "3,7,measurement,100000,101000,,110000,1000,2000,wrong",
            "3,8,warmup,100000,,,,,,send_error",
            "3,9,measurement,100000,101000,101500,,,,lost",
        ];
        assert_eq!(lines(log), expected);
    }

    #[test]
    fn a_full_log_ends_and_stays_readable() {
        let mut log = RawLog::new(0).unwrap();
        let mut state = 1u64;
        let mut noisy = |sequence| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Record {
                intended: Duration::from_micros(state),
                sent: Some(Duration::from_micros(state >> 1)),
                ..record(sequence)
            }
        };
        let records: Vec<_> = (0..400_000).map(&mut noisy).collect();
        log.add(&records).unwrap();
        assert!(log.left_out > 0);
        let (kept, left_out) = (records.len() as u64 - log.left_out, log.left_out);
        assert_eq!(lines(log).len() as u64, kept + 1, "{left_out} were left out");
    }
}
