//! The records on Kafka: an image on its way to the classifier, and the answer on its way back.
//!
//! Both are CloudEvents 1.0 in the binary mode of the Kafka protocol binding: the attributes are headers (`ce_id`,
//! `ce_source`, ...), the value is the data itself. An image's value is the image file, so any camera with a Kafka
//! client can take part; an answer's value is JSON. An image may also come in structured mode, in JSON with the file in
//! `data_base64`.
//!
//! | header | image | answer |
//! |---|---|---|
//! | `content-type` | `image/png`, `image/jpeg`, or `application/octet-stream` for 3072 raw bytes (32 x 32, RGB interleaved) | `application/json` |
//! | `ce_specversion` | `1.0` | `1.0` |
//! | `ce_type` | `dev.tailrace.image` | `dev.tailrace.inference` or `dev.tailrace.inference.failed` |
//! | `ce_source`, `ce_id` | who took it, and which one it is | which classifier answered, and its answer's id |
//! | `ce_time` | when it was taken, RFC 3339 | when it was classified, RFC 3339 |
//! | `ce_subject` | | the image: see [`subject`] |
//! | `tailrace_reply_partition` | optional: the partition of the answers' topic on which the answer is wanted | |
//! | `tailrace_queue_micros`, `tailrace_compute_micros` | | durations on the classifier's own clock |
//! | `tailrace_pipeline` | | optional: the UID of the Pipeline that answered |
//!
//! Sources: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md> and
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>.
#![forbid(unsafe_code)]

mod answer;
mod headers;
mod image;
mod structured;
mod subject;

pub use answer::{Answer, AnswerError, AnswerEvent, Label};
pub use headers::{HeaderError, readable_headers};
pub use image::{ImageEvent, JPEG, PNG, RAW, UNKNOWN_SOURCE, guess_content_type, read_image};
pub use structured::EventError;
pub use subject::subject;

/// Header of a dead letter: why the record could not be used, in one sentence.
pub const DEAD_LETTER_ERROR: &str = "tailrace_error";
/// Header of a dead letter without a value, which the topic would not take: how many bytes the value had.
pub const DEAD_LETTER_BYTES: &str = "tailrace_bytes";
/// Header of a dead letter: where the record was, as `topic/partition/offset`.
pub const DEAD_LETTER_ORIGIN: &str = "tailrace_origin";
