//! The latency below which a share of the images lies, on HdrHistogram's axis: each step is ten times fewer images.

use plotters::style::{Color, RGBColor};
use tailrace_measure::{
    confidence::Range,
    display,
    slo::{Metric, SloResult},
    summary::Summary,
};

use super::{
    axis::Axis,
    figure::{Area, Drawn, Figure, FigureError},
    frame::Frame,
    paint::{Anchor, INK, LABEL, LIMIT, P50, P90, P95, P99},
    plot::{Pixels, Plot},
};
use crate::values::Run;

/// What is marked on the axis, in percent.
const MARKED: [(f64, &str); 7] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.95, "95 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
];
/// A limit so many times the largest latency, or less, is in the picture.
const LIMIT_IN_VIEW: f64 = 2.5;

/// The curve of percentiles with confidence intervals and SLOs; none if the latencies were not kept.
///
/// # Errors
/// A [`FigureError`] that no picture of this crate is known to have.
pub fn percentiles(run: &Run) -> Result<Option<Figure>, FigureError> {
    let Some(latencies) = run.latencies() else { return Ok(None) };
    let curve = Curve::of(&latencies, run.scheduled());
    let mut notes = vec![];
    if confidence(run).iter().any(|(_, range)| range.is_some()) {
        notes.push("Bars: 95 % confidence interval, by block bootstrap over intervals of time.".to_owned());
    }
    let beyond: Vec<_> = limits(run).filter(|(_, micros, _)| *micros > curve.most * LIMIT_IN_VIEW).collect();
    notes
        .extend(beyond.iter().map(|(slo, ..)| format!("Above this picture: SLO {} ({}).", slo.title(), slo.verdict())));
    let frame = Frame::of_run(run, "percentiles of the latency", vec![notes.join(" ")]);
    let figure = frame.draw(|page, pixels| paint(page, pixels, run, &curve));
    figure.map(Some)
}

/// Each latency up to the share of images that it covers; images without an answer come after all others.
struct Curve {
    /// Position on the axis, and microseconds.
    points: Vec<(f64, f64)>,
    most: f64,
    /// The end of the axis.
    end: f64,
    /// From where on there is no answer.
    unanswered: Option<f64>,
}

impl Curve {
    fn of(latencies: &[(u64, u64)], scheduled: u64) -> Self {
        let answered: u64 = latencies.iter().map(|(_, count)| count).sum();
        let total = answered.max(scheduled) as f64;
        // The last image is beyond every share that can be told.
        let end = position(1.0 - 0.5 / total);
        let (mut points, mut seen) = (vec![], 0);
        for (micros, count) in latencies {
            points.push((position(seen as f64 / total).min(end), *micros as f64));
            seen += count;
            points.push((position(seen as f64 / total).min(end), *micros as f64));
        }
        let most = latencies.last().map_or(1.0, |(micros, _)| *micros as f64);
        let unanswered = (answered < scheduled).then(|| position(answered as f64 / total));
        Self { points, most, end, unanswered }
    }
}

/// Of a share on the axis: how many times the images beyond it can be divided by ten.
fn position(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn paint(page: &Area, pixels: Pixels, run: &Run, curve: &Curve) -> Drawn {
    let x = Axis {
        range: 0.0..curve.end,
        ticks: ticks(curve.end),
        title: "percentile (each step to the right: ten times fewer images)".into(),
        grid: true,
    };
    let most = limits(run).map(|(_, micros, _)| micros).filter(|micros| *micros <= curve.most * LIMIT_IN_VIEW);
    let most = most.fold(curve.most, f64::max) * 1.06;
    let y = Axis::latencies(most, 4, "latency from the intended send");
    let top = y.range.end;
    let plot = Plot::new(page, pixels, &x, &y)?;
    if let Some(from) = curve.unanswered {
        plot.fill((from, 0.0), (curve.end, top), LIMIT.mix(0.10))?;
        let (x, y) = plot.at((from + curve.end) / 2.0, top / 2.0);
        plot.write_on_white("no answer", (x, y), LABEL, LIMIT, Anchor::Middle)?;
    }
    for (slo, micros, at) in limits(run).filter(|(_, micros, _)| *micros <= top) {
        draw_limit(&plot, slo, micros, at.min(curve.end), top)?;
    }
    plot.line(curve.points.iter().copied(), INK, 4)?;
    mark(&plot, run, top)
}

fn ticks(end: f64) -> Vec<(f64, String)> {
    MARKED.iter().map(|(share, label)| (position(*share), (*label).to_owned())).filter(|(at, _)| *at <= end).collect()
}

/// The limits of latencies, in microseconds, with the position up to which they hold.
fn limits(run: &Run) -> impl Iterator<Item = (&SloResult, f64, f64)> {
    run.result.slos.iter().filter_map(|slo| {
        let at = match slo.metric {
            Metric::P50 => position(0.5),
            Metric::P90 => position(0.9),
            Metric::P95 => position(0.95),
            Metric::P99 => position(0.99),
            Metric::P999 => position(0.999),
            Metric::Max => f64::INFINITY,
            _ => return None,
        };
        Some((slo, slo.most_micros()?, at))
    })
}

/// The corner into which the curve must not come.
fn draw_limit(plot: &Plot, slo: &SloResult, micros: f64, at: f64, top: f64) -> Drawn {
    plot.fill((0.0, micros), (at, top), LIMIT.mix(0.05))?;
    let corner = plot.at(at, micros);
    plot.dashes(plot.at(0.0, micros), corner, LIMIT)?;
    plot.dashes(corner, plot.at(at, top), LIMIT)?;
    let label = format!("SLO {}: {}", slo.title(), slo.verdict());
    let (x, y) = plot.at(0.0, micros);
    plot.write_on_white(&label, (x + 16, y - 24), LABEL, LIMIT, Anchor::Start)
}

fn confidence(run: &Run) -> [(f64, Option<Range>); 4] {
    let confidence = run.result.confidence_micros.unwrap_or_default();
    [(0.5, confidence.p50), (0.9, confidence.p90), (0.95, confidence.p95), (0.99, confidence.p99)]
}

/// The percentiles of the table, each with what it may have been as well. Below a curve that rises there is room.
fn mark(plot: &Plot, run: &Run, top: f64) -> Drawn {
    let Summary { p50, p90, p95, p99, .. } = run.result.latency_micros.unwrap_or_default();
    let colors: [RGBColor; 4] = [P50, P90, P95, P99];
    for (((share, range), micros), color) in confidence(run).into_iter().zip([p50, p90, p95, p99]).zip(colors) {
        let Some(micros) = micros else { continue };
        let at = position(share);
        if let Some(Range { low, high }) = range {
            plot.whisker(at, low as f64, high.map_or(top, |high| high as f64).min(top), color)?;
        }
        plot.dot((at, micros as f64), 8, color)?;
        let (x, y) = plot.at(at, micros as f64);
        // Not on the axis, where a limit far above makes the curve a low one.
        let axis = plot.at(at, 0.0).1;
        let y = if y + 40 < axis { y + 28 } else { y - 22 };
        plot.write_on_white(&display::micros(micros), (x + 18, y), LABEL, color, Anchor::Start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_to_the_right_is_ten_times_fewer_images() {
        for (share, at) in [(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0)] {
            assert!((position(share) - at).abs() < 1e-9);
        }
    }

    #[test]
    fn images_without_an_answer_come_after_all_others() {
        let curve = Curve::of(&[(1_000, 90), (2_000, 5)], 100);
        assert!((curve.unanswered.unwrap() - position(0.95)).abs() < 1e-9);
        let at_90 = curve.points[1];
        assert!((at_90.0 - 1.0).abs() < 1e-9 && at_90.1 == 1_000.0, "{at_90:?}");
        assert!(Curve::of(&[(1_000, 100)], 100).unanswered.is_none());
    }
}
