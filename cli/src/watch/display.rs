//! What is to be seen of a LoadTest that is on its way: a bar on a terminal, lines elsewhere.

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tailrace_crds::LoadTest;
use tailrace_measure::judgement::Verdict;

use super::line;

/// Without a terminal, numbers that go on are shown as often as this.
const PAUSE: Duration = Duration::from_secs(10);

/// Where it is shown.
pub struct Display {
    bar: Option<ProgressBar>,
    shown: Cell<Option<(String, Instant)>>,
}

impl Display {
    /// A bar, if people look on.
    pub fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0).with_style(style());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, shown: Cell::new(None) }
    }

    /// How it goes.
    pub fn show(&self, load_test: &LoadTest) {
        match &self.bar {
            Some(bar) => {
                let (passed, all) = line::seconds(load_test);
                bar.set_length(all);
                bar.set_position(passed);
                bar.set_message(line::now(load_test));
            }
            None => self.show_line(&line::step(load_test), &line::now(load_test)),
        }
    }

    /// A new step at once, and the same step with other numbers now and then.
    fn show_line(&self, step: &str, line: &str) {
        let shown = self.shown.take();
        let is_old = |(last, at): &(String, Instant)| last != step || at.elapsed() >= PAUSE;
        if shown.as_ref().is_none_or(is_old) {
            print(line);
            self.shown.set(Some((step.to_owned(), Instant::now())));
        } else {
            self.shown.set(shown);
        }
    }

    /// What should be known besides.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// What came of it.
    pub fn finish(&self, load_test: &LoadTest, verdict: Verdict) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        print(&line::end(load_test, verdict));
    }
}

/// A reader that has gone is no reason to end: the exit code is what matters.
fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

#[expect(clippy::expect_used, reason = "the template is a constant")]
fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} [{bar:30}] {msg}").expect("the template is one");
    style.progress_chars("=> ")
}
