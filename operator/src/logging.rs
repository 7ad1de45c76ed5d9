//! The log: one line an event, and none of them long.
//!
//! What the API server sends may be of any size, and libraries log what they cannot read. So the bound is where lines
//! are written, whoever writes them.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::settings::{Log, LogFormat};

/// The longest text of an error.
const LONGEST_TEXT: usize = 1_024;
/// The longest line.
const LONGEST_LINE: usize = 4_096;

/// Starts the log of the process.
pub fn start(log: &Log) {
    let filter = EnvFilter::new(&log.level);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(io::stdout().is_terminal());
    match log.format {
        LogFormat::Text => logs.with_writer(|| Bounded(io::stdout())).init(),
        LogFormat::Json => logs.json().with_writer(|| Bounded(io::stdout())).init(),
    }
}

/// The beginning of a text that is too long, and how much more there was.
pub fn trimmed(text: &str) -> String {
    cut(text, LONGEST_TEXT)
}

fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let beginning = &text[..end];
    format!("{beginning}... ({} bytes more)", text.len() - beginning.len())
}

/// Shortens the lines that are too long. Each event is one write.
struct Bounded<W>(W);

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LONGEST_LINE {
            self.0.write_all(line)?;
        } else {
            self.0.write_all(shortened(line).as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A line of JSON stays JSON.
fn shortened(line: &[u8]) -> String {
    let shorter = match serde_json::from_slice::<Value>(line) {
        Ok(mut value) => {
            shorten(&mut value);
            value.to_string()
        }
        Err(_) => cut(&String::from_utf8_lossy(line), LONGEST_LINE),
    };
    shorter.trim_end().replace('\n', " ") + "\n"
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = trimmed(text),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(values) => values.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, text: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Bounded(writer.clone()));
        let log: Box<dyn tracing::Subscriber + Send + Sync> =
            if json { Box::new(log.json().finish()) } else { Box::new(log.finish()) };
        tracing::subscriber::with_default(log, || tracing::warn!(list = text, "cannot read {text}"));
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_whole_list_in_a_line_is_cut_whoever_logs_it() {
        let list = "\u{20ac}{\"items\": []}\n".repeat(20_000);
        let text = logged(false, &list);
        assert!(text.len() < 5_000 && text.contains("bytes more"), "{} bytes", text.len());
        assert_eq!(text.matches('\n').count(), 1);

        let json = logged(true, &list);
        assert!(json.len() < 5_000, "{} bytes", json.len());
        let value: Value = serde_json::from_str(&json).unwrap();
        assert!(value["fields"]["message"].as_str().unwrap().starts_with("cannot read"));
    }

    #[test]
    fn ordinary_lines_are_left_alone() {
        assert!(logged(false, "x").trim_end().ends_with("cannot read x list=\"x\""));
    }
}
