//! The percentiles of an Experiment over what differs from point to point.

use plotters::style::RGBColor;
use tailrace_measure::{display, summary::Percentiles};

use super::{
    axis::Axis,
    figure::{Area, Drawn, Figure, FigureError},
    frame::{Frame, capital, first_date},
    paint::{Anchor, LABEL, LIMIT, P90, P95},
    plot::{Pixels, Plot},
};
use crate::values::{Point, Run, Sweep, Varied};

/// One percentile from point to point.
#[derive(Clone, Copy)]
struct Curve {
    name: &'static str,
    percentile: fn(&Percentiles) -> Option<u64>,
    color: RGBColor,
    /// So many pixels beside the value, so that bars of different percentiles do not cover each other.
    beside: f64,
    /// From a point up to its label, in pixels.
    label: i32,
}

const CURVES: [Curve; 2] = [
    Curve { name: "p90", percentile: |latency| latency.p90, color: P90, beside: -9.0, label: 32 },
    Curve { name: "p95", percentile: |latency| latency.p95, color: P95, beside: 9.0, label: -32 },
];

/// The p90 and p95 of an Experiment, each the median of the valid repetitions with their extremes. `runs` are the
/// LoadTests that are over: load model, date and images are theirs.
///
/// # Errors
/// A [`FigureError`] that no picture of this crate is known to have.
pub fn sweep(sweep: &Sweep, runs: &[Run]) -> Result<Figure, FigureError> {
    let title = format!("{}: latency over {}", sweep.name, sweep.varied.title());
    let environment = runs.first().map(|run| run.result.environment()).unwrap_or_default();
    let frame = Frame::new(title, subtitles(sweep, runs), vec![note(sweep, runs)], &environment, &sweep.message);
    frame.draw(|page, pixels| paint(page, pixels, sweep))
}

fn subtitles(sweep: &Sweep, runs: &[Run]) -> Vec<String> {
    let repetitions = || sweep.points.iter().flat_map(|point| &point.repetitions);
    let valid = repetitions().filter(|repetition| repetition.is_valid()).count();
    let valid = format!("{valid} of {} LoadTests valid", repetitions().count());
    let Some(first) = runs.first() else { return vec![valid] };
    let load = match sweep.varied {
        Varied::Producers => format!("{} from each producer", capital(&first.load.to_string())),
        Varied::Rate => format!("Open load: images/s of {} producers together", first.producers),
    };
    let date = first_date(runs.iter().filter_map(|run| run.started));
    vec![load, [date, format!("Pipeline {}", first.pipeline), valid].join("  ·  ")]
}

fn note(sweep: &Sweep, runs: &[Run]) -> String {
    let mut sentences = vec![];
    if sweep.points.iter().any(|point| point.repetitions.len() > 1) {
        sentences.push(
            "Line: median of the valid repetitions; bars: the smallest and the largest of them, to the top if unbounded.",
        );
    }
    if runs.windows(2).any(|two| two[0].result.environment().images != two[1].result.environment().images) {
        sentences.push("The images changed on the way: those of the first LoadTest are named.");
    }
    sentences.join(" ")
}

fn paint(page: &Area, pixels: Pixels, sweep: &Sweep) -> Drawn {
    let values = || sweep.points.iter().map(|point| point.value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let margin = ((most - least) * 0.06).max(most * 0.02).max(0.1);
    let x = Axis {
        range: least.min(most) - margin..most + margin,
        ticks: values().map(|value| (value, value.to_string())).collect(),
        title: sweep.varied.title().into(),
        grid: false,
    };
    let highest = sweep.points.iter().flat_map(extremes).max().unwrap_or(1);
    let y = Axis::latencies(highest as f64 * 1.08, 4, "latency from the intended send");
    let top = y.range.end;
    let per_pixel = (x.range.end - x.range.start) / f64::from(pixels.0.end - pixels.0.start);
    let plot = Plot::new(page, pixels, &x, &y)?;
    plot.legend(&CURVES.map(|curve| (curve.name, curve.color)))?;
    for curve in CURVES {
        let beside = curve.beside * per_pixel;
        join(&plot, sweep, curve, beside)?;
        sweep.points.iter().try_for_each(|point| mark(&plot, point, curve, beside, top))?;
    }
    Ok(())
}

fn extremes(point: &Point) -> impl Iterator<Item = u64> {
    let spreads = CURVES.map(|curve| point.spread(curve.percentile));
    spreads.into_iter().flatten().flat_map(|spread| [spread.min, spread.median, spread.max]).flatten()
}

/// Where a median is unbounded, or nothing was valid, the line is interrupted.
fn join(plot: &Plot, sweep: &Sweep, curve: Curve, beside: f64) -> Drawn {
    let median = |point: &Point| Some((point.value + beside, point.spread(curve.percentile)?.median? as f64));
    let medians: Vec<_> = sweep.points.iter().map(median).collect();
    medians.split(Option::is_none).try_for_each(|segment| plot.line(segment.iter().flatten().copied(), curve.color, 4))
}

fn mark(plot: &Plot, point: &Point, curve: Curve, beside: f64, top: f64) -> Drawn {
    let Some(spread) = point.spread(curve.percentile) else { return Ok(()) };
    let at = point.value + beside;
    if let Some(low) = spread.min.filter(|_| point.repetitions.len() > 1) {
        plot.whisker(at, low as f64, spread.max.map_or(top, |high| high as f64), curve.color)?;
    }
    let Some(median) = spread.median else {
        let (x, y) = plot.at(at, top);
        return plot.write_on_white("unbounded", (x, y + 20), LABEL, LIMIT, Anchor::Middle);
    };
    plot.dot((at, median as f64), 9, curve.color)?;
    let (x, y) = plot.at(at, median as f64);
    let anchor = if curve.label < 0 { Anchor::End } else { Anchor::Start };
    let x = if curve.label < 0 { x - 14 } else { x + 14 };
    plot.write_on_white(&display::micros(median), (x, y + curve.label), LABEL, curve.color, anchor)
}
