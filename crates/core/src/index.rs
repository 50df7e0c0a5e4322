//! The index socket: a rebuildable view over a vector store's change log.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ChunkId, ChunkRange, ChunkSet, Embedding, IndexedChunk, Result};

/// A position in a vector store's change log. 0 is before the first change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One entry of the change log, with its content.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its position.
    pub seq: Seq,
    /// What changed.
    pub kind: ChangeKind,
}

/// What changed in a vector store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Chunks of one file came in. Word indexes take these.
    Added(Arc<[IndexedChunk]>),
    /// Chunks got their vectors. Vector indexes take these.
    Embedded(Arc<[(ChunkId, Embedding)]>),
    /// A file's chunks are gone, words and vectors.
    Removed(ChunkRange),
}

/// What is asked of an index.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The words.
    pub text: &'a str,
    /// The query's vector, normalised; none when no embedder took part.
    pub vector: Option<&'a [f32]>,
    /// The only chunks that may be found; none means any.
    pub allow: Option<&'a ChunkSet>,
}

/// A chunk an index found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The chunk.
    pub chunk: ChunkId,
    /// How well it fits; comparable only within one list of one index.
    pub score: f32,
}

/// A view over the change log that finds chunks: BM25, exact vectors, HNSW, all alike.
///
/// An index is a cache. It may lose what it has not flushed, it may be deleted while we are
/// stopped; whoever owns it replays the log from [`watermark`](Self::watermark), or everything
/// after [`clear`](Self::clear). Every implementation passes `docent_retrieval::conformance`.
pub trait Index: Send + Sync + fmt::Debug {
    /// How far it has come, counting changes it would still know after a crash.
    fn watermark(&self) -> Result<Seq>;

    /// Takes `changes`, in order, and counts itself level with `upto`. What it took is found by
    /// the next search. Taking a change twice is as good as taking it once.
    fn apply(&self, changes: &[Change], upto: Seq) -> Result<()>;

    /// Makes what was applied survive a crash; returns the new watermark.
    fn flush(&self) -> Result<Seq>;

    /// Forgets everything; the watermark is 0 again.
    fn clear(&self) -> Result<()>;

    /// The best `limit` chunks, best first; equal scores by [`ChunkId`]. The same content gives
    /// the same answer, whatever the order it came in. A query the index cannot serve (words for a
    /// vector index) finds nothing.
    fn search(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Hit>>;
}
