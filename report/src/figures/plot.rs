//! The inner part of a picture: two axes and what lies between them.

use std::ops::Range;

use plotters::{
    coord::{cartesian::Cartesian2d, types::RangedCoordf64},
    drawing::DrawingArea,
    element::{Circle, PathElement, Rectangle, Text},
    prelude::SVGBackend,
    series::DashedLineSeries,
    style::{Color, RGBAColor, RGBColor, ShapeStyle, TextStyle, WHITE},
};

use super::{
    axis::Axis,
    figure::{Area, Drawn},
    paint::{AXIS, Anchor, GRID, INK, LABEL, MUTED, letters, stroke, upwards},
};

/// Pixels from left to right and from top to bottom.
pub type Pixels = (Range<i32>, Range<i32>);

/// Two axes. Points are in their units; what is drawn outside of them is not cut off.
pub struct Plot<'a> {
    page: Area<'a>,
    inner: DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    pixels: Pixels,
}

impl<'a> Plot<'a> {
    /// Draws both axes around these pixels of a page.
    pub fn new(page: &Area<'a>, pixels: Pixels, x: &Axis, y: &Axis) -> Drawn<Self> {
        let (across, down) = pixels.clone();
        let inner = page.clone().apply_coord_spec(Cartesian2d::<RangedCoordf64, RangedCoordf64>::new(
            x.range.clone(),
            y.range.clone(),
            // Pixels are counted downwards.
            (across, down.end..down.start),
        ));
        let plot = Self { page: page.clone(), inner, pixels };
        // The line of the lower axis is above those of the grid.
        plot.draw_upwards(y)?;
        plot.draw_across(x)?;
        Ok(plot)
    }

    fn draw_across(&self, axis: &Axis) -> Drawn {
        let (across, down) = &self.pixels;
        for (at, label) in &axis.ticks {
            let x = self.at(*at, 0.0).0;
            let end = if axis.grid { down.start } else { down.end };
            self.stroke(&[(x, end), (x, down.end)], stroke(GRID, 2))?;
            self.write(label, (x, down.end + 28), letters(LABEL, INK, Anchor::Middle))?;
        }
        self.stroke(&[(across.start, down.end), (across.end, down.end)], stroke(AXIS, 2))?;
        let middle = (across.start + across.end) / 2;
        self.write(&axis.title, (middle, down.end + 70), letters(LABEL, MUTED, Anchor::Middle))
    }

    fn draw_upwards(&self, axis: &Axis) -> Drawn {
        let (across, down) = &self.pixels;
        for (at, label) in &axis.ticks {
            let y = self.height(*at);
            if axis.grid {
                self.stroke(&[(across.start, y), (across.end, y)], stroke(GRID, 2))?;
            }
            self.write(label, (across.start - 16, y), letters(LABEL, INK, Anchor::End))?;
        }
        let middle = (down.start + down.end) / 2;
        self.write(&axis.title, (across.start - 118, middle), upwards(letters(LABEL, MUTED, Anchor::Middle)))
    }

    /// The pixel of a point.
    pub fn at(&self, x: f64, y: f64) -> (i32, i32) {
        self.inner.map_coordinate(&(x, y))
    }

    /// The pixels between which the plot lies.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    fn height(&self, y: f64) -> i32 {
        self.at(0.0, y).1
    }

    /// Joins points. With fewer than two nothing is to be seen.
    pub fn line(&self, points: impl IntoIterator<Item = (f64, f64)>, color: RGBColor, width: u32) -> Drawn {
        let mut pixels: Vec<_> = points.into_iter().map(|(x, y)| self.at(x, y)).collect();
        pixels.dedup();
        if pixels.len() < 2 { Ok(()) } else { self.stroke(&pixels, stroke(color, width)) }
    }

    /// Joins two pixels with dashes.
    pub fn dashes(&self, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Drawn {
        let series = DashedLineSeries::new(vec![from, to], 14, 9, stroke(color, 3));
        series.into_iter().try_for_each(|element| self.page.draw(&element))
    }

    /// Fills a rectangle between two corners.
    pub fn fill(&self, from: (f64, f64), to: (f64, f64), color: RGBAColor) -> Drawn {
        self.inner.draw(&Rectangle::new([from, to], color.filled()))
    }

    /// A dot with a white rim, so that it is seen on a line of its colour.
    pub fn dot(&self, at: (f64, f64), radius: u32, color: RGBColor) -> Drawn {
        self.inner.draw(&Circle::new(at, radius + 3, WHITE.filled()))?;
        self.inner.draw(&Circle::new(at, radius, color.filled()))
    }

    /// A vertical bar with caps, for a range of values.
    pub fn whisker(&self, x: f64, from: f64, to: f64, color: RGBColor) -> Drawn {
        let (low, high) = (self.at(x, from), self.at(x, to));
        self.stroke(&[low, high], stroke(color, 3))?;
        [low, high].into_iter().try_for_each(|(x, y)| self.stroke(&[(x - 12, y), (x + 12, y)], stroke(color, 3)))
    }

    /// Joins pixels.
    pub fn stroke(&self, pixels: &[(i32, i32)], style: ShapeStyle) -> Drawn {
        self.page.draw(&PathElement::new(pixels, style))
    }

    /// Writes at a pixel.
    pub fn write(&self, text: &str, pixel: (i32, i32), style: TextStyle<'_>) -> Drawn {
        self.page.draw(&Text::new(text, pixel, style))
    }

    /// Writes at a pixel, on a white ground that keeps lines away from the letters.
    pub fn write_on_white(&self, text: &str, pixel: (i32, i32), size: f64, color: RGBColor, anchor: Anchor) -> Drawn {
        let style = super::paint::heavy(size, color, anchor);
        let (width, _) = self.page.estimate_text_size(text, &style)?;
        let (width, half) = (width as i32, (size * 0.72) as i32);
        let left = match anchor {
            Anchor::Start => pixel.0,
            Anchor::Middle => pixel.0 - width / 2,
            Anchor::End => pixel.0 - width,
        };
        let corners = [(left - 6, pixel.1 - half), (left + width + 6, pixel.1 + half)];
        self.page.draw(&Rectangle::new(corners, WHITE.mix(0.85).filled()))?;
        self.write(text, pixel, style)
    }

    /// Says which line has which colour, in the upper right corner above the plot.
    pub fn legend(&self, entries: &[(&str, RGBColor)]) -> Drawn {
        let (across, down) = &self.pixels;
        let (mut x, y) = (across.end, down.start - 24);
        for (name, color) in entries.iter().rev() {
            let style = letters(LABEL, INK, Anchor::End);
            let (width, _) = self.page.estimate_text_size(name, &style)?;
            self.write(name, (x, y), style)?;
            x -= width as i32 + 12;
            self.stroke(&[(x - 44, y), (x, y)], stroke(*color, 7))?;
            x -= 44 + 36;
        }
        Ok(())
    }
}
