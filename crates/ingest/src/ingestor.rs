//! One file from bytes to chunks.

use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use docent_core::{Chunk, ChunkingStrategy, FileError, Warning};
use tracing::{field, info_span};

use crate::chunk::laid_out;
use crate::document::{check_text_bytes, invalid, ours};
use crate::limits::readable;
use crate::{Format, Guard, Limits, chunk, clean, sniff};

/// Turns files into chunks. Cheap to clone, usable from several threads at once.
#[derive(Clone, Debug)]
pub struct Ingestor {
    guard: Arc<dyn Guard>,
    limits: Arc<Limits>,
}

/// A file, read and cut.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What its content says it is.
    pub format: Format,
    /// Its title, if it names one.
    pub title: Option<String>,
    /// How many pages it has; 1 for formats without pages.
    pub pages: u32,
    /// What was left out or is doubtful.
    pub warnings: Vec<Warning>,
    /// The whole clean text; [`Chunk::start`] is an offset into it. The names of a table's columns
    /// stand in it as often as chunks begin with them.
    pub text: String,
    /// The passages, in order; at least one.
    pub chunks: Vec<Chunk>,
}

impl Ingestor {
    /// Extracts behind `guard`, within `limits`.
    pub fn new(guard: Arc<dyn Guard>, limits: Limits) -> Self {
        Self { guard, limits: Arc::new(limits) }
    }

    /// Reads all of `source` and turns it into chunks. `filename` only breaks ties between formats
    /// the content leaves open (text, Markdown, source code).
    ///
    /// # Errors
    /// A [`FileError`] to show with the file. No input panics, hangs or exhausts the process, as
    /// far as the [`Guard`] promises.
    pub fn prepare(
        &self,
        source: Box<dyn Read + Send>,
        filename: &str,
        chunking: ChunkingStrategy,
    ) -> Result<Prepared, FileError> {
        let span =
            info_span!("ingest", bytes = field::Empty, pages = field::Empty, chunks = field::Empty);
        let _entered = span.enter();
        let bytes = self.read(source)?;
        span.record("bytes", bytes.len());
        // Extraction is guarded by the guard. Our own steps around it are meant not to panic; if
        // one does, it costs this file and not the process.
        let prepared =
            panic::catch_unwind(AssertUnwindSafe(|| self.prepare_bytes(bytes, filename, chunking)))
                .unwrap_or_else(|_| {
                    Err(ours("the text could not be cut; please report this file"))
                })?;
        span.record("pages", prepared.pages);
        span.record("chunks", prepared.chunks.len());
        Ok(prepared)
    }

    fn read(&self, source: Box<dyn Read + Send>) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        source
            .take(self.limits.file_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error: io::Error| ours(format!("the file cannot be read: {error}")))?;
        if bytes.len() as u64 > self.limits.file_bytes {
            let limit = readable(self.limits.file_bytes);
            return Err(invalid(format!(
                "the file is longer than {limit}; split it or raise file_bytes"
            )));
        }
        Ok(bytes)
    }

    fn prepare_bytes(
        &self,
        bytes: Vec<u8>,
        filename: &str,
        chunking: ChunkingStrategy,
    ) -> Result<Prepared, FileError> {
        let format = sniff(&bytes, filename)?;
        let document = self.guard.extract(format, bytes, &self.limits)?;
        let text_bytes = document.pages.iter().map(|page| page.text_bytes() as u64).sum();
        check_text_bytes(text_bytes, &self.limits)?;
        let clean = clean(&document);
        if clean.text.is_empty() {
            return Err(no_text(format));
        }
        let chunks = chunk(&clean, chunking);
        let pages = document.pages.last().map_or(1, |page| page.number);
        let text = if clean.tables.is_empty() { clean.text } else { laid_out(&chunks) };
        Ok(Prepared {
            format,
            title: document.title,
            pages,
            warnings: document.warnings,
            text,
            chunks,
        })
    }
}

fn no_text(format: Format) -> FileError {
    match format {
        Format::Pdf => invalid("no text layer; run OCR first, e.g. ocrmypdf"),
        _ => invalid("the file has no text"),
    }
}
