//! The truth: the tables of files, vector stores, chunks, embeddings, and the change log.

use docent_core::{
    BatchId, ChunkId, ChunkRange, Encoding, Error, File, FileBatch, FileId, Fingerprint,
    IndexedChunk, Key, Read, Result, Seq, Table, TableSpec, TextHash, Timestamp, VectorStore,
    VectorStoreFile, VectorStoreId, Write,
};
use serde::{Deserialize, Serialize};

use crate::collections::StoreTotals;

pub(crate) const FILES: Table<FileId, File> = Table::new("files");
/// `hash/file` for each file, to know whether a blob is still mentioned.
pub(crate) const BLOB_FILES: Table<String, FileId> = Table::new("blob_files");
/// Files that expire, by when.
pub(crate) const FILE_DEADLINES: Table<(Timestamp, FileId), ()> = Table::new("file_deadlines");
pub(crate) const VECTOR_STORES: Table<VectorStoreId, VectorStore> = Table::new("vector_stores");
pub(crate) const STORE_FILES: Table<(VectorStoreId, FileId), VectorStoreFile> =
    Table::new("vector_store_files");
pub(crate) const CHUNKS: Table<(VectorStoreId, ChunkId), IndexedChunk> = Table::new("chunks");
pub(crate) const LOG: Table<(VectorStoreId, Seq), LogEntry> = Table::new("log");
pub(crate) const LOG_ENDS: Table<VectorStoreId, LogEnds> = Table::new("log_ends");
pub(crate) const JOBS: Table<(VectorStoreId, FileId), Job> = Table::new("jobs");
/// What each vector store's files come to.
pub(crate) const TOTALS: Table<VectorStoreId, StoreTotals> = Table::new("vector_store_totals");
/// Grows with every change of a row of a vector store's files, so that what was read of them may be
/// kept.
pub(crate) const ENTRY_VERSIONS: Table<VectorStoreId, u64> = Table::new("vector_store_versions");
pub(crate) const BATCHES: Table<BatchId, FileBatch> = Table::new("file_batches");
pub(crate) const BATCH_FILES: Table<(BatchId, FileId), ()> = Table::new("file_batch_files");
/// What embedders are called, so that one that is not here any more can be named.
pub(crate) const EMBEDDERS: Table<Fingerprint, KnownEmbedder> = Table::new("embedders");
/// What vector stores are to be embedded by, and were before.
pub(crate) const REEMBEDS: Table<VectorStoreId, Reembed> = Table::new("reembeds");
/// Vectors by `fingerprint/texthash`; see [`crate::embeddings`] for the bytes.
pub(crate) const EMBEDDINGS: TableSpec =
    TableSpec { name: "embeddings", encoding: Encoding::Bytes };

/// One change of a vector store. Names its chunks; their content is in the other tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub(crate) enum LogEntry {
    /// A file's chunks were committed.
    Added { file: FileId, chunks: ChunkRange },
    /// These have vectors now.
    Embedded { file: FileId, chunks: ChunkRange },
    /// A file left.
    Removed { file: FileId, chunks: ChunkRange },
}

/// Where a vector store's log and chunk numbers stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEnds {
    /// The next chunk's number. Only grows, so no number is given twice.
    pub(crate) next_chunk: ChunkId,
    /// The last entry.
    pub(crate) last: Seq,
    /// Entries up to here are gone; an index that is behind is rebuilt from the chunks.
    #[serde(default)]
    pub(crate) trimmed: Seq,
    /// What every index still knew when the store was last opened. An index may fall back after a
    /// power cut, but not behind this, so this is how far the next opening trims.
    #[serde(default)]
    pub(crate) durable: Seq,
}

/// An embedder that some vector store was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownEmbedder {
    pub(crate) name: String,
    pub(crate) dims: usize,
}

/// Vectors of a store beside those that are searched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reembed {
    /// Being made.
    #[serde(default)]
    pub(crate) next: Option<Fingerprint>,
    /// Searched before, and kept to go back to.
    #[serde(default)]
    pub(crate) previous: Option<Fingerprint>,
    /// Every chunk below this that is still there has a vector of `previous`.
    #[serde(default)]
    pub(crate) previous_below: ChunkId,
}

/// A file that waits to be read or embedded. How far it has come is in its [`VectorStoreFile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) queued_at: Timestamp,
}

/// The prefix of the rows of a batch's files.
pub(crate) fn batch_prefix(batch: BatchId) -> String {
    format!("{batch}/")
}

/// The prefix of a vector store's rows.
pub(crate) fn within(store: VectorStoreId) -> String {
    format!("{store}/")
}

pub(crate) fn embedding_key(fingerprint: &Fingerprint, text: TextHash) -> String {
    (fingerprint.clone(), text).to_text()
}

pub(crate) fn blob_key(file: &File) -> String {
    format!("{}/{}", file.hash, file.id)
}

/// Appends to the log of `store`; the caller's transaction must hold the change itself.
pub(crate) fn log(
    write: &mut dyn Write,
    store: VectorStoreId,
    ends: &mut LogEnds,
    entry: LogEntry,
) -> Result<()> {
    ends.last = Seq(ends.last.0 + 1);
    LOG.put(write, &(store, ends.last), &entry)?;
    LOG_ENDS.put(write, &store, ends)
}

pub(crate) fn log_ends(read: &(impl Read + ?Sized), store: VectorStoreId) -> Result<LogEnds> {
    Ok(LOG_ENDS.get(read, &store)?.unwrap_or_default())
}

/// The vector store `id`, or an error in the Assistants API's words.
pub(crate) fn vector_store(read: &(impl Read + ?Sized), id: VectorStoreId) -> Result<VectorStore> {
    let absent = || Error::not_found(format!("No vector store found with id '{id}'."));
    VECTOR_STORES.get(read, &id)?.ok_or_else(absent)
}

/// The file `id`, or an error in the Assistants API's words.
pub(crate) fn file(read: &(impl Read + ?Sized), id: FileId) -> Result<File> {
    let absent = || Error::not_found(format!("No such File object: {id}"));
    FILES.get(read, &id)?.ok_or_else(absent)
}

/// The file `file` of the vector store `store`, or an error in the Assistants API's words.
pub(crate) fn store_file(
    read: &(impl Read + ?Sized),
    store: VectorStoreId,
    file: FileId,
) -> Result<VectorStoreFile> {
    let absent =
        || Error::not_found(format!("No file found with id '{file}' in vector store '{store}'."));
    STORE_FILES.get(read, &(store, file))?.ok_or_else(absent)
}

/// The chunks of `range` that exist, in order.
pub(crate) fn chunks_of(
    read: &dyn Read,
    store: VectorStoreId,
    range: ChunkRange,
) -> Result<Vec<IndexedChunk>> {
    if range.is_empty() {
        return Ok(vec![]);
    }
    let prefix = within(store);
    // A scan begins after a key; numbers begin at 1, so there is always one before.
    let before = (store, ChunkId(range.start.0.saturating_sub(1))).to_text();
    let limit = usize::try_from(range.len()).unwrap_or(usize::MAX);
    let scan = docent_core::Scan {
        prefix: &prefix,
        after: Some(&before),
        limit,
        ..docent_core::Scan::default()
    };
    let rows = CHUNKS.scan(read, scan)?;
    let inside = rows.into_iter().map(|(_, chunk)| chunk);
    Ok(inside.take_while(|chunk| range.contains(chunk.id)).collect())
}
