//! `docent eval`: how good retrieval is, on judged collections.
//!
//! A data set's documents go through the journey of every other file into a library of their own,
//! which is kept in the cache directory under the hash of the documents: the next run only asks.

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use docent::{IngestStage, Library, SearchMode};
use docent_eval::{
    BuildProgress, Comparison, Corpus, Dataset, FailOn, Metric, Pipeline, Rankings, Report,
};
use fs_err as fs;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::args;
use crate::console::{Console, Unit, write_json};
use crate::interrupt;
use crate::outcome::Outcome;
use crate::setup::{self, Embedding, Setup};

pub(crate) fn run(args: &args::EvalRun, setup: &Setup) -> Result<Outcome> {
    let pipelines = pipelines(&args.pipeline)?;
    let fail_on = args.fail_on.as_deref().map(str::parse::<FailOn>).transpose()?;
    let metrics = metrics(&args.metrics, fail_on.as_ref())?;
    let baseline = args.baseline.as_deref().map(read_report).transpose()?;
    let dataset = Dataset::read(&args.dataset, args.qrels.as_deref())?;
    let library = open(&dataset, &pipelines, setup)?;
    let Some(corpus) = build(&library, &dataset, &setup.console)? else {
        return Ok(Outcome::Interrupted);
    };
    let mut reports = vec![];
    for pipeline in &pipelines {
        let Some(rankings) = ask(&corpus, &dataset, pipeline, &setup.console)? else {
            return Ok(Outcome::Interrupted);
        };
        let mut report = Report::new(&dataset, pipeline, &rankings, &metrics, corpus.notes());
        report.index_bytes = docent_eval::directory_bytes(&library.path().join("indexes"))?;
        report.resident_bytes = docent_eval::resident_bytes();
        reports.push(report);
    }
    let comparisons = compare(baseline.as_ref(), &reports)?;
    show(&reports, &comparisons, args.json, &setup.console)?;
    let failed = fail_on.is_some_and(|it| it.holds(&comparisons));
    Ok(if failed { Outcome::FoundWrong } else { Outcome::Done })
}

fn pipelines(named: &[String]) -> Result<Vec<Pipeline>> {
    let mut pipelines = vec![];
    for name in named {
        match Pipeline::named(name) {
            Some(pipeline) => pipelines.push(pipeline),
            None => pipelines.extend(Pipeline::read(Path::new(name)).with_context(|| {
                format!("--pipeline {name} is neither bm25, dense nor default, and as a file")
            })?),
        }
    }
    let mut seen = HashSet::new();
    pipelines.retain(|pipeline: &Pipeline| seen.insert(pipeline.name.clone()));
    Ok(pipelines)
}

/// What is measured: what was asked for or else the usual, and what may fail the run.
fn metrics(named: &[String], fail_on: Option<&FailOn>) -> Result<Vec<Metric>> {
    let asked: Result<Vec<Metric>, _> = named.iter().map(|name| name.parse()).collect();
    let mut metrics = asked?;
    if metrics.is_empty() {
        metrics.extend(Metric::USUAL);
    }
    metrics.extend(fail_on.map(FailOn::metric).filter(|it| !metrics.contains(it)));
    Ok(metrics)
}

fn read_report(path: &Path) -> Result<Report> {
    serde_json::from_str(&fs::read_to_string(path)?).with_context(|| {
        format!("{} is not what \"docent eval run --json\" prints of one pipeline", path.display())
    })
}

/// The library of the data set's documents. One that is only asked for words needs no vectors.
fn open(dataset: &Dataset, pipelines: &[Pipeline], setup: &Setup) -> Result<Library> {
    let words_only = pipelines.iter().all(|pipeline| pipeline.mode == SearchMode::Words);
    let embedding = if words_only { Embedding::Without } else { Embedding::Usual };
    let embedder = setup.embedder_name().unwrap_or("words");
    let folder: PathBuf = format!("{}-{embedder}", &dataset.corpus_hash[..16]).into();
    let path = setup::cache_dir()?.join("eval").join(folder);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    setup.elsewhere(path, embedding).create()
}

fn build(library: &Library, dataset: &Dataset, console: &Console) -> Result<Option<Corpus>> {
    let of = dataset.documents.len() as u64;
    let (adding, embedding) = (console.bar(of, Unit::Files), console.bar(of, Unit::Files));
    adding.set_message("reading");
    embedding.set_message("embedding");
    let collections = Arc::clone(library.collections());
    let built = Corpus::build(collections, dataset, &mut |progress| {
        match progress {
            BuildProgress::Added { documents, .. } => adding.set_position(documents as u64),
            BuildProgress::Ingest(progress) if progress.stage == IngestStage::Completed => {
                embedding.inc(1);
            }
            _ => {}
        }
        interrupt::flow()
    });
    [adding, embedding].iter().for_each(ProgressBar::finish_and_clear);
    Ok(built?)
}

fn ask(
    corpus: &Corpus,
    dataset: &Dataset,
    pipeline: &Pipeline,
    console: &Console,
) -> Result<Option<Rankings>> {
    let bar = console.bar(dataset.queries.len() as u64, Unit::Files);
    bar.set_message(pipeline.name.clone());
    let rankings = Rankings::ask(corpus, dataset, pipeline, &mut |done| -> ControlFlow<()> {
        bar.set_position(done as u64);
        interrupt::flow()
    });
    bar.finish_and_clear();
    Ok(rankings?)
}

/// Every report with the baseline, or without one each with the first.
fn compare(baseline: Option<&Report>, reports: &[Report]) -> Result<Vec<Comparison>> {
    let (against, compared) = match (baseline, reports) {
        (Some(baseline), reports) => (baseline, reports),
        (None, [first, rest @ ..]) => (first, rest),
        (None, []) => return Ok(vec![]),
    };
    let mut comparisons = vec![];
    for report in compared {
        comparisons.extend(docent_eval::compare(against, report)?);
    }
    docent_eval::correct(&mut comparisons);
    Ok(comparisons)
}

#[derive(Serialize)]
struct Several<'a> {
    runs: &'a [Report],
    comparisons: &'a [Comparison],
}

fn show(
    reports: &[Report],
    comparisons: &[Comparison],
    json: bool,
    console: &Console,
) -> Result<()> {
    match reports {
        [report] if json => write_json(report),
        _ if json => write_json(&Several { runs: reports, comparisons }),
        _ => Ok(write!(console.out(), "{}", docent_eval::markdown(reports, comparisons))?),
    }
}
