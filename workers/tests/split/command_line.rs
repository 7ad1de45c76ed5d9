//! What the bridge says to a wrong command line.

use crate::support::Worker;

fn refused(flag: &str) -> String {
    let arguments = ["inference-consumer", "--bootstrap-servers=127.0.0.1:1", "--group=x", flag].map(str::to_owned);
    let ended = Worker::run(&arguments, &[]);
    assert!(!ended.status.success());
    ended.output
}

#[test]
fn an_address_that_is_none_is_refused_with_what_to_write() {
    let output = refused("--server-url=https://server:8080");
    assert!(output.contains("write http:// instead of https://"), "{output}");
    let output = refused("--server-url=server:8080");
    assert!(output.contains("this is no address of an inference server: write http://HOST:PORT"), "{output}");
}

#[test]
fn a_missing_address_is_named() {
    let output = refused("--concurrency=1");
    assert!(output.contains("--server-url <URL>"), "{output}");
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    let output = refused("--concurrency=0");
    assert!(output.contains("0 is not in 1..=256"), "{output}");
    let output = refused("--request-timeout=1h");
    assert!(output.contains("write a duration within that, such as 5s"), "{output}");
}
