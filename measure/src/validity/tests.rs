use super::*;

fn histogram(count: u64, micros: u64) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    (0..count).for_each(|_| histogram.record(micros).unwrap());
    histogram
}

fn counts(scheduled: u64, sent: u64, received: u64) -> Counts {
    Counts { scheduled, sent, send_errors: scheduled - sent, received, lost: sent - received, ..Counts::default() }
}

fn judged(counts: &Counts, latency: &LatencyHistogram, send_delay: &LatencyHistogram, target: Option<u64>) -> Validity {
    judged_of(counts, [latency, latency], send_delay, target)
}

/// With a service latency of its own.
fn judged_of(
    counts: &Counts,
    [latency, service_latency]: [&LatencyHistogram; 2],
    send_delay: &LatencyHistogram,
    target: Option<u64>,
) -> Validity {
    check(&Evidence {
        counts,
        latency,
        service_latency,
        send_delay,
        stages: &stages(latency),
        duration: Duration::from_secs(10),
        throttled: Some(Duration::ZERO),
        cpu_limit: None,
        target: target.map(Target::PerSecond),
    })
}

/// All of it computing.
fn stages(latency: &LatencyHistogram) -> Stages<LatencyHistogram> {
    let [queue, compute, rest] = [latency, latency, latency].map(Clone::clone);
    Stages { queue, compute, rest, acknowledgement: LatencyHistogram::new() }
}

fn reason(validity: Validity) -> Option<Reason> {
    match validity {
        Validity::Valid => None,
        Validity::Invalid { reason, message } => {
            assert!(!message.is_empty());
            Some(reason)
        }
    }
}

#[test]
fn a_clean_run_is_valid() {
    let (latency, delay) = (histogram(1_000, 20_000), histogram(1_000, 50));
    assert_eq!(judged(&counts(1_000, 1_000, 1_000), &latency, &delay, Some(100)), Validity::Valid);
}

#[test]
fn a_run_with_losses_is_valid_since_they_count_as_infinite() {
    let (latency, delay) = (histogram(500, 20_000), histogram(1_000, 50));
    assert_eq!(judged(&counts(1_000, 1_000, 500), &latency, &delay, Some(100)), Validity::Valid);
}

#[test]
fn a_histogram_that_misses_an_answer_disagrees_with_the_counts() {
    let (latency, delay) = (histogram(999, 20_000), histogram(1_000, 50));
    let validity = judged(&counts(1_000, 1_000, 1_000), &latency, &delay, None);
    assert_eq!(reason(validity), Some(Reason::CountsDisagree));
}

#[test]
fn a_send_delay_for_each_image_sent_is_wanted() {
    let latency = histogram(1_000, 20_000);
    for delays in [999, 1_001] {
        let validity = judged(&counts(1_000, 1_000, 1_000), &latency, &histogram(delays, 50), None);
        assert_eq!(reason(validity), Some(Reason::CountsDisagree));
    }
}

#[test]
fn error_answers_are_in_no_histogram() {
    let counts = Counts { answer_errors: 10, ..counts(1_000, 1_000, 1_000) };
    let (latency, delay) = (histogram(990, 20_000), histogram(1_000, 50));
    assert_eq!(judged(&counts, &latency, &delay, None), Validity::Valid);
}

#[test]
fn without_any_answer_there_is_nothing_to_say() {
    let validity = judged(&counts(1_000, 1_000, 0), &histogram(0, 1), &histogram(1_000, 50), None);
    assert_eq!(reason(validity), Some(Reason::NoSamples));
}

#[test]
fn an_open_load_must_offer_99_percent_of_its_target() {
    let delay = histogram(1_000, 50);
    let enough = judged(&counts(1_000, 990, 990), &histogram(990, 20_000), &delay, Some(100));
    assert_eq!(enough, Validity::Valid);
    let latency = histogram(989, 20_000);
    let too_few = counts(1_000, 989, 989);
    assert_eq!(reason(judged(&too_few, &latency, &delay, Some(100))), Some(Reason::OfferedRateTooLow));
    assert_eq!(judged(&too_few, &latency, &delay, None), Validity::Valid, "a closed load has no target");
}

#[test]
fn a_random_schedule_is_its_own_target() {
    let offered = |scheduled, sent| {
        let (latency, delay) = (histogram(sent, 20_000), histogram(sent, 50));
        let counts = &counts(scheduled, sent, sent);
        let (service_latency, duration) = (&latency, Duration::from_secs(10));
        let target = Some(Target::Scheduled);
        let (latency, send_delay, stages) = (&latency, &delay, &stages(&latency));
        let (throttled, cpu_limit) = (None, None);
        let evidence =
            Evidence { counts, latency, service_latency, send_delay, stages, duration, throttled, cpu_limit, target };
        reason(check(&evidence))
    };
    assert_eq!([offered(900, 900), offered(1_100, 1_100)], [None, None]);
    assert_eq!(offered(1_100, 1_088), Some(Reason::OfferedRateTooLow));
}

#[test]
fn producers_that_decide_a_percentile_saturate_the_generator() {
    let counts = counts(1_000, 1_000, 1_000);
    let saturated = |latency: u64, delay: u64, target| {
        let histograms = [latency, latency - delay].map(|micros| histogram(1_000, micros));
        let [latency, service_latency] = &histograms;
        reason(judged_of(&counts, [latency, service_latency], &histogram(1_000, delay), target))
    };
    assert_eq!(saturated(20_000, 5_000, Some(100)), Some(Reason::GeneratorSaturated));
    assert_eq!(saturated(20_000, 3_000, Some(100)), None, "less than a fifth of each percentile");
    assert_eq!(saturated(1_200, 150, Some(100)), None, "the better Pipeline is no worse off");
    assert_eq!(saturated(20_000, 5_000, None), None, "a closed load has no schedule");
}

#[test]
fn a_hundredth_of_the_images_that_leaves_late_decides_no_column() {
    let (mut latency, service_latency) = (histogram(990, 5_000), histogram(1_000, 5_000));
    let mut delay = histogram(990, 50);
    for _ in 0..10 {
        latency.record(25_000).unwrap();
        delay.record(20_000).unwrap();
    }
    let counts = counts(1_000, 1_000, 1_000);
    assert_eq!(judged_of(&counts, [&latency, &service_latency], &delay, Some(100)), Validity::Valid);
}

/// The judgement on producers that were throttled for so long, or too slow, under that limit.
fn limited(throttled_micros: u64, delay_micros: u64, cpu_limit: Option<&CpuLimit>) -> Option<(Reason, String)> {
    let (latency, delay) = (histogram(1_000, 20_000), histogram(1_000, delay_micros));
    let validity = check(&Evidence {
        counts: &counts(1_000, 1_000, 1_000),
        latency: &latency,
        service_latency: &histogram(1_000, 20_000 - delay_micros),
        send_delay: &delay,
        stages: &stages(&latency),
        duration: Duration::from_secs(10),
        throttled: Some(Duration::from_micros(throttled_micros)),
        cpu_limit,
        target: Some(Target::PerSecond(100)),
    });
    match validity {
        Validity::Valid => None,
        Validity::Invalid { reason, message } => Some((reason, message)),
    }
}

#[test]
fn a_producer_kept_from_running_by_its_limit_saturates_the_generator() {
    assert_eq!(limited(0, 50, None), None);
    assert_eq!(limited(100_000, 50, None), None, "1 % of ten seconds is in no percentile but the last");
    let (reason, message) = limited(101_000, 50, None).unwrap();
    assert_eq!(reason, Reason::GeneratorSaturated);
    assert!(message.ends_with("by their CPU limit, which is measured as latency: raise it, or remove it"), "{message}");
}

#[test]
fn a_limit_is_named_with_where_it_comes_from_and_what_to_write() {
    let limit =
        CpuLimit { quantity: "60m".into(), origin: "from a LimitRange".into(), remedy: "write a higher one".into() };
    for (throttled, delay) in [(200_000, 50), (0, 5_000)] {
        let (reason, message) = limited(throttled, delay, Some(&limit)).unwrap();
        assert_eq!(reason, Reason::GeneratorSaturated);
        assert!(message.contains("limit of 60m, from a LimitRange"), "{message}");
        assert!(message.ends_with(": write a higher one"), "{message}");
    }
}
