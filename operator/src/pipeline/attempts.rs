//! The Jobs of a Pipeline are attempts at something that may fail for want of something else: each is made again,
//! after a pause that grows, until one succeeds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::observe::Observed;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where the attempts at one thing stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempts<'a> {
    /// The attempt of that number is to be made now, after this one has failed.
    Due(u32, Option<&'a Job>),
    /// This one is on its way, after that one has failed.
    Running(&'a Job, Option<&'a Job>),
    /// This one succeeded.
    Succeeded(&'a Job),
    /// This one failed, and the next is due at that time.
    Failed(&'a Job, Timestamp),
    /// This one succeeded, what it did holds no more, and the next is due at that time.
    Undone(&'a Job, Timestamp),
}

impl<'a> Attempts<'a> {
    /// Looks for the attempts called `name`-1, `name`-2 and so on. `undone` says whether what succeeded at that time
    /// holds no more.
    pub fn of(name: &str, observed: &'a Observed, now: Timestamp, undone: impl FnOnce(Timestamp) -> bool) -> Self {
        let mut attempts: Vec<(u32, &Job)> = attempts(name, &observed.jobs).collect();
        attempts.sort_by_key(|(number, _)| *number);
        let Some((number, job)) = attempts.pop() else {
            return Self::Due(1, None);
        };
        // A pod that has succeeded says so a second or two before its Job does.
        let succeeded = |job| condition_time(job, "Complete").is_some() || observed.report(job).is_some();
        if succeeded(job) {
            return match completed(job).filter(|time| undone(*time)).map(|time| time + pause(number)) {
                None => Self::Succeeded(job),
                Some(due) if due <= now => Self::Due(number + 1, None),
                Some(due) => Self::Undone(job, due),
            };
        }
        match condition_time(job, "Failed") {
            None => Self::Running(job, attempts.pop().map(|(_, job)| job).filter(|job| !succeeded(job))),
            Some(failed) if failed + pause(number) <= now => Self::Due(number + 1, Some(job)),
            Some(failed) => Self::Failed(job, failed + pause(number)),
        }
    }

    /// The attempt that is on its way or has ended.
    pub fn current(&self) -> Option<&'a Job> {
        match self {
            Self::Due(..) => None,
            Self::Running(job, _) | Self::Succeeded(job) | Self::Failed(job, _) | Self::Undone(job, _) => Some(job),
        }
    }

    /// The last attempt that failed, which says why there is another one.
    pub fn failed(&self) -> Option<&'a Job> {
        match self {
            Self::Due(_, failed) | Self::Running(_, failed) => *failed,
            Self::Failed(job, _) => Some(job),
            Self::Succeeded(_) | Self::Undone(..) => None,
        }
    }

    /// When the attempt ended that succeeded, once its Job says so.
    pub fn completed(&self) -> Option<Timestamp> {
        match self {
            Self::Succeeded(job) => completed(job),
            _ => None,
        }
    }

    /// When the next attempt is due, if it is not yet.
    pub fn next(&self) -> Option<Timestamp> {
        match self {
            Self::Failed(_, next) | Self::Undone(_, next) => Some(*next),
            _ => None,
        }
    }
}

fn completed(job: &Job) -> Option<Timestamp> {
    condition_time(job, "Complete")
}

/// The Job of one attempt.
pub fn attempt(template: &Job, number: u32) -> Job {
    let mut job = template.clone();
    job.metadata.name = Some(format!("{}-{number}", template.name_any()));
    job
}

fn attempts<'a>(name: &str, jobs: &'a [Job]) -> impl Iterator<Item = (u32, &'a Job)> {
    jobs.iter().filter_map(move |job| {
        let number = job.metadata.name.as_deref()?.strip_prefix(name)?.strip_prefix('-')?.parse().ok()?;
        Some((number, job))
    })
}

/// Since when the condition holds.
fn condition_time(job: &Job, type_: &str) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")?;
    Some(condition.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

fn pause(number: u32) -> SignedDuration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << (number - 1).min(8));
    SignedDuration::try_from(doubled.min(LONGEST_PAUSE)).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, condition: &str) -> Job {
        let status = match condition {
            "" => "{}".to_owned(),
            type_ => format!(
                "{{conditions: [{{type: {type_}, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z'}}]}}"
            ),
        };
        serde_yaml_ng::from_str(&format!("{{metadata: {{name: {name}}}, status: {status}}}")).unwrap()
    }

    fn observed<const N: usize>(jobs: [Job; N]) -> Observed {
        Observed { jobs: jobs.into(), ..Observed::default() }
    }

    fn seconds_later(seconds: i64) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn the_first_attempt_is_due_at_once() {
        let other = observed([job("cifar-check-bbbb-1", "Complete")]);
        assert_eq!(Attempts::of("cifar-check-aaaa", &other, seconds_later(0), |_| false), Attempts::Due(1, None));
    }

    #[test]
    fn a_failed_attempt_is_followed_by_another_after_a_pause_that_grows_to_a_minute() {
        let mut observed = observed([]);
        for (number, pause) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
            observed.jobs.push(job(&format!("cifar-check-aaaa-{number}"), "Failed"));
            let failed = &observed.jobs[number - 1];
            let waiting = Attempts::of("cifar-check-aaaa", &observed, seconds_later(pause - 1), |_| false);
            assert_eq!(waiting, Attempts::Failed(failed, seconds_later(pause)));
            let due = Attempts::of("cifar-check-aaaa", &observed, seconds_later(pause), |_| false);
            assert_eq!(due, Attempts::Due(number as u32 + 1, Some(failed)));
        }
    }

    #[test]
    fn an_attempt_on_its_way_comes_with_the_one_that_failed_before() {
        let seen = observed([job("cifar-check-aaaa-1", "Failed"), job("cifar-check-aaaa-2", "")]);
        let attempts = Attempts::of("cifar-check-aaaa", &seen, seconds_later(0), |_| false);
        assert_eq!(attempts, Attempts::Running(&seen.jobs[1], Some(&seen.jobs[0])));
    }

    #[test]
    fn the_latest_attempt_counts() {
        let seen = observed([job("cifar-check-aaaa-9", "Failed"), job("cifar-check-aaaa-10", "Complete")]);
        let attempts = Attempts::of("cifar-check-aaaa", &seen, seconds_later(0), |_| false);
        assert_eq!(attempts, Attempts::Succeeded(&seen.jobs[1]));
    }

    #[test]
    fn the_pod_is_believed_before_its_job() {
        let mut seen = observed([job("cifar-check-aaaa-1", "")]);
        seen.jobs[0].metadata.uid = Some("1".into());
        let owner = "{apiVersion: batch/v1, kind: Job, name: cifar-check-aaaa-1, uid: '1', controller: true}";
        let pod = "{metadata: {ownerReferences: [OWNER]}, status: {containerStatuses: [
            {name: check, ready: false, restartCount: 0, image: i, imageID: '', state: {terminated: {exitCode: 0, message: '{}'}}}]}}";
        seen.pods.push(serde_yaml_ng::from_str(&pod.replace("OWNER", owner)).unwrap());
        let attempts = Attempts::of("cifar-check-aaaa", &seen, seconds_later(0), |_| false);
        assert_eq!(attempts, Attempts::Succeeded(&seen.jobs[0]));
    }

    #[test]
    fn what_was_undone_is_done_again_after_a_pause_and_the_one_before_has_not_failed() {
        fn of(seen: &Observed, now: i64) -> Attempts<'_> {
            Attempts::of("cifar-topics-aaaa", seen, seconds_later(now), |made| made == seconds_later(0))
        }
        let mut seen = observed([job("cifar-topics-aaaa-3", "Complete")]);
        assert_eq!(of(&seen, 3), Attempts::Undone(&seen.jobs[0], seconds_later(4)));
        assert_eq!(of(&seen, 4), Attempts::Due(4, None));
        seen.jobs.push(job("cifar-topics-aaaa-4", ""));
        assert_eq!(of(&seen, 5), Attempts::Running(&seen.jobs[1], None));
    }
}
