//! How the latency and the rate went on from second to second.

use plotters::style::{Color, RGBColor};
use tailrace_measure::summary::{Summary, summarize};

use super::{
    axis::Axis,
    figure::{Area, Drawn, Figure, FigureError},
    frame::Frame,
    paint::{AXIS, INK, LIMIT, P50, P95},
    plot::{Pixels, Plot},
};
use crate::{numbers::grouped, values::Run};

/// Of the upper part of the picture, which shows the latency.
const SHARE_OF_LATENCY: f64 = 0.60;
/// Between both parts, in pixels: labels above, legend below.
const GAP: i32 = 100;

/// What happened in one interval.
struct Slice {
    /// Its middle, in seconds from the beginning of the measurement.
    middle: f64,
    /// Its end.
    end: f64,
    latency: Summary,
    scheduled: f64,
    answered: f64,
    /// Whether any image was to be sent in it.
    has_images: bool,
}

/// The p50 and p95 of the latency and the rates, interval by interval; none if they were not kept.
///
/// # Errors
/// A [`FigureError`] that no picture of this crate is known to have.
pub fn over_time(run: &Run) -> Result<Option<Figure>, FigureError> {
    let Some(slices) = slices(run) else { return Ok(None) };
    let length = run.intervals.as_ref().map_or(1, |intervals| intervals.length().as_secs());
    let each = if length == 1 { "second".to_owned() } else { format!("interval of {length} s") };
    let mut note = format!("Latencies belong to the {each} in which an image was to be sent.");
    let unbounded = slices.iter().filter(|slice| slice.has_images && slice.latency.p95.is_none()).count();
    if unbounded > 0 {
        note += &format!(" In {} of them the p95 falls on images without an answer: red.", grouped(unbounded as u64));
    }
    let frame = Frame::of_run(run, "latency and rate over time", vec![note]);
    frame.draw(|page, pixels| paint(page, pixels, run, &slices)).map(Some)
}

fn slices(run: &Run) -> Option<Vec<Slice>> {
    let intervals = run.intervals.as_ref()?;
    let (length, whole) = (intervals.length().as_secs_f64(), run.measured().unwrap_or(run.duration).as_secs_f64());
    let slices = intervals.list().iter().enumerate().map(|(index, interval)| {
        let start = index as f64 * length;
        // The last one may be cut short.
        let end = (start + length).min(whole.max(start + 1e-3));
        Slice {
            middle: (start + end) / 2.0,
            end,
            latency: summarize(&(&interval.latency).into(), interval.scheduled),
            scheduled: interval.scheduled as f64 / (end - start),
            answered: interval.answered as f64 / (end - start),
            has_images: interval.scheduled > 0,
        }
    });
    let slices: Vec<_> = slices.collect();
    (!slices.is_empty()).then_some(slices)
}

fn paint(page: &Area, pixels: Pixels, run: &Run, slices: &[Slice]) -> Drawn {
    let (across, down) = pixels;
    let height = f64::from(down.end - down.start - GAP);
    let middle = down.start + (height * SHARE_OF_LATENCY) as i32;
    let end = slices.last().map_or(1.0, |slice| slice.end);
    let x = Axis::from_zero(end, 6, "");
    let below = Axis { title: "seconds from the beginning of the measurement".into(), ..x.clone() };
    latencies(page, (across.clone(), down.start..middle), &x, slices)?;
    rates(page, (across, middle + GAP..down.end), &below, run, slices)
}

fn latencies(page: &Area, pixels: Pixels, x: &Axis, slices: &[Slice]) -> Drawn {
    let most = slices.iter().flat_map(|slice| [slice.latency.p50, slice.latency.p95]).flatten().max().unwrap_or(1);
    let y = Axis::latencies(most as f64 * 1.08, 3, "latency");
    let plot = Plot::new(page, pixels, x, &y)?;
    plot.legend(&[("p50", P50), ("p95", P95)])?;
    for slice in slices.iter().filter(|slice| slice.has_images && slice.latency.p95.is_none()) {
        let start = 2.0 * slice.middle - slice.end;
        plot.fill((start, 0.0), (slice.end, y.range.end), LIMIT.mix(0.15))?;
    }
    let points = |percentile: fn(&Summary) -> Option<u64>| {
        slices.iter().map(|slice| Some((slice.middle, percentile(&slice.latency)? as f64))).collect::<Vec<_>>()
    };
    lines(&plot, &points(|latency| latency.p95), P95, 4)?;
    lines(&plot, &points(|latency| latency.p50), P50, 4)
}

fn rates(page: &Area, pixels: Pixels, x: &Axis, run: &Run, slices: &[Slice]) -> Drawn {
    let most = slices.iter().flat_map(|slice| [slice.scheduled, slice.answered]).fold(1.0, f64::max);
    let plot = Plot::new(page, pixels, x, &Axis::from_zero(most * 1.12, 2, "images/s"))?;
    // In a closed load an image is scheduled when it is sent.
    let scheduled = if run.load.is_closed() { "sent" } else { "to be sent" };
    plot.legend(&[(scheduled, AXIS), ("answered", INK)])?;
    let points =
        |rate: fn(&Slice) -> f64| slices.iter().map(|slice| Some((slice.middle, rate(slice)))).collect::<Vec<_>>();
    // The wider line is to be seen beneath the other.
    lines(&plot, &points(|slice| slice.scheduled), AXIS, 10)?;
    lines(&plot, &points(|slice| slice.answered), INK, 3)
}

/// Joins neighbours; where there is none, there is a gap. A point alone is a dot.
fn lines(plot: &Plot, points: &[Option<(f64, f64)>], color: RGBColor, width: u32) -> Drawn {
    for segment in points.split(Option::is_none) {
        let segment: Vec<_> = segment.iter().flatten().copied().collect();
        match segment[..] {
            [alone] => plot.dot(alone, 4, color)?,
            _ => plot.line(segment, color, width)?,
        }
    }
    Ok(())
}
