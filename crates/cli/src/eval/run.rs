//! `docent eval run`: pipelines on data sets, compared.
//!
//! A data set's documents go through the journey of every other file into a library of their own,
//! which is kept in the cache directory under the hash of the documents: the next run only asks.
//! What a run came to is kept there too, and asking the very same again only reads it.

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use docent::{IngestStage, Library, SearchMode};
use docent_eval::{
    Against, BuildProgress, Corpus, Dataset, FailOn, Metric, Pipeline, Rankings, Report,
    ResultCache, Split, Study,
};
use fs_err as fs;
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Deserialize;

use crate::args::{self, EvalSplit};
use crate::console::{Console, Unit, write_json};
use crate::interrupt;
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::{self, Embedding, Setup};

pub(super) fn run(args: &args::EvalRun, setup: &Setup) -> Result<Outcome> {
    check(args)?;
    let mut pipelines = pipelines(&args.pipeline)?;
    for pipeline in &mut pipelines {
        // Said in full, so that a kept result is not taken for that of another configuration.
        pipeline.late_interaction.get_or_insert(setup.late_interaction);
    }
    let fail_on = args.fail_on.as_deref().map(str::parse::<FailOn>).transpose()?;
    let metrics = metrics(&args.metrics, fail_on.as_ref())?;
    let against = against(args)?;
    let datasets = datasets(args)?;
    let measuring = Measuring { pipelines, metrics, cache: cache()?, fresh: args.fresh, setup };
    let mut reports = vec![];
    for dataset in &datasets {
        let Some(measured) = measuring.measure(dataset)? else {
            return Ok(Outcome::Interrupted);
        };
        reports.extend(measured);
    }
    let study = Study::new(reports, against)?;
    show(&study, args, &setup.console)?;
    let failed = fail_on.is_some_and(|it| it.holds(&study.comparisons));
    Ok(if failed { Outcome::FoundWrong } else { Outcome::Done })
}

/// What would otherwise go unheeded.
fn check(args: &args::EvalRun) -> Result<()> {
    let wrong = |message: &str| Err(WrongUsage(message.to_owned()).into());
    if args.qrels.is_some() && args.dataset.len() > 1 {
        return wrong("--qrels belongs to one data set; run several one by one");
    }
    let prints_json = args.json.as_deref() == Some(Path::new("-"));
    if args.show_misses > 0 && prints_json && args.markdown.is_none() {
        return wrong(
            "--show-misses shows in Markdown, and --json prints none; add --markdown FILE, or \
             write the JSON to a file with --json=FILE (it has every query)",
        );
    }
    Ok(())
}

fn datasets(args: &args::EvalRun) -> Result<Vec<Dataset>> {
    let split = match args.split {
        EvalSplit::All => Split::All,
        EvalSplit::Tune => Split::Tune,
        EvalSplit::HeldOut => Split::HeldOut,
    };
    let mut datasets: Vec<Dataset> = vec![];
    for directory in &args.dataset {
        let dataset = Dataset::read(directory, args.qrels.as_deref())?.part(split)?;
        if datasets.iter().any(|known| known.name == dataset.name) {
            bail!("two data sets are called {}; rename the directory of one", dataset.name);
        }
        datasets.push(dataset);
    }
    Ok(datasets)
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

fn against(args: &args::EvalRun) -> Result<Against> {
    Ok(match &args.baseline {
        Some(path) => Against::Baseline(read_reports(path)?),
        None if args.against.is_empty() => Against::First,
        None => Against::BestOf(args.against.clone()),
    })
}

/// The reports of an earlier run: of one pipeline on one data set, or of several.
fn read_reports(path: &Path) -> Result<Vec<Report>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Earlier {
        Several { runs: Vec<Report> },
        One(Box<Report>),
    }
    let text = fs::read_to_string(path)?;
    let earlier = serde_json::from_str(&text).with_context(|| {
        format!("{} is not what \"docent eval run --json\" prints", path.display())
    })?;
    Ok(match earlier {
        Earlier::Several { runs } => runs,
        Earlier::One(report) => vec![*report],
    })
}

/// Results are this very program's: its file changes with every build.
fn cache() -> Result<ResultCache> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let metadata = fs::metadata(&program)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = format!("{} {}", metadata.len(), changed.as_nanos());
    Ok(ResultCache::new(setup::cache_dir()?.join("eval").join("results"), stamp))
}

struct Measuring<'a> {
    pipelines: Vec<Pipeline>,
    metrics: Vec<Metric>,
    cache: ResultCache,
    fresh: bool,
    setup: &'a Setup,
}

impl Measuring<'_> {
    /// What every pipeline comes to on `dataset`; none when it was interrupted.
    fn measure(&self, dataset: &Dataset) -> Result<Option<Vec<Report>>> {
        let library = open(dataset, &self.pipelines, self.setup)?;
        let Some(corpus) = build(&library, dataset, &self.setup.console)? else {
            return Ok(None);
        };
        let mut reports = vec![];
        for pipeline in &self.pipelines {
            let Some(report) = self.report(&library, &corpus, dataset, pipeline)? else {
                return Ok(None);
            };
            reports.push(report);
        }
        Ok(Some(reports))
    }

    fn report(
        &self,
        library: &Library,
        corpus: &Corpus,
        dataset: &Dataset,
        pipeline: &Pipeline,
    ) -> Result<Option<Report>> {
        let key = self.cache.key(dataset, corpus, pipeline, &self.metrics)?;
        if let Some(kept) = self.cache.get(&key, dataset, pipeline).filter(|_| !self.fresh) {
            self.setup.console.note(format_args!(
                "{} on {}: results and times kept from {}; --fresh measures again",
                pipeline.name, dataset.name, kept.measured_at
            ));
            return Ok(Some(kept));
        }
        let Some(rankings) = ask(corpus, dataset, pipeline, &self.setup.console)? else {
            return Ok(None);
        };
        let mut report = Report::new(dataset, pipeline, &rankings, &self.metrics, corpus.notes());
        report.index_bytes = docent_eval::directory_bytes(&library.path().join("indexes"))?;
        report.resident_bytes = docent_eval::resident_bytes();
        report.circumstances = corpus.circumstances()?;
        report.measured_at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.cache.put(&key, &report)?;
        Ok(Some(report))
    }
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

/// JSON and pages go where they were asked for, Markdown to the terminal unless JSON does.
fn show(study: &Study, args: &args::EvalRun, console: &Console) -> Result<()> {
    if let Some(path) = &args.html {
        fs::write(path, docent_eval::html(study))?;
    }
    if let Some(path) = &args.markdown {
        fs::write(path, docent_eval::markdown(study, args.show_misses))?;
    }
    let markdown = || docent_eval::markdown(study, args.show_misses);
    match args.json.as_deref() {
        Some(path) if path != Path::new("-") => {
            fs::write(path, json(study)?)?;
            write!(console.out(), "{}", markdown())?;
        }
        Some(_) => match &study.runs[..] {
            [report] => write_json(report)?,
            _ => write_json(study)?,
        },
        None => write!(console.out(), "{}", markdown())?,
    }
    Ok(())
}

fn json(study: &Study) -> Result<Vec<u8>> {
    let mut json = match &study.runs[..] {
        [report] => serde_json::to_vec_pretty(report)?,
        _ => serde_json::to_vec_pretty(study)?,
    };
    json.push(b'\n');
    Ok(json)
}
