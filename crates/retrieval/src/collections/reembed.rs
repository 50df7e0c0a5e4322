//! New vectors for a vector store, by another embedder, beside those that are searched.
//!
//! [`reembed`](Collections::reembed) embeds what has no vector by the new embedder yet, a batch a
//! transaction, and builds an index over them; searches and new files go on with the old. Killed
//! or stopped, it goes on where it was, because what is embedded is kept by (fingerprint, text).
//! Then [`Reembedding::compare`] says what would change, and [`Reembedding::flip`] changes it in
//! one transaction, which is made only if every chunk has a new vector at that very moment. The
//! old vectors stay, so that [`roll_back`](Collections::roll_back) is one transaction too, until
//! they are [pruned](Collections::prune_vectors).
//!
//! ```text
//! vector store   embedder: Y         searched
//! reembeds       next: Z             being made; nothing but a reembed and doctor looks at it
//!                previous: X         kept; every chunk below previous_below has such a vector
//! ```

mod compare;
mod prune;

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use docent_core::{
    ChunkId, Embedder, Error, Fingerprint, IndexedChunk, Key, Read, Result, Scan, Seq, Store,
    VectorStoreFile, VectorStoreId, Write, crash_point,
};

pub use compare::{Comparison, Found, Question, Wanted};
pub use prune::Pruned;

use super::Collections;
use super::collection::Collection;
use super::embedders::remember;
use super::entries::put_entry;
use super::ingest::{BATCH, embed};
use crate::embeddings;
use crate::tables::{
    self, CHUNKS, REEMBEDS, Reembed, STORE_FILES, VECTOR_STORES, chunks_of, log_ends, within,
};

/// Chunks read at once.
const PAGE: usize = 256;

/// How far new vectors have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReembedProgress {
    /// Chunks looked at; each has a new vector.
    pub done: u64,
    /// Chunks there were at the beginning.
    pub chunks: u64,
    /// Vectors that had to be made so far; the others were there.
    pub made: u64,
}

type OnProgress<'a> = dyn FnMut(ReembedProgress) -> ControlFlow<()> + 'a;

/// Vectors of a vector store by another embedder, complete but not searched yet.
#[derive(Debug)]
#[must_use = "the old vectors are searched until it is flipped"]
pub struct Reembedding<'a> {
    collections: &'a Collections,
    _alone: Alone<'a>,
    store: VectorStoreId,
    embedder: Arc<dyn Embedder>,
    /// Chunks below this have new vectors, if they are still there.
    below: ChunkId,
    /// Up to here the new index knows the log.
    level: Seq,
    beside: Option<Arc<Collection>>,
    progress: ReembedProgress,
}

/// While it lives no other change of embedders of the store begins.
#[derive(Debug)]
struct Alone<'a> {
    collections: &'a Collections,
    store: VectorStoreId,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let changing = &self.collections.changing;
        changing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.store);
    }
}

/// Which vectors a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreVectors {
    /// The embedder whose vectors are searched; none before the first vector.
    pub searched: Option<String>,
    /// The one whose vectors a reembed has begun to make.
    pub next: Option<String>,
    /// The one whose vectors are kept to go back to.
    pub previous: Option<String>,
}

/// What going back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolledBack {
    /// The embedder whose vectors were searched.
    pub from: String,
    /// The one whose vectors are searched now.
    pub to: String,
    /// Chunks that came in since and have no vector of it; they wait for
    /// [`process`](Collections::process) and are found by words until then.
    pub waiting: u64,
}

impl Collections {
    /// Makes the vectors of `store` by `embedder`, beside those that are searched, and an index over
    /// them. `None` when `on_progress` broke off; the next call goes on.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when it has that embedder, or another change of
    /// embedders is under way; the embedder's.
    pub fn reembed(
        &self,
        store: VectorStoreId,
        embedder: Arc<dyn Embedder>,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Option<Reembedding<'_>>> {
        let _alone = self.alone(store)?;
        self.begin_reembed(store, &*embedder)?;
        self.others.insert(Arc::clone(&embedder));
        crash_point("reembed.after-begin");
        let files = STORE_FILES.all(&*self.store.read()?, &within(store))?;
        let chunks = files.iter().map(|(_, file)| file.chunks.len()).sum();
        let mut reembedding = Reembedding {
            collections: self,
            _alone,
            store,
            embedder,
            below: ChunkId(1),
            level: Seq(0),
            beside: None,
            progress: ReembedProgress { done: 0, chunks, made: 0 },
        };
        let flow = reembedding.level_with_log(on_progress)?;
        Ok(flow.is_continue().then_some(reembedding))
    }

    fn begin_reembed(&self, store: VectorStoreId, embedder: &dyn Embedder) -> Result<()> {
        let fingerprint = &embedder.spec().fingerprint;
        let mut write = self.store.write()?;
        let vector_store = tables::vector_store(&*write, store)?;
        if vector_store.embedder.as_ref() == Some(fingerprint) {
            return Err(Error::conflict(format!(
                "{store} is built with {} already",
                embedder.spec().name
            )));
        }
        let kept = REEMBEDS.get(&*write, &store)?.unwrap_or_default();
        if kept.next.as_ref() == Some(fingerprint) {
            return Ok(());
        }
        let begun = Reembed { next: Some(fingerprint.clone()), ..kept };
        REEMBEDS.put(&mut *write, &store, &begun)?;
        remember(&mut *write, embedder)?;
        write.commit()
    }

    /// Keeps other changes of embedders from `store`: two would write to the files of one index, and
    /// know nothing of each other.
    fn alone(&self, store: VectorStoreId) -> Result<Alone<'_>> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !changing.insert(store) {
            return Err(Error::conflict(format!(
                "{store} is being given other vectors already; wait for that, or stop it"
            )));
        }
        Ok(Alone { collections: self, store })
    }

    /// Which vectors `store` has.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store.
    pub fn store_vectors(&self, store: VectorStoreId) -> Result<StoreVectors> {
        let read = self.store.read()?;
        let searched = tables::vector_store(&*read, store)?.embedder;
        let Reembed { next, previous, .. } = REEMBEDS.get(&*read, &store)?.unwrap_or_default();
        drop(read);
        let name = |it: Option<Fingerprint>| it.map(|it| self.embedder_name(&it));
        Ok(StoreVectors { searched: name(searched), next: name(next), previous: name(previous) })
    }

    /// Goes back to the vectors that were searched before the last flip, in one transaction. Going
    /// back once more is going forward again.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when no other vectors are kept, or a reembed is
    /// under way; when their embedder is not on this machine, why.
    pub fn roll_back(&self, store: VectorStoreId) -> Result<RolledBack> {
        let _alone = self.alone(store)?;
        let read = self.store.read()?;
        tables::vector_store(&*read, store)?;
        let kept = REEMBEDS.get(&*read, &store)?.unwrap_or_default();
        drop(read);
        let Some(previous) = kept.previous.clone() else {
            return Err(Error::conflict(format!(
                "no earlier vectors of {store} are kept: it was not reembedded, or they were pruned"
            )));
        };
        let embedder = self.embedder_of(&previous).map_err(|error| {
            let name = self.embedder_name(&previous);
            error.context(format!("{store} cannot go back to {name}"))
        })?;
        let current = self.collection(store)?;
        let waiting = loop {
            if let Some(waiting) = self.try_roll_back(store, &kept, &current, &embedder)? {
                break waiting;
            }
        };
        let from = current.embedder().map_or_else(str::to_owned, |it| it.spec().name.clone());
        Ok(RolledBack { from, to: embedder.spec().name.clone(), waiting })
    }

    /// How many chunks wait for vectors then; none when the store changed meanwhile.
    fn try_roll_back(
        &self,
        store: VectorStoreId,
        kept: &Reembed,
        current: &Collection,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<Option<u64>> {
        let read = self.store.read()?;
        let seen = log_ends(&*read, store)?.last;
        let recounted = recounted(&*read, store, kept)?;
        let waiting = recounted.iter().map(|file| file.chunks.len() - file.embedded).sum();
        drop(read);
        let _no_opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // What can fail is done before the commit.
        let beside = Arc::new(current.beside(Arc::clone(embedder))?);
        let mut write = self.store.write()?;
        if log_ends(&*write, store)?.last != seen {
            return Ok(None);
        }
        let kept_now = REEMBEDS.get(&*write, &store)?.unwrap_or_default();
        if kept_now.previous != kept.previous {
            return Err(Error::conflict(format!("the vectors of {store} were changed meanwhile")));
        }
        swap(&mut *write, store, &embedder.spec().fingerprint)?;
        recount(&mut *write, &recounted)?;
        let jobs = self.settle_jobs(&mut *write, store, true)?;
        write.commit()?;
        crash_point("reembed.after-rollback");
        self.queue_all(jobs);
        let level = match recounted.is_empty() {
            true => beside.catch_up(&*self.store),
            // It may hold vectors of chunks that count as waiting now.
            false => self.store.read().and_then(|read| beside.rebuild_vectors(&*read)),
        };
        // Even if it is not level: the others are of an embedder that the store does not have any
        // more, and it catches up with the next change.
        self.replace_collection(store, beside)?;
        level.map(|()| Some(waiting))
    }

    /// From now on `collection` is searched.
    fn replace_collection(&self, store: VectorStoreId, collection: Arc<Collection>) -> Result<()> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let before = open.insert(store, Arc::clone(&collection));
        drop(open);
        // What was committed before this and handed to the other one.
        collection.catch_up(&*self.store)?;
        if let Some(before) = before
            && let Err(error) = before.flush(&*self.store)
        {
            tracing::warn!(%error, "an index that is kept to go back to was not flushed");
        }
        Ok(())
    }
}

impl Reembedding<'_> {
    /// How many vectors were made, and for how many chunks.
    pub fn progress(&self) -> ReembedProgress {
        self.progress
    }

    /// Searches go by the new vectors once this returns; the old ones are kept. `None` when
    /// `on_progress` broke off while files that had come in meanwhile were embedded.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when the store was deleted meanwhile,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when another reembed of it was begun; then
    /// nothing has changed.
    pub fn flip(mut self, on_progress: &mut OnProgress<'_>) -> Result<Option<()>> {
        let collections = self.collections;
        loop {
            if self.level_with_log(on_progress)?.is_break() {
                return Ok(None);
            }
            crash_point("reembed.before-flip");
            let _no_opening = collections.opening.lock().unwrap_or_else(PoisonError::into_inner);
            let mut write = collections.store.write()?;
            if log_ends(&*write, self.store)?.last != self.level {
                continue;
            }
            self.check_is_next(&*write)?;
            swap(&mut *write, self.store, &self.embedder.spec().fingerprint)?;
            // Files that waited for the old embedder wait for the new one.
            let jobs = collections.settle_jobs(&mut *write, self.store, true)?;
            write.commit()?;
            crash_point("reembed.after-flip");
            collections.queue_all(jobs);
            if let Some(beside) = self.beside.take() {
                collections.replace_collection(self.store, beside)?;
            }
            return Ok(Some(()));
        }
    }

    fn check_is_next(&self, read: &(impl Read + ?Sized)) -> Result<()> {
        tables::vector_store(read, self.store)?;
        let kept = REEMBEDS.get(read, &self.store)?.unwrap_or_default();
        if kept.next.as_ref() == Some(&self.embedder.spec().fingerprint) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "the vectors of {} by {} were given up meanwhile; run \"docent reembed\" again",
            self.store,
            self.embedder.spec().name
        )))
    }

    /// Embeds what has no new vector, and brings the new index level with a moment at which
    /// nothing lacked one.
    fn level_with_log(&mut self, on_progress: &mut OnProgress<'_>) -> Result<ControlFlow<()>> {
        loop {
            let before = log_ends(&*self.collections.store.read()?, self.store)?;
            if self.embed_from(self.below, on_progress)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // Numbers of chunks only grow: what comes in from here on is not below.
            self.below = before.next_chunk.max(ChunkId(1));
            let read = self.collections.store.read()?;
            let ends = log_ends(&*read, self.store)?;
            if self.first_missing(&*read)?.is_some() {
                continue;
            }
            self.bring_index_level(&*read)?;
            self.level = ends.last;
            return Ok(ControlFlow::Continue(()));
        }
    }

    /// A later snapshot could have chunks without new vectors, which the index would never get.
    fn bring_index_level(&mut self, read: &dyn Read) -> Result<()> {
        if let Some(beside) = &self.beside {
            return beside.catch_up_vectors(read);
        }
        let current = self.collections.collection(self.store)?;
        let beside = current.beside(Arc::clone(&self.embedder))?;
        // Not by the log: an index from an earlier try may have met missing vectors.
        beside.rebuild_vectors(read)?;
        self.beside = Some(Arc::new(beside));
        Ok(())
    }

    /// The first chunk, of those that came in lately, that has no new vector.
    fn first_missing(&self, read: &dyn Read) -> Result<Option<ChunkId>> {
        let mut from = self.below;
        loop {
            let page = page_from(read, self.store, from)?;
            let Some(last) = page.last() else { return Ok(None) };
            from = ChunkId(last.id.0 + 1);
            let lacks = |chunk: &&IndexedChunk| {
                let fingerprint = &self.embedder.spec().fingerprint;
                !embeddings::missing(read, fingerprint, [*chunk]).is_empty()
            };
            if let Some(chunk) = page.iter().find(lacks) {
                return Ok(Some(chunk.id));
            }
        }
    }

    fn embed_from(
        &mut self,
        mut from: ChunkId,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<ControlFlow<()>> {
        loop {
            let page = page_from(&*self.collections.store.read()?, self.store, from)?;
            let Some(last) = page.last() else { return Ok(ControlFlow::Continue(())) };
            from = ChunkId(last.id.0 + 1);
            for batch in page.chunks(BATCH) {
                self.embed_batch(batch)?;
                self.progress.done += batch.len() as u64;
                if on_progress(self.progress).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    fn embed_batch(&mut self, batch: &[IndexedChunk]) -> Result<()> {
        let store: &dyn Store = &*self.collections.store;
        let fingerprint = &self.embedder.spec().fingerprint;
        let missing = embeddings::missing(&*store.read()?, fingerprint, batch);
        if missing.is_empty() {
            return Ok(());
        }
        let made = embed(&*self.embedder, &missing)?;
        let mut write = store.write()?;
        self.check_is_next(&*write)?;
        for (hash, embedding) in &made {
            embeddings::put(&mut *write, fingerprint, *hash, embedding)?;
        }
        write.commit()?;
        crash_point("reembed.after-batch");
        self.progress.made += made.len() as u64;
        Ok(())
    }
}

/// Makes the vectors of `to` those that are searched, and keeps the others.
fn swap(write: &mut dyn Write, store: VectorStoreId, to: &Fingerprint) -> Result<()> {
    let mut vector_store = tables::vector_store(&*write, store)?;
    let previous = vector_store.embedder.replace(to.clone());
    VECTOR_STORES.put(write, &store, &vector_store)?;
    let mut previous_below = log_ends(&*write, store)?.next_chunk;
    for (_, file) in STORE_FILES.all(&*write, &within(store))? {
        if file.embedded < file.chunks.len() {
            let first = ChunkId(file.chunks.start.0 + file.embedded);
            previous_below = previous_below.min(first);
        }
    }
    REEMBEDS.put(write, &store, &Reembed { next: None, previous, previous_below })
}

/// The files of which not every chunk that counts as embedded has a vector from before, with what
/// counts then.
fn recounted(
    read: &dyn Read,
    store: VectorStoreId,
    kept: &Reembed,
) -> Result<Vec<VectorStoreFile>> {
    let Some(previous) = &kept.previous else { return Ok(vec![]) };
    let mut recounted = vec![];
    for (_, mut file) in STORE_FILES.all(read, &within(store))? {
        if file.chunks.end <= kept.previous_below {
            continue;
        }
        let chunks = chunks_of(read, store, file.chunks)?;
        let has_one =
            |chunk: &&IndexedChunk| embeddings::missing(read, previous, [*chunk]).is_empty();
        let embedded = (chunks.iter().take_while(has_one).count() as u64).min(file.embedded);
        if embedded < file.embedded {
            file.embedded = embedded;
            recounted.push(file);
        }
    }
    Ok(recounted)
}

/// Counts as embedded only what has a vector from before. What else the rows say may have changed
/// without an entry in the log: a file may be done by now, or have other attributes.
fn recount(write: &mut dyn Write, recounted: &[VectorStoreFile]) -> Result<()> {
    for file in recounted {
        if let Some(entry) = STORE_FILES.get(&*write, &(file.vector_store, file.file))? {
            let embedded = file.embedded.min(entry.embedded);
            put_entry(write, &VectorStoreFile { embedded, ..entry })?;
        }
    }
    Ok(())
}

/// Some chunks of `store`, from `from` on.
fn page_from(read: &dyn Read, store: VectorStoreId, from: ChunkId) -> Result<Vec<IndexedChunk>> {
    let prefix = within(store);
    let after = (store, ChunkId(from.0.saturating_sub(1))).to_text();
    let scan = Scan { prefix: &prefix, after: Some(&after), limit: PAGE, ..Scan::default() };
    Ok(CHUNKS.scan(read, scan)?.into_iter().map(|(_, chunk)| chunk).collect())
}
