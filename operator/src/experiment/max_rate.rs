//! The search for the highest rate that keeps the SLOs. Inside it a rate is that of each producer, since all send the
//! same; outside it is that of all of them together.

use tailrace_crds::{
    conditions::{reasons, types, warnings},
    experiment::{MaxRate, MaxRateResult, Outcome, Point, Run},
    load_test::{LoadTestSpec, LoadTestStatus},
};
use tailrace_measure::{
    search::{self, Answer, Search},
    signed::unsigned,
};

use super::{
    plan::{Next, Planned, Verdict, is_over, repeats},
    sweep::did_not_succeed,
};
use crate::conditions::find;

/// How many LoadTests a search makes at most. One that is not contradicted needs far fewer.
const MOST_RUNS: usize = 100;
/// Images that left at most so late, but for 1 %, were not kept back by the producers.
const IN_TIME_MICROS: u64 = 1_000;

/// The LoadTest that follows those that are over.
pub fn next(bounds: &MaxRate, template: &LoadTestSpec, points: &[Point]) -> Next {
    if let Some(mute) = runs(points).find(|run| run.outcome.is_none()) {
        let message = format!("nothing can be said about the rate, since {}", did_not_succeed(mute));
        return Next::End(Verdict::failure(reasons::TEST_FAILED, message));
    }
    match search(bounds, template).next(&history(points)) {
        search::Next::End(answer) => Next::End(verdict(answer, bounds, template, points)),
        search::Next::Run(rate) => {
            let rate = signed(rate);
            let known = points.iter().position(|point| point.rate_per_producer == Some(rate));
            let run = known.map_or(0, |known| points[known].runs.iter().filter(|run| is_over(Some(run))).count());
            Next::Run(Planned {
                point: known.unwrap_or(points.len()),
                run,
                repeat: repeats(known.map(|known| &points[known]), run),
                producers: template.producers,
                rate_per_producer: Some(rate),
            })
        }
    }
}

/// How far the search is, with the LoadTests that speak for it.
pub fn result(bounds: &MaxRate, template: &LoadTestSpec, points: &[Point]) -> MaxRateResult {
    let found = search(bounds, template).boundary(&history(points));
    let total = |rate: Option<u64>| rate.map(|rate| signed(rate).saturating_mul(template.producers));
    MaxRateResult {
        held: total(found.held),
        missed: total(found.missed),
        held_above: total(found.held_above),
        held_by: names_at(points, found.held),
        missed_by: names_at(points, found.missed),
    }
}

/// What a LoadTest that is over says about its rate; none if it says nothing.
///
/// Where fewer images were sent than were to be, or none was answered, it depends on when the images left: if in time,
/// it was Kafka that did not take them, or the classifier that did not answer, and both are parts of the Pipeline.
pub fn outcome(status: &LoadTestStatus) -> Option<Outcome> {
    let valid = find(&status.conditions, types::RESULTS_VALID)?;
    if valid.status == "True" {
        return match find(&status.conditions, types::SLOS_MET)?.status.as_str() {
            "True" if is_unstable(status) => Some(Outcome::Missed),
            "True" => Some(Outcome::Held),
            "False" => Some(Outcome::Missed),
            _ => None,
        };
    }
    match valid.reason.as_str() {
        reasons::GENERATOR_SATURATED => Some(Outcome::ProducersLimited),
        reasons::OFFERED_RATE_TOO_LOW | reasons::NO_SAMPLES if left_in_time(status) => Some(Outcome::Missed),
        reasons::OFFERED_RATE_TOO_LOW | reasons::NO_SAMPLES => Some(Outcome::ProducersLimited),
        _ => None,
    }
}

/// Whether images piled up, so that the SLOs would have been missed had the LoadTest been longer.
fn is_unstable(status: &LoadTestStatus) -> bool {
    status.result.warnings.iter().any(|warning| warning.reason == warnings::UNSTABLE)
}

fn left_in_time(status: &LoadTestStatus) -> bool {
    let p99 = status.result.send_delay_micros.as_ref().and_then(|delay| delay.p99);
    p99.is_some_and(|p99| p99 <= IN_TIME_MICROS)
}

fn search(bounds: &MaxRate, template: &LoadTestSpec) -> Search {
    let producers = positive(template.producers);
    Search {
        lowest: positive(bounds.from).div_ceil(producers),
        highest: positive(bounds.to) / producers,
        resolution_percent: positive(bounds.resolution_percent),
        confirmations: usize::try_from(bounds.confirmations).unwrap_or(1),
        most_runs: MOST_RUNS,
    }
}

fn runs(points: &[Point]) -> impl Iterator<Item = &Run> {
    points.iter().flat_map(|point| &point.runs).filter(|run| is_over(Some(run)))
}

fn history(points: &[Point]) -> Vec<search::Run> {
    let of_point = |point: &Point| {
        let rate = positive(point.rate_per_producer.unwrap_or_default());
        let outcomes = point.runs.iter().filter_map(|run| run.outcome);
        outcomes.map(|outcome| search::Run { rate, outcome: pure(outcome) }).collect::<Vec<_>>()
    };
    points.iter().flat_map(of_point).collect()
}

fn pure(outcome: Outcome) -> search::Outcome {
    match outcome {
        Outcome::Held => search::Outcome::Held,
        Outcome::Missed => search::Outcome::Missed,
        Outcome::ProducersLimited => search::Outcome::Limited,
    }
}

fn names_at(points: &[Point], rate: Option<u64>) -> Vec<String> {
    let at = points.iter().find(|point| rate.is_some() && point.rate_per_producer == rate.map(signed));
    at.into_iter().flat_map(|point| &point.runs).map(|run| run.load_test.clone()).collect()
}

fn verdict(answer: Answer, bounds: &MaxRate, template: &LoadTestSpec, points: &[Point]) -> Verdict {
    let found = result(bounds, template, points);
    let rate = |rate: Option<i32>| rate.map_or("nothing".to_owned(), |rate| format!("{rate}/s"));
    let (held, missed) = (rate(found.held), rate(found.missed));
    let (reason, message) = match answer {
        Answer::Found => {
            let above = found.held_above.map(|above| format!("; {above}/s did, which is not believed"));
            let above = above.unwrap_or_default();
            (reasons::FOUND, format!("the highest rate that keeps the SLOs is {held}; {missed} does not{above}"))
        }
        Answer::AllHeld => {
            let advice = "nothing higher was tried: write a higher maxRate.to in a new Experiment";
            (reasons::UPPER_BOUND_HELD, format!("{held} keeps the SLOs, and {advice}"))
        }
        Answer::NoneHeld => {
            let advice = "nothing lower was tried: write a lower maxRate.from in a new Experiment";
            (reasons::LOWER_BOUND_MISSED, format!("{missed} does not keep the SLOs, and {advice}"))
        }
        Answer::Limited(limited) => {
            let at = signed(limited).saturating_mul(template.producers);
            let why = limit_at(points, limited).unwrap_or_default();
            let message = format!(
                "at {at}/s the producers were the limit and not the Pipeline, so there is no answer; {held} held{why}"
            );
            (reasons::PRODUCERS_LIMITED, message)
        }
        Answer::Undecided => {
            let message =
                format!("{MOST_RUNS} LoadTests were not enough, since they contradict each other; {held} held so far");
            (reasons::UNDECIDED, message)
        }
    };
    match answer {
        Answer::Found | Answer::AllHeld => Verdict::success(reason, message),
        _ => Verdict::failure(reason, message),
    }
}

/// What a LoadTest says whose producers were the limit.
fn limit_at(points: &[Point], rate: u64) -> Option<String> {
    let point = points.iter().find(|point| point.rate_per_producer == Some(signed(rate)))?;
    let limited = point.runs.iter().find(|run| run.outcome == Some(Outcome::ProducersLimited))?;
    Some(format!("; LoadTest \"{}\": {}", limited.load_test, limited.message.as_deref()?))
}

fn positive(value: i32) -> u64 {
    unsigned(i64::from(value)).max(1)
}

fn signed(rate: u64) -> i32 {
    i32::try_from(rate).unwrap_or(i32::MAX)
}
