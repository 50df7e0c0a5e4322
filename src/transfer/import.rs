//! Lines of an export, into a library.

use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;

use docent_core::{Error, Imported, Metadata, Record, Result, VectorStore};

use super::line::{self, Document, End, Header, Piece};
use super::{Counts, TransferProgress};
use crate::Library;
use crate::library::OWN;

/// So many objects are made durable together.
const BATCH_OBJECTS: usize = 256;
/// Or as many as have lines of this length.
const BATCH_BYTES: usize = 4 << 20;

/// No line of an export is longer; what is would only fill the memory.
const LONGEST_LINE: u64 = 256 << 20;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Objects that are in now, by kind.
    pub new: Counts,
    /// Objects that were there already, by kind.
    pub present: Counts,
    /// Whether it was broken off; importing the same again goes on.
    pub broken_off: bool,
}

impl Library {
    /// Takes in what [`export`](Self::export) wrote, under the ids it has; tells `on_progress`,
    /// which may break it off. Vector stores' files then wait for [`process`](Self::process).
    ///
    /// What is there already, just so, is passed over, so an import may be repeated. Runs that were
    /// active come in as `expired`.
    ///
    /// # Errors
    /// Each names its line, before which all is in. [`Invalid`](docent_core::ErrorKind::Invalid)
    /// for a line that cannot be read or a file that was cut off,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) for an object that is there with other
    /// content.
    pub fn import(
        &mut self,
        source: &mut dyn BufRead,
        on_progress: &mut dyn FnMut(TransferProgress) -> ControlFlow<()>,
    ) -> Result<Import> {
        let mut lines = Lines { source, number: 0, line: Vec::new() };
        let of = lines.header().map_err(|error| error.context("line 1"))?.counts.values().sum();
        let mut importer = Importer {
            library: self,
            batch: Vec::new(),
            batch_bytes: 0,
            seen: Counts::new(),
            done: Import::default(),
            progress: TransferProgress { objects: 0, of },
        };
        loop {
            let line = importer.next(&mut lines);
            let flow = line.map_err(|error| match importer.placed(&error) {
                true => error,
                false => error.context(format_args!("line {}", lines.number)),
            })?;
            if flow.is_break() {
                return Ok(importer.done);
            }
            if on_progress(importer.progress).is_break() {
                importer.flush()?;
                importer.done.broken_off = true;
                return Ok(importer.done);
            }
        }
    }
}

struct Importer<'a> {
    library: &'a mut Library,
    /// Objects that are not written yet, with their lines' numbers.
    batch: Vec<(u64, Record)>,
    batch_bytes: usize,
    seen: Counts,
    done: Import,
    progress: TransferProgress,
}

impl Importer<'_> {
    /// Reads a line, and writes what is to be written.
    fn next(&mut self, lines: &mut Lines<'_>) -> Result<ControlFlow<()>> {
        if !lines.advance()? {
            self.flush()?;
            return Err(Error::invalid(
                "the last line is missing, so the file was cut off; what was read is in, and \
                 importing the whole file adds the rest",
            ));
        }
        let kind = line::kind(&lines.line)?;
        match &*kind {
            "end" => return self.end(&line::object(&lines.line)?).map(ControlFlow::Break),
            line::DOCUMENT => self.document(line::object(&lines.line)?)?,
            _ => match line::record(&lines.line)? {
                Record::File(file) => {
                    self.flush()?;
                    let mut bytes = FileBytes { lines, left: file.bytes, piece: Vec::new(), at: 0 };
                    let imported = self.library.collections().import_file(&file, &mut bytes)?;
                    self.count("file", imported);
                }
                record => self.take(lines, record)?,
            },
        }
        *self.seen.entry(kind).or_default() += 1;
        self.progress.objects += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn take(&mut self, lines: &Lines<'_>, mut record: Record) -> Result<()> {
        if self.settle_own(&mut record)? == Own::TakenIn {
            self.count(record.kind(), Imported::New);
            return Ok(());
        }
        self.batch.push((lines.number, record));
        self.batch_bytes += lines.line.len();
        if self.batch.len() >= BATCH_OBJECTS || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was read. Together if possible; else one after another, which finds the line
    /// that cannot be.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let (numbers, records): (Vec<u64>, Vec<Record>) = batch.into_iter().unzip();
        let imported = match self.library.engine().import(&records) {
            Ok(imported) => imported,
            Err(_) => self.one_by_one(&numbers, &records)?,
        };
        for (record, imported) in records.iter().zip(imported) {
            self.count(record.kind(), imported);
        }
        Ok(())
    }

    fn one_by_one(&self, numbers: &[u64], records: &[Record]) -> Result<Vec<Imported>> {
        let mut imported = Vec::with_capacity(records.len());
        for (number, record) in numbers.iter().zip(records) {
            let one = self.library.engine().import(std::slice::from_ref(record));
            let one = one.map_err(|error| error.context(format_args!("line {number}")))?;
            imported.extend(one);
        }
        Ok(imported)
    }

    /// Whether an error names its line already.
    fn placed(&self, error: &Error) -> bool {
        error.message().starts_with("line ")
    }

    fn count(&mut self, kind: &str, imported: Imported) {
        let counts = match imported {
            Imported::New => &mut self.done.new,
            Imported::Present => &mut self.done.present,
        };
        *counts.entry(kind.to_owned()).or_default() += 1;
    }

    /// A library has one vector store and one assistant that it made for itself. Where it has none
    /// of use yet, those that come take their place; else they come in as any other.
    fn settle_own(&mut self, record: &mut Record) -> Result<Own> {
        match record {
            Record::VectorStore(store) if is_own(&store.metadata) => {
                if self.library.vector_store() == store.id {
                    return Ok(Own::AsItIs);
                }
                if self.library.has_documents()? {
                    store.metadata.remove(OWN.0);
                    return Ok(Own::AsItIs);
                }
                self.flush()?;
                self.library.replace_own_vector_store(store)?;
                Ok(Own::TakenIn)
            }
            Record::Assistant(assistant) if is_own(&assistant.metadata) => {
                let own = self.library.known_own_assistant()?;
                if own.is_some_and(|own| own.id != assistant.id) {
                    assistant.metadata.remove(OWN.0);
                }
                Ok(Own::AsItIs)
            }
            _ => Ok(Own::AsItIs),
        }
    }

    /// The path of a document, unless it leads to another already.
    fn document(&mut self, document: Document) -> Result<()> {
        self.flush()?;
        let imported = self.library.import_document(&document.path, &document.tracked)?;
        self.count(line::DOCUMENT, imported);
        Ok(())
    }

    fn end(&mut self, end: &End) -> Result<()> {
        self.flush()?;
        for (kind, count) in &end.counts {
            let seen = self.seen.get(kind).copied().unwrap_or_default();
            if seen != *count {
                return Err(Error::invalid(format!(
                    "the file should have {count} lines of {kind} and has {seen}; lines are missing"
                )));
            }
        }
        Ok(())
    }
}

/// What is left to do with an object that a library may have made for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// It is imported as it is now.
    AsItIs,
    /// It is in already.
    TakenIn,
}

fn is_own(metadata: &Metadata) -> bool {
    metadata.get(OWN.0).is_some_and(|value| value == OWN.1)
}

impl Library {
    /// Whether anything is in the library's own vector store.
    fn has_documents(&self) -> Result<bool> {
        let own = self.collections().vector_store_summary(self.vector_store())?;
        Ok(own.files.total() > 0)
    }

    /// Our own goes first: after a crash in between, the next opening makes one that is as empty.
    fn replace_own_vector_store(&mut self, store: &VectorStore) -> Result<()> {
        let own = self.vector_store();
        self.collections().delete_vector_store(own)?;
        self.engine().import(&[Record::VectorStore(store.clone())])?;
        self.set_vector_store(store.id);
        if let Some(assistant) = self.known_own_assistant()? {
            self.engine().update_assistant(assistant.id, |assistant| {
                let stores = assistant.tool_resources.vector_stores.iter_mut().flatten();
                stores.filter(|it| **it == own).for_each(|it| *it = store.id);
            })?;
        }
        Ok(())
    }
}

/// Numbered lines.
struct Lines<'a> {
    source: &'a mut dyn BufRead,
    number: u64,
    line: Vec<u8>,
}

impl Lines<'_> {
    /// Reads the next line; says whether there is one.
    fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        let read = self.source.take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        self.number += u64::from(read > 0);
        if read as u64 == LONGEST_LINE {
            return Err(Error::invalid("the line is too long to be one of an export"));
        }
        Ok(read > 0)
    }

    fn header(&mut self) -> Result<Header> {
        let begins = self.advance()? && line::kind(&self.line).is_ok_and(|it| it == line::HEADER);
        if !begins {
            return Err(Error::invalid("this is not what \"docent export\" writes"));
        }
        let header: Header = line::object(&self.line)?;
        if header.format != line::FORMAT {
            return Err(Error::invalid(format!(
                "the file has format {}, this build reads format {}; use the build that wrote it, \
                 docent {}, or a newer one",
                header.format,
                line::FORMAT,
                header.docent
            )));
        }
        Ok(header)
    }
}

/// The bytes of a file on the lines after its own.
struct FileBytes<'a, 'b> {
    lines: &'a mut Lines<'b>,
    left: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Read for FileBytes<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.piece = self.next_piece().map_err(io::Error::other)?;
            self.at = 0;
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl FileBytes<'_, '_> {
    fn next_piece(&mut self) -> Result<Vec<u8>> {
        if !self.lines.advance()? || line::kind(&self.lines.line)? != "bytes" {
            return Err(Error::invalid("here should be more bytes of a file"));
        }
        let bytes = line::object::<Piece>(&self.lines.line)?.bytes()?;
        let length = bytes.len() as u64;
        if bytes.is_empty() || length > self.left {
            return Err(Error::invalid("a file has more bytes than its line says"));
        }
        self.left -= length;
        Ok(bytes)
    }
}
