//! Being asked to stop.

use std::time::{Duration, Instant};

use crate::support::{Worker, eventually, http::Connection, sample};

const SOON: Duration = Duration::from_secs(20);

/// A request whose body the server waits for.
fn under_way(server: &Worker, length: usize) -> Connection {
    let mut connection = server.connect();
    let length = format!("Content-Length: {length}");
    connection.head("POST /predict", &["Content-Type: image/png", &length, "Expect: 100-continue"]);
    assert_eq!(connection.response().unwrap().status, 100);
    connection
}

#[test]
fn what_is_under_way_is_answered_and_what_comes_later_is_sent_elsewhere() {
    let mut server = Worker::start_server(&[]);
    let image = sample(0);
    let mut connection = under_way(&server, image.len());
    server.process.ask_to_stop();
    eventually("not ready any more", SOON, || (!server.is_ready()).then_some(()));

    for request in ["POST /predict", "POST /v2/models/resnet20/infer", "GET /v2/health/ready"] {
        let refused = server.ask(request, &[], &image);
        assert_eq!(refused.error(503), "this server is shutting down: ask another");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(server.ask("GET /livez", &[], b"").status, 200);

    connection.send(&image);
    let answer = connection.response().unwrap();
    assert_eq!((answer.status, &answer.json()["label"]), (200, &"cat".into()));
    assert!(connection.response().is_none(), "the connection ends with its request");
    assert_eq!(server.process.wait(SOON).code(), Some(0), "{}", server.process.log());
}

#[test]
fn idle_connections_hold_up_nothing() {
    let mut server = Worker::start_server(&[]);
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET /livez", &[], b"").status, 200);
    let _silent = server.connect();
    let asked = Instant::now();
    assert_eq!(server.process.terminate(SOON).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?}", asked.elapsed());
}

#[test]
fn a_request_that_does_not_end_is_cut_off_at_the_deadline() {
    let mut server = Worker::start_server(&[]);
    let _stalled = under_way(&server, 1000);
    let asked = Instant::now();
    assert_eq!(server.process.terminate(Duration::from_secs(25)).code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(9), "it was given only {:?}", asked.elapsed());
    assert!(server.process.log().contains("are cut off"), "{}", server.process.log());
}
