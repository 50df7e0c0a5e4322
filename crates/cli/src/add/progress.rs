//! The bar while documents are read and embedded: first files, then chunks.

use std::collections::HashMap;

use anyhow::Result;
use docent::{FileId, FileStatus, IngestProgress, IngestStage, Library};
use indicatif::ProgressBar;

use crate::console::{Console, Unit, plain};

pub(crate) struct Progress<'a> {
    console: &'a Console,
    reading: Option<ProgressBar>,
    embedding: Option<ProgressBar>,
    /// How many of a file's chunks have vectors.
    embedded: HashMap<FileId, u64>,
    /// Chunks that had none when they were first seen.
    chunks: u64,
}

impl<'a> Progress<'a> {
    /// Counts what an earlier process left.
    pub(crate) fn new(library: &Library, console: &'a Console) -> Result<Self> {
        let (mut embedded, mut chunks) = (HashMap::new(), 0);
        for document in library.documents()? {
            let state = document.state;
            if state.status != FileStatus::Failed && !state.chunks.is_empty() {
                embedded.insert(document.file.id, state.embedded);
                chunks += state.chunks.len() - state.embedded;
            }
        }
        Ok(Self { console, reading: None, embedding: None, embedded, chunks })
    }

    pub(crate) fn show(&mut self, event: &IngestProgress) {
        match event.stage {
            IngestStage::Reading => self.begin_reading(event),
            IngestStage::Failed(_) => self.finish_reading(),
            IngestStage::Committed { chunks, .. } => {
                self.chunks += chunks;
                self.embedded.insert(event.file, 0);
                self.finish_reading();
            }
            IngestStage::Embedded { embedded, .. } => self.count_embedded(event, embedded),
            _ => {}
        }
    }

    fn begin_reading(&mut self, event: &IngestProgress) {
        let bar = self.reading.get_or_insert_with(|| self.console.bar(0, Unit::Files));
        bar.set_length(bar.position() + 1 + event.waiting as u64);
        bar.set_message(plain::line(&event.filename).into_owned());
    }

    fn finish_reading(&mut self) {
        if let Some(bar) = &self.reading {
            bar.inc(1);
        }
    }

    fn count_embedded(&mut self, event: &IngestProgress, embedded: u64) {
        if let Some(bar) = self.reading.take() {
            bar.finish_and_clear();
        }
        let total = self.chunks;
        let bar = self.embedding.get_or_insert_with(|| self.console.bar(total, Unit::Chunks));
        let before = self.embedded.insert(event.file, embedded).unwrap_or(0);
        bar.inc(embedded.saturating_sub(before));
        bar.set_message(plain::line(&event.filename).into_owned());
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        for bar in [self.reading.take(), self.embedding.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }
}
