//! Deletes the documents of a test that is over, if it is not to keep them: observe -> decide (pure) -> apply.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams, runtime::events::EventType};
use serde::Deserialize;
use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::warnings,
    load_test::{Documents, LoadTestStatus, Warning},
};

use super::{
    apply::MANAGER,
    observation::{is_finished, job_condition},
};
use crate::{
    context::Context,
    controllers::now,
    ownership::is_owned_by,
    pipeline::{
        build::documents::{DEADLINE_SECONDS, delete_documents, job_name},
        validate::validate,
    },
    pods, reading,
    writer::{Error, Writer, bounded},
};

/// How often it is asked whether the Job has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long the Pipeline is kept for a deletion: its Job has ended long before, unless the operator cannot work.
const LONGEST: SignedDuration = SignedDuration::from_secs(DEADLINE_SECONDS + 60);

/// Whether the documents of a test that is over are still to be deleted. The next test waits for that: it would be
/// measured beside the deletion otherwise.
pub fn is_pending(load_test: &LoadTest, now: Timestamp) -> bool {
    let Some(status) = &load_test.status else { return false };
    let too_long = status.completion_time.as_ref().is_some_and(|time| time.0 + LONGEST <= now);
    !load_test.spec.keep_documents && is_finished(load_test) && status.documents.is_none() && !too_long
}

/// What there is of the deletion.
struct Seen<'a> {
    load_test: &'a LoadTest,
    job: Option<Job>,
    pods: Vec<Pod>,
    /// The Job that is to be made, or why there is none to make.
    wanted: Result<Job, Documents>,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
enum Next {
    /// Make the Job.
    Make(Box<Job>),
    /// Wait for the Job.
    Wait,
    /// Say how it ended.
    End(Documents),
}

/// Goes on with the deletion of the documents of a test that is over. Returns when to look again, if it has not ended.
///
/// # Errors
/// Of the API server.
pub async fn tidy(
    context: &Context,
    load_test: &LoadTest,
    pipeline: Option<&Pipeline>,
) -> Result<Option<Duration>, Error> {
    if !is_pending(load_test, now()) {
        return Ok(None);
    }
    // The watch keeps only a part of the status of a test that is over, and all of it is written below.
    let found = reading::get::<LoadTest>(&context.client, load_test, "read", &load_test.name_any()).await?;
    let Some(Ok(load_test)) = &found else { return Ok(None) };
    if !is_pending(load_test, now()) {
        return Ok(None);
    }
    let writer = Writer::new(context.client.clone(), MANAGER);
    let wanted = wanted(context, load_test, pipeline);
    let (job, pods) = observe(context, load_test).await?;
    let seen = Seen { load_test, job, pods, wanted };
    let before = load_test.status.clone().unwrap_or_default();
    match decide(&seen) {
        Next::Make(job) => match writer.create(job.as_ref()).await {
            Err(error) if error.is_refusal() => {
                let outcome = Documents { deleted: false, message: error.to_string() };
                end(context, &writer, &seen, before, &outcome).await.map(|()| None)
            }
            made => made.map(|_| Some(LOOK_AGAIN)),
        },
        Next::Wait => Ok(Some(LOOK_AGAIN)),
        Next::End(outcome) => end(context, &writer, &seen, before, &outcome).await.map(|()| None),
    }
}

fn wanted(context: &Context, load_test: &LoadTest, pipeline: Option<&Pipeline>) -> Result<Job, Documents> {
    let nothing = |message: &str| Documents { deleted: true, message: message.into() };
    let left = |message: String| Documents { deleted: false, message };
    if load_test.status.as_ref().is_none_or(|status| status.start_time.is_none()) {
        return Err(nothing("the test has sent no images"));
    }
    let name = &load_test.spec.pipeline_ref.name;
    let pipeline = pipeline.ok_or_else(|| left(format!("Pipeline \"{name}\" was deleted")))?;
    let validated = validate(pipeline, &context.settings).map_err(|invalid| left(invalid.to_string()))?;
    delete_documents(&validated, &context.settings.images, load_test)
        .ok_or_else(|| nothing("the Pipeline archives nothing"))
}

async fn observe(context: &Context, load_test: &LoadTest) -> Result<(Option<Job>, Vec<Pod>), Error> {
    let (namespace, name) = (load_test.namespace().unwrap_or_default(), job_name(load_test));
    let jobs = Api::<Job>::namespaced(context.client.clone(), &namespace);
    let Some(job) = bounded("read the Job that deletes the documents of", load_test, jobs.get_opt(&name)).await? else {
        return Ok((None, vec![]));
    };
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
    let pods = Api::<Pod>::namespaced(context.client.clone(), &namespace);
    let mut pods = bounded("list the pods that delete the documents of", load_test, pods.list(&of_job)).await?.items;
    pods.retain(|pod| is_owned_by(pod, &job));
    Ok((Some(job), pods))
}

fn decide(seen: &Seen<'_>) -> Next {
    let words = |succeeded| {
        let newest_first = seen.pods.iter().rev().filter_map(pods::last_words);
        newest_first.filter(move |words| words.succeeded == succeeded).map(|words| words.text).next()
    };
    match &seen.job {
        Some(job) if !is_owned_by(job, seen.load_test) => {
            let message = format!("Job {} exists and is not of this test: delete it", job.name_any());
            Next::End(Documents { deleted: false, message })
        }
        Some(job) if job_condition(job, "Complete").is_some() => {
            Next::End(Documents { deleted: true, message: counted(words(true)) })
        }
        Some(job) => match job_condition(job, "Failed") {
            Some(failed) => {
                Next::End(Documents { deleted: false, message: words(false).map_or(failed, str::to_owned) })
            }
            None => Next::Wait,
        },
        None => match &seen.wanted {
            Ok(job) => Next::Make(Box::new(job.clone())),
            Err(outcome) => Next::End(outcome.clone()),
        },
    }
}

/// What the worker says that it has deleted.
#[derive(Deserialize)]
struct Deleted {
    images: u64,
    inferences: u64,
}

fn counted(words: Option<&str>) -> String {
    match words.and_then(|words| serde_json::from_str::<Deleted>(words).ok()) {
        Some(Deleted { images, inferences }) => format!("{images} images and {inferences} answers were deleted"),
        None => "what the test has put into the database is deleted".into(),
    }
}

async fn end(
    context: &Context,
    writer: &Writer,
    seen: &Seen<'_>,
    before: LoadTestStatus,
    outcome: &Documents,
) -> Result<(), Error> {
    let Documents { deleted, message } = outcome;
    let mut status = LoadTestStatus { documents: Some(outcome.clone()), ..before.clone() };
    if !deleted {
        let warning = format!("what the test has put into the database is still there: {message}");
        context.event(seen.load_test, EventType::Warning, warnings::DOCUMENTS_LEFT, &warning).await;
        status.result.warnings.push(Warning { reason: warnings::DOCUMENTS_LEFT.into(), message: warning });
    }
    writer.apply_status(seen.load_test, &before, &status, true).await?;
    match &seen.job {
        // The log of one that failed says more.
        Some(job) if *deleted => writer.delete(job).await,
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tailrace_crds::load_test::Phase;

    use super::*;
    use crate::load_test::fixtures;

    fn finished(keep_documents: bool) -> LoadTest {
        let mut test = fixtures::load_test("test", 0);
        test.spec.keep_documents = keep_documents;
        let status =
            json!({ "phase": Phase::Succeeded, "startTime": fixtures::begin(), "completionTime": fixtures::begin() });
        test.status = serde_json::from_value(status).unwrap();
        test
    }

    fn job(condition: Option<&str>) -> Job {
        let settings = fixtures::settings();
        let validated = validate(&fixtures::pipeline(), &settings).unwrap();
        let mut job = delete_documents(&validated, &settings.images, &finished(false)).unwrap();
        let conditions =
            condition.map(|type_| json!([{ "type": type_, "status": "True", "reason": "BackoffLimitExceeded" }]));
        job.status = serde_json::from_value(json!({ "conditions": conditions })).unwrap();
        job
    }

    fn pod(exit_code: i32, words: &str) -> Pod {
        let terminated = json!({ "terminated": { "exitCode": exit_code, "message": words } });
        let container =
            json!({ "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": terminated });
        serde_json::from_value(json!({ "metadata": {}, "status": { "containerStatuses": [container] } })).unwrap()
    }

    fn decided(job: Option<Job>, pods: Vec<Pod>) -> Next {
        let nothing = Documents { deleted: true, message: "the Pipeline archives nothing".into() };
        decide(&Seen { load_test: &finished(false), job, pods, wanted: Err(nothing) })
    }

    #[test]
    fn only_a_test_that_is_over_and_keeps_nothing_waits_for_its_documents() {
        let now = fixtures::begin();
        assert!(is_pending(&finished(false), now));
        assert!(!is_pending(&finished(true), now));
        assert!(!is_pending(&finished(false), now + LONGEST), "the next test does not wait for ever");
        let mut running = finished(false);
        running.status.as_mut().unwrap().phase = Phase::Running;
        assert!(!is_pending(&running, now));
        for deleted in [true, false] {
            let mut test = finished(false);
            test.status.as_mut().unwrap().documents = Some(Documents { deleted, message: String::new() });
            assert!(!is_pending(&test, now), "{deleted}");
        }
    }

    #[test]
    fn the_job_deletes_what_bears_the_uid_of_the_test() {
        let job = job(None);
        let container = &job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0];
        assert_eq!(container.args, Some(vec!["delete-documents".into()]));
        let environment = container.env.as_ref().unwrap();
        let value = |name| environment.iter().find(|variable| variable.name == name).unwrap().value.clone().unwrap();
        assert_eq!(value("TAILRACE_SOURCE_PREFIX"), "uid-of-test");
        assert_eq!(value("TAILRACE_DATABASE"), "iot");
        assert_eq!(job.owner_references()[0].uid, "uid-of-test");
    }

    #[test]
    fn the_end_is_told_in_the_words_of_the_worker() {
        let end = |deleted, message: &str| Next::End(Documents { deleted, message: message.into() });
        let counts = "{\"images\":3,\"inferences\":2}";
        assert_eq!(
            decided(Some(job(Some("Complete"))), vec![pod(1, "no database"), pod(0, counts)]),
            end(true, "3 images and 2 answers were deleted")
        );
        assert_eq!(decided(Some(job(Some("Failed"))), vec![pod(1, "no database")]), end(false, "no database"));
        assert_eq!(decided(Some(job(Some("Failed"))), vec![]), end(false, "BackoffLimitExceeded"));
        assert_eq!(decided(None, vec![]), end(true, "the Pipeline archives nothing"));
        assert!(matches!(decided(Some(job(None)), vec![]), Next::Wait));
        let mut foreign = job(Some("Complete"));
        foreign.metadata.owner_references = None;
        assert!(matches!(decided(Some(foreign), vec![]), Next::End(Documents { deleted: false, .. })));
    }
}
