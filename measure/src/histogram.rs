//! Latencies in microseconds. All histograms of the project have the same bounds, so that their sum loses nothing.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::ZlibDecoder;
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};

/// The smallest value, in microseconds.
pub const LOWEST_MICROS: u64 = 1;
/// The largest value, one hour, in microseconds.
pub const HIGHEST_MICROS: u64 = 3_600_000_000;
/// Values are kept to this many significant decimal digits.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of latencies from 1 µs to 1 h with 3 significant digits.
///
/// ```
/// use tailrace_measure::histogram::LatencyHistogram;
///
/// let mut one = LatencyHistogram::new();
/// one.record(1_500)?;
/// let mut other = LatencyHistogram::decode(&one.encode()?)?;
/// other.add(&one);
/// assert_eq!(other.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram(Histogram<u64>);

/// The latency was longer than one hour and was not recorded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a latency of {0} µs is above the histogram's range of 1 h")]
pub struct AboveRange(pub u64);

/// The histogram could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the histogram cannot be encoded: {0}")]
pub struct EncodeError(String);

impl EncodeError {
    pub(crate) fn new(cause: &dyn std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// A text is not a histogram of this project.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The DEFLATE stream is broken.
    #[error("the histogram cannot be inflated: {0}")]
    Inflate(#[from] std::io::Error),
    /// The inflated bytes are not HdrHistogram V2 with the project's bounds.
    #[error("the histogram is not HdrHistogram V2 from 1 µs to 1 h with 3 digits")]
    Format,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl LatencyHistogram {
    /// An empty histogram.
    #[expect(clippy::expect_used, reason = "the bounds are constants, and every test would fail")]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LOWEST_MICROS, HIGHEST_MICROS, SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are those of a histogram"))
    }

    /// Records one latency in microseconds; 0 counts as 1.
    ///
    /// # Errors
    /// [`AboveRange`] above one hour: nothing is clipped, so the value is not in the histogram.
    pub fn record(&mut self, micros: u64) -> Result<(), AboveRange> {
        if micros > HIGHEST_MICROS {
            return Err(AboveRange(micros));
        }
        self.0.record(micros.max(LOWEST_MICROS)).map_err(|_| AboveRange(micros))
    }

    /// Adds all values of the other histogram. Nothing is lost, since both have the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// The largest value, in microseconds, that counts as equal to this one; 0 counts as 1.
    ///
    /// # Errors
    /// [`AboveRange`] above one hour.
    pub fn bucket(micros: u64) -> Result<u64, AboveRange> {
        if micros > HIGHEST_MICROS {
            return Err(AboveRange(micros));
        }
        // Values with more bits than 2 · 10^digits needs are kept without their lowest ones: 2,048 is the power above it.
        let lost_bits = (u64::BITS - micros.leading_zeros()).saturating_sub(11);
        Ok(micros.max(LOWEST_MICROS) | ((1 << lost_bits) - 1))
    }

    /// The largest value of each bucket that is not empty in microseconds, ascending, and how many values are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let steps = self.0.iter_recorded();
        steps.map(|step| (self.0.highest_equivalent(step.value_iterated_to()), step.count_since_last_iteration()))
    }

    /// Records the value of a bucket so many times.
    pub(crate) fn record_many(&mut self, bucket: u64, count: u64) {
        // The largest bucket ends above the range, and its values do not.
        let _ = self.0.record_n(bucket.min(HIGHEST_MICROS), count);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest value in microseconds, or none if the histogram is empty.
    pub fn min(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.min())
    }

    /// The largest value in microseconds, or none if the histogram is empty.
    pub fn max(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.max())
    }

    /// The arithmetic mean in microseconds, rounded, or none if the histogram is empty.
    pub fn mean(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.mean().round() as u64)
    }

    /// The value with this rank in ascending order, in microseconds and to 3 digits (the upper end of its bucket);
    /// ranks count from 1. None if there are fewer values.
    pub fn value_at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        self.0.iter_recorded().find_map(|step| {
            seen += step.count_since_last_iteration();
            (seen >= rank).then(|| self.0.highest_equivalent(step.value_iterated_to()))
        })
    }

    pub(crate) fn inner(&self) -> &Histogram<u64> {
        &self.0
    }

    /// HdrHistogram V2, compressed with DEFLATE, as base64: the form that HdrHistogram's tools read in every language.
    ///
    /// # Errors
    /// Those of the compressor, which writes to memory.
    pub fn encode(&self) -> Result<String, EncodeError> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(|error| EncodeError::new(&error))?;
        Ok(BASE64_STANDARD.encode(bytes))
    }

    /// The inverse of [`Self::encode`].
    ///
    /// # Errors
    /// A [`DecodeError`] for anything but a histogram with the same bounds.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let bytes = inflate(&BASE64_STANDARD.decode(text)?)?;
        check_header(&bytes).ok_or(DecodeError::Format)?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|_| DecodeError::Format)?;
        Ok(Self(histogram))
    }
}

/// "HdrHistogram V2 compressed", then the length of what follows.
const COMPRESSED_HEADER: usize = 8;
/// More than the 23,000 buckets can take, each with a count of 9 bytes: a bomb ends here.
const LONGEST_INFLATED: u64 = 1 << 18;

fn inflate(compressed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let body = compressed.get(COMPRESSED_HEADER..).ok_or(DecodeError::Format)?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(body).take(LONGEST_INFLATED).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The decoder allocates what the header says, and a run of zeros of the length `i64::MIN` overflows in it: both are
/// refused here. Layout: cookie, length of the counts, offset and digits (4 bytes each), lowest, highest and ratio (8).
fn check_header(bytes: &[u8]) -> Option<()> {
    let (header, counts) = bytes.split_at_checked(40)?;
    let length = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let digits = u32::from_be_bytes(header[12..16].try_into().ok()?);
    let lowest = u64::from_be_bytes(header[16..24].try_into().ok()?);
    let highest = u64::from_be_bytes(header[24..32].try_into().ok()?);
    let bounds = (lowest, highest, digits) == (LOWEST_MICROS, HIGHEST_MICROS, u32::from(SIGNIFICANT_DIGITS));
    let endless = counts.windows(9).any(|nine| nine == [0xff; 9]);
    (bounds && usize::try_from(length).ok()? == counts.len() && !endless).then_some(())
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::V2Serializer;

    use super::*;

    fn histogram(values: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    #[test]
    fn a_latency_of_zero_counts_as_one_microsecond() {
        assert_eq!(histogram(&[0]).min(), Some(1));
    }

    #[test]
    fn a_latency_above_one_hour_is_refused_and_not_clipped() {
        let mut histogram = histogram(&[HIGHEST_MICROS]);
        assert_eq!(histogram.record(HIGHEST_MICROS + 1), Err(AboveRange(HIGHEST_MICROS + 1)));
        assert_eq!(histogram.count(), 1);
    }

    #[test]
    fn ranks_find_values_to_three_digits() {
        let histogram = histogram(&[10, 20, 30_000, 30_000]);
        assert_eq!(histogram.value_at_rank(1), Some(10));
        assert_eq!(histogram.value_at_rank(2), Some(20));
        assert_eq!(histogram.value_at_rank(4).map(|value| value / 30), Some(1_000));
        assert_eq!(histogram.value_at_rank(5), None);
        assert_eq!(LatencyHistogram::new().value_at_rank(1), None);
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        for text in ["", "no base64!", "AAAA", &BASE64_STANDARD.encode([0x1c; 64])] {
            assert!(LatencyHistogram::decode(text).is_err(), "{text}");
        }
    }

    fn compressed(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).unwrap();
        BASE64_STANDARD.encode(bytes)
    }

    #[test]
    fn a_histogram_with_other_bounds_is_refused() {
        let other = Histogram::<u64>::new_with_bounds(1, 1_000_000, 3).unwrap();
        assert!(matches!(LatencyHistogram::decode(&compressed(&other)), Err(DecodeError::Format)));
    }

    fn deflated(bytes: &[u8]) -> String {
        let mut compressed = vec![0; COMPRESSED_HEADER];
        let mut writer = flate2::write::ZlibEncoder::new(&mut compressed, flate2::Compression::fast());
        std::io::Write::write_all(&mut writer, bytes).unwrap();
        writer.finish().unwrap();
        BASE64_STANDARD.encode(compressed)
    }

    #[test]
    fn a_header_that_lies_about_its_length_is_refused() {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram(&[5]).0, &mut bytes).unwrap();
        assert!(LatencyHistogram::decode(&deflated(&bytes)).is_ok());
        bytes[4] = 0xff;
        assert!(matches!(LatencyHistogram::decode(&deflated(&bytes)), Err(DecodeError::Format)));
    }

    #[test]
    fn a_run_of_zeros_without_end_is_refused() {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&LatencyHistogram::new().0, &mut bytes).unwrap();
        bytes.truncate(40);
        bytes[4..8].copy_from_slice(&20u32.to_be_bytes());
        bytes.extend([0xff; 20]);
        assert!(matches!(LatencyHistogram::decode(&deflated(&bytes)), Err(DecodeError::Format)));
    }

    #[test]
    fn bombs_are_not_inflated() {
        assert!(matches!(LatencyHistogram::decode(&deflated(&vec![0; 50_000_000])), Err(DecodeError::Format)));
    }
}
