//! The pictures as files: what can be checked of them without eyes. They are left in the folder for temporary files of
//! the build, for eyes.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::{fs, path::Path};

use tailrace_measure::load::Load;
use tailrace_report::{
    figures::{self, Figure, HEIGHT, WIDTH},
    files,
    values::Run,
};

mod support;

fn of_run(run: &Run) -> Vec<(&'static str, Figure)> {
    [
        ("latency_histogram", figures::histogram(run)),
        ("percentiles", figures::percentiles(run)),
        ("stages", figures::stages(run)),
        ("over_time", figures::over_time(run)),
    ]
    .into_iter()
    .map(|(name, figure)| (name, figure.unwrap().unwrap()))
    .collect()
}

/// All texts that a picture shows.
fn texts(figure: &Figure) -> Vec<String> {
    let svg = roxmltree::Document::parse(figure.svg()).unwrap();
    let texts = svg.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

fn leave(folder: &str, files: &[files::File]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    for file in files {
        let path = folder.join(&file.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.bytes).unwrap();
    }
}

#[test]
fn every_picture_says_what_it_shows_of_what_and_when() {
    for (name, figure) in of_run(&support::run(u64::MAX)) {
        let texts = texts(&figure);
        let shows = |what: &str| texts.iter().any(|text| text.contains(what));
        for what in [
            "open: ",
            "Open load: 20 images/s from each of 5 producers",
            "2026-11-21 18:40:12 UTC",
            "60 s after a warm-up of 10 s",
            "Pipeline cifar",
            "succeeded",
            ", ms",
            "archive, inference, producer: tailrace/worker:0.1.0@sha256:3f7a9c0b3f7a",
            "apache/kafka:4.1.1@sha256:c0ffee12c0ff",
            "resnet20 sha256:9e8d7c6b9e8d",
        ] {
            assert!(shows(what), "{name} does not show {what}: {texts:#?}");
        }
        let svg = roxmltree::Document::parse(figure.svg()).unwrap();
        let described = svg.descendants().find(|node| node.has_tag_name("desc")).unwrap().text().unwrap();
        assert!(described.contains(&format!("sha256:{}", "c0ffee12".repeat(8))), "{described}");
    }
}

#[test]
fn a_closed_load_is_labelled_on_every_picture() {
    let run = support::troubled_run();
    assert!(matches!(run.load, Load::Closed { .. }));
    for (name, figure) in of_run(&run) {
        assert!(
            texts(&figure).iter().any(|text| text.starts_with("Closed load, which hides waiting: 1 image")),
            "{name}"
        );
    }
}

#[test]
fn percentiles_are_on_the_logarithmic_axis_of_hdrhistogram_with_slos_and_confidence() {
    let figure = figures::percentiles(&support::run(u64::MAX)).unwrap().unwrap();
    let texts = texts(&figure);
    for what in ["0 %", "90 %", "99 %", "99.9 %", "SLO P95 at most 8ms: met"] {
        assert!(texts.iter().any(|text| text == what), "{what}: {texts:#?}");
    }
    assert!(texts.iter().any(|text| text.contains("95 % confidence interval")));
}

#[test]
fn images_without_an_answer_are_shown_and_a_limit_far_above_is_said() {
    let mut run = support::run(50);
    run.result.slos[0].max = Some("5s".into());
    let texts = texts(&figures::percentiles(&run).unwrap().unwrap());
    assert!(texts.iter().any(|text| text == "no answer"), "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("Above this picture: SLO P95 at most 5s (met).")), "{texts:#?}");
    leave("lost", &files::of_run(&run).unwrap());
}

#[test]
fn every_png_has_its_size_and_is_not_blank() {
    let mut files = files::of_run(&support::run(u64::MAX)).unwrap();
    let sweep = files::of_sweep(&support::sweep(), &[support::run(u64::MAX)]).unwrap();
    leave("sweep", &sweep);
    leave("open", &files);
    leave("closed", &files::of_run(&support::troubled_run()).unwrap());
    files.extend(sweep);
    let pngs: Vec<_> = files.iter().filter(|file| file.name.ends_with(".png")).collect();
    assert_eq!(pngs.len(), 4 + 1 + 4);
    for png in pngs {
        let picture = image::load_from_memory(&png.bytes).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (WIDTH, HEIGHT), "{}", png.name);
        // Letters and lines: a picture without its font or its plot has much less.
        for (part, from, to, least) in [("head", 0, 150, 1_500), ("plot", 200, 850, 3_000), ("foot", 900, 1_000, 1_000)]
        {
            let rows = picture.enumerate_pixels().filter(|(_, y, _)| (from..to).contains(y));
            let painted = rows.filter(|(_, _, pixel)| pixel.0.iter().any(|channel| *channel < 200)).count();
            assert!(painted >= least, "{}: the {part} has only {painted} dark pixels", png.name);
        }
    }
}

#[test]
fn without_intervals_there_are_only_the_pictures_for_which_there_are_numbers() {
    let run = Run { intervals: None, ..support::run(u64::MAX) };
    let names: Vec<_> = files::of_run(&run).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["latency_results.txt", "results.json", "junit.xml", "stages.svg", "stages.png"]);
}

#[test]
fn an_experiment_has_its_curve_and_an_unbounded_percentile_is_said() {
    let figure = figures::sweep(&support::sweep(), &[support::run(u64::MAX)]).unwrap();
    let texts = texts(&figure);
    for what in ["sweep: latency over producers", "producers", "p90", "p95", "latency from the intended send, ms"] {
        assert!(texts.iter().any(|text| text == what), "{what}: {texts:#?}");
    }
    assert!(texts.iter().any(|text| text.contains("median of the valid repetitions")), "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("2026-11-21 18:40:12 UTC")), "{texts:#?}");
}
