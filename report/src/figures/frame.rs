//! What is on every picture: what it shows, of what, and what it was measured with.

use jiff::Timestamp;
use plotters::element::Text;
use tailrace_measure::environment::Environment;

use super::{
    figure::{Area, Drawn, Figure, FigureError, HEIGHT, WIDTH},
    paint::{Anchor, FOOTNOTE, INK, MUTED, SUBTITLE, TITLE, heavy, letters},
    plot::Pixels,
};
use crate::{text::date, values::Run};

/// From the left and right edge to the texts, in pixels.
const EDGE: i32 = 50;
/// From one line of small print to the next, in pixels.
const FOOTNOTE_STEP: i32 = 27;
/// For the labels of the vertical axis.
const LEFT: i32 = 170;
/// For what sticks out of the last label of the horizontal axis.
const RIGHT: i32 = 60;
/// For the labels of the horizontal axis.
const BOTTOM: i32 = 110;
/// For a legend, below the subtitle.
const TOP: i32 = 72;

/// The texts around a plot.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What is shown.
    pub title: String,
    /// How it was measured, line by line.
    pub subtitles: Vec<String>,
    /// What helps to read it.
    pub notes: Vec<String>,
    /// What it was measured with.
    pub images: Vec<String>,
    /// All of it without shortening, for those who cannot see.
    pub description: String,
}

impl Frame {
    /// Around a picture of a LoadTest. `notes` help to read it.
    pub fn of_run(run: &Run, what: &str, notes: Vec<String>) -> Self {
        let measured = [
            run.started.map_or_else(|| "never started".to_owned(), date),
            run.measured_in_words(),
            format!("Pipeline {}", run.pipeline),
            run.verdict.title().to_owned(),
        ];
        let subtitles = vec![capital(&run.load.of(run.producers)), measured.join("  ·  ")];
        Self::new(format!("{}: {what}", run.name), subtitles, notes, &run.result.environment(), &run.message)
    }

    /// Around any picture.
    pub fn new(
        title: String,
        subtitles: Vec<String>,
        notes: Vec<String>,
        environment: &Environment,
        message: &str,
    ) -> Self {
        let images = environment.images.iter().map(|(part, image)| format!("{part}: {image}"));
        let model = environment.model.iter().map(|model| format!("model: {} sha256:{}", model.name, model.sha256));
        let described = subtitles.iter().cloned().chain([message.to_owned()]).chain(images).chain(model);
        let description = described.collect::<Vec<_>>().join("; ");
        let notes = notes.into_iter().filter(|note| !note.is_empty()).collect();
        Self { title, subtitles, notes, images: environment.in_short(), description }
    }

    /// Draws the texts and, in the pixels between them, what `paint` draws.
    pub fn draw(&self, paint: impl FnOnce(&Area, Pixels) -> Drawn) -> Result<Figure, FigureError> {
        Figure::draw(&self.title, &self.description, |page| {
            let top = self.draw_head(page)?;
            let bottom = self.draw_footnotes(page)?;
            paint(page, (LEFT..WIDTH as i32 - RIGHT, top + TOP..bottom - BOTTOM))
        })
    }

    fn draw_head(&self, page: &Area) -> Drawn<i32> {
        page.draw(&Text::new(self.title.as_str(), (EDGE, 58), heavy(TITLE, INK, Anchor::Start)))?;
        let mut y = 108;
        for subtitle in &self.subtitles {
            page.draw(&Text::new(subtitle.as_str(), (EDGE, y), letters(SUBTITLE, MUTED, Anchor::Start)))?;
            y += 34;
        }
        Ok(y - 17)
    }

    fn draw_footnotes(&self, page: &Area) -> Drawn<i32> {
        let style = letters(FOOTNOTE, MUTED, Anchor::Start);
        let room = WIDTH as i32 - 2 * EDGE;
        let fits = |line: &str| Ok(page.estimate_text_size(line, &style)?.0 as i32 <= room);
        let mut lines = vec![];
        for note in &self.notes {
            lines.extend(wrapped(note.split(' '), " ", fits)?);
        }
        lines.extend(wrapped(self.images.iter().map(String::as_str), "  ·  ", fits)?);
        let first = HEIGHT as i32 - 32 - FOOTNOTE_STEP * (lines.len() as i32 - 1);
        for (y, line) in (first..).step_by(FOOTNOTE_STEP as usize).zip(&lines) {
            page.draw(&Text::new(line.as_str(), (EDGE, y), style.clone()))?;
        }
        Ok(first - FOOTNOTE_STEP / 2)
    }
}

/// Joins parts to lines that fit.
fn wrapped<'a>(
    parts: impl Iterator<Item = &'a str>,
    separator: &str,
    fits: impl Fn(&str) -> Drawn<bool>,
) -> Drawn<Vec<String>> {
    let mut lines: Vec<String> = vec![];
    for part in parts {
        let longer = lines.last().map(|line| format!("{line}{separator}{part}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if fits(&longer)? => *line = longer,
            _ => lines.push(part.to_owned()),
        }
    }
    Ok(lines)
}

/// With a capital letter, as a line of its own begins.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// When the first of several measurements began.
pub fn first_date(dates: impl Iterator<Item = Timestamp>) -> String {
    dates.min().map(date).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_their_parts() {
        let lines = wrapped("one two three fourteen".split(' '), ", ", |line| Ok(line.len() <= 9)).unwrap();
        assert_eq!(lines, ["one, two", "three", "fourteen"]);
    }

    #[test]
    fn lines_begin_with_a_capital() {
        assert_eq!([capital("open load"), capital("")], ["Open load", ""]);
    }
}
