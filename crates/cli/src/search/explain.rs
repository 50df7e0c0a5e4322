//! `--explain` for people: where each candidate stood, why it was dropped, and what each stage took.

use std::collections::{BTreeMap, HashMap};
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
    writeln!(out, "\n{BOLD}Stages{BOLD:#}")?;
    stages(trace).write(&mut out, console.width())?;
    Ok(())
}

/// How long each stage took, and what it made of the candidates.
fn stages(trace: &Trace) -> Table {
    let mut table =
        Table::new([("Stage", Align::Left), ("ms", Align::Right), ("Candidates", Align::Left)]);
    for stage in &trace.stages {
        let ms = format!("{:.1}", stage.micros as f64 / 1e3);
        let candidates = match stage.stage {
            "indexes" => found(trace),
            "late interaction" => compared(trace),
            "rerank" => reranked(trace),
            "choose" => chosen(trace),
            _ => String::new(),
        };
        table.push([Cell::new(stage.stage), Cell::new(ms), Cell::new(candidates)]);
    }
    table
}

/// `10 compared token by token`.
fn compared(trace: &Trace) -> String {
    let looked_at = trace.candidates.iter().filter(|it| it.late_interaction.is_some()).count();
    format!("{looked_at} compared token by token")
}

/// `keyword 37, vector 100, together 112`.
fn found(trace: &Trace) -> String {
    let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
    for place in trace.candidates.iter().flat_map(|candidate| &candidate.lists) {
        *lists.entry(place.list).or_default() += 1;
    }
    let several = lists.len() > 1;
    let mut counts: Vec<String> =
        lists.into_iter().map(|(list, count)| format!("{list} {count}")).collect();
    if several {
        counts.push(format!("together {}", trace.candidates.len()));
    }
    counts.join(", ")
}

fn reranked(trace: &Trace) -> String {
    match trace.candidates.iter().filter(|it| it.reranked.is_some()).count() {
        0 => String::new(),
        count => format!("{count} looked at"),
    }
}

/// `10 given; dropped: 95 (10 better ones were found), 7 (it was deleted)`.
fn chosen(trace: &Trace) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in trace.candidates.iter().filter_map(|it| it.dropped.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let dropped: usize = reasons.values().sum();
    let given = format!("{} given", trace.candidates.len() - dropped);
    let reasons: Vec<String> =
        reasons.into_iter().map(|(reason, count)| format!("{count} ({reason})")).collect();
    if reasons.is_empty() { given } else { format!("{given}; dropped: {}", reasons.join(", ")) }
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
