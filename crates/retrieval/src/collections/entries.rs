//! The rows of files in vector stores, and the totals that every change of one keeps right.
//!
//! Counting a store's files by looking at them all would take longer the larger it is, and clients
//! that wait for a store to be ready ask every second. For the same reason a filtered search keeps
//! the attributes it has read ([`FileAttributes`]): ten thousand rows take longer to read than
//! everything else that a search does.

use std::sync::{Arc, Mutex, PoisonError};

use docent_core::{
    Attributes, ChunkRange, ChunkSet, FileCounts, Filter, Read, Result, VectorStoreFile,
    VectorStoreId, Write,
};
use serde::{Deserialize, Serialize};

use super::queue::JobKey;
use crate::tables::{ENTRY_VERSIONS, STORE_FILES, TOTALS, within};

/// What a vector store's files come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTotals {
    /// How many files are in which state.
    pub files: FileCounts,
    /// What their text takes up.
    pub usage_bytes: u64,
}

impl StoreTotals {
    fn add(&mut self, entry: &VectorStoreFile) {
        *self.files.of(entry.status) += 1;
        self.usage_bytes += entry.usage_bytes;
    }

    fn remove(&mut self, entry: &VectorStoreFile) {
        let count = self.files.of(entry.status);
        *count = count.saturating_sub(1);
        self.usage_bytes = self.usage_bytes.saturating_sub(entry.usage_bytes);
    }
}

/// The totals of `store`; counted where none are kept, in a library from before there were any.
pub(super) fn totals(read: &(impl Read + ?Sized), store: VectorStoreId) -> Result<StoreTotals> {
    match TOTALS.get(read, &store)? {
        Some(totals) => Ok(totals),
        None => counted(read, store),
    }
}

/// The totals of `store` by looking at all its files.
pub(super) fn counted(read: &(impl Read + ?Sized), store: VectorStoreId) -> Result<StoreTotals> {
    let mut totals = StoreTotals::default();
    for (_, entry) in STORE_FILES.all(read, &within(store))? {
        totals.add(&entry);
    }
    Ok(totals)
}

pub(super) fn put_entry(write: &mut dyn Write, entry: &VectorStoreFile) -> Result<()> {
    let key = (entry.vector_store, entry.file);
    let mut totals = totals(&*write, entry.vector_store)?;
    if let Some(before) = STORE_FILES.get(&*write, &key)? {
        totals.remove(&before);
    }
    totals.add(entry);
    STORE_FILES.put(write, &key, entry)?;
    TOTALS.put(write, &entry.vector_store, &totals)?;
    grow_version(write, entry.vector_store)
}

fn grow_version(write: &mut dyn Write, store: VectorStoreId) -> Result<()> {
    let version = entry_version(&*write, store)?;
    ENTRY_VERSIONS.put(write, &store, &(version + 1))
}

/// As long as it is the same, so are the rows of `store`'s files.
pub(super) fn entry_version(read: &(impl Read + ?Sized), store: VectorStoreId) -> Result<u64> {
    Ok(ENTRY_VERSIONS.get(read, &store)?.unwrap_or_default())
}

/// Removes a row; gives what it was.
pub(super) fn delete_entry(write: &mut dyn Write, key: JobKey) -> Result<Option<VectorStoreFile>> {
    let Some(entry) = STORE_FILES.get(&*write, &key)? else { return Ok(None) };
    let mut totals = totals(&*write, key.0)?;
    totals.remove(&entry);
    STORE_FILES.delete(write, &key)?;
    TOTALS.put(write, &key.0, &totals)?;
    grow_version(write, key.0)?;
    Ok(Some(entry))
}

/// The attributes of a store's files and which chunks are theirs, read when a filter first asks.
#[derive(Debug, Default)]
pub(super) struct FileAttributes(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    /// Of the rows that were read.
    version: u64,
    files: Arc<[(Attributes, ChunkRange)]>,
}

impl FileAttributes {
    /// The chunks of `store` that `filter` lets through, as the snapshot `read` has them.
    pub(super) fn allowed(
        &self,
        read: &dyn Read,
        store: VectorStoreId,
        filter: &Filter,
    ) -> Result<ChunkSet> {
        let files = self.files(read, store)?;
        let matching = files.iter().filter(|(attributes, _)| filter.matches(attributes));
        Ok(ChunkSet::from_ranges(matching.map(|(_, chunks)| *chunks)))
    }

    fn files(
        &self,
        read: &dyn Read,
        store: VectorStoreId,
    ) -> Result<Arc<[(Attributes, ChunkRange)]>> {
        let version = entry_version(read, store)?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.version == version) {
            return Ok(Arc::clone(&kept.files));
        }
        drop(kept);
        let rows = STORE_FILES.all(read, &within(store))?;
        let files = rows.into_iter().map(|(_, file)| (file.attributes, file.chunks)).collect();
        let kept = Kept { version, files };
        let files = Arc::clone(&kept.files);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(files)
    }
}
