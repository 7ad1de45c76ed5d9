//! Every image is accounted for: scheduled = sent + send errors, sent = received + lost.

mod counts;
mod ledger;

pub use counts::{Counts, CountsDisagree};
pub use ledger::{Answered, Ledger, Outcome, Tally, Windows};
