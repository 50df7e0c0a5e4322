//! Batches: files that enter a vector store together, and can be called off together.

use std::collections::BTreeSet;

use docent_core::{
    BatchId, BatchStatus, Error, FileBatch, FileCounts, FileId, FileStatus, Page, PageRequest,
    Read, Result, VectorStoreFile, VectorStoreId, crash_point,
};

use super::entries::put_entry;
use super::queue::JobKey;
use super::{AttachOptions, Collections};
use crate::tables::{BATCH_FILES, BATCHES, STORE_FILES, batch_prefix};

/// A batch and how far its files have come.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSummary {
    /// The batch.
    pub batch: FileBatch,
    /// How many of its files are in which state. One that has left the store is not counted.
    pub files: FileCounts,
    /// What that comes to.
    pub status: BatchStatus,
}

impl Collections {
    /// Puts files in a vector store, all or none, and remembers them as a batch.
    ///
    /// # Errors
    /// As [`attach`](Self::attach); [`Invalid`](docent_core::ErrorKind::Invalid) without a file.
    pub fn create_batch(
        &self,
        store: VectorStoreId,
        files: &[(FileId, AttachOptions)],
    ) -> Result<BatchSummary> {
        if files.is_empty() {
            let message = "Invalid 'file_ids': empty array. Expected an array with minimum length \
                           1, but got an empty array instead.";
            return Err(Error::invalid(message).about("file_ids", "empty_array"));
        }
        let batch = FileBatch {
            id: BatchId::new(self.ids.next_id()),
            vector_store: store,
            created_at: self.clock.now(),
            cancelled_at: None,
        };
        let mut write = self.store.write()?;
        let attached = self.attach_within(&mut *write, store, files)?;
        BATCHES.put(&mut *write, &batch.id, &batch)?;
        for (file, _) in files {
            BATCH_FILES.put(&mut *write, &(batch.id, *file), &())?;
        }
        let summary = summary(&*write, batch)?;
        write.commit()?;
        self.begin(attached);
        Ok(summary)
    }

    /// A batch of `store`.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is none.
    pub fn batch(&self, store: VectorStoreId, id: BatchId) -> Result<BatchSummary> {
        let read = self.store.read()?;
        summary(&*read, batch(&*read, store, id)?)
    }

    /// The files of a batch that are in its store, a page at a time, in the order they were added.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such batch, or the page's
    /// cursor is no file of it.
    pub fn batch_files(
        &self,
        store: VectorStoreId,
        id: BatchId,
        status: Option<FileStatus>,
        request: &PageRequest<FileId>,
    ) -> Result<Page<VectorStoreFile>> {
        let read = self.store.read()?;
        let files = entries(&*read, &batch(&*read, store, id)?)?;
        super::attach::page_of(store, files, status, request)
    }

    /// Calls off what is not done of a batch. Files that are keep on being found.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such batch,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when nothing of it is under way.
    pub fn cancel_batch(&self, store: VectorStoreId, id: BatchId) -> Result<BatchSummary> {
        let mut write = self.store.write()?;
        let found = batch(&*write, store, id)?;
        let before = summary(&*write, found.clone())?;
        if before.status != BatchStatus::InProgress {
            return Err(Error::conflict(format!(
                "Cannot cancel vector store file batch with status '{}'.",
                before.status.as_str()
            )));
        }
        let mut cancelled: Vec<JobKey> = vec![];
        for mut entry in entries(&*write, &found)? {
            if entry.status == FileStatus::InProgress {
                self.forget_content(&mut *write, &mut entry)?;
                entry.status = FileStatus::Cancelled;
                put_entry(&mut *write, &entry)?;
                cancelled.push((store, entry.file));
            }
        }
        let cancelled_at = Some(self.clock.now());
        let found = FileBatch { cancelled_at, ..found };
        BATCHES.put(&mut *write, &id, &found)?;
        let after = summary(&*write, found)?;
        write.commit()?;
        crash_point("ingest.after-cancel");
        cancelled.into_iter().for_each(|key| self.unqueue(key));
        self.catch_up(store)?;
        Ok(after)
    }
}

/// The batch `id`, if it is of `store`.
fn batch(read: &(impl Read + ?Sized), store: VectorStoreId, id: BatchId) -> Result<FileBatch> {
    let batch = BATCHES.get(read, &id)?.filter(|batch| batch.vector_store == store);
    batch.ok_or_else(|| {
        Error::not_found(format!("No file batch found with id '{id}' in vector store '{store}'."))
    })
}

fn entries(read: &(impl Read + ?Sized), batch: &FileBatch) -> Result<Vec<VectorStoreFile>> {
    let files = BATCH_FILES.all(read, &batch_prefix(batch.id))?;
    let files: BTreeSet<FileId> = files.into_iter().map(|((_, file), ())| file).collect();
    let entries = files.into_iter().map(|file| STORE_FILES.get(read, &(batch.vector_store, file)));
    entries.filter_map(Result::transpose).collect()
}

fn summary(read: &(impl Read + ?Sized), batch: FileBatch) -> Result<BatchSummary> {
    let mut files = FileCounts::default();
    for entry in entries(read, &batch)? {
        *files.of(entry.status) += 1;
    }
    let status = match batch.cancelled_at {
        _ if files.in_progress > 0 => BatchStatus::InProgress,
        Some(_) => BatchStatus::Cancelled,
        None => BatchStatus::Completed,
    };
    Ok(BatchSummary { batch, files, status })
}
