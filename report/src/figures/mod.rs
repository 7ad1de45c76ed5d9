//! The pictures. Each is drawn once, as SVG; PNG is rendered from it.
//!
//! A picture says by itself what it shows: title, load model, date, verdict and images are on it. Text is set in Inter,
//! which is part of this crate, since containers have no fonts.

mod axis;
mod figure;
mod frame;
mod histogram;
mod over_time;
mod paint;
mod percentiles;
mod plot;
mod stages;
mod sweep;

pub use figure::{Figure, FigureError, HEIGHT, WIDTH};
pub use histogram::histogram;
pub use over_time::over_time;
pub use percentiles::percentiles;
pub use stages::stages;
pub use sweep::sweep;
