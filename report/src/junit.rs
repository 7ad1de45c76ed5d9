//! Results as JUnit XML, for the viewers of continuous integration: a test case for the validity, one for each SLO, and
//! one for the comparison with a baseline. The elements are those that Jenkins' schema of JUnit 10 has.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use tailrace_measure::confidence::RegressionVerdict;

use crate::{text, values::Run};

/// What came of one test case.
enum Outcome<'a> {
    Passed,
    Failed {
        kind: &'a str,
        message: String,
    },
    /// What is not valid is not judged.
    Skipped(String),
}

struct Case<'a> {
    name: String,
    outcome: Outcome<'a>,
}

/// The test suite of a LoadTest.
///
/// # Errors
/// Those of the writer, which writes to memory.
pub fn of_run(run: &Run) -> io::Result<String> {
    let cases = cases(run);
    let failures = count(&cases, |outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = count(&cases, |outcome| matches!(outcome, Outcome::Skipped(_)));
    let (name, tests, time) = (suite(run), cases.len().to_string(), run.measured().unwrap_or_default().as_secs_f64());
    let time = time.to_string();
    // One that never started has no date to show but that of its end.
    let date = run.started.or(run.finished).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string());

    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts =
        [("tests", tests.as_str()), ("failures", &failures), ("errors", "0"), ("skipped", &skipped), ("time", &time)];
    writer.create_element("testsuites").with_attributes(counts).write_inner_content(|writer| {
        let date = date.iter().map(|date| ("timestamp", date.as_str()));
        let attributes = [("name", name.as_str())].into_iter().chain(date).chain(counts);
        writer.create_element("testsuite").with_attributes(attributes).write_inner_content(|writer| {
            properties(writer, run)?;
            cases.iter().try_for_each(|case| write(writer, &name, case))?;
            writer.create_element("system-out").write_text_content(BytesText::new(&text::summary(run)))?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned() + "\n")
}

fn count(cases: &[Case], which: fn(&Outcome) -> bool) -> String {
    cases.iter().filter(|case| which(&case.outcome)).count().to_string()
}

fn suite(run: &Run) -> String {
    let parts = ["tailrace", "LoadTest"].into_iter().chain(run.namespace.as_deref()).chain([run.name.as_str()]);
    parts.collect::<Vec<_>>().join(".")
}

fn cases(run: &Run) -> Vec<Case<'_>> {
    let validity = &run.validity;
    let valid = if validity.valid {
        Outcome::Passed
    } else {
        Outcome::Failed { kind: &validity.reason, message: validity.message.clone() }
    };
    let mut cases = vec![Case { name: "the result is valid".into(), outcome: valid }];
    let skipped = || (!validity.valid).then(|| Outcome::Skipped("the result is not valid".into()));
    cases.extend(run.result.slos.iter().map(|slo| {
        let judged = || match slo.met {
            true => Outcome::Passed,
            false => Outcome::Failed { kind: "SLOMissed", message: format!("{}: {}", slo.title(), slo.observed()) },
        };
        Case { name: slo.title(), outcome: skipped().unwrap_or_else(judged) }
    }));
    cases.extend(run.result.comparison.iter().map(|comparison| {
        let judged = || match comparison.verdict {
            RegressionVerdict::NotRegressed => Outcome::Passed,
            RegressionVerdict::Inconclusive => Outcome::Skipped(comparison.message.clone()),
            RegressionVerdict::Regressed => Outcome::Failed { kind: "Regressed", message: comparison.message.clone() },
        };
        let name =
            format!("not slower than {} by more than {} %", comparison.baseline, comparison.max_regression_percent);
        Case { name, outcome: skipped().unwrap_or_else(judged) }
    }));
    cases
}

fn properties(writer: &mut Writer<Vec<u8>>, run: &Run) -> io::Result<()> {
    let load = run.load.of(run.producers);
    let environment = run.result.environment();
    let images = environment.images.iter().map(|(part, image)| (format!("image.{part}"), image.as_str()));
    let properties = [("load".to_owned(), load.as_str()), ("pipeline".to_owned(), run.pipeline.as_str())];
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in properties.into_iter().chain(images) {
            writer
                .create_element("property")
                .with_attributes([("name", name.as_str()), ("value", value)])
                .write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn write(writer: &mut Writer<Vec<u8>>, suite: &str, case: &Case) -> io::Result<()> {
    let element = writer.create_element("testcase");
    let element = element.with_attributes([("classname", suite), ("name", &case.name), ("time", "0")]);
    match &case.outcome {
        Outcome::Passed => element.write_empty()?,
        Outcome::Failed { kind, message } => element.write_inner_content(|writer| {
            let failure = writer.create_element("failure").with_attributes([("type", *kind), ("message", message)]);
            failure.write_text_content(BytesText::new(message))?;
            Ok(())
        })?,
        Outcome::Skipped(message) => element.write_inner_content(|writer| {
            writer.create_element("skipped").with_attribute(("message", message.as_str())).write_empty()?;
            Ok(())
        })?,
    };
    Ok(())
}
