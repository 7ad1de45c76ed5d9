//! Faults between the producer and its broker: the counts and the percentiles stay true.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::Measured,
    road::Road,
    support::{Broker, Pipeline, eventually, free_port},
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };
/// So many images are scheduled in each of these tests: 50/s for 6 s.
const FLAGS: &str = "--rate 50 --warmup 0s --duration 6s";
const IMAGES: u64 = 300;

/// A broker, a stand-in beside it, and a road to it for the producer alone.
struct Scene {
    broker: Arc<Broker>,
    pipeline: Pipeline,
    road: Road,
    echo: Echo,
}

impl Scene {
    fn new(name: &'static str, behaviour: Behaviour) -> Self {
        let listener = free_port();
        let road = Road::to(listener);
        let broker = Arc::new(Broker::with_road(listener, road.port));
        let pipeline = Pipeline::on(broker.clone(), name, 2).reached_at(format!("127.0.0.1:{}", road.port));
        let echo = Echo::start(&pipeline, behaviour);
        Self { broker, pipeline, road, echo }
    }

    /// Runs a producer, and `trouble` as soon as images flow.
    fn run(&self, trouble: impl FnOnce(&Self) + Send) -> Measured {
        self.run_until(50, FLAGS, trouble)
    }

    /// The same with these flags, and `trouble` after so many images.
    fn run_until(&self, images: usize, flags: &str, trouble: impl FnOnce(&Self) + Send) -> Measured {
        thread::scope(|scope| {
            let measured = scope.spawn(|| Measured::run(&self.pipeline, flags));
            eventually("images", Duration::from_secs(60), || (self.echo.seen().len() >= images).then_some(()));
            trouble(self);
            measured.join().unwrap()
        })
    }

    /// The numbers of the images that arrived.
    fn arrived(&self) -> BTreeSet<u64> {
        self.echo.seen().iter().map(|image| image.number).collect()
    }
}

fn assert_all_answered_once(scene: &Scene, measured: &Measured) {
    for count in ["scheduled", "sent", "received"] {
        assert_eq!(measured.count(count), IMAGES, "{count}");
    }
    assert_eq!((measured.count("lost"), measured.count("sendErrors"), measured.count("duplicates")), (0, 0, 0));
    assert_eq!(scene.arrived().len() as u64, IMAGES);
    assert_eq!(scene.echo.seen().len() as u64, IMAGES, "no image arrived twice");
}

#[test]
fn connections_that_break_again_and_again_cost_time_and_no_image() {
    let scene = Scene::new("cut", ANSWERED);
    let measured = scene.run(|scene| {
        for _ in 0..8 {
            scene.road.cut();
            thread::sleep(Duration::from_millis(300));
        }
    });
    assert_all_answered_once(&scene, &measured);
    assert!(measured.latency("min").unwrap() >= 20.0);
}

#[test]
fn a_road_that_is_blocked_for_a_second_shows_to_all_images_that_were_due_meanwhile() {
    let scene = Scene::new("blocked", ANSWERED);
    let measured = scene.run(|scene| scene.road.block(Duration::from_secs(1)));
    assert_all_answered_once(&scene, &measured);
    // 50 of 300 images wait for 1000, 980, ... 20 ms: rank 285 of 300 is the 35th of them, and rank 150 none.
    let p95 = measured.latency("p95").unwrap();
    assert!((670.0..900.0).contains(&p95), "{p95} ms instead of 700 ms");
    let max = measured.latency("max").unwrap();
    assert!((980.0..1_300.0).contains(&max), "{max} ms instead of 1000 ms");
    assert!(measured.latency("p50").unwrap() < 200.0);
}

#[test]
fn a_broker_that_is_started_again_loses_no_image() {
    let scene = Scene::new("restarted", ANSWERED);
    let mut away = Duration::ZERO;
    let measured = scene.run(|scene| {
        let begun = Instant::now();
        scene.broker.restart(Duration::from_millis(500));
        away = begun.elapsed();
    });
    assert_all_answered_once(&scene, &measured);
    println!("the broker was away for {away:?}");
    assert!(measured.latency("max").unwrap() >= 500.0, "who came while it was away had to wait");
}

#[test]
fn losses_duplicates_and_answers_out_of_order_are_told_apart_while_connections_break() {
    // Of ten images one is not answered, one is answered twice and one late, after those that follow it.
    let replies = |number| match number % 10 {
        3 => vec![],
        5 => vec![Reply::Right, Reply::Right],
        _ => vec![Reply::Right],
    };
    let delay = |number| Duration::from_millis(if number % 10 == 7 { 400 } else { 20 });
    let scene = Scene::new("mixed", Behaviour { delay, stall: None, replies });
    let measured = scene.run(|scene| {
        for _ in 0..3 {
            scene.road.cut();
            thread::sleep(Duration::from_millis(700));
        }
    });
    assert_eq!((measured.count("scheduled"), measured.count("sent")), (IMAGES, IMAGES));
    assert_eq!((measured.count("received"), measured.count("lost")), (IMAGES * 9 / 10, IMAGES / 10));
    assert_eq!(measured.count("duplicates"), IMAGES / 10);
    assert!(measured.latency("p90").unwrap() >= 400.0, "rank 270 of 300 is the last that was answered");
    assert_eq!(measured.latency("p95"), None);
}

#[test]
fn a_broker_that_is_away_when_the_run_ends_takes_away_nothing_that_was_measured() {
    let scene = Scene::new("end", ANSWERED);
    let begun = Instant::now();
    let groups = "--group-to-watch end-inference --archive-group-to-watch end-archive";
    // Nothing is behind: no image was sent before.
    let flags = format!("{FLAGS} --drain-timeout 2s {groups}");
    let measured = scene.run_until(250, &flags, |scene| scene.road.close());
    let count = |name| measured.count(name);
    assert_eq!(count("scheduled"), IMAGES);
    assert_eq!(count("received") + count("lost") + count("sendErrors"), IMAGES);
    assert!(count("received") >= 200 && count("received") < IMAGES, "{}", count("received"));
    assert!(measured.latency("p50").is_some_and(|p50| p50 >= 20.0));
    assert_eq!(measured.topic_records(), None, "nobody said how many images the topic got");
    // The operator waits for a report for a minute.
    assert!(begun.elapsed() < Duration::from_secs(55), "{:?}", begun.elapsed());
}
