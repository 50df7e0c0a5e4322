//! `docent search`: passages, best first.

mod excerpt;
mod explain;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use docent::{CandidateTrace, Library, SearchHit, SearchOptions, SearchResult, Trace};
use serde::Serialize;

use self::excerpt::Terms;
use crate::console::{BOLD, Console, DIM, NAME, plain};
use crate::outcome::Outcome;
use crate::setup::{Setup, Weights};
use crate::{args, documents};

pub(crate) fn run(args: &args::Search, setup: &Setup) -> Result<Outcome> {
    let library = setup.existing(Weights::Fetch)?;
    let options = SearchOptions {
        limit: args.limit.into(),
        explain: args.explain,
        ..SearchOptions::default()
    };
    let begun = Instant::now();
    let result = library.search(&args.query, &options)?;
    let found = Found { query: &args.query, result: &result, took: begun.elapsed() };
    if args.json {
        found.write_json(args.explain)?;
    } else {
        found.write(&setup.console)?;
        if args.explain {
            explain::write(&result, &library, &setup.console)?;
        }
        found.advise(&library, args.explain, &setup.console)?;
    }
    Ok(Outcome::Done)
}

struct Found<'a> {
    query: &'a str,
    result: &'a SearchResult,
    took: Duration,
}

impl Found<'_> {
    fn write(&self, console: &Console) -> Result<()> {
        let mut out = console.out();
        let terms = Terms::of(self.query);
        for (index, hit) in self.result.hits.iter().enumerate() {
            let (name, chunk) = (plain::line(&hit.filename), &hit.chunk.chunk);
            let pages = documents::pages(chunk.page_start(), chunk.page_end());
            writeln!(
                out,
                "{BOLD}{}{BOLD:#}  {NAME}{name}{NAME:#}  {pages}  {DIM}score {:.3}{DIM:#}",
                index + 1,
                hit.score
            )?;
            for line in terms.excerpt(&chunk.text, console.width()) {
                writeln!(out, "   {}", terms.highlighted(&line))?;
            }
        }
        Ok(())
    }

    /// What to know about the hits that the hits do not say.
    fn advise(&self, library: &Library, explained: bool, console: &Console) -> Result<()> {
        if self.result.hits.is_empty() {
            let empty = library.documents()?.is_empty();
            console.note(if empty {
                "nothing found: the library is empty; add documents with \"docent add PATH\""
            } else {
                "nothing found"
            });
        }
        if !explained {
            self.result.trace.notes.iter().for_each(|note| console.note(plain::lines(note)));
        }
        Ok(())
    }

    fn write_json(&self, explain: bool) -> Result<()> {
        let hits = self.result.hits.iter();
        let json = Json {
            query: self.query,
            hits: hits
                .map(|hit| JsonHit::new(hit, explain.then_some(&self.result.trace)))
                .collect(),
            took_ms: (self.took.as_secs_f64() * 1e6).round() / 1e3,
            trace: explain.then(|| JsonTrace::new(&self.result.trace)),
        };
        crate::console::write_json(&json)
    }
}

#[derive(Serialize)]
struct Json<'a> {
    query: &'a str,
    hits: Vec<JsonHit<'a>>,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<JsonTrace<'a>>,
}

#[derive(Serialize)]
struct JsonHit<'a> {
    file: &'a str,
    page_start: u32,
    page_end: u32,
    /// Its place in its document, from 0.
    chunk: u32,
    score: f32,
    text: &'a str,
    file_id: String,
    vector_store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'a CandidateTrace>,
}

impl<'a> JsonHit<'a> {
    fn new(hit: &'a SearchHit, trace: Option<&'a Trace>) -> Self {
        let chunk = &hit.chunk.chunk;
        Self {
            file: &hit.filename,
            page_start: chunk.page_start(),
            page_end: chunk.page_end(),
            chunk: chunk.ordinal,
            score: hit.score,
            text: &chunk.text,
            file_id: hit.chunk.file.to_string(),
            vector_store: hit.vector_store.to_string(),
            explain: trace.and_then(|trace| explain::candidate_of(hit, trace)),
        }
    }
}

/// What `explain` says beside the hits.
#[derive(Serialize)]
struct JsonTrace<'a> {
    stages: &'a [docent::StageTime],
    notes: &'a [String],
    dropped: Vec<&'a CandidateTrace>,
}

impl<'a> JsonTrace<'a> {
    fn new(trace: &'a Trace) -> Self {
        let dropped = trace.candidates.iter().filter(|it| it.dropped.is_some()).collect();
        Self { stages: &trace.stages, notes: &trace.notes, dropped }
    }
}
