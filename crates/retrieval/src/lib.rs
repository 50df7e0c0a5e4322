//! Finds passages; keeps every index level with the log.
//!
//! [`Collections`] is all there is to see: files go in, are cut and embedded by
//! [`process`](Collections::process), and [`search`](Collections::search) finds their passages.
//! Behind it, one store transaction is the commit and every index follows the change log:
//!
//! | module | what |
//! |---|---|
//! | [`Collections`] | files, vector stores, the ingest journey, doctor's checks |
//! | [`KeywordIndex`] | BM25 over Tantivy's postings, every script |
//! | [`ExactIndex`], [`HnswIndex`] | vectors, by looking at all of them, or by a graph |
//! | [`conformance`] | what an [`Index`](docent_core::Index) promises, as a test suite |
//!
//! An index is a cache: delete `indexes/` while nothing runs and only time is lost.

mod collections;
pub mod conformance;
mod embeddings;
mod exact;
mod follower;
mod fusion;
mod hnsw;
mod keyword;
mod language;
mod neighbors;
mod overlap;
mod rewrite;
mod tables;
mod top;

pub use collections::{
    AttachOptions, Attached, BatchSummary, CRASH_POINTS, CandidateTrace, Collections,
    CollectionsOptions, CollectionsParts, Comparison, FileDescription, Finding, Found,
    IngestProgress, IngestStage, LateInteraction, ListPlace, NewFile, NewVectorStore,
    ProcessOutcome, Pruned, Question, REEMBED_CRASH_POINTS, ReembedProgress, Reembedding,
    Remembered, Repair, RolledBack, SearchHit, SearchMode, SearchOptions, SearchResult, StageTime,
    StoreEmbedders, StoreTotals, StoreVectors, Trace, VectorIndexKind, VectorStoreSummary, Wanted,
    export, remembered_embedders,
};
pub use exact::{ExactIndex, VectorShape};
pub use fusion::Fusion;
pub use hnsw::{HnswIndex, HnswOptions};
pub use keyword::{Bm25, KeywordIndex};
pub use rewrite::rewrite_query;
