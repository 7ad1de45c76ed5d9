//! Conditions as Kubernetes has them: the transition time moves only when the status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said.
    Unknown,
}

impl Status {
    /// As the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// The conditions of one object, being brought up to date.
#[derive(Clone, Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Starts from the conditions of the last status; `generation` is the one being observed.
    pub fn new(previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { list: previous.to_vec(), generation, now }
    }

    /// Sets one condition; adds it if it is new.
    pub fn set(&mut self, type_: &str, status: impl Into<Status>, reason: &str, message: impl Into<String>) {
        let status = status.into().as_str().to_owned();
        let previous = self.list.iter().position(|condition| condition.type_ == type_);
        let since = previous
            .map(|at| &self.list[at])
            .filter(|condition| condition.status == status)
            .map_or(Time(self.now), |condition| condition.last_transition_time.clone());
        let condition = Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: since,
        };
        match previous {
            Some(at) => self.list[at] = condition,
            None => self.list.push(condition),
        }
    }

    /// The conditions for the status.
    pub fn into_list(self) -> Vec<Condition> {
        self.list
    }
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is there and holds.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut first = Conditions::new(&[], Some(1), at(10));
        first.set("Ready", false, "Starting", "one pod is missing");
        let first = first.into_list();

        let mut second = Conditions::new(&first, Some(2), at(20));
        second.set("Ready", Status::False, "Starting", "another pod is missing");
        let second = second.into_list();
        assert_eq!(second[0].last_transition_time.0, at(10));
        assert_eq!(second[0].message, "another pod is missing");
        assert_eq!(second[0].observed_generation, Some(2));

        let mut third = Conditions::new(&second, Some(2), at(30));
        third.set("Ready", true, "Checked", "");
        let third = third.into_list();
        assert_eq!(third.len(), 1);
        assert_eq!(third[0].last_transition_time.0, at(30));
        assert!(is_true(&third, "Ready"));
        assert!(!is_true(&third, "KafkaReady"));
    }
}
