//! Where the time went.

use plotters::style::Color;
use tailrace_measure::{display, summary::Summary};

use super::{
    axis::Axis,
    figure::{Area, Drawn, Figure, FigureError},
    frame::Frame,
    paint::{Anchor, LABEL, LIMIT, P50, P95, heavy},
    plot::{Pixels, Plot},
};
use crate::values::Run;

/// Of a bar, where a stage has the height 1.
const THICKNESS: f64 = 0.34;

/// The median and the p95 of each stage and of the whole; none if the stages were not measured.
///
/// # Errors
/// A [`FigureError`] that no picture of this crate is known to have.
pub fn stages(run: &Run) -> Result<Option<Figure>, FigureError> {
    let (Some(stages), Some(whole)) = (run.result.stages_micros, run.result.service_latency_micros) else {
        return Ok(None);
    };
    // From the bottom to the top.
    let rows = [
        ("acknowledgement by Kafka", stages.acknowledgement),
        ("Kafka and network", stages.rest),
        ("classifier: compute", stages.compute),
        ("classifier: queue", stages.queue),
        ("send to answer", whole),
    ];
    let notes = vec![
        "Each part is a duration by one clock. Percentiles of parts do not add up to that of the whole. \
         The acknowledgement runs beside an image's way to the classifier, so it is part of Kafka and network."
            .into(),
    ];
    let figure = Frame::of_run(run, "where the time went", notes).draw(|page, pixels| paint(page, pixels, &rows));
    figure.map(Some)
}

fn paint(page: &Area, pixels: Pixels, rows: &[(&str, Summary)]) -> Drawn {
    let most = rows.iter().flat_map(|(_, part)| [part.p50, part.p95]).flatten().max().unwrap_or(1) as f64;
    // Beyond the longest bar there is room for its number.
    let x = Axis::latencies(most * 1.04, 4, "time");
    let y = Axis {
        range: 0.0..rows.len() as f64,
        ticks: rows.iter().enumerate().map(|(row, (name, _))| (row as f64 + 0.5, (*name).to_owned())).collect(),
        title: String::new(),
        grid: false,
    };
    // For the names.
    let (across, down) = pixels;
    let plot = Plot::new(page, (across.start + 230..across.end - 70, down), &x, &y)?;
    plot.legend(&[("p50", P50), ("p95", P95)])?;
    for (row, (_, part)) in rows.iter().enumerate() {
        let middle = row as f64 + 0.5;
        for (from, micros, color) in [(middle, part.p50, P50), (middle - THICKNESS, part.p95, P95)] {
            let end = micros.map_or(x.range.end, |micros| micros as f64);
            let color = if micros.is_some() { color } else { LIMIT };
            plot.fill((0.0, from), (end, from + THICKNESS), color.to_rgba())?;
            let (x, y) = plot.at(end, from + THICKNESS / 2.0);
            let label = micros.map_or_else(|| "unbounded".to_owned(), display::micros);
            let (x, anchor) = if micros.is_some() { (x + 12, Anchor::Start) } else { (x - 12, Anchor::End) };
            let color = if micros.is_some() { color } else { plotters::style::RGBColor(255, 255, 255) };
            plot.write(&label, (x, y), heavy(LABEL, color, anchor))?;
        }
    }
    Ok(())
}
