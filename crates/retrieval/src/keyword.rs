//! Finds chunks by their words: BM25 over postings that Tantivy keeps.
//!
//! Tantivy writes, merges and maps the postings; the scoring is ours, for three promises its own
//! searcher cannot keep. *The same content gives the same scores*: Tantivy counts deleted chunks
//! until a merge drops them and adds a document's term scores in an order that depends on its
//! segments; we count what is alive and add in the order of the terms. *A fresh chunk is found at
//! once*: chunks after the last commit sit in a small index in memory, and because one formula
//! runs over both, a commit changes no score. *A deleted chunk is never found*: it is marked in
//! memory when it goes. The price is that every posting of a query's terms is read (no
//! block-max pruning): see `docs/benchmarks/retrieval.md`.

mod analyzer;
mod fresh;
mod score;
mod segment;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use docent_core::{
    Change, ChangeKind, ChunkId, ChunkRange, Error, Hit, Index, IndexedChunk, Query, Result, Seq,
    crash_point,
};
use tantivy::indexer::LogMergePolicy;
use tantivy::query::RangeQuery;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use fresh::Fresh;
use segment::Segment;

/// One indexing thread's arena. Tantivy refuses less than 15 MB.
const WRITER_BYTES: usize = 32 << 20;

/// A commit costs a dozen fsyncs, so changes gather until there are this many fresh chunks …
const COMMIT_CHUNKS: usize = 2_000;

/// … or the oldest has waited this long when another change comes in.
const COMMIT_AFTER: Duration = Duration::from_secs(20);

/// The part of a commit's payload before the watermark; another version is rebuilt.
const PAYLOAD: &str = "docent-keyword-2 ";

/// How often the words of the headings a chunk stands under are indexed with it. A heading says
/// what its text is about, and where a document was cut it is all that the later chunks have of it;
/// twice won on Cranfield and SciFact (docs/quality.md), three times no more.
const HEADING_TIMES: usize = 2;

/// BM25's two numbers. The defaults are Lucene's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// How soon more of the same word stops counting.
    pub k1: f32,
    /// How much a long chunk is held against itself: 0 not at all, 1 in full.
    pub b: f32,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// An [`Index`] over the words of chunks.
#[derive(Debug)]
pub struct KeywordIndex {
    path: PathBuf,
    bm25: Bm25,
    /// Held for the whole of a change, so changes come one after another.
    writing: Mutex<Writing>,
    /// Held for a search, and by a change only to put in what it prepared.
    state: RwLock<State>,
}

struct Writing {
    fields: Fields,
    index: tantivy::Index,
    reader: IndexReader,
    /// Made by the first change: a library that is only searched starts no thread.
    writer: Option<IndexWriter>,
    /// Level with this once the next commit is through.
    applied: Seq,
    committed: Seq,
    /// The newest chunk ever taken. Chunks come in order, but for those of a replay.
    newest: Option<ChunkId>,
    /// When the oldest change since the last commit came in.
    since: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    segments: Vec<Segment>,
    fresh: Fresh,
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    chunk: Field,
    words: Field,
    length: Field,
}

impl KeywordIndex {
    /// Opens the index in the directory `path`, which is made if need be. Anything damaged, or
    /// written by another version, is thrown away: the index is empty then, its watermark 0.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(path: impl Into<PathBuf>, bm25: Bm25) -> Result<Self> {
        let path = path.into();
        let writing = match Writing::open(&path) {
            Ok(writing) => writing,
            Err(error) => {
                if path.join("meta.json").exists() {
                    tracing::warn!(%error, "a damaged word index is rebuilt");
                }
                Writing::create(&path)?
            }
        };
        let index = Self { path, bm25, writing: Mutex::new(writing), state: RwLock::default() };
        let segments = index.lock().segments(&[])?;
        index.lock().newest =
            segments.iter().flat_map(|segment| segment.chunks.iter().copied()).max();
        let state = State { segments, fresh: Fresh::default() };
        *index.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(index)
    }

    /// Every chunk it holds, in order.
    pub fn chunks(&self) -> Vec<ChunkId> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut chunks: Vec<ChunkId> =
            state.segments.iter().flat_map(Segment::alive).chain(state.fresh.alive()).collect();
        chunks.sort_unstable();
        chunks
    }

    /// How many chunks it holds.
    pub fn len(&self) -> usize {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let segments = state.segments.iter().map(|segment| segment.alive).sum::<u64>();
        (segments + state.fresh.alive) as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part of the distinct words of `query`, 0 to 1, that stand in some chunk.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) when a file cannot be read.
    pub fn known_part(&self, query: &str) -> Result<f32> {
        score::known_part(&self.state.read().unwrap_or_else(PoisonError::into_inner), query)
    }

    /// Reads every file and compares it with its checksum.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) when one differs.
    pub fn verify(&self) -> Result<()> {
        verify(&self.lock().index)
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, writing: &mut Writing, chunks: &[IndexedChunk]) -> Result<()> {
        for chunk in chunks {
            if writing.newest >= Some(chunk.id) && self.holds(chunk.id) {
                continue;
            }
            writing.newest = writing.newest.max(Some(chunk.id));
            let words = words(chunk);
            self.state.write().unwrap_or_else(PoisonError::into_inner).fresh.add(chunk.id, &words);
            let document = writing.fields.document(chunk.id, words);
            writing.writer()?.add_document(document).map_err(broken)?;
        }
        Ok(())
    }

    fn holds(&self, chunk: ChunkId) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.fresh.holds(chunk) || state.segments.iter().any(|segment| segment.holds(chunk))
    }

    fn remove(&self, writing: &mut Writing, range: ChunkRange) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.fresh.remove(range);
            state.segments.iter_mut().for_each(|segment| segment.remove(range));
        }
        let field = writing.fields.chunk;
        let at = |chunk: ChunkId| Term::from_field_u64(field, chunk.0);
        let gone = RangeQuery::new(
            std::ops::Bound::Included(at(range.start)),
            std::ops::Bound::Excluded(at(range.end)),
        );
        writing.writer()?.delete_query(Box::new(gone)).map_err(broken)?;
        Ok(())
    }

    fn commit(&self, writing: &mut Writing) -> Result<()> {
        crash_point("index.before-commit");
        let payload = format!("{PAYLOAD}{}", writing.applied.0);
        let writer = writing.writer()?;
        let mut prepared = writer.prepare_commit().map_err(broken)?;
        prepared.set_payload(&payload);
        prepared.commit().map_err(broken)?;
        crash_point("index.after-commit");
        writing.committed = writing.applied;
        writing.since = None;
        writing.reader.reload().map_err(broken)?;
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner).segments.clone();
        let segments = writing.segments(&known)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            State { segments, fresh: Fresh::default() };
        Ok(())
    }
}

impl Index for KeywordIndex {
    fn watermark(&self) -> Result<Seq> {
        Ok(self.lock().committed)
    }

    fn apply(&self, changes: &[Change], upto: Seq) -> Result<()> {
        let mut writing = self.lock();
        for change in changes {
            match &change.kind {
                ChangeKind::Added(chunks) => self.add(&mut writing, chunks)?,
                ChangeKind::Removed(range) => self.remove(&mut writing, *range)?,
                _ => {}
            }
        }
        writing.applied = writing.applied.max(upto);
        let since = *writing.since.get_or_insert_with(Instant::now);
        let fresh = self.state.read().unwrap_or_else(PoisonError::into_inner).fresh.len();
        if fresh >= COMMIT_CHUNKS || (fresh > 0 && since.elapsed() >= COMMIT_AFTER) {
            self.commit(&mut writing)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<Seq> {
        let mut writing = self.lock();
        if writing.applied > writing.committed {
            self.commit(&mut writing)?;
        }
        Ok(writing.committed)
    }

    fn clear(&self) -> Result<()> {
        let mut writing = self.lock();
        writing.stop();
        *writing = Writing::create(&self.path)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::default();
        Ok(())
    }

    fn search(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Hit>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        score::search(&state, self.bm25, query, limit)
    }
}

impl Writing {
    fn open(path: &Path) -> Result<Self> {
        let index = tantivy::Index::open_in_dir(path).map_err(broken)?;
        verify(&index)?;
        let meta = index.load_metas().map_err(broken)?;
        let watermark = match meta.payload.as_deref() {
            None => Some(0),
            Some(payload) => payload.strip_prefix(PAYLOAD).and_then(|seq| seq.parse().ok()),
        };
        let watermark = watermark.ok_or_else(|| Error::corrupt("another version's word index"))?;
        if index.schema() != Fields::schema().0 {
            return Err(Error::corrupt("a word index of another shape"));
        }
        Self::over(index, Seq(watermark))
    }

    fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        fs_err::create_dir_all(path)?;
        let index = tantivy::Index::create_in_dir(path, Fields::schema().0).map_err(broken)?;
        Self::over(index, Seq(0))
    }

    fn over(index: tantivy::Index, watermark: Seq) -> Result<Self> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.try_into().map_err(broken)?;
        let fields = Fields::schema().1;
        let (applied, committed) = (watermark, watermark);
        Ok(Self {
            fields,
            index,
            reader,
            writer: None,
            applied,
            committed,
            newest: None,
            since: None,
        })
    }

    fn writer(&mut self) -> Result<&mut IndexWriter> {
        if self.writer.is_none() {
            let writer = self.index.writer_with_num_threads(1, WRITER_BYTES).map_err(broken)?;
            let mut policy = LogMergePolicy::default();
            policy.set_min_num_segments(4);
            writer.set_merge_policy(Box::new(policy));
            // A commit that a kill cut short left files of the very names the next one will use.
            writer.garbage_collect_files().wait().map_err(broken)?;
            self.writer = Some(writer);
        }
        Ok(self.writer.as_mut().expect("it was put there above"))
    }

    /// Lets running merges end: they would write into a directory that may be gone, or another's.
    fn stop(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(%error, "a merge of the word index failed");
        }
    }

    /// The segments of the last commit; those in `known` that did not change are taken over.
    fn segments(&self, known: &[Segment]) -> Result<Vec<Segment>> {
        let searcher = self.reader.searcher();
        let readers = searcher.segment_readers().iter();
        readers
            .map(|reader| match known.iter().find(|segment| segment.is(reader)) {
                Some(segment) => Ok(segment.clone()),
                None => Segment::load(reader, self.fields).map_err(broken),
            })
            .collect()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Fields {
    fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default()
            .set_index_option(IndexRecordOption::WithFreqs)
            .set_fieldnorms(false);
        let fields = Self {
            chunk: schema.add_u64_field("chunk", FAST | INDEXED),
            words: schema
                .add_text_field("words", TextOptions::default().set_indexing_options(words)),
            length: schema.add_u64_field("length", FAST),
        };
        (schema.build(), fields)
    }

    fn document(self, chunk: ChunkId, words: Vec<String>) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.chunk, chunk.0);
        document.add_u64(self.length, words.len() as u64);
        let tokens = words.into_iter().enumerate();
        let tokens = tokens.map(|(position, text)| Token { position, text, ..Token::default() });
        let words = PreTokenizedString { text: String::new(), tokens: tokens.collect() };
        document.add_pre_tokenized_text(self.words, words);
        document
    }
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing")
            .field("applied", &self.applied)
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

/// How many different words of `query` are looked for.
pub(crate) fn distinct_words(query: &str) -> usize {
    let mut words = HashSet::new();
    analyzer::query_words(query, |word| {
        words.insert(word.to_owned());
    });
    words.len()
}

/// What `chunk` is found by.
fn words(chunk: &IndexedChunk) -> Vec<String> {
    let mut words = vec![];
    let headings = chunk.chunk.headings.iter().map(|text| (text, HEADING_TIMES));
    for (text, times) in headings.chain([(&chunk.chunk.text, 1)]) {
        for _ in 0..times {
            analyzer::words(text, |word| words.push(word.to_owned()));
        }
    }
    words
}

fn verify(index: &tantivy::Index) -> Result<()> {
    let damaged = index.validate_checksum().map_err(broken)?;
    match damaged.iter().min() {
        None => Ok(()),
        Some(file) => Err(Error::corrupt(format!("{} is damaged", file.display()))),
    }
}

/// Tantivy's errors at our socket. Whatever it is, the owner rebuilds the index.
fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt(format!("the word index failed: {source}")).with_source(source)
}
