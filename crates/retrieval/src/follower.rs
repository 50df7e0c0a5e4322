//! Brings one index level with a vector store's change log.

use std::sync::{Arc, Mutex, PoisonError};

use docent_core::{
    Change, ChangeKind, ChunkId, ChunkRange, Embedding, Error, Fingerprint, Index, IndexedChunk,
    Key, Read, Result, Scan, Seq, Store, VectorStoreId,
};

use crate::embeddings;
use crate::tables::{CHUNKS, LOG, LogEntry, STORE_FILES, chunks_of, log_ends, within};

/// Chunks handed to an index at once, so that memory stays flat however long a file is.
const PAGE: u64 = 256;

/// Log entries read at once.
const ENTRIES: usize = 256;

/// Which changes an index is handed, beside the removals.
#[derive(Clone, Debug)]
pub(crate) enum Takes {
    Words,
    /// Vectors of this embedder.
    Vectors(Fingerprint),
}

/// An index and how far it was brought.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) name: &'static str,
    pub(crate) index: Arc<dyn Index>,
    store: VectorStoreId,
    takes: Takes,
    /// What the index was handed, which may be ahead of what it made durable.
    position: Mutex<Seq>,
}

impl Follower {
    pub(crate) fn new(
        name: &'static str,
        index: Arc<dyn Index>,
        store: VectorStoreId,
        takes: Takes,
    ) -> Result<Self> {
        let position = Mutex::new(index.watermark()?);
        Ok(Self { name, index, store, takes, position })
    }

    /// Hands the index what the log says it has not seen. An index that fails is cleared and built
    /// again from the chunks; so is one that is behind the log's beginning, or ahead of its end.
    pub(crate) fn catch_up(&self, store: &dyn Store) -> Result<()> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: a snapshot from before another thread's is behind the index.
        let read = store.read()?;
        self.catch_up_at(&*read, &mut position)
    }

    /// The same with the snapshot `read`, for an index that no other thread has.
    pub(crate) fn catch_up_in(&self, read: &dyn Read) -> Result<()> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up_at(read, &mut position)
    }

    fn catch_up_at(&self, read: &dyn Read, position: &mut Seq) -> Result<()> {
        let ends = log_ends(read, self.store)?;
        if *position == ends.last {
            return Ok(());
        }
        if (ends.trimmed..=ends.last).contains(&*position) {
            match self.replay(read, position) {
                Ok(()) => return Ok(()),
                Err(error) => self.warn_of_rebuild(&error),
            }
        }
        self.rebuild_at(read, ends.last, position)
    }

    /// Builds the index from the chunks, whatever it held.
    pub(crate) fn rebuild(&self, store: &dyn Store) -> Result<()> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let read = store.read()?;
        let last = log_ends(&*read, self.store)?.last;
        self.rebuild_at(&*read, last, &mut position)
    }

    /// The same from the snapshot `read`, for an index that no other thread has.
    pub(crate) fn rebuild_in(&self, read: &dyn Read) -> Result<()> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let last = log_ends(read, self.store)?.last;
        self.rebuild_at(read, last, &mut position)
    }

    /// Makes durable what the index was handed; one that fails is built again.
    pub(crate) fn flush(&self, store: &dyn Store) -> Result<()> {
        match self.index.flush() {
            Ok(_) => Ok(()),
            Err(error) => {
                self.warn_of_rebuild(&error);
                self.rebuild(store)
            }
        }
    }

    fn warn_of_rebuild(&self, error: &Error) {
        tracing::warn!(index = self.name, store = %self.store, %error,
            "an index failed and is rebuilt");
    }

    fn replay(&self, read: &dyn Read, position: &mut Seq) -> Result<()> {
        let prefix = within(self.store);
        loop {
            let after = (self.store, *position).to_text();
            let scan =
                Scan { prefix: &prefix, after: Some(&after), limit: ENTRIES, ..Scan::default() };
            let entries = LOG.scan(read, scan)?;
            let more = entries.len() == ENTRIES;
            for ((_, seq), entry) in entries {
                if seq.0 != position.0 + 1 {
                    return Err(Error::corrupt(format!("the log has no entry {}", position.0 + 1)));
                }
                self.hand_over(read, seq, entry)?;
                *position = seq;
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn hand_over(&self, read: &dyn Read, seq: Seq, entry: LogEntry) -> Result<()> {
        let before = Seq(seq.0 - 1);
        match (entry, &self.takes) {
            (LogEntry::Added { chunks, .. }, Takes::Words) => {
                self.hand_over_chunks(read, chunks, before)?;
            }
            (LogEntry::Embedded { chunks, .. }, Takes::Vectors(fingerprint)) => {
                self.hand_over_vectors(read, fingerprint, chunks, before)?;
            }
            (LogEntry::Removed { chunks, .. }, _) => {
                let change = Change { seq, kind: ChangeKind::Removed(chunks) };
                self.index.apply(&[change], before)?;
            }
            _ => {}
        }
        self.index.apply(&[], seq)
    }

    /// Chunks that were removed since are not found any more, and not missed.
    fn hand_over_chunks(&self, read: &dyn Read, chunks: ChunkRange, upto: Seq) -> Result<()> {
        for page in pages(chunks) {
            let found: Arc<[IndexedChunk]> = chunks_of(read, self.store, page)?.into();
            let change = Change { seq: upto, kind: ChangeKind::Added(found) };
            self.index.apply(&[change], upto)?;
        }
        Ok(())
    }

    fn hand_over_vectors(
        &self,
        read: &dyn Read,
        fingerprint: &Fingerprint,
        chunks: ChunkRange,
        upto: Seq,
    ) -> Result<()> {
        for page in pages(chunks) {
            let mut found: Vec<(ChunkId, Embedding)> = vec![];
            for chunk in chunks_of(read, self.store, page)? {
                match embeddings::get(read, fingerprint, chunk.chunk.text_hash()) {
                    Ok(Some(embedding)) => found.push((chunk.id, embedding)),
                    Ok(None) => tracing::warn!(chunk = %chunk.id, "a chunk's embedding is missing"),
                    Err(error) => tracing::warn!(chunk = %chunk.id, %error, "an embedding is lost"),
                }
            }
            let change = Change { seq: upto, kind: ChangeKind::Embedded(found.into()) };
            self.index.apply(&[change], upto)?;
        }
        Ok(())
    }

    fn rebuild_at(&self, read: &dyn Read, last: Seq, position: &mut Seq) -> Result<()> {
        tracing::info!(index = self.name, store = %self.store, "an index is built from the chunks");
        self.index.clear()?;
        *position = Seq(0);
        match &self.takes {
            Takes::Words => {
                if let Some(((_, newest), _)) = CHUNKS.last(read, &within(self.store))? {
                    let all = ChunkRange { start: ChunkId(1), end: ChunkId(newest.0 + 1) };
                    self.hand_over_existing(read, all)?;
                }
            }
            Takes::Vectors(fingerprint) => {
                for chunks in embedded_ranges(read, self.store)? {
                    self.hand_over_vectors(read, fingerprint, chunks, Seq(0))?;
                }
            }
        }
        self.index.apply(&[], last)?;
        self.index.flush()?;
        *position = last;
        Ok(())
    }

    /// As [`hand_over_chunks`](Self::hand_over_chunks), but steps over long gaps of removed chunks.
    fn hand_over_existing(&self, read: &dyn Read, all: ChunkRange) -> Result<()> {
        let prefix = within(self.store);
        let mut after = (self.store, ChunkId(all.start.0 - 1)).to_text();
        loop {
            let limit = PAGE as usize;
            let scan = Scan { prefix: &prefix, after: Some(&after), limit, ..Scan::default() };
            let rows = CHUNKS.scan(read, scan)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = last.to_text();
            let chunks: Arc<[IndexedChunk]> = rows.into_iter().map(|(_, chunk)| chunk).collect();
            let change = Change { seq: Seq(0), kind: ChangeKind::Added(chunks) };
            self.index.apply(&[change], Seq(0))?;
        }
    }
}

/// The chunks of each file that have vectors, in order.
pub(crate) fn embedded_ranges(read: &dyn Read, store: VectorStoreId) -> Result<Vec<ChunkRange>> {
    let files = STORE_FILES.all(read, &within(store))?;
    let embedded = files.into_iter().map(|(_, file)| {
        let end = ChunkId(file.chunks.start.0 + file.embedded.min(file.chunks.len()));
        ChunkRange { start: file.chunks.start, end }
    });
    let mut ranges: Vec<ChunkRange> = embedded.filter(|range| !range.is_empty()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    Ok(ranges)
}

/// `range` in parts of at most [`PAGE`].
fn pages(range: ChunkRange) -> impl Iterator<Item = ChunkRange> {
    let starts = (range.start.0..range.end.0).step_by(PAGE as usize);
    starts.map(move |start| ChunkRange {
        start: ChunkId(start),
        end: ChunkId((start + PAGE).min(range.end.0)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use docent_core::{Hit, Query};
    use docent_store::MemoryStore;

    use super::*;

    /// Fails its first flush, and counts how often it is cleared.
    #[derive(Debug, Default)]
    struct FailsOnce {
        flushes: AtomicUsize,
        clears: AtomicUsize,
    }

    impl Index for FailsOnce {
        fn watermark(&self) -> Result<Seq> {
            Ok(Seq(0))
        }

        fn apply(&self, _: &[Change], _: Seq) -> Result<()> {
            Ok(())
        }

        fn flush(&self) -> Result<Seq> {
            match self.flushes.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::corrupt("a file is in the way")),
                _ => Ok(Seq(0)),
            }
        }

        fn clear(&self) -> Result<()> {
            self.clears.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn search(&self, _: &Query<'_>, _: usize) -> Result<Vec<Hit>> {
            Ok(vec![])
        }
    }

    #[test]
    fn an_index_that_cannot_be_flushed_is_rebuilt() {
        let index = Arc::new(FailsOnce::default());
        let store = "vs_000000000000000000000001".parse().unwrap();
        let follower =
            Follower::new("keyword", Arc::clone(&index) as _, store, Takes::Words).unwrap();
        follower.flush(&MemoryStore::new()).unwrap();
        assert_eq!(index.clears.load(Ordering::SeqCst), 1);
        assert_eq!(index.flushes.load(Ordering::SeqCst), 2);
    }
}
