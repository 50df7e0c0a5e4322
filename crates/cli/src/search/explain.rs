//! `--explain` for people: where each candidate stood, and why it was dropped.

use std::collections::HashMap;
use std::io::Write;

use anyhow::Result;
use docent::{
    CandidateTrace, FileId, IndexedChunk, Library, ListPlace, SearchHit, SearchResult, Trace,
};

use crate::console::{Align, BOLD, Cell, Console, DIM, Table, plain};

/// Candidates shown beyond the hits; JSON has them all.
const DROPPED_SHOWN: usize = 20;

/// The trace of a hit.
pub(super) fn candidate_of<'a>(hit: &SearchHit, trace: &'a Trace) -> Option<&'a CandidateTrace> {
    let same =
        |it: &&CandidateTrace| it.vector_store == hit.vector_store && it.chunk == hit.chunk.id;
    trace.candidates.iter().find(same)
}

pub(super) fn write(result: &SearchResult, library: &Library, console: &Console) -> Result<()> {
    let trace = &result.trace;
    let shown = shown(trace);
    let mut names = Names { library, known: HashMap::new() };
    let mut table = Table::new([
        ("Candidate", Align::Left),
        ("Page", Align::Right),
        ("Chunk", Align::Right),
        ("Words", Align::Left),
        ("Vectors", Align::Left),
        ("Fused", Align::Right),
        ("Reranked", Align::Right),
        ("Dropped because", Align::Left),
    ]);
    for candidate in &shown {
        table.push(row(candidate, &mut names)?);
    }
    let mut out = console.out();
    writeln!(out, "\n{BOLD}Why these{BOLD:#}")?;
    table.write(&mut out, console.width())?;
    let more = trace.candidates.len() - shown.len();
    if more > 0 {
        writeln!(out, "{DIM}and {more} more that were dropped; --json lists them{DIM:#}")?;
    }
    for note in &trace.notes {
        writeln!(out, "note: {}", plain::lines(note))?;
    }
    writeln!(out, "{DIM}{}{DIM:#}", timings(trace))?;
    Ok(())
}

/// Every hit, and the best of what was dropped.
fn shown(trace: &Trace) -> Vec<&CandidateTrace> {
    let mut dropped = 0;
    let is_shown = |candidate: &&CandidateTrace| {
        dropped += usize::from(candidate.dropped.is_some());
        candidate.dropped.is_none() || dropped <= DROPPED_SHOWN
    };
    trace.candidates.iter().filter(is_shown).collect()
}

fn row(candidate: &CandidateTrace, names: &mut Names<'_>) -> Result<Vec<Cell>> {
    let chunk = names.library.collections().chunk(candidate.vector_store, candidate.chunk)?;
    let of_chunk = |number: &dyn Fn(&IndexedChunk) -> String| {
        Cell::new(chunk.as_ref().map(number).unwrap_or_default())
    };
    Ok(vec![
        Cell::new(names.get(candidate.file)),
        of_chunk(&|it| it.chunk.page_start().to_string()),
        of_chunk(&|it| it.chunk.ordinal.to_string()),
        place(candidate, "keyword"),
        place(candidate, "vector"),
        Cell::new(format!("{:.3}", candidate.fused)),
        Cell::new(candidate.reranked.map(|score| format!("{score:.3}")).unwrap_or_default()),
        Cell::new(candidate.dropped.as_deref().unwrap_or_default()),
    ])
}

/// `#3 (0.412)`: rank and score in a list; `(0.412)` for what another list found.
fn place(candidate: &CandidateTrace, list: &str) -> Cell {
    let place = candidate.lists.iter().find(|place| place.list == list);
    let text = place.map(|ListPlace { rank, score, .. }| match rank {
        Some(rank) => format!("#{rank} ({score:.3})"),
        None => format!("({score:.3})"),
    });
    Cell::new(text.unwrap_or_default())
}

/// `open 0.1 ms, embed 5.0 ms, …`.
fn timings(trace: &Trace) -> String {
    let micros = |micros: u64| micros as f64 / 1e3;
    let stages: Vec<String> = trace
        .stages
        .iter()
        .map(|stage| format!("{} {:.1} ms", stage.stage, micros(stage.micros)))
        .collect();
    stages.join(", ")
}

/// File names, each looked up once.
struct Names<'a> {
    library: &'a Library,
    known: HashMap<FileId, String>,
}

impl Names<'_> {
    fn get(&mut self, file: Option<FileId>) -> &str {
        let Some(file) = file else { return "(deleted)" };
        self.known.entry(file).or_insert_with(|| {
            let found = self.library.collections().file(file);
            found.map_or_else(|_| file.to_string(), |file| file.filename)
        })
    }
}
