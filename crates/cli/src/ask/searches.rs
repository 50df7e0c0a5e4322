//! `ask --explain`: what an answer's searches looked for, who wrote the queries, what each found.

use std::io::Write;

use anyhow::Result;
use docent::{Call, QueryHit, QueryReport, QueryWriter, RunStep, SearchReport, StepDetails};

use crate::console::{Align, BOLD, Cell, Console, DIM, Table, plain};

/// The reports of the searches in `step`.
pub(super) fn of_step(step: &RunStep) -> Vec<SearchReport> {
    let StepDetails::ToolCalls { calls } = &step.details else { return vec![] };
    let reports = calls.iter().filter_map(|call| match &call.call {
        Call::FileSearch { report, .. } => report.clone(),
        _ => None,
    });
    reports.collect()
}

pub(super) fn write(searches: &[SearchReport], console: &Console) -> Result<()> {
    let mut out = console.out();
    writeln!(out, "\n{BOLD}Searches{BOLD:#}")?;
    if searches.is_empty() {
        writeln!(out, "none: nothing was looked for in the documents")?;
        return Ok(());
    }
    let mut table = Table::new([
        ("Query", Align::Left),
        ("Written by", Align::Left),
        ("Found", Align::Right),
        ("Given", Align::Right),
        ("Best", Align::Right),
        ("ms", Align::Right),
    ]);
    for search in searches {
        search.queries.iter().for_each(|query| table.push(row(query, search)));
    }
    table.write(&mut out, console.width())?;
    for search in searches {
        for note in &search.notes {
            writeln!(out, "note: {}", plain::lines(note))?;
        }
        if search.writing_ms > 0 {
            writeln!(out, "{DIM}the queries were written in {} ms{DIM:#}", search.writing_ms)?;
        }
    }
    Ok(())
}

fn row(query: &QueryReport, search: &SearchReport) -> Vec<Cell> {
    let given = query.hits.iter().filter(|hit| hit.given).count();
    let best = query.hits.first().map(|QueryHit { score, .. }| format!("{score:.3}"));
    vec![
        Cell::new(&query.query),
        Cell::new(writer(search.written_by)),
        Cell::new(query.hits.len().to_string()),
        Cell::new(given.to_string()),
        Cell::new(best.unwrap_or_default()),
        Cell::new(query.took_ms.to_string()),
    ]
}

fn writer(writer: QueryWriter) -> &'static str {
    match writer {
        QueryWriter::Rules => "rules",
        QueryWriter::Model => "the model, asked again",
        _ => "as asked",
    }
}
