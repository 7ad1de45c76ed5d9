//! Intervals as files: histograms in HdrHistogram's log format V2, which its tools read in every language, and the
//! counts beside them as CSV.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry},
};

use super::{Buckets, Interval, Intervals};
use crate::histogram::{DecodeError, EncodeError, LatencyHistogram};

/// The first line of the counts.
const HEADER: &str = "second,scheduled,answered";

/// Both files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// HdrHistogram's log: a histogram an interval, values in microseconds.
    pub histograms: String,
    /// A line an interval: the second in which it begins, images scheduled in it, images answered in it.
    pub counts: String,
}

/// Files that are not those of intervals.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A line of the log is not one of HdrHistogram's.
    #[error("entry {0} is not one of HdrHistogram's log format")]
    Entry(usize),
    /// A histogram cannot be read.
    #[error("interval {0}: {1}")]
    Histogram(usize, DecodeError),
    /// A line of the counts is no line of whole numbers.
    #[error("line {0} of the counts is not of the form {HEADER}")]
    Counts(usize),
    /// One file has more intervals than the other, or there are none at all.
    #[error("there are {histograms} histograms and {counts} lines of counts")]
    Length {
        /// In one file.
        histograms: usize,
        /// In the other.
        counts: usize,
    },
}

impl Files {
    /// What the file of the histograms is called.
    pub const HISTOGRAMS: &str = "latency.hlog";
    /// What the file of the counts is called.
    pub const COUNTS: &str = "intervals.csv";

    /// The files of a measurement that began at `start`.
    ///
    /// # Errors
    /// Those of the compressor, which writes to memory.
    pub fn write(intervals: &Intervals, start: SystemTime) -> Result<Self, EncodeError> {
        Ok(Self { histograms: histograms(intervals, start)?, counts: counts(intervals) })
    }

    /// The intervals as they were written.
    ///
    /// # Errors
    /// A [`ReadError`] for anything else.
    pub fn read(&self) -> Result<Intervals, ReadError> {
        let (length, latencies) = read_histograms(&self.histograms)?;
        let counts = self.counts.lines().skip(1).enumerate();
        let counts = counts.map(|(index, line)| read_counts(line).ok_or(ReadError::Counts(index + 2)));
        let counts = counts.collect::<Result<Vec<_>, _>>()?;
        if counts.is_empty() || counts.len() != latencies.len() {
            return Err(ReadError::Length { histograms: latencies.len(), counts: counts.len() });
        }
        let intervals = counts.into_iter().zip(latencies);
        let intervals = intervals.map(|((scheduled, answered), latency)| Interval { scheduled, answered, latency });
        Ok(Intervals::of(length, intervals.collect()))
    }
}

fn histograms(intervals: &Intervals, start: SystemTime) -> Result<String, EncodeError> {
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let failed = |error: &dyn std::fmt::Display| EncodeError::new(error);
    let mut log = IntervalLogWriterBuilder::new();
    log.add_comment("[Histogram log format version 1.3]")
        .add_comment("Latencies in microseconds, by the second in which the image was to be sent.")
        .with_start_time(start);
    let mut writer = log.begin_log_with(&mut text, &mut serializer).map_err(|error| failed(&error))?;
    let mut begins = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for interval in intervals.list() {
        let histogram = LatencyHistogram::from(&interval.latency);
        let written = writer.write_histogram(histogram.inner(), begins, intervals.length(), None);
        written.map_err(|error| failed(&error))?;
        begins += intervals.length();
    }
    String::from_utf8(text).map_err(|error| failed(&error))
}

fn counts(intervals: &Intervals) -> String {
    let mut text = format!("{HEADER}\n");
    for (index, interval) in (0u64..).zip(intervals.list()) {
        let second = index * intervals.length().as_secs();
        // A String takes all that is written to it.
        let _ = writeln!(text, "{second},{},{}", interval.scheduled, interval.answered);
    }
    text
}

fn read_histograms(log: &str) -> Result<(Duration, Vec<Buckets>), ReadError> {
    let (mut length, mut latencies) = (Duration::ZERO, Vec::new());
    for (index, entry) in IntervalLogIterator::new(log.as_bytes()).enumerate() {
        let LogEntry::Interval(interval) = entry.map_err(|_| ReadError::Entry(index + 1))? else { continue };
        let histogram = LatencyHistogram::decode(interval.encoded_histogram());
        let histogram = histogram.map_err(|error| ReadError::Histogram(latencies.len(), error))?;
        latencies.push(Buckets::from(&histogram));
        length = interval.duration();
    }
    Ok((length, latencies))
}

fn read_counts(line: &str) -> Option<(u64, u64)> {
    let fields = line.split(',').map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    match fields[..] {
        [_second, scheduled, answered] => Some((scheduled, answered)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_millis(1_800_000_000_500);

    fn intervals() -> Intervals {
        let mut intervals = Intervals::new(Duration::from_secs(3));
        for millis in (0..3_000).step_by(10) {
            let intended = Duration::from_millis(millis);
            intervals.count_scheduled(intended);
            let latency = Duration::from_micros(1_000 + millis * 7);
            intervals.record(intended, intended + latency, Some(latency));
        }
        intervals
    }

    fn files() -> Files {
        Files::write(&intervals(), SystemTime::UNIX_EPOCH + START).unwrap()
    }

    #[test]
    fn intervals_come_back_from_their_files() {
        assert_eq!(files().read().unwrap(), intervals());
    }

    #[test]
    fn the_files_can_be_read_by_people() {
        let Files { histograms, counts } = files();
        assert!(histograms.starts_with("#[Histogram log format version 1.3]\n"), "{histograms}");
        assert!(histograms.contains("\n#[StartTime: 1800000000.500"), "{histograms}");
        let second = histograms.lines().filter(|line| !line.starts_with('#')).nth(1).unwrap();
        assert!(second.starts_with("1800000001.500,1.000,"), "{second}");
        assert_eq!(counts, "second,scheduled,answered\n0,100,100\n1,100,99\n2,100,99\n");
    }

    #[test]
    fn what_is_not_written_so_is_refused_with_its_place() {
        let refused = |change: fn(&mut Files)| {
            let mut files = files();
            change(&mut files);
            files.read().unwrap_err().to_string()
        };
        assert!(refused(|files| files.counts.push_str("3,1\n")).contains("line 5"));
        assert!(refused(|files| files.counts.push_str("3,1,1\n")).contains("3 histograms and 4 lines"));
        assert!(refused(|files| files.histograms.push_str("1.0,1.0,1.0,AAAA\n")).contains("interval 3"));
        assert!(refused(|files| files.histograms.push_str("so it is\n")).contains("entry"));
    }
}
