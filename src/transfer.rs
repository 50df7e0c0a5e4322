//! A whole library as lines of JSON, out and in again.
//!
//! | line | what |
//! |---|---|
//! | `docent_library` | the first: format, counts |
//! | `assistant`, `thread`, `message`, … | an object, as the library keeps it |
//! | `bytes` | a piece of the file on the lines before |
//! | `document` | the path that a file of `docent add` came from |
//! | `end` | the last, with the counts again: without it the file was cut off |
//!
//! Both ways hold a bounded number of lines in memory, however large the library. An export is of
//! one snapshot. An import is durable object by object (or some objects at a time), in an order in
//! which each finds what it belongs to; one that broke off is repeated, and passes over what is in.

mod import;
mod line;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use docent_core::{Blobs, Clock, Error, File, Read as StoreRead, Record, Result, Store};

use crate::Library;
use crate::documents::DOCUMENTS;

pub use import::Import;
use line::{Document, End, Header, Line, PIECE_BYTES, Piece};

/// How many objects of each kind, by the names that lines have.
pub type Counts = BTreeMap<String, u64>;

/// How far an export or an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferProgress {
    /// Objects so far.
    pub objects: u64,
    /// Objects in all.
    pub of: u64,
}

impl Library {
    /// How an export begins, so that it can be told from other JSON.
    pub const EXPORT_BEGINS: &'static str = r#"{"type":"docent_library","#;

    /// Writes everything in the library to `out`, as lines of JSON; tells `on_progress`, which may
    /// break it off. Says what was written; none if it was broken off.
    ///
    /// # Errors
    /// When something cannot be read, or `out` cannot be written.
    pub fn export(
        &self,
        out: &mut dyn Write,
        on_progress: &mut dyn FnMut(TransferProgress) -> ControlFlow<()>,
    ) -> Result<Option<Counts>> {
        let read = self.dir().store().read()?;
        let counts = count(&*read)?;
        let header = Header {
            format: line::FORMAT,
            docent: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: docent_core::SystemClock.now(),
            counts: counts.clone(),
        };
        let mut export = Export {
            library: self,
            out,
            progress: TransferProgress { objects: 0, of: counts.values().sum() },
            on_progress,
            broken_off: false,
        };
        export.write(&Line::DocentLibrary(header))?;
        match export.objects(&*read) {
            Err(_) if export.broken_off => return Ok(None),
            written => written?,
        }
        export.write(&Line::End(End { counts: counts.clone() }))?;
        export.out.flush()?;
        Ok(Some(counts))
    }
}

/// What an export will write.
fn count(read: &dyn StoreRead) -> Result<Counts> {
    let kinds = Record::KINDS.into_iter().chain([line::DOCUMENT]);
    let mut counts: Counts = kinds.map(|kind| (kind.to_owned(), 0)).collect();
    let mut add = |kind: &str| *counts.entry(kind.to_owned()).or_default() += 1;
    docent_engine::export(read, &mut |record| {
        add(record.kind());
        Ok(())
    })?;
    DOCUMENTS.each(read, |_, _| {
        add(line::DOCUMENT);
        Ok(())
    })?;
    Ok(counts)
}

struct Export<'a> {
    library: &'a Library,
    out: &'a mut dyn Write,
    progress: TransferProgress,
    on_progress: &'a mut dyn FnMut(TransferProgress) -> ControlFlow<()>,
    broken_off: bool,
}

impl Export<'_> {
    fn objects(&mut self, read: &dyn StoreRead) -> Result<()> {
        docent_engine::export(read, &mut |record| {
            self.write(&record)?;
            if let Record::File(file) = &record {
                self.bytes(file)?;
            }
            self.step()
        })?;
        DOCUMENTS.each(read, |path, tracked| {
            self.write(&Line::Document(Document { path, tracked }))?;
            self.step()
        })
    }

    /// A file's bytes, in lines of bounded length.
    fn bytes(&mut self, file: &File) -> Result<()> {
        let mut source = self.library.dir().blobs().open(file.hash)?;
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        loop {
            piece.clear();
            let most = PIECE_BYTES as u64;
            let read = (&mut source).take(most).read_to_end(&mut piece);
            let read = read.map_err(|error| Error::from(error).context(file.id))?;
            if read == 0 {
                return Ok(());
            }
            self.write(&Line::Bytes(Piece::new(&piece)))?;
        }
    }

    fn step(&mut self) -> Result<()> {
        self.progress.objects += 1;
        if (self.on_progress)(self.progress).is_break() {
            self.broken_off = true;
            return Err(Error::conflict("the export was broken off"));
        }
        Ok(())
    }

    fn write(&mut self, line: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer(&mut *self.out, line).map_err(unwritten)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }
}

/// What serde says of an output that failed, as that output said it.
fn unwritten(error: serde_json::Error) -> Error {
    match error.io_error_kind() {
        Some(_) => Error::from(io::Error::from(error)),
        None => Error::internal("a line cannot be written").with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_begins_as_it_is_told_by() {
        let counts = Counts::new();
        let created_at = docent_core::Timestamp::from_millis(0);
        let header = Header { format: 1, docent: "0".into(), created_at, counts };
        let line = serde_json::to_string(&Line::DocentLibrary(header)).unwrap();
        assert!(line.starts_with(Library::EXPORT_BEGINS), "{line}");
    }
}
