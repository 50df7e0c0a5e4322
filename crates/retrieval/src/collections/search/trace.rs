//! What a search tells about itself.

use std::time::{Duration, Instant};

use docent_core::{ChunkId, FileId, VectorStoreId};
use serde::Serialize;

use crate::fusion::{Candidate, Fused, Place};

/// How a search came to its hits.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trace {
    /// What took how long.
    pub stages: Vec<StageTime>,
    /// What someone who wonders about the hits should know.
    pub notes: Vec<String>,
    /// Everything some index found, best first.
    pub candidates: Vec<CandidateTrace>,
}

/// How long a stage of a search took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: &'static str,
    /// Microseconds.
    pub micros: u64,
}

/// What became of a chunk that some index found.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateTrace {
    /// Its vector store.
    pub vector_store: VectorStoreId,
    /// Its number there.
    pub chunk: ChunkId,
    /// Its file; none when it was deleted before it could be read, or was not read because it came
    /// too late to be a hit and the search was [not to explain](super::SearchOptions::explain).
    pub file: Option<FileId>,
    /// Its place in each list that has it.
    pub lists: Vec<ListPlace>,
    /// The cosine between it and the best candidates, if they were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbors: Option<f32>,
    /// Its score by late interaction, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_interaction: Option<f32>,
    /// Its score by all of that, 0 to 1.
    pub fused: f32,
    /// The reranker's own score, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<f32>,
    /// Why it is not among the hits, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

impl CandidateTrace {
    pub(super) fn new(candidate: &Candidate, fused: &Fused) -> Self {
        let place =
            |place: &Place| ListPlace { list: place.list, rank: place.rank, score: place.score };
        Self {
            vector_store: candidate.store,
            chunk: candidate.chunk,
            file: None,
            lists: candidate.places.iter().map(place).collect(),
            neighbors: candidate.neighbors,
            late_interaction: candidate.late,
            fused: fused.score(candidate),
            reranked: None,
            dropped: None,
        }
    }
}

/// What one index says of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ListPlace {
    /// The index: `keyword` or `vector`.
    pub list: &'static str,
    /// From 1; none when the index did not find the chunk among its best, and was only asked for
    /// its score because another did.
    pub rank: Option<usize>,
    /// The index's own score: BM25 as a part of what the query's words could come to, or a cosine.
    pub score: f32,
}

/// Measures the stages of a search.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn lap(&mut self, stage: &'static str, trace: &mut Trace) {
        let took: Duration = self.0.elapsed();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        trace.stages.push(StageTime { stage, micros });
        self.0 = Instant::now();
    }
}
