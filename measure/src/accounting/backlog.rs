use std::{ops::AddAssign, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed;

/// What was left to do at the end of the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backlog {
    /// Images of the measurement that had been sent by its end and were not answered yet.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub images: u64,
    /// The time from the end of the measurement to the last answer to one of them, in microseconds; absent if none of them
    /// was answered.
    #[schemars(range(min = 0))]
    #[serde(with = "signed::Optional", skip_serializing_if = "Option::is_none")]
    pub catch_up_micros: Option<u64>,
}

impl Backlog {
    /// One more, which was answered so long after the end, or never.
    pub(super) fn count(&mut self, answered: Option<Duration>) {
        let micros = answered.map(|after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        *self += Self { images: 1, catch_up_micros: micros };
    }
}

impl AddAssign for Backlog {
    /// Several have caught up when the last of them has.
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.catch_up_micros = self.catch_up_micros.max(other.catch_up_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_have_caught_up_when_the_last_of_them_has() {
        let mut sum = Backlog { images: 3, catch_up_micros: Some(7) };
        sum += Backlog { images: 2, catch_up_micros: None };
        sum += Backlog { images: 1, catch_up_micros: Some(5) };
        assert_eq!(sum, Backlog { images: 6, catch_up_micros: Some(7) });
    }
}
