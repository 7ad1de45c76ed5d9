//! Which changes of a Pipeline's conditions are worth an event.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;
use tailrace_crds::conditions::types;

use super::reasons;
use crate::conditions;

/// Something that happened to a Pipeline.
#[derive(Debug, PartialEq)]
pub struct News {
    /// Whether somebody should look.
    pub type_: EventType,
    /// In one word. It names the part that is in trouble: events of one reason are counted as one.
    pub reason: String,
    /// In one sentence.
    pub note: String,
}

/// A normal start is silent until the Pipeline is Ready; trouble of a part, and the loss of Ready, are warnings.
pub fn news(before: &[Condition], after: &[Condition]) -> Vec<News> {
    let mut news: Vec<News> = after.iter().filter_map(|condition| news_of(before, condition)).collect();
    news.dedup_by(|later, earlier| later.reason == earlier.reason);
    news
}

fn news_of(before: &[Condition], condition: &Condition) -> Option<News> {
    let known = conditions::find(before, &condition.type_);
    if known.is_some_and(|known| known.status == condition.status && known.reason == condition.reason) {
        return None;
    }
    let is_calm = reasons::is_calm(&condition.reason);
    let (type_, reason) = if condition.type_ == types::READY {
        let lost = conditions::is_true(before, types::READY);
        match condition.status.as_str() {
            "True" => (EventType::Normal, condition.reason.clone()),
            _ if condition.reason == reasons::ROLLING_OUT && lost => (EventType::Normal, condition.reason.clone()),
            _ if is_calm && !lost => return None,
            _ => (EventType::Warning, condition.reason.clone()),
        }
    } else {
        match condition.status.as_str() {
            "True" if condition.type_ == types::ROLLOUT_HELD => (EventType::Normal, condition.type_.clone()),
            "True" => return None,
            _ if is_calm => return None,
            _ => (EventType::Warning, reasons::of_event(&condition.type_, &condition.reason)),
        }
    };
    Some(News { type_, reason, note: condition.message.clone() })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::conditions::Conditions;

    fn conditions(list: &[(&str, bool, &str)]) -> Vec<Condition> {
        let mut conditions = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        for (type_, holds, reason) in list {
            conditions.set(type_, *holds, reason, "a sentence");
        }
        conditions.into_list()
    }

    fn told(before: &[(&str, bool, &str)], after: &[(&str, bool, &str)]) -> Vec<String> {
        news(&conditions(before), &conditions(after))
            .iter()
            .map(|news| format!("{:?} {}", news.type_, news.reason))
            .collect()
    }

    #[test]
    fn a_normal_start_is_silent_until_the_end() {
        let starting = [("Ready", false, "KafkaNotReady"), ("KafkaReady", false, "Starting")];
        let checking = [("Ready", false, "Checking"), ("KafkaReady", true, "Available")];
        let ready = [("Ready", true, "Checked"), ("KafkaReady", true, "Available")];
        assert!(told(&[], &starting).is_empty());
        assert!(told(&starting, &checking).is_empty());
        assert_eq!(told(&checking, &ready), ["Normal Checked"]);
        assert!(told(&ready, &ready).is_empty());
    }

    #[test]
    fn trouble_is_told_by_the_part_that_has_it() {
        let starting = [("Ready", false, "ArchiveNotReady"), ("ArchiveReady", false, "Starting")];
        let stuck = [("Ready", false, "ArchiveNotReady"), ("ArchiveReady", false, "ImagePullBackOff")];
        assert_eq!(told(&starting, &stuck), ["Warning ArchiveNotReady"]);
        assert!(told(&stuck, &stuck).is_empty());
    }

    #[test]
    fn a_change_that_waits_and_one_that_is_applied_are_no_trouble() {
        let ready = [("Ready", true, "Checked"), ("RolloutHeld", false, "NothingHeld")];
        let held = [("Ready", true, "Checked"), ("RolloutHeld", true, "LoadTestActive")];
        let applied = [("Ready", false, "RollingOut"), ("RolloutHeld", false, "NothingHeld")];
        assert_eq!(told(&ready, &held), ["Normal RolloutHeld"]);
        assert!(told(&held, &held).is_empty());
        assert_eq!(told(&held, &applied), ["Normal RollingOut"]);
        assert!(told(&[], &applied).is_empty(), "a new Pipeline");
    }

    #[test]
    fn the_loss_of_ready_is_told_once() {
        let ready = [("Ready", true, "Checked"), ("KafkaReady", true, "Available")];
        let lost = [("Ready", false, "KafkaNotReady"), ("KafkaReady", false, "CrashLoopBackOff")];
        assert_eq!(told(&ready, &lost), ["Warning KafkaNotReady"]);
        assert_eq!(told(&[], &[("Ready", false, "CheckFailed")]), ["Warning CheckFailed"]);
    }
}
