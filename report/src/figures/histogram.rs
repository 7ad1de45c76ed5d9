//! How many images had which latency.

use plotters::style::{Color, RGBColor};
use tailrace_measure::{display, summary::Summary};

use super::{
    axis::Axis,
    figure::{Area, Drawn, Figure, FigureError},
    frame::Frame,
    paint::{Anchor, BARS, LABEL, LIMIT, P50, P90, P95, P99, stroke},
    plot::{Pixels, Plot},
};
use crate::{numbers::grouped, values::Run};

/// From the least to the largest latency.
const BARS_IN_ALL: usize = 80;
/// A limit so many times the largest latency, or less, is in the picture.
const LIMIT_IN_VIEW: f64 = 3.0;
/// From one flag to the next below it, in pixels.
const FLAG_STEP: i32 = 36;

/// A line from the bottom up to a label.
struct Flag {
    micros: f64,
    label: String,
    color: RGBColor,
    dashed: bool,
}

/// The histogram of the latencies on a logarithmic scale, with percentiles and SLOs; none if they were not kept.
///
/// # Errors
/// A [`FigureError`] that no picture of this crate is known to have.
pub fn histogram(run: &Run) -> Result<Option<Figure>, FigureError> {
    let Some(latencies) = run.latencies() else { return Ok(None) };
    let answered: u64 = latencies.iter().map(|(_, count)| count).sum();
    let without = run.scheduled().saturating_sub(answered);
    let mut note = format!("{} images with an answer.", grouped(answered));
    if without > 0 {
        note = format!("{note} {} without one are to the right of all others, beyond the picture.", grouped(without));
    }
    let frame = Frame::of_run(run, "distribution of the latency", vec![note]);
    let figure = frame.draw(|page, pixels| paint(page, pixels, run, &latencies));
    figure.map(Some)
}

fn paint(page: &Area, pixels: Pixels, run: &Run, latencies: &[(u64, u64)]) -> Drawn {
    let (least, most) = ends(latencies);
    let flags = flags(run, most);
    let rightmost = flags.iter().map(|flag| flag.micros).fold(most, f64::max);
    let x = Axis::log_latencies(least / 1.06, rightmost * 1.06, "latency from the intended send");
    let bars = bars(latencies, &x);
    let highest = bars.iter().map(|bar| bar.2).max().unwrap_or(0) as f64;
    // The flags are above the bars.
    let room = 1.0 - f64::from(FLAG_STEP) * (flags.len() as f64 + 0.4) / f64::from(pixels.1.end - pixels.1.start);
    let mut y = Axis::from_zero(highest, 3, "images");
    y.range.end = highest / room.max(0.3);

    let plot = Plot::new(page, pixels, &Axis { grid: false, ..x }, &y)?;
    for (from, to, count) in bars {
        plot.fill((from, 0.0), (to, count as f64), BARS.to_rgba())?;
    }
    raise(&plot, &flags)
}

/// The smallest and the largest latency.
fn ends(latencies: &[(u64, u64)]) -> (f64, f64) {
    let at = |latency: Option<&(u64, u64)>| latency.map_or(1.0, |(micros, _)| *micros as f64);
    (at(latencies.first()), at(latencies.last()))
}

/// From where to where on the axis, and how many images.
fn bars(latencies: &[(u64, u64)], axis: &Axis) -> Vec<(f64, f64, u64)> {
    let width = (axis.range.end - axis.range.start) / BARS_IN_ALL as f64;
    let edge = |index: usize| axis.range.start + index as f64 * width;
    let mut counts = [0; BARS_IN_ALL];
    for (micros, count) in latencies {
        let index = ((*micros as f64).log10() - axis.range.start) / width;
        counts[(index.max(0.0) as usize).min(BARS_IN_ALL - 1)] += count;
    }
    let bars = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
    bars.map(|(index, count)| (edge(index), edge(index + 1), count)).collect()
}

fn flags(run: &Run, most: f64) -> Vec<Flag> {
    let Summary { p50, p90, p95, p99, .. } = run.result.latency_micros.unwrap_or_default();
    let percentiles = [("p50", p50, P50), ("p90", p90, P90), ("p95", p95, P95), ("p99", p99, P99)];
    let percentiles = percentiles.into_iter().filter_map(|(name, micros, color)| {
        let micros = micros?;
        Some(Flag { micros: micros as f64, label: format!("{name} {}", display::micros(micros)), color, dashed: false })
    });
    let limits = run.result.slos.iter().filter_map(|slo| {
        let micros = slo.most_micros().filter(|micros| *micros <= most * LIMIT_IN_VIEW)?;
        let label = format!("SLO {}: {}", slo.title(), slo.verdict());
        Some(Flag { micros, label, color: LIMIT, dashed: true })
    });
    let mut flags: Vec<_> = percentiles.chain(limits).collect();
    flags.sort_by(|one, other| one.micros.total_cmp(&other.micros));
    flags
}

/// The leftmost flag is the highest, so that no line runs through the label of another.
fn raise(plot: &Plot, flags: &[Flag]) -> Drawn {
    let (across, down) = plot.pixels().clone();
    for (y, flag) in (down.start..).step_by(FLAG_STEP as usize).zip(flags) {
        let (x, _) = plot.at(flag.micros.log10(), 0.0);
        if flag.dashed {
            plot.dashes((x, down.end), (x, y - 16), flag.color)?;
        } else {
            plot.stroke(&[(x, down.end), (x, y - 16)], stroke(flag.color, 3))?;
        }
        let to_the_left = x > across.start + (across.end - across.start) * 7 / 10;
        let (x, anchor) = if to_the_left { (x - 12, Anchor::End) } else { (x + 12, Anchor::Start) };
        plot.write_on_white(&flag.label, (x, y), LABEL, flag.color, anchor)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_in_a_bar() {
        let latencies = [(1_000, 5), (1_010, 7), (90_000, 1)];
        let axis = Axis::log_latencies(990.0, 92_000.0, "latency");
        let bars = bars(&latencies, &axis);
        assert_eq!(bars.iter().map(|(_, _, count)| count).sum::<u64>(), 13);
        assert_eq!(bars.len(), 2);
        let (from, to, _) = bars[1];
        assert!(from <= 90_000f64.log10() && 90_000f64.log10() <= to);
    }
}
