//! Every image is accounted for: scheduled = sent + send errors, sent = received + lost.

mod backlog;
mod counts;
mod image;
mod ledger;
mod stages;
mod tally;

pub use backlog::Backlog;
pub use counts::{Counts, CountsDisagree};
pub use image::{Answer, Answered, Outcome, Record};
pub use ledger::Ledger;
pub use stages::Stages;
pub use tally::{Tally, Windows};
