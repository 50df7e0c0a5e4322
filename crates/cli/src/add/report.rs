//! What `add` did, as a table: a line for each file, and the totals.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use docent::{Added, Document, FileId, FileStatus, Library, VectorStoreFile};

use super::walk::{Finds, Naming};
use crate::console::{Align, BAD, Cell, Console, DOUBTFUL, GOOD, Table};
use crate::documents;
use crate::interrupt;
use crate::outcome::Outcome;

/// What became of every path.
#[derive(Debug)]
pub(crate) struct Report {
    /// The candidates, then what was left out.
    rows: Vec<Row>,
    begun: Instant,
    took: Duration,
    /// Chunks that have no vectors.
    without_vectors: u64,
}

#[derive(Debug)]
struct Row {
    path: PathBuf,
    naming: Naming,
    status: Status,
    file: Option<FileId>,
    state: Option<VectorStoreFile>,
    reason: String,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Added,
    Updated,
    Unchanged,
    Waiting,
    Failed,
    Skipped,
}

impl Report {
    /// Nothing was done yet.
    pub(super) fn new(finds: &Finds) -> Self {
        let candidates = finds.candidates.iter().map(|it| (&it.path, it.naming, Status::Waiting));
        let left_out = finds.left_out.iter().map(|it| (&it.path, it.naming, Status::Skipped));
        let row = |(path, naming, status): (&PathBuf, Naming, Status)| Row {
            path: path.clone(),
            naming,
            status,
            file: None,
            state: None,
            reason: String::new(),
        };
        let mut rows: Vec<Row> = candidates.chain(left_out).map(row).collect();
        let reasons = rows.iter_mut().skip(finds.candidates.len()).zip(&finds.left_out);
        reasons.for_each(|(row, left_out)| row.reason.clone_from(&left_out.reason));
        Self { rows, begun: Instant::now(), took: Duration::ZERO, without_vectors: 0 }
    }

    /// What became of the candidate at `index`.
    pub(super) fn registered(&mut self, index: usize, added: Added) {
        let row = &mut self.rows[index];
        row.file = Some(added.file());
        row.status = match added {
            Added::New(_) => Status::Added,
            Added::Changed(_) => Status::Updated,
            Added::Unchanged(_) => Status::Unchanged,
        };
    }

    /// Why the candidate at `index` cannot be read.
    pub(super) fn refused(&mut self, index: usize, error: &docent::Error) {
        let row = &mut self.rows[index];
        row.status = Status::Failed;
        row.reason = format!("{error:#}");
    }

    /// Reads how far each file has come.
    pub(super) fn fill_in(&mut self, library: &Library) -> Result<()> {
        let documents = library.documents()?;
        self.without_vectors =
            documents.iter().map(|it| it.state.chunks.len() - it.state.embedded).sum();
        let mut states: HashMap<FileId, Document> =
            documents.into_iter().map(|document| (document.file.id, document)).collect();
        for row in &mut self.rows {
            let Some(state) = row.file.and_then(|file| states.remove(&file)) else { continue };
            row.see(state.state);
        }
        self.took = self.begun.elapsed();
        Ok(())
    }

    /// Ctrl-C goes before files that failed.
    pub(crate) fn outcome(&self) -> Outcome {
        let lost = |row: &Row| row.naming == Naming::Named && row.status.is_lost();
        if interrupt::pressed() {
            Outcome::Interrupted
        } else if self.rows.iter().any(lost) {
            Outcome::NotAdded
        } else {
            Outcome::Done
        }
    }

    /// The table to stdout, what to know about it to stderr.
    pub(crate) fn write(&self, console: &Console) -> Result<()> {
        let table = self.table();
        let mut out = console.out();
        if !table.is_empty() {
            table.write(&mut out, console.width())?;
        }
        writeln!(out, "{}", self.totals())?;
        drop(out);
        self.advise(console);
        Ok(())
    }

    /// The same, for a command whose result is another.
    pub(crate) fn tell(&self, console: &Console) -> Result<()> {
        self.tell_files(console)?;
        self.advise(console);
        Ok(())
    }

    /// The table alone, to stderr.
    pub(crate) fn tell_files(&self, console: &Console) -> Result<()> {
        let mut text = Vec::new();
        let table = self.table();
        if !table.is_empty() {
            table.write(&mut text, None)?;
        }
        console.note(format_args!("{}{}", String::from_utf8_lossy(&text), self.totals()));
        Ok(())
    }

    fn advise(&self, console: &Console) {
        let waiting = self.count(Status::Waiting);
        if interrupt::pressed() {
            console.note(format_args!(
                "stopped; what was added is kept, {waiting} files wait: the same command goes on"
            ));
        } else if self.without_vectors > 0 {
            console.note(format_args!(
                "{} chunks are found by words only; an add with an embedder gives them vectors",
                self.without_vectors
            ));
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            ("File", Align::Left),
            ("Status", Align::Left),
            ("Pages", Align::Right),
            ("Chunks", Align::Right),
            ("Reason", Align::Left),
        ]);
        // Files that stayed as they were are only counted: a large folder has many.
        for row in self.rows.iter().filter(|row| row.status != Status::Unchanged) {
            let (pages, chunks) = row.size();
            let status = Cell::new(row.status.word()).styled(row.status.style());
            let path = Cell::new(documents::shown(&row.path));
            table.push([
                path,
                status,
                Cell::count(pages),
                Cell::count(chunks),
                Cell::new(&row.reason),
            ]);
        }
        table
    }

    /// `2 added, 40 unchanged, 1 failed; 12 pages, 30 chunks in 0.4 s`.
    fn totals(&self) -> String {
        let statuses = [
            Status::Added,
            Status::Updated,
            Status::Unchanged,
            Status::Waiting,
            Status::Failed,
            Status::Skipped,
        ];
        let counts = statuses.map(|status| (status, self.count(status)));
        let mut counted: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(status, count)| format!("{count} {}", status.word()))
            .collect();
        if counted.is_empty() {
            counted.push("nothing to add".to_owned());
        }
        let fresh = self.rows.iter().filter(|row| row.status <= Status::Updated);
        let (pages, chunks) = fresh.map(Row::size).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let took = self.took.as_secs_f64();
        format!("{}; {pages} pages, {chunks} chunks in {took:.1} s", counted.join(", "))
    }

    fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|row| row.status == status).count()
    }
}

impl Row {
    fn see(&mut self, state: VectorStoreFile) {
        match state.status {
            FileStatus::Failed | FileStatus::Cancelled => self.status = Status::Failed,
            FileStatus::InProgress => self.status = Status::Waiting,
            FileStatus::Completed => {}
        }
        self.reason = documents::reason(&state);
        self.state = Some(state);
    }

    /// Pages and chunks.
    fn size(&self) -> (u64, u64) {
        let size = |state: &VectorStoreFile| (u64::from(state.pages), state.chunks.len());
        self.state.as_ref().map_or((0, 0), size)
    }
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn style(self) -> anstyle::Style {
        match self {
            Self::Added | Self::Updated | Self::Unchanged => GOOD,
            Self::Waiting | Self::Skipped => DOUBTFUL,
            Self::Failed => BAD,
        }
    }

    /// Whether it did not come in.
    fn is_lost(self) -> bool {
        matches!(self, Self::Failed | Self::Skipped)
    }
}
