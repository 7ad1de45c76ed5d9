use std::sync::{Arc, Once};

use base64::{Engine, prelude::BASE64_STANDARD};
use plotters::prelude::SVGBackend;
use plotters::{
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    style::{FontStyle, WHITE, register_font},
};
use quick_xml::escape::escape;
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree, fontdb},
};

/// In pixels, of every picture.
pub const WIDTH: u32 = 1600;
/// In pixels, of every picture.
pub const HEIGHT: u32 = 1000;

/// The name of the typeface.
pub(super) const FONT: &str = "Inter";
const REGULAR: &[u8] = include_bytes!("../../fonts/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("../../fonts/Inter-SemiBold.ttf");

/// Where pictures are painted; points are pixels.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What came of drawing.
pub(super) type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The drawing failed.
    #[error("the picture cannot be drawn: {0}")]
    Draw(#[from] DrawingAreaErrorKind<std::io::Error>),
    /// The SVG cannot be rendered.
    #[error("the picture cannot be rendered: {0}")]
    Render(#[from] resvg::usvg::Error),
    /// There is no room for so many pixels, or they cannot be encoded.
    #[error("the picture cannot be written as PNG: {0}")]
    Png(String),
}

/// A picture of [`WIDTH`] times [`HEIGHT`] pixels.
#[derive(Clone, Debug)]
pub struct Figure {
    svg: String,
}

impl Figure {
    /// Draws a picture; `title` and `description` are for those who cannot see it.
    pub(super) fn draw(
        title: &str,
        description: &str,
        paint: impl FnOnce(&Area) -> Drawn,
    ) -> Result<Self, FigureError> {
        register_fonts();
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            root.fill(&WHITE)?;
            paint(&root)?;
            root.present()?;
        }
        Ok(Self { svg: with_head(&svg, title, description) })
    }

    /// The picture as SVG, its typeface included.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as PNG.
    ///
    /// # Errors
    /// A [`FigureError`] that no picture of this crate is known to have.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(REGULAR.to_vec());
        fonts.load_font_data(SEMI_BOLD.to_vec());
        let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
        let tree = Tree::from_str(&self.svg, &options)?;
        let too_large = || FigureError::Png("it is too large".into());
        let mut pixels = Pixmap::new(WIDTH, HEIGHT).ok_or_else(too_large)?;
        resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| FigureError::Png(error.to_string()))
    }
}

/// For the widths of texts, which plotters asks for; without a font it takes them to be of no width.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, bytes) in [(FontStyle::Normal, REGULAR), (FontStyle::Bold, SEMI_BOLD)] {
            let _ = register_font(FONT, style, bytes);
        }
    });
}

fn with_head(svg: &str, title: &str, description: &str) -> String {
    let (opening, rest) = svg.split_once('>').unwrap_or((svg, ""));
    // For viewers that do not take the typeface out of the file.
    let rest = rest
        .replace(&format!("font-family=\"{FONT}\""), &format!("font-family=\"{FONT}, Helvetica, Arial, sans-serif\""));
    let face = |weight, bytes| {
        let font = BASE64_STANDARD.encode(bytes);
        format!(
            "@font-face{{font-family:{FONT};font-weight:{weight};src:url(data:font/ttf;base64,{font}) format('truetype')}}\n"
        )
    };
    format!(
        "{opening} role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>\n{}{}</style>{rest}",
        escape(title),
        escape(description),
        face("normal", REGULAR),
        face("bold", SEMI_BOLD),
    )
}
