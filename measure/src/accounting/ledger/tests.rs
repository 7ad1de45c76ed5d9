use super::*;
use crate::accounting::{Backlog, Outcome, Stages};

const WARMUP: Duration = Duration::from_secs(1);

fn ledger(warmup: Duration) -> Ledger {
    Ledger::new(warmup, Duration::from_secs(10))
}

/// An answer after 1 ms in the queue and 2 ms of computing.
fn says(outcome: Outcome) -> Answer {
    Answer { outcome, queue: ms(1), compute: ms(2) }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn latency_counts_from_the_intended_send_and_service_latency_from_the_actual_one() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(100), ms(103));
    ledger.acknowledged(sequence, ms(105));
    assert_eq!(ledger.answered(sequence, ms(113), says(Outcome::Correct)), Answered::First);
    let tally = ledger.finish().0.measurement;
    assert_eq!(tally.latency.max().map(|value| value / 10), Some(1_300));
    assert_eq!(tally.service_latency.max().map(|value| value / 10), Some(1_000));
    assert_eq!(tally.send_delay.max().map(|value| value / 10), Some(300));
    assert_eq!((tally.correct, tally.counts.lost), (1, 0));
}

#[test]
fn an_image_belongs_to_the_warmup_by_its_intended_send_whenever_its_answer_comes() {
    let mut ledger = ledger(WARMUP);
    let early = ledger.send(ms(999), ms(1_500));
    let measured = ledger.send(ms(1_000), ms(1_500));
    ledger.answered(measured, ms(1_600), says(Outcome::Wrong));
    ledger.answered(early, ms(5_000), says(Outcome::Correct));
    ledger.answered(early, ms(5_001), says(Outcome::Correct));
    let Windows { warmup, measurement, .. } = ledger.finish().0;
    assert_eq!((warmup.counts.scheduled, warmup.counts.received, warmup.counts.duplicates), (1, 1, 1));
    assert_eq!((measurement.counts.scheduled, measurement.counts.received, measurement.correct), (1, 1, 0));
}

/// Sends an image every 100 ms until 1.5 s, of which the measurement has the last ten; each is answered after `late`.
fn late(late: Duration, end: Option<Duration>) -> Windows {
    let mut ledger = Ledger::new(ms(500), ms(1_000));
    for number in 0..15 {
        let sequence = ledger.send(ms(number * 100), ms(number * 100));
        ledger.acknowledged(sequence, ms(number * 100));
    }
    end.into_iter().for_each(|end| ledger.end_at(end));
    for number in 0..15 {
        ledger.answered(number, ms(number * 100) + late, says(Outcome::Correct));
    }
    ledger.finish().0
}

#[test]
fn answers_after_the_end_are_those_of_the_drain_and_in_no_interval() {
    for (after, drained) in [(ms(50), 0), (ms(100), 1), (ms(700), 7), (ms(5_000), 10)] {
        let Windows { measurement, intervals, .. } = late(after, None);
        let Tally { counts, backlog, .. } = measurement;
        assert_eq!((counts.received, counts.drained, backlog.images), (10, drained, drained), "{after:?}");
        assert_eq!(intervals.total().answered, counts.answered_in_time(), "{after:?}");
        assert_eq!(intervals.total().latency.count(), 10, "their latencies count");
        let caught_up = (drained > 0).then(|| (ms(1_400) + after - ms(1_500)).as_micros());
        assert_eq!(backlog.catch_up_micros.map(u128::from), caught_up, "{after:?}");
    }
}

#[test]
fn after_an_early_end_comes_the_drain() {
    let Windows { measurement, intervals, .. } = late(ms(100), Some(ms(1_450)));
    assert_eq!((measurement.counts.received, measurement.counts.drained), (10, 1));
    assert_eq!((intervals.total().answered, measurement.backlog.catch_up_micros), (9, Some(50_000)));
}

#[test]
fn a_backlog_is_what_kafka_has_and_nobody_has_answered_at_the_end() {
    let mut ledger = Ledger::new(Duration::ZERO, ms(1_000));
    let [given_up, lost, failed, unsent] = [0, 1, 2, 3].map(|number| ledger.send(ms(number), ms(number)));
    let late = ledger.send(ms(999), ms(1_001));
    [given_up, lost, late].into_iter().for_each(|sequence| ledger.acknowledged(sequence, ms(1_002)));
    ledger.send_failed(failed);
    ledger.give_up(given_up, ms(500));
    ledger.answered(late, ms(1_100), says(Outcome::Correct));
    let Tally { counts, backlog, .. } = ledger.finish().0.measurement;
    assert_eq!((counts.lost, counts.send_errors, counts.drained), (2, 2, 1), "and {unsent} was never acknowledged");
    assert_eq!(backlog, Backlog { images: 1, catch_up_micros: None });
}

#[test]
fn an_answer_before_its_acknowledgement_counts_once() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(0), ms(0));
    ledger.answered(sequence, ms(1), says(Outcome::Correct));
    ledger.acknowledged(sequence, ms(105));
    let counts = ledger.finish().0.measurement.counts;
    assert_eq!((counts.sent, counts.received), (1, 1));
    assert_eq!(counts.check(), Ok(()));
}

#[test]
fn an_image_that_is_answered_was_sent_even_if_the_client_thought_otherwise() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(0), ms(0));
    assert!(ledger.expects_answers());
    ledger.send_failed(sequence);
    assert!(!ledger.expects_answers());
    assert_eq!((ledger.take_failed(), ledger.take_failed()), (vec![sequence], vec![]));
    assert_eq!(ledger.progress().send_errors, 1);
    ledger.answered(sequence, ms(9), says(Outcome::Correct));
    let counts = ledger.finish().0.measurement.counts;
    assert_eq!((counts.sent, counts.send_errors, counts.received), (1, 0, 1));
}

#[test]
fn what_is_not_answered_is_lost_and_what_is_not_acknowledged_was_not_sent() {
    let mut ledger = ledger(Duration::ZERO);
    let lost = ledger.send(ms(0), ms(0));
    ledger.acknowledged(lost, ms(1));
    ledger.send(ms(1), ms(1));
    ledger.never_sent(ms(2));
    let counts = ledger.finish().0.measurement.counts;
    assert_eq!((counts.scheduled, counts.sent, counts.send_errors, counts.lost), (3, 1, 2, 1));
    assert_eq!(counts.check(), Ok(()));
}

#[test]
fn a_late_answer_to_an_image_that_was_given_up_changes_nothing() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(0), ms(0));
    ledger.acknowledged(sequence, ms(105));
    ledger.give_up(sequence, ms(200));
    assert_eq!(ledger.answered(sequence, ms(9), says(Outcome::Correct)), Answered::Late);
    let counts = ledger.finish().0.measurement.counts;
    assert_eq!((counts.received, counts.lost, counts.duplicates), (0, 1, 0));
}

#[test]
fn an_error_answer_is_received_and_has_no_latency() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(0), ms(0));
    ledger.answered(sequence, ms(1), says(Outcome::Error));
    let tally = ledger.finish().0.measurement;
    assert_eq!((tally.counts.received, tally.counts.answer_errors, tally.counts.labelled()), (1, 1, 0));
    assert_eq!((tally.latency.count(), tally.service_latency.count()), (0, 0));
}

#[test]
fn a_latency_above_one_hour_is_counted_and_not_clipped() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(0), ms(0));
    ledger.answered(sequence, Duration::from_secs(3_601), says(Outcome::Correct));
    let tally = ledger.finish().0.measurement;
    assert_eq!((tally.counts.received, tally.latency.count(), tally.above_range), (1, 0, 3));
}

#[test]
fn an_answer_to_an_image_never_sent_is_unknown() {
    assert_eq!(ledger(WARMUP).answered(0, ms(1), says(Outcome::Correct)), Answered::Unknown);
}

#[test]
fn the_service_latency_has_stages() {
    let mut ledger = ledger(Duration::ZERO);
    let sequence = ledger.send(ms(100), ms(103));
    ledger.answered(sequence, ms(113), says(Outcome::Unlabelled));
    ledger.acknowledged(sequence, ms(115));
    let tally = ledger.finish().0.measurement;
    let Stages { queue, compute, acknowledgement, rest } = &tally.stages;
    let millis = |stage: &LatencyHistogram| stage.max().map(|micros| micros / 1_000);
    assert_eq!([queue, compute, acknowledgement, rest].map(millis), [1, 2, 12, 7].map(Some));
    assert_eq!((tally.correct, tally.compared), (0, 0), "nobody knows the right label");
}

#[test]
fn there_is_a_record_of_every_image_as_soon_as_no_more_is_to_come() {
    let mut ledger = ledger(WARMUP).with_records();
    let answered = ledger.send(ms(999), ms(999));
    ledger.answered(answered, ms(1_009), says(Outcome::Wrong));
    assert_eq!(ledger.take_records(), [], "the word about its delivery is still to come");
    ledger.acknowledged(answered, ms(1_010));
    let first = ledger.take_records();
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].measured, first[0].acknowledged), (false, Some(ms(1_010))));
    assert_eq!(first[0].answered, Some((ms(1_009), says(Outcome::Wrong))));

    let lost = ledger.send(ms(1_000), ms(1_000));
    ledger.acknowledged(lost, ms(1_001));
    ledger.never_sent(ms(1_002));
    ledger.send(ms(1_003), ms(1_003));
    let mut rest = ledger.finish().1;
    rest.sort_by_key(|record| record.sequence);
    let fates: Vec<_> = rest.iter().map(|record| (record.sequence, record.sent.is_some(), record.lost)).collect();
    assert_eq!(fates, [(1, true, true), (2, false, false), (3, true, false)]);
    assert!(rest.iter().all(|record| record.measured));
}

#[test]
fn recent_latencies_are_those_since_they_were_last_asked_for() {
    let mut ledger = ledger(WARMUP);
    for sequence in 0..3 {
        ledger.send(ms(sequence), ms(sequence));
        ledger.answered(sequence, ms(sequence + 5), says(Outcome::Correct));
    }
    assert_eq!(ledger.take_recent().count(), 3);
    assert_eq!(ledger.take_recent().count(), 0);
}
