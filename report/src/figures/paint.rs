//! Colours and letters.

use plotters::style::{
    Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle,
    text_anchor::{HPos, Pos, VPos},
};

use super::figure::FONT;

/// Of texts and of what matters most.
pub const INK: RGBColor = RGBColor(27, 39, 51);
/// Of texts that explain.
pub const MUTED: RGBColor = RGBColor(84, 98, 112);
/// Of lines that only guide the eye.
pub const GRID: RGBColor = RGBColor(226, 231, 236);
/// Of the lines along the axes.
pub const AXIS: RGBColor = RGBColor(150, 162, 174);
/// Of areas of counts.
pub const BARS: RGBColor = RGBColor(141, 187, 222);
/// Of the median. This and the next two are told apart with every kind of colour vision (Okabe and Ito, 2008,
/// darkened).
pub const P50: RGBColor = RGBColor(0, 100, 165);
/// Of the 90th percentile.
pub const P90: RGBColor = RGBColor(0, 133, 98);
/// Of the 95th percentile.
pub const P95: RGBColor = RGBColor(200, 95, 0);
/// Of the 99th percentile.
pub const P99: RGBColor = RGBColor(122, 62, 150);
/// Of limits, and of what is unbounded.
pub const LIMIT: RGBColor = RGBColor(196, 22, 42);

/// Of a title.
pub const TITLE: f64 = 40.0;
/// Of what is below a title.
pub const SUBTITLE: f64 = 24.0;
/// Of labels of axes and lines.
pub const LABEL: f64 = 24.0;
/// Of the small print.
pub const FOOTNOTE: f64 = 18.0;

/// Where a text lies, seen from its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// A text of so many pixels, vertically around its point.
pub fn letters(size: f64, color: RGBColor, anchor: Anchor) -> TextStyle<'static> {
    let horizontal = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    // plotters divides by that.
    (FONT, size * 1.24).into_font().color(&color).pos(Pos::new(horizontal, VPos::Center))
}

/// The same in a heavier weight.
pub fn heavy(size: f64, color: RGBColor, anchor: Anchor) -> TextStyle<'static> {
    let style = letters(size, color, anchor);
    TextStyle { font: style.font.style(FontStyle::Bold), ..style }
}

/// From the bottom to the top.
pub fn upwards(style: TextStyle<'static>) -> TextStyle<'static> {
    style.transform(FontTransform::Rotate270)
}

/// A line of so many pixels.
pub fn stroke(color: RGBColor, width: u32) -> ShapeStyle {
    color.stroke_width(width)
}
