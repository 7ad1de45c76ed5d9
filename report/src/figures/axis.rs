//! Axes whose ticks are where people look for them.

use std::ops::Range;

/// One axis of a picture.
#[derive(Clone, Debug)]
pub struct Axis {
    /// From one end to the other.
    pub range: Range<f64>,
    /// Where there is a label, and what it says.
    pub ticks: Vec<(f64, String)>,
    /// What it shows, with its unit.
    pub title: String,
    /// Whether lines through the picture start at the ticks.
    pub grid: bool,
}

/// The unit in which latencies up to some value are read best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyUnit {
    /// Its symbol.
    pub symbol: &'static str,
    /// How many microseconds it has.
    pub micros: f64,
}

impl LatencyUnit {
    /// For an axis up to `micros`.
    pub fn up_to(micros: f64) -> Self {
        match micros {
            small if small < 1_000.0 => Self { symbol: "µs", micros: 1.0 },
            large if large >= 10_000_000.0 => Self { symbol: "s", micros: 1_000_000.0 },
            _ => Self { symbol: "ms", micros: 1_000.0 },
        }
    }
}

impl Axis {
    /// From 0 to `most`, with at least `count` ticks behind 0.
    pub fn from_zero(most: f64, count: u32, title: impl Into<String>) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most / f64::from(count));
        let steps = (most / step + 1e-9).floor() as u32;
        let ticks = (0..=steps).map(|index| f64::from(index) * step).map(|at| (at, short(at))).collect();
        Self { range: 0.0..most, ticks, title: title.into(), grid: true }
    }

    /// Latencies from 0 to `most` microseconds; positions are in microseconds.
    pub fn latencies(most: f64, count: u32, what: &str) -> Self {
        let unit = LatencyUnit::up_to(most);
        let axis = Self::from_zero(most / unit.micros, count, format!("{what}, {}", unit.symbol));
        axis.scaled(unit.micros)
    }

    /// Latencies on a logarithmic scale; positions are decimal logarithms of microseconds.
    pub fn log_latencies(least: f64, most: f64, what: &str) -> Self {
        let unit = LatencyUnit::up_to(most);
        let range = least.max(1.0).log10()..most.max(least.max(1.0) * 1.1).log10();
        let decades = (range.end - range.start).ceil();
        // With many decades the labels between them would touch.
        let steps: &[f64] = match decades {
            few if few <= 2.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            some if some <= 4.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let first = range.start.floor() as i32;
        let last = range.end.ceil() as i32;
        let ticks = (first..=last)
            .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
            .filter(|micros| range.contains(&micros.log10()))
            .map(|micros| (micros.log10(), short(micros / unit.micros)))
            .collect();
        Self { range, ticks, title: format!("{what}, {} (logarithmic)", unit.symbol), grid: true }
    }

    fn scaled(self, factor: f64) -> Self {
        let ticks = self.ticks.into_iter().map(|(at, label)| (at * factor, label)).collect();
        Self { range: self.range.start * factor..self.range.end * factor, ticks, ..self }
    }
}

/// 1, 2 or 5 times a power of ten, at most `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let rounded = [5.0, 2.0, 1.0].into_iter().find(|factor| factor * power <= step * (1.0 + 1e-9));
    rounded.unwrap_or(1.0) * power
}

/// Without digits that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.parse::<u64>() {
        Ok(whole) => crate::numbers::grouped(whole),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::from_zero(13.2, 3, "images");
        assert_eq!((axis.range.end, labels(&axis)), (13.2, vec!["0", "2", "4", "6", "8", "10", "12"]));
        assert_eq!(labels(&Axis::from_zero(4_000.0, 4, "images")), ["0", "1,000", "2,000", "3,000", "4,000"]);
        assert_eq!(labels(&Axis::from_zero(0.0, 1, "images")), ["0", "1"]);
    }

    #[test]
    fn latencies_have_the_unit_that_is_read_best() {
        let axis = Axis::latencies(13_200.0, 2, "latency");
        assert_eq!((axis.range.end.round(), axis.title.as_str()), (13_200.0, "latency, ms"));
        assert_eq!(labels(&axis), ["0", "5", "10"]);
        assert_eq!(Axis::latencies(800.0, 5, "latency").title, "latency, µs");
        assert_eq!(Axis::latencies(75_000_000.0, 5, "latency").title, "latency, s");
    }

    #[test]
    fn logarithmic_ticks_are_fewer_where_there_are_many_decades() {
        assert_eq!(labels(&Axis::log_latencies(900.0, 5_500.0, "latency")), ["1", "1.5", "2", "3", "4", "5"]);
        assert_eq!(
            labels(&Axis::log_latencies(900.0, 250_000.0, "latency")),
            ["1", "2", "5", "10", "20", "50", "100", "200"]
        );
        assert_eq!(
            labels(&Axis::log_latencies(9.0, 2_500_000.0, "latency")),
            ["0.01", "0.1", "1", "10", "100", "1,000"]
        );
    }
}
