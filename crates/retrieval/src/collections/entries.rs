//! The rows of files in vector stores, and the totals that every change of one keeps right.
//!
//! Counting a store's files by looking at them all would take longer the larger it is, and clients
//! that wait for a store to be ready ask every second.

use docent_core::{FileCounts, Read, Result, VectorStoreFile, VectorStoreId, Write};
use serde::{Deserialize, Serialize};

use super::queue::JobKey;
use crate::tables::{STORE_FILES, TOTALS, within};

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
    TOTALS.put(write, &entry.vector_store, &totals)
}

/// Removes a row; gives what it was.
pub(super) fn delete_entry(write: &mut dyn Write, key: JobKey) -> Result<Option<VectorStoreFile>> {
    let Some(entry) = STORE_FILES.get(&*write, &key)? else { return Ok(None) };
    let mut totals = totals(&*write, key.0)?;
    totals.remove(&entry);
    STORE_FILES.delete(write, &key)?;
    TOTALS.put(write, &key.0, &totals)?;
    Ok(Some(entry))
}
