//! How a search of a run came to its results: what was asked in place of the question, and what
//! each query found.

use serde::{Deserialize, Serialize};

use crate::{ChunkId, FileId, VectorStoreId};

/// How a `file_search` came to its results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchReport {
    /// Who wrote the queries.
    pub written_by: QueryWriter,
    /// What someone who wonders about the queries should know, such as why no model wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How long writing them took, in milliseconds; 0 where the caller had written them.
    #[serde(default)]
    pub writing_ms: u64,
    /// What was searched with, in order.
    pub queries: Vec<QueryReport>,
}

/// Who wrote the queries of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueryWriter {
    /// The model in its tool call, or the user.
    #[default]
    Caller,
    /// Rules: the question was split, or completed with the one before it.
    Rules,
    /// The chat model, asked for queries that stand on their own.
    Model,
}

/// What one query found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryReport {
    /// The query.
    pub query: String,
    /// How long the search took, in milliseconds.
    pub took_ms: u64,
    /// What it found, best first.
    pub hits: Vec<QueryHit>,
}

/// A passage that a query found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryHit {
    /// Its vector store.
    pub vector_store: VectorStoreId,
    /// Its file.
    pub file: FileId,
    /// Its number in the vector store.
    pub chunk: ChunkId,
    /// How well it fits, 0 to 1.
    pub score: f32,
    /// Whether it is among the results the model was given.
    pub given: bool,
}
