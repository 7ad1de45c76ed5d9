//! What a client can make the server hold is bounded.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    slow_image,
    support::{Worker, eventually, http::Response, raw_pixels, sample},
    tensors::INFER,
};

const PNG: &str = "Content-Type: image/png";
const SOON: Duration = Duration::from_secs(40);

fn images(server: &Worker, outcome: &str) -> f64 {
    server.metric(&format!("tailrace_inference_images_total{{outcome=\"{outcome}\"}}"))
}

/// The answers to requests that are sent at the same time.
fn at_once(count: usize, ask: impl Fn() -> Response + Sync) -> Vec<Response> {
    thread::scope(|scope| {
        let asking: Vec<_> = (0..count).map(|_| scope.spawn(&ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let server = Worker::start_server(&[]);
    for request in ["POST /predict", INFER] {
        let mut connection = server.connect();
        connection.head(request, &[PNG, "Content-Length: 8388609", "Expect: 100-continue"]);
        let error = connection.response().unwrap().error(413);
        assert_eq!(error, "the body is too large: send at most 8388608 bytes");
    }
}

#[test]
fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let server = Worker::start_server(&["--max-body-bytes=4096"]);
    let mut connection = server.connect();
    connection.head("POST /predict", &[PNG, "Transfer-Encoding: chunked"]);
    connection.send(&[b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n1\r\n.\r\n"].concat());
    assert_eq!(connection.response().unwrap().error(413), "the body is too large: send at most 4096 bytes");
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = Worker::start_server(&["--receive-timeout=1s"]);
    let mut connection = server.connect();
    connection.head("POST /predict", &[PNG, "Content-Length: 1000"]);
    connection.send(b"only these");
    assert_eq!(connection.response().unwrap().error(408), "the body did not arrive within 1s");
}

#[test]
fn a_head_that_stalls_or_is_endless_ends_the_connection() {
    let server = Worker::start_server(&["--receive-timeout=1s"]);
    let mut stalling = server.connect();
    stalling.send(b"POST /predict HTTP/1.1\r\nX-");
    assert!(stalling.response().is_none());

    let mut endless = server.connect();
    endless.send(format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(200_000)).as_bytes());
    assert!(endless.response().is_none_or(|response| response.status == 431));
}

#[test]
fn clients_beyond_the_limit_wait_until_one_leaves() {
    let server = Worker::start_server(&["--max-connections=1"]);
    let mut first = server.connect();
    assert_eq!(first.ask("GET /livez", &[], b"").status, 200);
    thread::scope(|scope| {
        let second = scope.spawn(|| server.ask("GET /livez", &[], b"").status);
        thread::sleep(Duration::from_millis(300));
        assert!(!second.is_finished(), "two are connected");
        drop(first);
        assert_eq!(second.join().unwrap(), 200);
    });
}

#[test]
fn a_flood_is_refused_with_a_time_to_come_back_and_what_was_taken_is_answered() {
    let server = Worker::start_server(&["--max-queue=2", "--max-batch=1"]);
    let slow = slow_image();
    let answers = at_once(24, || server.ask("POST /predict", &[PNG], &slow));
    let (busy, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert!(!busy.is_empty() && !answered.is_empty(), "{} refused, {} answered", busy.len(), answered.len());
    assert!(answered.iter().all(|answer| answer.status == 200), "{answered:?}");
    for refused in busy {
        assert_eq!(refused.error(429), "the queue of 2 images has no place for 1: try again in a second");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(server.ask("POST /predict", &[PNG], &sample(0)).status, 200, "the flood is over");
}

#[test]
fn a_batch_may_have_no_more_images_than_the_queue_has_places() {
    let server = Worker::start_server(&["--max-queue=2"]);
    let body = |count: usize| {
        let pixels = raw_pixels(&sample(0)).repeat(count);
        let tensor =
            format!("{{\"name\":\"image\",\"datatype\":\"UINT8\",\"shape\":[{count},32,32,3],\"data\":{pixels:?}}}");
        format!("{{\"inputs\":[{tensor}]}}")
    };
    assert_eq!(server.ask(INFER, &[], body(2).as_bytes()).status, 200);
    let error = server.ask(INFER, &[], body(3).as_bytes()).error(413);
    assert_eq!(error, "3 images are too many: send at most 2 in a request");
}

#[test]
fn an_image_whose_client_went_away_is_not_computed() {
    let server = Worker::start_server(&["--max-batch=1"]);
    let slow = slow_image();
    let length = format!("Content-Length: {}", slow.len());
    eventually("an abandoned image", SOON, || {
        // More than there are threads, so that some wait while they are abandoned.
        let mut connections: Vec<_> = (0..16).map(|_| server.connect()).collect();
        for connection in &mut connections {
            connection.head("POST /predict", &[PNG, &length]);
            connection.send(&slow);
        }
        thread::sleep(Duration::from_millis(50));
        drop(connections);
        (images(&server, "Abandoned") >= 1.0).then_some(())
    });
}

#[test]
fn one_image_alone_is_not_delayed() {
    let server = Worker::start_server(&["--max-batch=256"]);
    let mut connection = server.connect();
    let queued = |answer: Response| answer.json()["queueMicros"].as_u64().unwrap();
    let least = (0..50).map(|_| queued(connection.ask("POST /predict", &[PNG], &sample(0)))).min();
    assert!(least.unwrap() < 2_000, "the least of 50 waited {least:?} us");
}

/// Bodies of ten times the memory that they may hold together, each made to blow up where it is read.
#[test]
fn many_large_bodies_do_not_fill_the_memory() {
    const CLIENTS: usize = 40;
    let server = Worker::start_server(&[]);
    let nested = "[".repeat(8 << 20);
    let strings = format!("{{\"inputs\":[{{\"name\":\"file\",\"data\":[{}", "\"\",".repeat(2_700_000));
    let started = Instant::now();
    for body in [nested, strings] {
        let answers = at_once(CLIENTS, || server.ask(INFER, &[], body.as_bytes()));
        assert!(answers.iter().all(|answer| matches!(answer.status, 400 | 429)), "{started:?}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let kibibytes: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kibibytes < 256 << 10, "the server held {peak}");
}
