//! What holds for any input. A failure prints its seed; `TAILRACE_TEST_SEED=<seed>` repeats it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};
use tailrace_measure::{
    accounting::{self, Answered, Counts, Ledger, Outcome, Windows},
    histogram::{HIGHEST_MICROS, LatencyHistogram},
    intervals::{Intervals, MOST_INTERVALS},
    repetitions::spread,
    schedule::Constant,
    search::{self, Answer, Boundary, Next, Run, Search},
    summary::summarize,
};

fn holds<S: Strategy>(inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = match std::env::var("TAILRACE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("TAILRACE_TEST_SEED is a whole number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
    };
    println!("TAILRACE_TEST_SEED={seed}");
    let config =
        ProptestConfig { rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..ProptestConfig::default() };
    if let Err(failure) = TestRunner::new(config).run(&inputs, property) {
        panic!("{failure}");
    }
}

fn latencies() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![0..100_000u64, 0..=HIGHEST_MICROS], 0..300)
}

fn histogram(values: &[u64]) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    values.iter().for_each(|value| histogram.record(*value).unwrap());
    histogram
}

#[test]
fn merging_is_associative_commutative_and_loses_nothing() {
    holds((latencies(), latencies(), latencies()), |(a, b, c)| {
        let all = histogram(&[a.clone(), b.clone(), c.clone()].concat());
        let [a, b, c] = [a, b, c].map(|values| histogram(&values));
        let sum = |parts: [&LatencyHistogram; 3]| {
            let mut sum = LatencyHistogram::new();
            parts.into_iter().for_each(|part| sum.add(part));
            sum
        };
        let mut right_first = b.clone();
        right_first.add(&c);
        let mut nested = a.clone();
        nested.add(&right_first);
        prop_assert_eq!(&sum([&a, &b, &c]), &all);
        prop_assert_eq!(&sum([&c, &a, &b]), &all);
        prop_assert_eq!(&nested, &all);
        Ok(())
    });
}

#[test]
fn encoding_loses_nothing() {
    holds(latencies(), |values| {
        let histogram = histogram(&values);
        prop_assert_eq!(LatencyHistogram::decode(&histogram.encode().unwrap()).unwrap(), histogram);
        Ok(())
    });
}

#[test]
fn decoding_never_panics() {
    holds((latencies(), prop::collection::vec((any::<usize>(), any::<u8>()), 0..8)), |(values, edits)| {
        let mut text = histogram(&values).encode().unwrap().into_bytes();
        for (place, byte) in edits {
            let place = place % text.len();
            text[place] = byte;
        }
        let _ = LatencyHistogram::decode(&String::from_utf8_lossy(&text));
        Ok(())
    });
}

#[test]
fn percentiles_equal_those_of_the_sorted_values_with_infinity_for_the_missing() {
    holds((latencies(), 0..200u64), |(mut values, missing)| {
        let total = values.len() as u64 + missing;
        let summary = summarize(&histogram(&values), total);
        values.sort();
        for (permille, found) in
            [(500, summary.p50), (900, summary.p90), (950, summary.p95), (990, summary.p99), (999, summary.p999)]
        {
            let rank = (total * permille).div_ceil(1_000).max(1);
            let exact = values.get(rank as usize - 1).copied();
            prop_assert_eq!(found.is_some(), exact.is_some());
            if let (Some(found), Some(exact)) = (found, exact) {
                prop_assert!(found >= exact && found <= exact.max(1) + exact / 1_000, "{} for {}", found, exact);
            }
        }
        prop_assert_eq!(summary.max.is_some(), missing == 0 && !values.is_empty());
        Ok(())
    });
}

#[test]
fn schedules_are_exact() {
    let inputs = (1..2_000u32, 1..20u32, any::<u32>(), 0..100_000_000_000u64);
    holds(inputs, |(rate, producers, index, end)| {
        let schedule = Constant::new(rate, producers, index % producers).unwrap();
        let end = Duration::from_nanos(end);
        let count = schedule.count_before(end);
        prop_assert!(schedule.offset(count) >= end, "the next one is not before the end");
        if count > 0 {
            prop_assert!(schedule.offset(count - 1) < end, "the last one is before the end");
        }
        let whole: u64 =
            (0..producers).map(|index| Constant::new(rate, producers, index).unwrap().count_before(end)).sum();
        let expected = (end.as_nanos() * u128::from(rate) * u128::from(producers)).div_ceil(1_000_000_000);
        prop_assert_eq!(u128::from(whole), expected);
        Ok(())
    });
}

/// What happens to an image after it was handed to Kafka; times are milliseconds after the send.
#[derive(Clone, Debug)]
enum Event {
    Acknowledged,
    Failed,
    Answered(u64, Outcome),
    GivenUp,
}

fn event() -> impl Strategy<Value = Event> {
    let outcomes = [Outcome::Correct, Outcome::Wrong, Outcome::Unlabelled, Outcome::Error];
    let outcome = prop::sample::select(outcomes.to_vec());
    prop_oneof![
        2 => Just(Event::Acknowledged),
        1 => Just(Event::Failed),
        3 => (0..10_000u64, outcome).prop_map(|(after, outcome)| Event::Answered(after, outcome)),
        1 => Just(Event::GivenUp),
    ]
}

/// Each image: how long after the one before it is intended, how late it is sent (or never), and what happens to it, in
/// that order.
fn images() -> impl Strategy<Value = Vec<(u64, Option<u64>, Vec<Event>)>> {
    let lateness = prop_oneof![1 => Just(None), 5 => (0..50u64).prop_map(Some)];
    prop::collection::vec((0..200u64, lateness, prop::collection::vec(event(), 0..5)), 0..40)
}

const WARMUP: Duration = Duration::from_secs(1);
/// Longer than the images of a run can be scheduled for.
const MEASUREMENT: Duration = Duration::from_secs(8);

/// The fate of one image, from its own events only; `sent` is none of one that never was.
fn fate(sent: Option<Duration>, events: &[Event]) -> Counts {
    let mut counts = Counts { scheduled: 1, ..Counts::default() };
    let Some(sent) = sent else {
        counts.send_errors = 1;
        return counts;
    };
    let given_up = events.iter().position(|event| matches!(event, Event::GivenUp)).unwrap_or(events.len());
    let answers = |events: &[Event]| {
        let outcomes = events.iter().filter_map(|event| {
            if let Event::Answered(after, outcome) = event { Some((*after, *outcome)) } else { None }
        });
        outcomes.collect::<Vec<_>>()
    };
    match answers(&events[..given_up]).first() {
        Some((after, outcome)) => {
            (counts.sent, counts.received) = (1, 1);
            counts.drained = u64::from(sent + Duration::from_millis(*after) >= WARMUP + MEASUREMENT);
            counts.answer_errors = u64::from(*outcome == Outcome::Error);
            counts.duplicates = answers(events).len() as u64 - 1;
        }
        None => {
            let word = events[..given_up].iter().find(|event| matches!(event, Event::Acknowledged | Event::Failed));
            let acknowledged = matches!(word, Some(Event::Acknowledged));
            (counts.sent, counts.lost, counts.send_errors) =
                (u64::from(acknowledged), u64::from(acknowledged), u64::from(!acknowledged));
        }
    }
    counts
}

/// Whether an answer may still come after these events.
fn is_expected(events: &[Event]) -> bool {
    let settled = |event: &Event| matches!(event, Event::Answered(..) | Event::GivenUp);
    let word = events.iter().find(|event| matches!(event, Event::Acknowledged | Event::Failed));
    !events.iter().any(settled) && !matches!(word, Some(Event::Failed))
}

#[test]
fn accounts_close_and_are_right_under_any_order_of_what_happens() {
    holds((images(), any::<u64>()), |(images, order)| {
        let mut ledger = Ledger::new(WARMUP, MEASUREMENT).with_records();
        let (mut intended, mut expected) = (Duration::ZERO, [Counts::default(), Counts::default()]);
        let mut queues = Vec::new();
        for (gap, late, events) in &images {
            intended += Duration::from_millis(*gap);
            let sent = late.map(|late| intended + Duration::from_millis(late));
            expected[usize::from(intended >= WARMUP)] += fate(sent, events);
            match late {
                None => ledger.never_sent(intended),
                Some(late) => {
                    let sent = intended + Duration::from_millis(*late);
                    queues.push((ledger.send(intended, sent), sent, events.clone().into_iter()));
                }
            }
        }
        let mut state = order | 1;
        while !queues.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chosen = (state >> 33) as usize % queues.len();
            let (sequence, sent, events) = &mut queues[chosen];
            match events.next() {
                None => drop(queues.swap_remove(chosen)),
                Some(Event::Acknowledged) => ledger.acknowledged(*sequence, *sent + Duration::from_millis(1)),
                Some(Event::Failed) => ledger.send_failed(*sequence),
                Some(Event::GivenUp) => ledger.give_up(*sequence, *sent),
                Some(Event::Answered(after, outcome)) => {
                    let answer = accounting::Answer { outcome, queue: Duration::ZERO, compute: Duration::ZERO };
                    let answered = ledger.answered(*sequence, *sent + Duration::from_millis(after), answer);
                    prop_assert!(answered != Answered::Unknown);
                }
            }
        }
        let unanswered = images.iter().filter(|(_, late, events)| late.is_some() && is_expected(events)).count();
        prop_assert_eq!(ledger.expects_answers(), unanswered > 0);
        let (Windows { warmup, measurement, intervals }, records) = ledger.finish();
        prop_assert_eq!(records.len(), images.len(), "a record of each image");
        let total = intervals.total();
        prop_assert_eq!(total.scheduled, measurement.counts.scheduled);
        prop_assert_eq!(total.answered, measurement.counts.answered_in_time());
        prop_assert_eq!(&LatencyHistogram::from(&total.latency), &measurement.latency);
        for (tally, expected) in [(&warmup, expected[0]), (&measurement, expected[1])] {
            prop_assert_eq!(tally.counts, expected);
            prop_assert_eq!(tally.counts.check(), Ok(()));
            prop_assert_eq!(tally.latency.count(), tally.counts.labelled());
            prop_assert_eq!(tally.service_latency.count(), tally.counts.labelled());
            prop_assert!(tally.send_delay.count() >= tally.counts.sent);
            prop_assert!(tally.send_delay.count() <= tally.counts.scheduled);
            prop_assert!(tally.correct <= tally.compared && tally.compared <= tally.counts.labelled());
            for stage in [&tally.stages.queue, &tally.stages.compute, &tally.stages.rest] {
                prop_assert_eq!(stage.count(), tally.counts.labelled());
            }
        }
        Ok(())
    });
}

#[test]
fn intervals_lose_nothing_however_they_are_merged() {
    let image = (0..700_000u64, 0..60_000_000u64);
    holds((1..700u64, prop::collection::vec((image, any::<bool>()), 0..200)), |(seconds, images)| {
        let measurement = Duration::from_secs(seconds);
        let (mut one, mut other, mut both) =
            (Intervals::new(measurement), Intervals::new(measurement), Intervals::new(measurement));
        let mut within = 0;
        for ((millis, micros), first) in images {
            let (intended, latency) = (Duration::from_millis(millis), Duration::from_micros(micros));
            within += u64::from(intended < measurement);
            for intervals in [if first { &mut one } else { &mut other }, &mut both] {
                intervals.count_scheduled(intended);
                intervals.record(intended, intended + latency, Some(latency));
            }
        }
        prop_assert!(both.list().len() as u64 <= MOST_INTERVALS);
        // The last interval may reach beyond the measurement.
        prop_assert!(both.total().scheduled >= within);
        let mut sum = one.clone();
        sum.add(other.clone()).unwrap();
        prop_assert_eq!(&sum, &both);
        one.coarsen();
        other.add(one).unwrap();
        both.coarsen();
        prop_assert_eq!(&other, &both);
        Ok(())
    });
}

/// Bounds, resolution and confirmations of a search.
fn searches() -> impl Strategy<Value = Search> {
    (1..500u64, 0..20_000u64, 1..50u64, 1..7usize).prop_map(|(lowest, above, resolution_percent, confirmations)| {
        Search { lowest, highest: lowest + above, resolution_percent, confirmations, most_runs: 100 }
    })
}

/// The runs of a whole search, and its answer.
fn searched(search: Search, mut outcome: impl FnMut(u64) -> search::Outcome) -> (Vec<Run>, Answer) {
    let mut runs = Vec::new();
    loop {
        match search.next(&runs) {
            Next::End(answer) => return (runs, answer),
            Next::Run(rate) => runs.push(Run { rate, outcome: outcome(rate) }),
        }
    }
}

#[test]
fn a_search_finds_any_boundary_within_its_resolution_in_a_bounded_number_of_runs() {
    holds((searches(), 0..21_000u64), |(search, limit)| {
        let outcome = |rate| if rate <= limit { search::Outcome::Held } else { search::Outcome::Missed };
        let (runs, answer) = searched(search, outcome);
        let boundary = search.boundary(&runs);
        prop_assert_eq!(boundary.held_above, None);
        match (answer, boundary) {
            (Answer::Found, Boundary { held: Some(held), missed: Some(missed), .. }) => {
                prop_assert!(held <= limit && limit < missed);
                prop_assert!(missed - held <= (held * search.resolution_percent / 100).max(1));
            }
            (Answer::AllHeld, _) => prop_assert!(search.highest <= limit),
            (Answer::NoneHeld, _) => prop_assert!(limit < search.lowest),
            other => prop_assert!(false, "{:?}", other),
        }
        let doublings = (search.highest as f64 / search.lowest as f64).log2().ceil() as usize + 1;
        let bisections = (100.0 / search.resolution_percent as f64).log2().ceil() as usize + 1;
        prop_assert!(runs.len() <= doublings + bisections + 2 * search.confirmations, "{} runs", runs.len());
        Ok(())
    });
}

#[test]
fn a_search_ends_whatever_the_runs_say_and_believes_no_rate_above_one_that_missed() {
    let outcomes = prop_oneof![
        5 => Just(search::Outcome::Held),
        5 => Just(search::Outcome::Missed),
        1 => Just(search::Outcome::Limited),
    ];
    holds((searches(), prop::collection::vec(outcomes, 100)), |(search, outcomes)| {
        let mut outcomes = outcomes.into_iter();
        let (runs, answer) = searched(search, |_| outcomes.next().unwrap());
        prop_assert!(runs.len() <= search.most_runs);
        let count = |rate, wanted| runs.iter().filter(|run| run.rate == rate && run.outcome == wanted).count();
        for run in &runs {
            prop_assert!((search.lowest..=search.highest).contains(&run.rate));
            let all = runs.iter().filter(|other| other.rate == run.rate).count();
            prop_assert!(all <= search.confirmations, "{} runs at {}", all, run.rate);
        }
        if answer == Answer::Found {
            let Boundary { held: Some(held), missed: Some(missed), .. } = search.boundary(&runs) else {
                return Err(TestCaseError::fail("found, and no boundary"));
            };
            prop_assert!(held < missed);
            prop_assert!(2 * count(held, search::Outcome::Held) > search.confirmations);
            prop_assert!(2 * count(missed, search::Outcome::Held) <= search.confirmations);
        }
        Ok(())
    });
}

#[test]
fn a_median_has_as_many_runs_below_as_above() {
    holds(prop::collection::vec(prop::option::of(0..1_000_000u64), 1..20), |values| {
        let spread = spread(&values).unwrap();
        let infinite = |value: Option<u64>| value.unwrap_or(u64::MAX);
        let median = infinite(spread.median);
        prop_assert!(values.contains(&spread.median) && values.contains(&spread.min) && values.contains(&spread.max));
        let below = values.iter().filter(|value| infinite(**value) < median).count();
        let above = values.iter().filter(|value| infinite(**value) > median).count();
        prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
        prop_assert!(infinite(spread.min) <= median && median <= infinite(spread.max));
        Ok(())
    });
}
