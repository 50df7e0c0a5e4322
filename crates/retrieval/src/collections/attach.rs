//! Files in vector stores: attached, looked at, detached.

use docent_core::{
    Attributes, ChunkId, ChunkRange, ChunkingStrategy, Error, FileId, FileStatus, IndexedChunk,
    Result, VectorStoreFile, VectorStoreId, Write, crash_point,
};

use super::Collections;
use crate::tables::{
    CHUNKS, FILES, JOBS, Job, LogEntry, STORE_FILES, VECTOR_STORES, chunks_of, log, log_ends,
    required, within,
};

/// How a file enters a vector store.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// How it is cut.
    pub chunking: ChunkingStrategy,
    /// What searches may filter it by.
    pub attributes: Attributes,
}

impl Collections {
    /// Puts a file in a vector store. It waits there, durably, for [`process`](Self::process).
    ///
    /// A file that is there already, cut the same way, takes on the new attributes and is not read
    /// again, unless it failed before.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store or file,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when the file is there, cut otherwise.
    pub fn attach(
        &self,
        store: VectorStoreId,
        file: FileId,
        options: AttachOptions,
    ) -> Result<VectorStoreFile> {
        let mut write = self.store.write()?;
        let (attached, waits) = self.attach_in(&mut *write, store, file, options)?;
        write.commit()?;
        crash_point("ingest.after-attach");
        if waits {
            self.queue.push((store, file), true);
        }
        Ok(attached)
    }

    /// The rows of [`attach`](Self::attach), and whether the file waits for its turn now.
    pub(super) fn attach_in(
        &self,
        write: &mut dyn Write,
        store: VectorStoreId,
        file: FileId,
        options: AttachOptions,
    ) -> Result<(VectorStoreFile, bool)> {
        let key = (store, file);
        let now = self.clock.now();
        let mut vector_store = required(&VECTOR_STORES, &*write, &store, "vector store")?;
        required(&FILES, &*write, &file, "file")?;
        let present = STORE_FILES.get(&*write, &key)?.filter(|present| !gave_up(present.status));
        let waits = present.is_none();
        let attached = match present {
            None => new_entry(store, file, now, options),
            Some(present) if present.chunking != options.chunking => {
                return Err(Error::conflict(format!(
                    "{file} is in {store}, cut otherwise; detach it first"
                )));
            }
            Some(present) => VectorStoreFile { attributes: options.attributes, ..present },
        };
        STORE_FILES.put(write, &key, &attached)?;
        if waits {
            JOBS.put(write, &key, &Job { queued_at: now })?;
        }
        vector_store.last_active_at = now;
        VECTOR_STORES.put(write, &store, &vector_store)?;
        Ok((attached, waits))
    }

    /// Takes a file out of a vector store; says whether it was in. It is not found any more once
    /// this returns.
    pub fn detach(&self, store: VectorStoreId, file: FileId) -> Result<bool> {
        let mut write = self.store.write()?;
        if !self.leave(&mut *write, store, file)? {
            return Ok(false);
        }
        write.commit()?;
        self.queue.remove((store, file));
        self.catch_up(store)?;
        Ok(true)
    }

    /// Removes a file's row, its chunks and its job, and logs it.
    pub(super) fn leave(
        &self,
        write: &mut dyn Write,
        store: VectorStoreId,
        file: FileId,
    ) -> Result<bool> {
        let key = (store, file);
        let Some(present) = STORE_FILES.get(&*write, &key)? else { return Ok(false) };
        STORE_FILES.delete(write, &key)?;
        JOBS.delete(write, &key)?;
        let chunks = present.chunks;
        if !chunks.is_empty() {
            for chunk in chunks.iter() {
                CHUNKS.delete(write, &(store, chunk))?;
            }
            let mut ends = log_ends(&*write, store)?;
            log(write, store, &mut ends, LogEntry::Removed { file, chunks })?;
        }
        Ok(true)
    }

    /// A file in a vector store.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when it is not in.
    pub fn vector_store_file(&self, store: VectorStoreId, file: FileId) -> Result<VectorStoreFile> {
        let present = STORE_FILES.get(&*self.store.read()?, &(store, file))?;
        present.ok_or_else(|| Error::not_found(format!("{file} is not in {store}")))
    }

    /// The files of a vector store, oldest first.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store.
    pub fn vector_store_files(&self, store: VectorStoreId) -> Result<Vec<VectorStoreFile>> {
        let read = self.store.read()?;
        required(&VECTOR_STORES, &*read, &store, "vector store")?;
        let files = STORE_FILES.all(&*read, &within(store))?;
        Ok(files.into_iter().map(|(_, file)| file).collect())
    }

    /// A chunk, if it is still there.
    pub fn chunk(&self, store: VectorStoreId, chunk: ChunkId) -> Result<Option<IndexedChunk>> {
        CHUNKS.get(&*self.store.read()?, &(store, chunk))
    }

    /// The chunks of a file, in order; none until it was read.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when the file is not in the store.
    pub fn file_chunks(&self, store: VectorStoreId, file: FileId) -> Result<Vec<IndexedChunk>> {
        let read = self.store.read()?;
        let present = STORE_FILES.get(&*read, &(store, file))?;
        let present =
            present.ok_or_else(|| Error::not_found(format!("{file} is not in {store}")))?;
        chunks_of(&*read, store, present.chunks)
    }
}

fn gave_up(status: FileStatus) -> bool {
    matches!(status, FileStatus::Failed | FileStatus::Cancelled)
}

fn new_entry(
    vector_store: VectorStoreId,
    file: FileId,
    created_at: docent_core::Timestamp,
    options: AttachOptions,
) -> VectorStoreFile {
    VectorStoreFile {
        file,
        vector_store,
        status: FileStatus::InProgress,
        last_error: None,
        warnings: vec![],
        chunking: options.chunking,
        attributes: options.attributes,
        created_at,
        pages: 0,
        chunks: ChunkRange::default(),
        embedded: 0,
    }
}
