//! Documents that go again.

use std::time::Duration;

use mongodb::bson::doc;
use tailrace_wire::PNG;

use crate::{
    SOON,
    support::{Database, Pipeline, Worker, eventually, sample, worker::Ended},
};

/// Kafka is not asked, where no consumer group is to be waited for.
const DELETE: [&str; 2] = ["delete-documents", "--bootstrap-servers=127.0.0.1:1"];

fn delete(database: &Database, prefix: &str) -> Ended {
    let arguments = [DELETE[0].to_owned(), DELETE[1].to_owned(), format!("--source-prefix={prefix}")];
    Worker::run(&arguments, &[("TAILRACE_MONGODB_URI", database.uri())])
}

#[test]
fn the_documents_of_one_test_are_deleted_and_no_others() {
    let (pipeline, database) = (Pipeline::new("deleted-documents", 2), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    pipeline.send_images(30);
    for id in 0..1_200 {
        pipeline.send_image_from("5d0ef2a4-test-0", id, &sample(0));
    }
    pipeline.send_image_from("5d0ef2a4-tesu-0", 0, &sample(0));
    pipeline.flush();
    eventually("documents", SOON, || (database.count("images", doc! {}) == Some(1_231)).then_some(()));

    let ended = delete(&database, "5d0ef2a4-test");
    println!("{}", ended.output);
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains(r#"{"images":1200,"inferences":0}"#), "{}", ended.output);
    assert_eq!(database.count("images", doc! {}), Some(31));
    let again = delete(&database, "5d0ef2a4-test");
    assert!(again.status.success() && again.output.contains(r#"{"images":0,"inferences":0}"#), "{}", again.output);
    let refused = delete(&database, "5d");
    assert!(!refused.status.success() && refused.output.contains("write at least 8 characters"), "{}", refused.output);
}

#[test]
fn documents_that_are_archived_late_are_waited_for_and_deleted() {
    let (pipeline, database) = (Pipeline::new("archived-late", 2), Database::start());
    for id in 0..200 {
        pipeline.send_image_from("5d0ef2a4-test-0", id, &sample(0));
    }
    pipeline.flush();
    let of_test = [format!("--archive-group={}-archive", pipeline.name), "--source-prefix=5d0ef2a4-test".to_owned()];
    let arguments: Vec<_> = pipeline.arguments("delete-documents").into_iter().chain(of_test).collect();
    let mut deletion = Worker::start(&arguments, &[("TAILRACE_MONGODB_URI", database.uri())]);
    eventually("it waits", SOON, || deletion.process.log().contains("is 200 records behind").then_some(()));
    let _archive = pipeline.start_archive("archive", &database);
    assert_eq!(deletion.process.wait(SOON).code(), Some(0), "{}", deletion.process.log());
    assert!(deletion.process.log().contains(r#"{"images":200,"#), "{}", deletion.process.log());
    assert_eq!(database.count("images", doc! {}), Some(0));
}

#[test]
fn a_database_without_a_ttl_index_is_kept_small_in_batches_and_its_size_is_said() {
    let (pipeline, database) = (Pipeline::new("retention", 1), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    let fresh = pipeline.send_image(0, &sample(0), PNG, None);
    eventually("the document", SOON, || database.document("images", &fresh));
    assert_eq!(archive.process.terminate(Duration::from_secs(15)).code(), Some(0));
    // As if they had been stored an hour ago.
    database.insert_old("images", 1_100, Duration::from_secs(3_600));

    let archive = pipeline.start_archive_with("archive", &database, &["--retention=10m"]);
    eventually("the old ones are gone", SOON, || (database.count("images", doc! {}) == Some(1)).then_some(()));
    assert!(database.document("images", &fresh).is_some());
    let used = eventually("its size is said", SOON, || archive.state()["volumes"]["database"]["usedBytes"].as_i64());
    assert!(used > 0, "{used}");
    assert!(archive.process.log().contains("1100 documents of images were kept for long enough"));
}

#[test]
fn documents_are_deleted_although_the_database_comes_late() {
    let mut database = Database::start();
    database.insert_old("images", 20, Duration::from_secs(60));
    database.stop();
    let arguments = [DELETE[0], DELETE[1], "--source-prefix=old/0000", "--timeout=2m"].map(str::to_owned);
    // The driver gives an operation up long before the database is there.
    let uri = format!("{}?serverSelectionTimeoutMS=500", database.uri());
    let mut deletion = Worker::start(&arguments, &[("TAILRACE_MONGODB_URI", uri)]);
    eventually("it is tried again", SOON, || deletion.process.log().contains("are deleted again").then_some(()));
    database.resume();
    assert_eq!(deletion.process.wait(SOON).code(), Some(0), "{}", deletion.process.log());
}
