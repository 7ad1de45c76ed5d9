//! Every image is accounted for: scheduled = sent + send errors, sent = received + lost.

mod counts;
mod image;
mod ledger;
mod tally;

pub use counts::{Counts, CountsDisagree};
pub use image::{Answer, Answered, Outcome, Record};
pub use ledger::Ledger;
pub use tally::{Stages, Tally, Windows};
