//! A LoadTest whose numbers are drawn at random from a seed, as a real one has them: most answers quickly, some late.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::Duration;

use tailrace_measure::{
    accounting::{Backlog, Counts, Stages},
    confidence::{Change, Comparison, Confidence, MetricComparison, Range, RegressionVerdict},
    display,
    environment::{Environment, Model},
    histogram::LatencyHistogram,
    intervals::{Buckets, Interval, Intervals},
    judgement::Verdict,
    load::{Arrivals, Load},
    result::{Rate, TestResult},
    slo::{Metric, SloResult},
    summary::{Percentiles, Summary, summarize},
    warning::Warning,
};
use tailrace_report::{
    raw_log::Message,
    values::{Point, Repetition, Run, Sweep, Validity, Varied},
};

/// Numbers from 0 to 1 by xorshift64.
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A latency in microseconds around `median`, one in fifty of them late.
    fn latency(&mut self, median: f64) -> u64 {
        let normal: f64 = (0..12).map(|_| self.next()).sum::<f64>() - 6.0;
        let late = if self.next() < 0.02 { 1.0 + 6.0 * self.next() } else { 1.0 };
        (median * (0.35 * normal).exp() * late) as u64
    }
}

/// Of `seconds` seconds with 100 images each, of which every `lost`-th is lost.
pub fn intervals(seconds: u64, median: f64, lost: u64, seed: u64) -> Intervals {
    let mut draws = Draws(seed);
    let list = (0..seconds).map(|second| {
        let slow = if (20..24).contains(&second) { 2.5 } else { 1.0 };
        let mut interval = Interval { scheduled: 100, ..Interval::default() };
        for number in 0..100 {
            if (second * 100 + number + 1) % lost != 0 {
                interval.latency.record(draws.latency(median * slow)).unwrap();
                interval.answered += 1;
            }
        }
        interval
    });
    Intervals::of(Duration::from_secs(1), list.collect())
}

fn sum(intervals: &Intervals) -> LatencyHistogram {
    let mut sum = Buckets::default();
    intervals.list().iter().for_each(|interval| sum += &interval.latency);
    (&sum).into()
}

fn summary(median: f64, seed: u64) -> Summary {
    summarize(&sum(&intervals(60, median, u64::MAX, seed)), 6_000)
}

/// A valid result of five producers with 20 images/s each that keeps two SLOs; every `lost`-th image was lost.
pub fn run(lost: u64) -> Run {
    let intervals = intervals(60, 2_100.0, lost, 7);
    let histogram = sum(&intervals);
    let answered = histogram.count();
    let counts =
        Counts { scheduled: 6_000, sent: 6_000, received: answered, lost: 6_000 - answered, ..Counts::default() };
    let latency = summarize(&histogram, 6_000);
    let range = |micros: Option<u64>| micros.map(|low| Range { low: low * 9 / 10, high: Some(low * 23 / 20) });
    let slo = |metric, max: &str, observed: &str| SloResult {
        metric,
        max: Some(max.into()),
        min: None,
        observed: Some(observed.into()),
        met: true,
    };
    Run {
        name: "open".into(),
        namespace: Some("iot".into()),
        pipeline: "cifar".into(),
        load: Load::Open { rate_per_producer: 20, arrivals: Arrivals::Constant },
        producers: 5,
        dataset: "CIFAR-10 test set, PNG, seed 42".into(),
        warmup: Duration::from_secs(10),
        duration: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(30),
        started: Some("2026-11-21T18:40:12Z".parse().unwrap()),
        finished: Some("2026-11-21T18:41:25Z".parse().unwrap()),
        verdict: Verdict::Succeeded,
        message: "6000 images, all answered".into(),
        validity: Validity { valid: true, reason: "Valid".into(), message: "the numbers mean what they say".into() },
        result: TestResult {
            messages: Some(counts),
            backlog: Some(Backlog::default()),
            rate: Some(Rate {
                target: Some("100.0".into()),
                offered: "100.0".into(),
                achieved: display::rate(answered, Duration::from_secs(60)),
            }),
            latency_micros: Some(latency),
            service_latency_micros: Some(latency),
            send_delay_micros: Some(summary(40.0, 3)),
            confidence_micros: Some(Confidence {
                p50: range(latency.p50),
                p90: range(latency.p90),
                p95: range(latency.p95),
                p99: range(latency.p99),
            }),
            stages_micros: Some(Stages {
                queue: summary(150.0, 11),
                compute: summary(700.0, 13),
                acknowledgement: summary(600.0, 17),
                rest: summary(900.0, 19),
            }),
            start_skew_micros: Some(130),
            accuracy_percent: Some("91.7".into()),
            unanswered_percent: display::percent(counts.unanswered(), counts.scheduled),
            slos: vec![
                slo(Metric::P95, "8ms", &format!("{}ms", latency.p95.unwrap() as f64 / 1_000.0)),
                slo(Metric::LostPercent, "0.5", "0"),
            ],
            environment: Some(environment()),
            ..TestResult::default()
        },
        intervals: Some(intervals),
        raw_log: vec![],
    }
}

/// Something of everything that a text can say.
pub fn troubled_run() -> Run {
    let run = run(50);
    let messages = run.result.messages.map(|messages| Counts { drained: 40, ..messages });
    let result = TestResult {
        messages,
        backlog: Some(Backlog { images: 160, catch_up_micros: Some(1_234_567) }),
        comparison: Some(Comparison {
            baseline: "main".into(),
            max_regression_percent: 10,
            verdict: RegressionVerdict::Regressed,
            message: "P95 is 42.9 % slower, and was to be at most 10 % slower".into(),
            metrics: vec![MetricComparison {
                metric: Metric::P95,
                baseline_micros: Some(3_100),
                observed_micros: Some(4_431),
                difference_micros: Some(Change { value: 1_331, low: Some(900), high: None }),
                difference_percent: None,
                verdict: RegressionVerdict::Regressed,
            }],
            environment_differences: vec!["the image of kafka is not the same".into()],
        }),
        warnings: vec![Warning { reason: "Shared".into(), message: "12 images of others reached the topic".into() }],
        rate: Some(Rate { target: None, offered: "100.0".into(), achieved: "97.3".into() }),
        ..run.result
    };
    Run { verdict: Verdict::Missed, load: Load::Closed { outstanding: 1, think_time: Duration::ZERO }, result, ..run }
}

fn environment() -> Environment {
    let digest = |digits: &str| digits.repeat(64 / digits.len());
    let worker = format!("registry.example/tailrace/worker:0.1.0@sha256:{}", digest("3f7a9c0b"));
    let images = [
        ("archive", worker.clone()),
        ("inference", worker.clone()),
        ("producer", worker),
        ("kafka", format!("apache/kafka:4.1.1@sha256:{}", digest("c0ffee12"))),
        ("database", format!("mongo:8@sha256:{}", digest("0a1b2c3d"))),
    ];
    Environment {
        images: images.map(|(part, image)| (part.to_owned(), image)).into(),
        model: Some(Model { name: "resnet20".into(), sha256: digest("9e8d7c6b") }),
        producer_nodes: vec!["node1".into(), "node2".into()],
        shared_nodes: vec![],
        resources: [("producer".to_owned(), "cpu 250m, memory 128Mi".to_owned())].into(),
        annotations: [].into(),
        client_settings: [("linger.ms".to_owned(), "0".to_owned())].into(),
    }
}

/// An Experiment over one to five producers, three repetitions each; the last p95 of five is unbounded.
pub fn sweep() -> Sweep {
    let points = (1..=5u32).map(|producers| {
        let repetitions = (1..=3u64).map(|repetition| {
            let median = 1_500.0 + 700.0 * f64::from(producers) * (0.9 + 0.1 * repetition as f64);
            let Summary { p50, p90, p95, p99, .. } = summary(median, repetition * 31 + u64::from(producers));
            let mut latency = Percentiles { p50, p90, p95, p99 };
            if (producers, repetition) == (5, 3) {
                latency.p95 = None;
            }
            Repetition {
                name: format!("sweep-{producers}-{repetition}"),
                verdict: Some(Verdict::Succeeded),
                latency: Some(latency),
                lost: Some(0),
                achieved_rate: Some(20.0 * f64::from(producers)),
            }
        });
        Point { value: f64::from(producers), repetitions: repetitions.collect() }
    });
    Sweep {
        name: "sweep".into(),
        namespace: Some("iot".into()),
        message: "15 of 15 LoadTests succeeded".into(),
        varied: Varied::Producers,
        points: points.collect(),
    }
}

/// Two messages of the raw log.
pub fn messages() -> Vec<Message> {
    use tailrace_report::raw_log::{Outcome, Window};
    let message = |sequence, answered_us, outcome| Message {
        producer: 0,
        sequence,
        window: Window::Measurement,
        intended_us: 50_000 * sequence as i64,
        sent_us: Some(50_000 * sequence as i64 + 12),
        acknowledged_us: Some(50_000 * sequence as i64 + 900),
        answered_us,
        queue_us: answered_us.map(|_| 100),
        compute_us: answered_us.map(|_| 700),
        outcome,
    };
    vec![message(1, Some(52_149), Outcome::Correct), message(2, None, Outcome::Lost)]
}
