//! The numbers are true: a stand-in with known delays, and what must come out by calculation.
//!
//! The stand-in counts its delays from the sending of an image, so that all that the measurement adds is the way of the
//! answer: a millisecond or two, of delays long enough that this is less than the 1 % that is allowed.

use std::time::Duration;

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::Measured,
    support::Pipeline,
};

/// A prime to the number of images, so that it permutes them.
const STEP: u64 = 387;
const IMAGES: u64 = 2_000;
const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

/// 300 ms and an exponential time of 400 ms on average: of the quantile q.
fn quantile(q: f64) -> f64 {
    300.0 - 400.0 * (1.0 - q).ln()
}

/// The images of a run have the quantiles (i + ½) / n of the distribution, in no order.
fn exponential(number: u64) -> Duration {
    let rank = number * STEP % IMAGES;
    Duration::from_secs_f64(quantile((rank as f64 + 0.5) / IMAGES as f64) / 1_000.0)
}

/// To 1 % or 200 µs, whichever is more.
fn agrees(percentile: &str, found: Option<f64>, exact: f64) {
    let found = found.unwrap_or_else(|| panic!("the {percentile} is not finite"));
    println!("{percentile}: {found:.3} ms, {exact:.3} ms by calculation");
    let allowed = (exact * 0.01).max(0.2);
    assert!((found - exact).abs() <= allowed, "{percentile}: {found} ms instead of {exact} ms, {allowed} ms allowed");
}

#[test]
fn the_percentiles_of_a_known_distribution_are_found() {
    let pipeline = Pipeline::new("proof-distribution", 4);
    let _echo = Echo::start(&pipeline, Behaviour { delay: exponential, stall: None, replies: |_| vec![Reply::Right] });
    let measured = Measured::run(&pipeline, "--rate 100 --warmup 0s --duration 20s");
    assert_eq!((measured.count("scheduled"), measured.count("received")), (IMAGES, IMAGES));
    for (name, q) in PERCENTILES {
        let rank = (q * IMAGES as f64).ceil();
        agrees(name, measured.latency(name), quantile((rank - 0.5) / IMAGES as f64));
    }
}

const STALL: Behaviour = Behaviour {
    delay: |_| Duration::from_millis(20),
    stall: Some((500, Duration::from_secs(2))),
    replies: |_| vec![Reply::Right],
};

/// Of 1,500 images the 100 that are due in the two seconds wait for 2000, 1980, ... 20 ms, and all others 20 ms. Rank
/// 1425 is the 25th of the hundred from below, rank 1485 the 85th.
#[test]
fn an_open_load_shows_a_stall_to_all_images_that_were_due_meanwhile() {
    let pipeline = Pipeline::new("proof-open", 1);
    let _echo = Echo::start(&pipeline, STALL);
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 0s --duration 30s");
    assert_eq!((measured.count("scheduled"), measured.count("received")), (1_500, 1_500));
    agrees("p95", measured.latency("p95"), 25.0 * 20.0);
    agrees("p99", measured.latency("p99"), 85.0 * 20.0);
    agrees("max", measured.latency("max"), 2_000.0);
    assert!(measured.latency("p90").unwrap() < 100.0, "93 % of the images never saw the stall");
}

/// The same stall, and an instrument that waits with the system: one image of more than a thousand has seen it.
#[test]
fn a_closed_load_hides_the_same_stall() {
    let pipeline = Pipeline::new("proof-closed", 1);
    let _echo = Echo::start(&pipeline, STALL);
    let measured = Measured::run(&pipeline, "--load closed --warmup 0s --duration 30s");
    assert!(measured.count("scheduled") > 600, "{}", measured.count("scheduled"));
    agrees("max", measured.latency("max"), 2_000.0);
    for percentile in ["p95", "p99"] {
        assert!(measured.latency(percentile).unwrap() < 200.0, "{percentile}: {:?}", measured.latency(percentile));
    }
}
