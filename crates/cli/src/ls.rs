//! `docent ls`: the documents in the library.

use std::io::Write;

use anyhow::Result;
use docent::{Document, FileStatus};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::console::{Align, BAD, Cell, Console, DIM, DOUBTFUL, GOOD, Table, write_json};
use crate::outcome::Outcome;
use crate::setup::{Setup, Weights};
use crate::{args, documents};

pub(crate) fn run(args: &args::Ls, setup: &Setup) -> Result<Outcome> {
    let documents = setup.existing(Weights::IfHere)?.documents()?;
    if args.json {
        let rows: Vec<Row<'_>> = documents.iter().map(Row::new).collect();
        write_json(&rows)?;
    } else {
        write(&documents, &setup.console)?;
    }
    Ok(Outcome::Done)
}

fn write(documents: &[Document], console: &Console) -> Result<()> {
    if documents.is_empty() {
        console.note("the library is empty; add documents with \"docent add PATH\"");
        return Ok(());
    }
    let mut table = Table::new([
        ("File", Align::Left),
        ("Status", Align::Left),
        ("Pages", Align::Right),
        ("Chunks", Align::Right),
        ("Size", Align::Right),
        ("Id", Align::Left),
        ("Path", Align::Left),
        ("Reason", Align::Left),
    ]);
    documents.iter().for_each(|document| table.push(row(document)));
    let mut out = console.out();
    table.write(&mut out, console.width())?;
    let chunks: u64 = documents.iter().map(|document| document.state.chunks.len()).sum();
    writeln!(out, "{DIM}{} documents, {chunks} chunks{DIM:#}", documents.len())?;
    let waiting = documents.iter().filter(|it| documents::awaits_vectors(&it.state)).count();
    drop(out);
    if waiting > 0 {
        console.note(format_args!(
            "{waiting} of them are found by words only; an add with an embedder gives them vectors"
        ));
    }
    Ok(())
}

fn row(document: &Document) -> Vec<Cell> {
    let (file, state) = (&document.file, &document.state);
    let style = match state.status {
        FileStatus::Completed => GOOD,
        FileStatus::Failed => BAD,
        _ => DOUBTFUL,
    };
    vec![
        Cell::new(&file.filename),
        Cell::new(documents::status(state)).styled(style),
        Cell::count(state.pages.into()),
        Cell::count(state.chunks.len()),
        Cell::new(HumanBytes(file.bytes).to_string()),
        Cell::new(file.id.to_string()),
        Cell::new(documents::place(document)),
        Cell::new(documents::reason(state)),
    ]
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    file_id: String,
    path: Option<String>,
    bytes: u64,
    status: &'static str,
    reason: Option<String>,
    pages: u32,
    chunks: u64,
    embedded: u64,
}

impl<'a> Row<'a> {
    fn new(document: &'a Document) -> Self {
        let (file, state) = (&document.file, &document.state);
        let reason = documents::reason(state);
        Self {
            file: &file.filename,
            file_id: file.id.to_string(),
            path: document.path.as_ref().map(|path| path.display().to_string()),
            bytes: file.bytes,
            status: documents::status(state),
            reason: (!reason.is_empty()).then_some(reason),
            pages: state.pages,
            chunks: state.chunks.len(),
            embedded: state.embedded,
        }
    }
}
