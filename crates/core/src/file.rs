//! Files, the vector stores they are searched in, and what became of each file there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AttributeValue, BatchId, BlobHash, ChunkRange, Error, FileId, Fingerprint, Result, Timestamp,
    VectorStoreId,
};

/// Up to 16 pairs of text an application hangs on an object.
pub type Metadata = BTreeMap<String, String>;

/// Typed pairs on a vector store's file, which searches can filter by.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// Uploaded bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// The name it was given, without folders.
    pub filename: String,
    /// Its length.
    pub bytes: u64,
    /// Where its bytes are kept.
    pub hash: BlobHash,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// When it is to be gone; none is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl File {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What a file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// Input of assistants.
    #[default]
    Assistants,
    /// Made by an assistant's tool.
    AssistantsOutput,
    /// An image in a message.
    Vision,
    /// Anything the user wants kept.
    UserData,
    /// Requests of a batch.
    Batch,
    /// Examples to train a model with.
    FineTune,
    /// Examples to measure a model with.
    Evals,
}

/// A collection of files that are searched together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorStore {
    /// Its id.
    pub id: VectorStoreId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last searched, to the minute, or changed.
    pub last_active_at: Timestamp,
    /// After how many days without use it expires; none is never.
    #[serde(default)]
    pub expires_after_days: Option<u32>,
    /// The embedder its vectors are made by, pinned when the first vector is written.
    pub embedder: Option<Fingerprint>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

impl VectorStore {
    /// When it expires unless it is used before.
    pub fn expires_at(&self) -> Option<Timestamp> {
        const DAY: u64 = 24 * 60 * 60;
        let days = self.expires_after_days?;
        Some(self.last_active_at.plus(Duration::from_secs(u64::from(days) * DAY)))
    }

    /// Whether it has expired. It is not searched then, but nothing of it is lost: a use other than
    /// a search revives it.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }
}

/// What a vector store has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorStoreStatus {
    /// It was not used for too long.
    Expired,
    /// Some of its files wait or are being worked on.
    InProgress,
    /// All is done, though files may have failed.
    Completed,
}

/// How many files are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// Waiting or being worked on.
    pub in_progress: u64,
    /// Found by every index.
    pub completed: u64,
    /// Not to be read.
    pub failed: u64,
    /// Given up before they were done.
    pub cancelled: u64,
}

impl FileCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.in_progress + self.completed + self.failed + self.cancelled
    }

    /// The count of those in `status`.
    pub fn of(&mut self, status: FileStatus) -> &mut u64 {
        match status {
            FileStatus::InProgress => &mut self.in_progress,
            FileStatus::Completed => &mut self.completed,
            FileStatus::Failed => &mut self.failed,
            FileStatus::Cancelled => &mut self.cancelled,
        }
    }
}

/// Files that entered a vector store together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBatch {
    /// Its id.
    pub id: BatchId,
    /// The store they entered.
    pub vector_store: VectorStoreId,
    /// When they did.
    pub created_at: Timestamp,
    /// When what was not done was called off, if it was.
    #[serde(default)]
    pub cancelled_at: Option<Timestamp>,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    /// Some of its files wait or are being worked on.
    InProgress,
    /// All is done, though files may have failed.
    Completed,
    /// It was called off.
    Cancelled,
}

impl BatchStatus {
    /// The name the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A file in a vector store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorStoreFile {
    /// The file.
    pub file: FileId,
    /// The store it is in.
    pub vector_store: VectorStoreId,
    /// How far it has come.
    pub status: FileStatus,
    /// Why it failed, if it did.
    pub last_error: Option<FileError>,
    /// What was left out of it, and why.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// How it is cut.
    pub chunking: ChunkingStrategy,
    /// Pairs to filter by.
    #[serde(default)]
    pub attributes: Attributes,
    /// When it was added.
    pub created_at: Timestamp,
    /// How many pages it has; 0 until it was read, 1 for formats without pages.
    #[serde(default)]
    pub pages: u32,
    /// Its chunks, once they are committed.
    #[serde(default)]
    pub chunks: ChunkRange,
    /// How many of its chunks have vectors.
    #[serde(default)]
    pub embedded: u64,
    /// What its chunks' text takes up; 0 until it was read.
    #[serde(default)]
    pub usage_bytes: u64,
}

/// How far a file has come in a vector store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// Waiting or being worked on. Its chunks may be found by words already.
    InProgress,
    /// Found by every index.
    Completed,
    /// Given up before it was done.
    Cancelled,
    /// It cannot be read; [`VectorStoreFile::last_error`] says why.
    Failed,
}

/// Why a file failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// For programs.
    pub code: FileErrorCode,
    /// For people.
    pub message: String,
}

/// The Assistants API's three codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileErrorCode {
    /// A fault of ours.
    ServerError,
    /// A format we do not read.
    UnsupportedFile,
    /// A format we read, but not this file.
    InvalidFile,
}

/// Something in a file that was left out or is doubtful, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The page it is about, counted from 1; none for the whole file.
    pub page: Option<u32>,
    /// What and why.
    pub message: String,
}

/// How a document is cut into chunks, in o200k_base tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Sizes", into = "Sizes")]
pub struct ChunkingStrategy {
    max_chunk_size_tokens: u32,
    chunk_overlap_tokens: u32,
}

impl ChunkingStrategy {
    /// Chunks of `max_chunk_size_tokens` (100 to 4096), each sharing `chunk_overlap_tokens` (at
    /// most half the size) with the one before.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) outside these bounds, as in the Assistants API.
    pub fn new(max_chunk_size_tokens: u32, chunk_overlap_tokens: u32) -> Result<Self> {
        if !(100..=4096).contains(&max_chunk_size_tokens) {
            return Err(Error::invalid(format!(
                "max_chunk_size_tokens is {max_chunk_size_tokens}; it must lie in 100..=4096"
            )));
        }
        if chunk_overlap_tokens > max_chunk_size_tokens / 2 {
            return Err(Error::invalid(format!(
                "chunk_overlap_tokens is {chunk_overlap_tokens}; it must be at most half of \
                 max_chunk_size_tokens, {}",
                max_chunk_size_tokens / 2
            )));
        }
        Ok(Self { max_chunk_size_tokens, chunk_overlap_tokens })
    }

    /// The size of a full chunk.
    pub fn max_chunk_size_tokens(self) -> u32 {
        self.max_chunk_size_tokens
    }

    /// What a chunk shares with the one before it.
    pub fn chunk_overlap_tokens(self) -> u32 {
        self.chunk_overlap_tokens
    }
}

/// 800 tokens, 400 of them shared: the Assistants API's own default.
impl Default for ChunkingStrategy {
    fn default() -> Self {
        Self { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 }
    }
}

/// [`ChunkingStrategy`] before its bounds were checked.
#[derive(Serialize, Deserialize)]
struct Sizes {
    max_chunk_size_tokens: u32,
    chunk_overlap_tokens: u32,
}

impl TryFrom<Sizes> for ChunkingStrategy {
    type Error = Error;

    fn try_from(sizes: Sizes) -> Result<Self> {
        Self::new(sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens)
    }
}

impl From<ChunkingStrategy> for Sizes {
    fn from(strategy: ChunkingStrategy) -> Self {
        Self {
            max_chunk_size_tokens: strategy.max_chunk_size_tokens,
            chunk_overlap_tokens: strategy.chunk_overlap_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_outside_the_contract_are_refused() {
        for (size, overlap) in [(99, 0), (4097, 0), (800, 401), (u32::MAX, u32::MAX)] {
            assert!(ChunkingStrategy::new(size, overlap).is_err(), "{size}/{overlap}");
        }
        assert!(ChunkingStrategy::new(101, 50).is_ok());
        assert!(
            serde_json::from_str::<ChunkingStrategy>(
                r#"{"max_chunk_size_tokens":5,"chunk_overlap_tokens":0}"#
            )
            .is_err()
        );
    }
}
