//! The parts of a pipeline, and what measures a model, each a subcommand of `tailrace-worker`.
//!
//! A part's folder has its `Args` (flags and environment variables) and `run`, which returns when the part has done its
//! work or was asked to stop by SIGTERM or SIGINT.
#![forbid(unsafe_code)]

pub mod attempts;
pub mod backoff;
pub mod check;
pub mod classifying;
pub mod db_consumer;
pub mod dead_letter;
pub mod delete_documents;
pub mod encoding;
pub mod ending;
pub mod evaluate;
pub mod http;
pub mod images;
pub mod inference;
pub mod inference_api;
pub mod inference_consumer;
pub mod inference_server;
pub mod kafka;
pub mod load_test;
pub mod model;
pub mod producer;
pub mod readiness;
pub mod ready;
pub mod self_check;
pub mod sentence;
pub mod service;
pub mod shutdown;
pub mod termination;
pub mod test_set;
pub mod topics;
