//! The journey of a waiting file: read, committed (found by words from then on), embedded, done.
//!
//! Every step ends in one transaction, and the next begins from what the store says, so a killed
//! process goes on at the step it was in: at the chunks of a file, or at the batch of embeddings.
//! Files are read before any is embedded, because embedding is nearly all of the time and words
//! alone already find them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use docent_core::{
    ChunkId, ChunkRange, ChunkingStrategy, Embedder, Embedding, Error, ErrorKind, FileError,
    FileErrorCode, FileId, FileStatus, IndexedChunk, InputRole, Result, TextHash, VectorStore,
    VectorStoreFile, VectorStoreId, Warning, Write, crash_point,
};
use docent_ingest::Prepared;

use super::embedders::remember;
use super::entries::put_entry;
use super::queue::{Claim, JobKey};
use super::waiting::{is_read, needs_work};
use super::{Collections, stops};
use crate::embeddings;
use crate::tables::{
    self, CHUNKS, FILES, JOBS, LogEntry, STORE_FILES, VECTOR_STORES, chunks_of, log, log_ends,
};

/// Chunks embedded in one go: what a killed process loses at most.
pub(super) const BATCH: usize = 64;

/// How the warning on a file begins whose chunks have no vectors.
const NO_VECTORS: &str = "found by words alone: ";

/// Something happened to a file.
#[derive(Clone, Debug)]
pub struct IngestProgress {
    /// The vector store it enters.
    pub vector_store: VectorStoreId,
    /// The file.
    pub file: FileId,
    /// Its name.
    pub filename: String,
    /// What happened.
    pub stage: IngestStage,
    /// How many files wait after this, the ones being worked on not counted.
    pub waiting: usize,
}

/// How far a file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestStage {
    /// It is about to be read.
    Reading,
    /// It was read and is found by words.
    Committed {
        /// Its pages.
        pages: u32,
        /// Its chunks.
        chunks: u64,
    },
    /// Some of its chunks have vectors.
    Embedded {
        /// How many of its chunks have vectors now.
        embedded: u64,
        /// How many chunks it has.
        chunks: u64,
        /// o200k tokens of the chunks this step took care of, for a rate.
        tokens: u64,
    },
    /// Every index finds it.
    Completed,
    /// It cannot be read.
    Failed(FileError),
}

/// What [`Collections::process`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessOutcome {
    /// Files every index finds now.
    pub completed: usize,
    /// Files that cannot be read.
    pub failed: usize,
    /// Whether it stopped because it was told to.
    pub interrupted: bool,
}

type OnProgress<'a> = dyn FnMut(IngestProgress) -> ControlFlow<()> + 'a;

impl Collections {
    /// Works on waiting files until none is left, or `on_progress` says `Break`, which stops after
    /// the present small step. Several threads may call this at once and share the work.
    ///
    /// A file that cannot be read is marked `failed` with its reason, and the others go on. An
    /// error of the store or of the embedder ends the call; what was done stays done.
    ///
    /// # Errors
    /// Of the store, or of the embedder.
    pub fn process(&self, on_progress: &mut OnProgress<'_>) -> Result<ProcessOutcome> {
        let mut outcome = ProcessOutcome::default();
        loop {
            let next = self.queue.next_to_read().or_else(|| self.queue.next_to_embed(None));
            let Some(claim) = next else { break };
            if self.work_on(claim, on_progress, &mut outcome)?.is_break() {
                outcome.interrupted = true;
                break;
            }
        }
        self.flush()?;
        Ok(outcome)
    }

    /// Works on these files of `store` until each is done or worked on by another thread, or
    /// `on_progress` says `Break`.
    ///
    /// # Errors
    /// Of the store, or of the embedder.
    pub fn process_files(
        &self,
        store: VectorStoreId,
        files: &[FileId],
        on_progress: &mut OnProgress<'_>,
    ) -> Result<ProcessOutcome> {
        let mut outcome = ProcessOutcome::default();
        while let Some(claim) = files.iter().find_map(|file| self.queue.claim((store, *file))) {
            if self.work_on(claim, on_progress, &mut outcome)?.is_break() {
                outcome.interrupted = true;
                break;
            }
        }
        Ok(outcome)
    }

    /// One small step. A vector store that is deleted meanwhile needs none: whatever failed for
    /// that must not stop the others.
    fn work_on(
        &self,
        claim: Claim<'_>,
        on_progress: &mut OnProgress<'_>,
        outcome: &mut ProcessOutcome,
    ) -> Result<ControlFlow<()>> {
        let store = claim.key.0;
        let worked = match claim.to_read {
            true => self.read_file(claim, on_progress, outcome),
            false => self.embed_batch(claim, on_progress, outcome),
        };
        let is_gone = |error: Error| error.kind() == ErrorKind::NotFound;
        match worked {
            Err(_) if self.read_vector_store(store).is_err_and(is_gone) => {
                Ok(ControlFlow::Continue(()))
            }
            worked => worked,
        }
    }

    fn read_file(
        &self,
        claim: Claim<'_>,
        on_progress: &mut OnProgress<'_>,
        outcome: &mut ProcessOutcome,
    ) -> Result<ControlFlow<()>> {
        let key = claim.key;
        let read = self.store.read()?;
        let waiting = STORE_FILES.get(&*read, &key)?;
        let Some(waiting) = waiting.filter(|entry| entry.status == FileStatus::InProgress) else {
            claim.finish();
            return Ok(ControlFlow::Continue(()));
        };
        if is_read(&waiting) {
            claim.was_read();
            return Ok(ControlFlow::Continue(()));
        }
        let file = tables::file(&*read, key.1)?;
        drop(read);
        if stops(on_progress, self.progress(key, &file.filename, IngestStage::Reading)) {
            return Ok(ControlFlow::Break(()));
        }
        let _span = tracing::info_span!("ingest", file = %key.1, store = %key.0).entered();
        let prepared = match self.blobs.open(file.hash) {
            Ok(bytes) => self.ingestor.prepare(bytes, &file.filename, waiting.chunking),
            Err(error) => Err(lost(&error)),
        };
        let stage = match prepared {
            Ok(prepared) => self.commit_chunks(key, prepared, waiting.chunking)?,
            Err(error) => self.commit_failure(key, error)?,
        };
        let Some(stage) = stage else {
            claim.finish();
            return Ok(ControlFlow::Continue(()));
        };
        if matches!(stage, IngestStage::Failed(_)) {
            outcome.failed += 1;
            claim.finish();
        } else {
            claim.was_read();
            self.collection(key.0)?.catch_up(&*self.store)?;
        }
        Ok(flow(stops(on_progress, self.progress(key, &file.filename, stage))))
    }

    /// The commit point: from here on the file's chunks exist. `None` if it was detached or called
    /// off meanwhile, and even if it is back, to be cut otherwise.
    fn commit_chunks(
        &self,
        key: JobKey,
        prepared: Prepared,
        cut: ChunkingStrategy,
    ) -> Result<Option<IngestStage>> {
        crash_point("ingest.before-chunks");
        let mut write = self.store.write()?;
        let Some(mut entry) = STORE_FILES.get(&*write, &key)? else { return Ok(None) };
        if entry.status != FileStatus::InProgress || is_read(&entry) || entry.chunking != cut {
            return Ok(None);
        }
        let mut ends = log_ends(&*write, key.0)?;
        // Numbers begin at 1, so that there is always a key before the first.
        let start = ends.next_chunk.max(ChunkId(1));
        let end = ChunkId(start.0 + prepared.chunks.len() as u64);
        entry.chunks = ChunkRange { start, end };
        entry.pages = prepared.pages;
        entry.warnings = prepared.warnings;
        entry.usage_bytes = prepared.chunks.iter().map(|chunk| chunk.text.len() as u64).sum();
        ends.next_chunk = end;
        for (id, chunk) in entry.chunks.iter().zip(prepared.chunks) {
            CHUNKS.put(&mut *write, &(key.0, id), &IndexedChunk { id, file: key.1, chunk })?;
        }
        put_entry(&mut *write, &entry)?;
        let added = LogEntry::Added { file: key.1, chunks: entry.chunks };
        log(&mut *write, key.0, &mut ends, added)?;
        write.commit()?;
        crash_point("ingest.after-chunks");
        Ok(Some(IngestStage::Committed { pages: entry.pages, chunks: entry.chunks.len() }))
    }

    fn commit_failure(&self, key: JobKey, error: FileError) -> Result<Option<IngestStage>> {
        let mut write = self.store.write()?;
        let Some(mut entry) = STORE_FILES.get(&*write, &key)? else { return Ok(None) };
        if entry.status != FileStatus::InProgress {
            return Ok(None);
        }
        entry.status = FileStatus::Failed;
        entry.last_error = Some(error.clone());
        put_entry(&mut *write, &entry)?;
        JOBS.delete(&mut *write, &key)?;
        write.commit()?;
        Ok(Some(IngestStage::Failed(error)))
    }

    /// Embeds the next chunks of the claimed file, and of others of its store if it has few.
    fn embed_batch(
        &self,
        first: Claim<'_>,
        on_progress: &mut OnProgress<'_>,
        outcome: &mut ProcessOutcome,
    ) -> Result<ControlFlow<()>> {
        let store = first.key.0;
        let mut parts = self.gather(first)?;
        if parts.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let vector_store = match self.read_vector_store(store) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                parts.into_iter().for_each(|part| part.claim.finish());
                return Ok(ControlFlow::Continue(()));
            }
            vector_store => vector_store?,
        };
        let refusal = match self.embedder_for(&vector_store) {
            Err(reason) => Some(reason),
            Ok(embedder) => {
                if !self.embed_parts(store, &*embedder, &mut parts)? {
                    // The parts wait again, for the embedder that the store has now.
                    return Ok(ControlFlow::Continue(()));
                }
                None
            }
        };
        // Only what every index has taken counts as done: those that are searched from now on,
        // which after a change of embedders are not those from before.
        self.collection(store)?.catch_up(&*self.store)?;
        let mut stopped = false;
        for part in &parts {
            let (embedded, chunks) = (part.entry.embedded, part.entry.chunks.len());
            if refusal.is_none() && !part.chunks.is_empty() {
                let stage = IngestStage::Embedded { embedded, chunks, tokens: part.tokens() };
                stopped |= stops(on_progress, self.progress(part.claim.key, &part.filename, stage));
            }
        }
        let done =
            |part: &Part<'_>| refusal.is_some() || part.overtaken || is_embedded(&part.entry);
        let (mut done, _waiting): (Vec<_>, Vec<_>) = parts.into_iter().partition(done);
        self.complete(&vector_store, &mut done, refusal.as_deref())?;
        for part in done {
            if part.overtaken {
                // Looked at again, it is either finished with or taken up anew.
                continue;
            }
            outcome.completed += 1;
            let stage = self.progress(part.claim.key, &part.filename, IngestStage::Completed);
            stopped |= stops(on_progress, stage);
            part.claim.finish();
        }
        Ok(flow(stopped))
    }

    /// The next chunks of `first`, then of further waiting files of its store, up to a batch.
    fn gather<'a>(&'a self, first: Claim<'a>) -> Result<Vec<Part<'a>>> {
        let store = first.key.0;
        let mut parts = vec![];
        let mut room = BATCH;
        let mut next = Some(first);
        while let Some(claim) = next {
            if let Some(part) = self.part_of(claim, room)? {
                room -= part.chunks.len();
                parts.push(part);
            }
            // A part without chunks costs no room; the bound keeps the transaction small.
            let full = room == 0 || parts.len() >= BATCH;
            next = if full { None } else { self.queue.next_to_embed(Some(store)) };
        }
        Ok(parts)
    }

    /// The next chunks of a claimed file, at most `room`; none when it does not wait for vectors.
    fn part_of<'a>(&self, claim: Claim<'a>, room: usize) -> Result<Option<Part<'a>>> {
        // A snapshot from before the claim may not have what the file was queued for. It would
        // leave the queue, and its job would stay.
        let read = self.store.read()?;
        let entry = STORE_FILES.get(&*read, &claim.key)?;
        let Some(entry) = entry.filter(|entry| needs_work(entry, true)) else {
            claim.finish();
            return Ok(None);
        };
        if !is_read(&entry) {
            // It left and is back since it was queued.
            claim.waits_to_be_read();
            return Ok(None);
        }
        let start = entry.chunks.start.0 + entry.embedded;
        let end = entry.chunks.end.0.min(start + room as u64);
        let range = ChunkRange { start: ChunkId(start), end: ChunkId(end) };
        let chunks = chunks_of(&*read, claim.key.0, range)?;
        if chunks.len() as u64 != range.len() {
            // It waits for doctor; trying again would find the same.
            tracing::error!(file = %claim.key.1, "chunks are missing");
            claim.finish();
            return Ok(None);
        }
        let file = FILES.get(&*read, &claim.key.1)?;
        let filename = file.map(|file| file.filename).unwrap_or_default();
        Ok(Some(Part { claim, entry, chunks, filename, overtaken: false }))
    }

    /// Says whether the store is still embedded by `embedder`; if not, nothing was written.
    fn embed_parts(
        &self,
        store: VectorStoreId,
        embedder: &dyn Embedder,
        parts: &mut [Part<'_>],
    ) -> Result<bool> {
        let fingerprint = &embedder.spec().fingerprint;
        let chunks = parts.iter().flat_map(|part| &part.chunks);
        let missing = embeddings::missing(&*self.store.read()?, fingerprint, chunks);
        let made = embed(embedder, &missing)?;
        let mut write = self.store.write()?;
        if !pin(&mut *write, store, embedder)? {
            return Ok(false);
        }
        for (hash, embedding) in &made {
            embeddings::put(&mut *write, fingerprint, *hash, embedding)?;
        }
        let mut ends = log_ends(&*write, store)?;
        for part in parts {
            // It may have been detached or called off while its texts were embedded, and even be
            // back with other chunks.
            let entry = STORE_FILES.get(&*write, &part.claim.key)?;
            let Some(entry) = entry.filter(|entry| entry.chunks == part.entry.chunks) else {
                part.overtaken = true;
                continue;
            };
            let (Some(first), Some(last)) = (part.chunks.first(), part.chunks.last()) else {
                continue;
            };
            if entry.embedded != part.entry.embedded {
                // A change of embedders went through its chunks meanwhile. Counting ours again
                // would never come out even.
                part.entry = entry;
                continue;
            }
            let chunks = ChunkRange { start: first.id, end: ChunkId(last.id.0 + 1) };
            part.entry = VectorStoreFile { embedded: entry.embedded + chunks.len(), ..entry };
            if part.entry.status == FileStatus::Completed && is_embedded(&part.entry) {
                // It was done but for these, and does not wait from here on.
                JOBS.delete(&mut *write, &part.claim.key)?;
                part.entry.warnings.retain(is_lasting);
            }
            put_entry(&mut *write, &part.entry)?;
            let embedded = LogEntry::Embedded { file: part.claim.key.1, chunks };
            log(&mut *write, store, &mut ends, embedded)?;
        }
        write.commit()?;
        crash_point("ingest.after-embed-batch");
        Ok(true)
    }

    /// Marks files as done; `no_vectors` says why they are found by words alone, if they are, for
    /// the embedder that `vector_store` had. A change of embedders may have gone through it since:
    /// then they go on waiting.
    fn complete(
        &self,
        vector_store: &VectorStore,
        parts: &mut [Part<'_>],
        no_vectors: Option<&str>,
    ) -> Result<()> {
        if parts.iter().all(|part| part.overtaken) {
            return Ok(());
        }
        crash_point("ingest.before-completed");
        let mut write = self.store.write()?;
        let embedder = tables::vector_store(&*write, vector_store.id)?.embedder;
        let gives_up = no_vectors.is_some() && embedder == vector_store.embedder;
        for part in parts {
            let is_done = |entry: &VectorStoreFile| {
                entry.chunks == part.entry.chunks && (gives_up || is_embedded(entry))
            };
            let entry = STORE_FILES.get(&*write, &part.claim.key)?;
            let Some(mut entry) = entry.filter(is_done) else {
                part.overtaken = true;
                continue;
            };
            JOBS.delete(&mut *write, &part.claim.key)?;
            entry.status = FileStatus::Completed;
            entry.warnings.retain(is_lasting);
            if let Some(reason) = no_vectors
                && !is_embedded(&entry)
            {
                let message = format!("{NO_VECTORS}{reason}");
                entry.warnings.push(Warning { page: None, message });
            }
            put_entry(&mut *write, &entry)?;
        }
        write.commit()
    }

    fn progress(&self, key: JobKey, filename: &str, stage: IngestStage) -> IngestProgress {
        let filename = filename.to_owned();
        let waiting = self.queue.len();
        IngestProgress { vector_store: key.0, file: key.1, filename, stage, waiting }
    }
}

/// A file's share of a batch.
struct Part<'a> {
    claim: Claim<'a>,
    entry: VectorStoreFile,
    chunks: Vec<IndexedChunk>,
    filename: String,
    /// It was detached, called off, or given to another embedder meanwhile.
    overtaken: bool,
}

impl Part<'_> {
    fn tokens(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.chunk.tokens)).sum()
    }
}

fn is_embedded(entry: &VectorStoreFile) -> bool {
    entry.embedded == entry.chunks.len()
}

/// Whether a warning stays when a file gets its vectors.
fn is_lasting(warning: &Warning) -> bool {
    !warning.message.starts_with(NO_VECTORS)
}

/// Binds the store to the embedder by its first vectors; says whether it is bound to this one.
fn pin(write: &mut dyn Write, id: VectorStoreId, embedder: &dyn Embedder) -> Result<bool> {
    let mut vector_store = tables::vector_store(&*write, id)?;
    let fingerprint = &embedder.spec().fingerprint;
    if let Some(pinned) = &vector_store.embedder {
        return Ok(pinned == fingerprint);
    }
    vector_store.embedder = Some(fingerprint.clone());
    VECTOR_STORES.put(write, &id, &vector_store)?;
    remember(write, embedder)?;
    Ok(true)
}

pub(super) fn embed(
    embedder: &dyn Embedder,
    texts: &BTreeMap<TextHash, &str>,
) -> Result<Vec<(TextHash, Embedding)>> {
    if texts.is_empty() {
        return Ok(vec![]);
    }
    let (hashes, texts): (Vec<TextHash>, Vec<&str>) =
        texts.iter().map(|(hash, text)| (*hash, *text)).unzip();
    let _span = tracing::info_span!("model.embed", texts = texts.len()).entered();
    let made = embedder.embed(&texts, InputRole::Passage)?;
    let spec = embedder.spec();
    if made.len() != texts.len() || made.iter().any(|made| made.dims() != spec.dims) {
        return Err(Error::internal(format!(
            "{} gave {} embeddings for {} texts, or not of {} dims",
            spec.name,
            made.len(),
            texts.len(),
            spec.dims
        )));
    }
    Ok(hashes.into_iter().zip(made).collect())
}

fn lost(error: &Error) -> FileError {
    let message = match error.kind() {
        ErrorKind::NotFound => "the original bytes are gone; add the file again".to_owned(),
        _ => error.to_string(),
    };
    FileError { code: FileErrorCode::ServerError, message }
}

fn flow(stopped: bool) -> ControlFlow<()> {
    if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
