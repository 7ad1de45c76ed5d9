//! One LoadTest at a time on a Pipeline, oldest first, then by name.
//!
//! The Pipeline's status names the test that has it. The operator writes that name with the resourceVersion it has
//! read, so of two that try, one gets a conflict.

use std::sync::Arc;

use kube::ResourceExt;
use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::{reasons, types},
    load_test::Phase,
    pipeline::ActiveLoadTest,
};

use super::observation::is_finished;
use crate::conditions::find;

/// Where a test stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The Pipeline is this test's.
    Ours,
    /// Nobody has the Pipeline, or one that is gone or finished, and this test is the first in line.
    Next,
    /// Others come before.
    Behind {
        /// The test that has the Pipeline or, if none has, the first in line.
        waits_for: String,
        /// The place in the line, from 1.
        place: usize,
        /// How many are in the line.
        length: usize,
    },
}

/// Where `load_test` stands among the `others` of its Pipeline.
pub fn turn(load_test: &LoadTest, others: &[Arc<LoadTest>], pipeline: Option<&Pipeline>) -> Turn {
    let holder = pipeline.and_then(holder);
    if is_held_by(holder, load_test) {
        return Turn::Ours;
    }
    let (active, mut line): (Vec<&LoadTest>, Vec<_>) =
        others.iter().map(Arc::as_ref).filter(|other| still_counts(other)).partition(|other| is_held_by(holder, other));
    line.push(load_test);
    line.sort_by_key(|waiting| (waiting.creation_timestamp(), waiting.name_any()));
    let place = 1 + line.iter().take_while(|waiting| waiting.uid() != load_test.uid()).count();
    match active.first() {
        None if place == 1 => Turn::Next,
        active => {
            let waits_for = active.map_or_else(|| line[0].name_any(), |active| active.name_any());
            Turn::Behind { waits_for, place, length: line.len() }
        }
    }
}

/// The test that the Pipeline's status names.
pub fn holder(pipeline: &Pipeline) -> Option<&ActiveLoadTest> {
    pipeline.status.as_ref()?.active_load_test.as_ref()
}

/// Whether that is the same object, not only one of the same name.
pub fn is_held_by(holder: Option<&ActiveLoadTest>, load_test: &LoadTest) -> bool {
    holder.is_some_and(|holder| Some(&holder.uid) == load_test.metadata.uid.as_ref())
}

fn still_counts(load_test: &LoadTest) -> bool {
    !is_finished(load_test) && load_test.metadata.deletion_timestamp.is_none() && !lets_others_go_before(load_test)
}

/// One that is suspended, or waits for its baseline or for a name. One that has started already does none of it.
fn lets_others_go_before(load_test: &LoadTest) -> bool {
    let Some(status) = &load_test.status else { return load_test.spec.suspend };
    let accepted = find(&status.conditions, types::ACCEPTED);
    let waits = [reasons::BASELINE_NOT_USABLE, reasons::NAME_TAKEN];
    let waits = accepted.is_some_and(|accepted| waits.contains(&accepted.reason.as_str()));
    status.phase == Phase::Queued && (load_test.spec.suspend || waits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_test::fixtures::{load_test, pipeline};

    fn held_by(name: &str) -> Pipeline {
        let mut pipeline = pipeline();
        let active = ActiveLoadTest { name: name.into(), uid: format!("uid-of-{name}") };
        pipeline.status.as_mut().unwrap().active_load_test = Some(active);
        pipeline
    }

    fn finished(name: &str) -> LoadTest {
        let mut test = load_test(name, 0);
        test.status.get_or_insert_default().phase = Phase::Failed;
        test
    }

    #[test]
    fn the_oldest_is_the_first_and_then_the_name_decides() {
        let [young, a, b] = [("0", 2), ("a", 1), ("b", 1)].map(|(name, created)| Arc::new(load_test(name, created)));
        assert_eq!(turn(&a, &[b.clone(), young.clone()], None), Turn::Next);
        let behind = |place| Turn::Behind { waits_for: "a".into(), place, length: 3 };
        assert_eq!(turn(&b, &[young.clone(), a.clone()], None), behind(2));
        assert_eq!(turn(&young, &[a, b], None), behind(3));
    }

    #[test]
    fn who_has_the_pipeline_keeps_it_though_older_ones_come() {
        let [old, young] = [("old", 0), ("young", 1)].map(|(name, created)| Arc::new(load_test(name, created)));
        assert_eq!(turn(&young, std::slice::from_ref(&old), Some(&held_by("young"))), Turn::Ours);
        let behind = Turn::Behind { waits_for: "young".into(), place: 1, length: 1 };
        assert_eq!(turn(&old, &[young], Some(&held_by("young"))), behind);
    }

    #[test]
    fn the_lock_of_a_test_that_is_gone_finished_or_being_deleted_is_free() {
        let test = load_test("test", 1);
        assert_eq!(turn(&test, &[], Some(&held_by("gone"))), Turn::Next);
        assert_eq!(turn(&test, &[finished("over").into()], Some(&held_by("over"))), Turn::Next);
        let mut deleted = load_test("deleted", 0);
        deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
        assert_eq!(turn(&test, &[deleted.into()], Some(&held_by("deleted"))), Turn::Next);
    }

    #[test]
    fn a_lock_of_the_same_name_and_another_uid_is_not_ours() {
        let mut pipeline = held_by("test");
        pipeline.status.as_mut().unwrap().active_load_test.as_mut().unwrap().uid = "uid-of-an-earlier-one".into();
        assert_eq!(turn(&load_test("test", 0), &[], Some(&pipeline)), Turn::Next);
    }

    #[test]
    fn others_go_before_one_that_is_suspended() {
        let mut suspended = load_test("suspended", 0);
        suspended.spec.suspend = true;
        assert_eq!(turn(&load_test("test", 1), &[suspended.into()], None), Turn::Next);
    }
}
