//! `kubectl tailrace report`

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use tailrace_report::{
    files::{self, File, json_text},
    json, junit, table, text,
};

use crate::{
    arguments::{Output, Report},
    cluster::Cluster,
    failure::Failure,
    results,
    target::Target,
};

/// Writes the results where they are wanted.
pub async fn run(cluster: &Cluster, arguments: &Report) -> Result<(), Failure> {
    match &arguments.target {
        Target::LoadTest(name) => load_test(cluster, name, &arguments.output).await,
        Target::Experiment(name) => experiment(cluster, name, &arguments.output).await,
    }
}

async fn load_test(cluster: &Cluster, name: &str, output: &Output) -> Result<(), Failure> {
    if *output == Output::Csv {
        return Err(Failure::Output("csv is the table of an Experiment: write json, or a folder, for a LoadTest"));
    }
    let run = results::of_load_test(cluster, name).await?;
    match output {
        Output::Text | Output::Csv => show(&text::summary(&run))?,
        Output::Json => show(&json_text(&json::of_run(&run)))?,
        Output::Junit => show(&junit::of_run(&run).map_err(failed)?)?,
        Output::Folder(folder) => write(folder, &files::of_run(&run).map_err(failed)?)?,
    }
    Ok(())
}

async fn experiment(cluster: &Cluster, name: &str, output: &Output) -> Result<(), Failure> {
    if *output == Output::Junit {
        return Err(Failure::Output(
            "junit is the verdict of a LoadTest: write csv, json, or a folder, for an Experiment",
        ));
    }
    let (sweep, runs) = results::of_experiment(cluster, name).await?;
    match output {
        Output::Text | Output::Junit => show(&text::of_sweep(&sweep))?,
        Output::Json => show(&json_text(&json::of_sweep(&sweep)))?,
        Output::Csv => show(&table::sweep(&sweep).map_err(failed)?)?,
        Output::Folder(folder) => write(folder, &files::of_sweep(&sweep, &runs).map_err(failed)?)?,
    }
    Ok(())
}

/// A reader that has read enough, such as `head`, is no failure.
fn show(text: &str) -> Result<(), Failure> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    match written {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::File { path: "standard output".into(), why })
        }
        _ => Ok(()),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Result(error.to_string())
}

/// Writes the files and says so; those of an earlier report are replaced.
fn write(folder: &Path, files: &[File]) -> Result<(), Failure> {
    for File { name, bytes } in files {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        written.map_err(|why| Failure::File { path: path.clone(), why })?;
        show(&format!("{}\n", path.display()))?;
    }
    Ok(())
}
