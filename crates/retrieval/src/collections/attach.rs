//! Files in vector stores: attached, looked at, detached.

use docent_core::{
    Attributes, ChunkId, ChunkRange, ChunkingStrategy, Error, FileId, FileStatus, IndexedChunk,
    Page, PageRequest, Result, VectorStoreFile, VectorStoreId, Write, check_attributes,
    crash_point,
};

use super::entries::{delete_entry, put_entry};
use super::queue::JobKey;
use super::{Collections, NewVectorStore};
use crate::tables::{
    self, CHUNKS, JOBS, Job, LogEntry, STORE_FILES, VECTOR_STORES, chunks_of, log, log_ends, within,
};

/// Files that were attached in a transaction, to [`begin`](Collections::begin) once it is committed.
#[derive(Debug, Default)]
#[must_use = "begin the files once their transaction is committed"]
pub struct Attached(Vec<JobKey>);

impl Attached {
    /// One file that waits now.
    pub(super) fn one(key: JobKey) -> Self {
        Self(vec![key])
    }

    /// The files that wait now.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        self.0.iter().map(|(_, file)| *file)
    }

    /// These and those of `other`.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

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
        self.attach_all(store, &[(file, options)])?;
        self.vector_store_file(store, file)
    }

    /// [Attaches](Self::attach) several files, all or none.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_all(
        &self,
        store: VectorStoreId,
        files: &[(FileId, AttachOptions)],
    ) -> Result<()> {
        let mut write = self.store.write()?;
        let attached = self.attach_within(&mut *write, store, files)?;
        write.commit()?;
        self.begin(attached);
        Ok(())
    }

    /// The rows of [`attach_all`](Self::attach_all), as part of the caller's transaction.
    /// [`begin`](Self::begin) the files once it is committed; a process that dies before finds them
    /// when the library is next opened.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_within(
        &self,
        write: &mut dyn Write,
        store: VectorStoreId,
        files: &[(FileId, AttachOptions)],
    ) -> Result<Attached> {
        let now = self.clock.now();
        let mut vector_store = tables::vector_store(&*write, store)?;
        let mut waiting = vec![];
        for (file, options) in files {
            let key = (store, *file);
            check_attributes(&options.attributes, "attributes")?;
            tables::file(&*write, *file)?;
            let present = STORE_FILES.get(&*write, &key)?;
            let present = present.filter(|present| !gave_up(present.status));
            let entry = match present {
                None => {
                    JOBS.put(write, &key, &Job { queued_at: now })?;
                    waiting.push(key);
                    new_entry(store, *file, now, options.clone())
                }
                Some(present) if present.chunking != options.chunking => {
                    return Err(Error::conflict(format!(
                        "{file} is in {store}, cut otherwise; detach it first"
                    )));
                }
                Some(present) => {
                    VectorStoreFile { attributes: options.attributes.clone(), ..present }
                }
            };
            put_entry(write, &entry)?;
        }
        vector_store.last_active_at = now;
        VECTOR_STORES.put(write, &store, &vector_store)?;
        Ok(Attached(waiting))
    }

    /// Puts files in `store` as part of the caller's transaction, or in a store made from `new`
    /// where it is none, or gone. One that is in already stays as it is, however it is cut.
    ///
    /// # Errors
    /// As [`attach`](Self::attach), but for the conflict.
    pub fn join_within(
        &self,
        write: &mut dyn Write,
        store: Option<VectorStoreId>,
        new: NewVectorStore,
        files: &[FileId],
    ) -> Result<(VectorStoreId, Attached)> {
        let present = store.map(|id| VECTOR_STORES.get(&*write, &id)).transpose()?.flatten();
        let store = match present {
            Some(present) => present.id,
            None => self.create_vector_store_within(write, new)?.0.id,
        };
        let mut missing = vec![];
        for file in files {
            let present = STORE_FILES.get(&*write, &(store, *file))?;
            if present.is_none_or(|present| gave_up(present.status)) {
                missing.push((*file, AttachOptions::default()));
            }
        }
        Ok((store, self.attach_within(write, store, &missing)?))
    }

    /// Hands files whose attachment is committed to [`process`](Self::process).
    pub fn begin(&self, attached: Attached) {
        if !attached.0.is_empty() {
            crash_point("ingest.after-attach");
        }
        attached.0.into_iter().for_each(|key| self.queue.push(key, true));
    }

    /// Takes a file out of a vector store; says whether it was in. It is not found any more once
    /// this returns.
    pub fn detach(&self, store: VectorStoreId, file: FileId) -> Result<bool> {
        let mut write = self.store.write()?;
        if !self.leave(&mut *write, store, file)? {
            return Ok(false);
        }
        write.commit()?;
        self.unqueue((store, file));
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
        let Some(mut left) = delete_entry(write, (store, file))? else { return Ok(false) };
        self.forget_content(write, &mut left)?;
        Ok(true)
    }

    /// Removes what was read of a file, and its job, and logs it.
    pub(super) fn forget_content(
        &self,
        write: &mut dyn Write,
        entry: &mut VectorStoreFile,
    ) -> Result<()> {
        let (store, file) = (entry.vector_store, entry.file);
        JOBS.delete(write, &(store, file))?;
        let chunks = std::mem::take(&mut entry.chunks);
        (entry.pages, entry.embedded, entry.usage_bytes) = (0, 0, 0);
        if !chunks.is_empty() {
            for chunk in chunks.iter() {
                CHUNKS.delete(write, &(store, chunk))?;
            }
            let mut ends = log_ends(&*write, store)?;
            log(write, store, &mut ends, LogEntry::Removed { file, chunks })?;
        }
        Ok(())
    }

    /// A file in a vector store.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when it is not in.
    pub fn vector_store_file(&self, store: VectorStoreId, file: FileId) -> Result<VectorStoreFile> {
        tables::store_file(&*self.store.read()?, store, file)
    }

    /// Gives a file in a vector store other attributes; searches filter by them at once.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when it is not in,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) beyond the limits.
    pub fn update_attributes(
        &self,
        store: VectorStoreId,
        file: FileId,
        attributes: Attributes,
    ) -> Result<VectorStoreFile> {
        check_attributes(&attributes, "attributes")?;
        let mut write = self.store.write()?;
        let entry = tables::store_file(&*write, store, file)?;
        let entry = VectorStoreFile { attributes, ..entry };
        put_entry(&mut *write, &entry)?;
        write.commit()?;
        Ok(entry)
    }

    /// The files of a vector store, oldest first.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store.
    pub fn vector_store_files(&self, store: VectorStoreId) -> Result<Vec<VectorStoreFile>> {
        let read = self.store.read()?;
        tables::vector_store(&*read, store)?;
        let files = STORE_FILES.all(&*read, &within(store))?;
        Ok(files.into_iter().map(|(_, file)| file).collect())
    }

    /// The files of a vector store that are in `status`, or all, a page at a time, in the order
    /// they were attached.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such store, or the page's
    /// cursor is no file of it.
    pub fn vector_store_files_page(
        &self,
        store: VectorStoreId,
        status: Option<FileStatus>,
        request: &PageRequest<FileId>,
    ) -> Result<Page<VectorStoreFile>> {
        page_of(store, self.vector_store_files(store)?, status, request)
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
        let present = tables::store_file(&*read, store, file)?;
        chunks_of(&*read, store, present.chunks)
    }

    /// The text that was read from a file, whole; empty until it was read.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when the file is not in the store.
    pub fn file_text(&self, store: VectorStoreId, file: FileId) -> Result<String> {
        let (mut text, mut end) = (String::new(), 0_usize);
        for IndexedChunk { chunk, .. } in self.file_chunks(store, file)? {
            // Chunks overlap, and together hold every byte.
            let start = chunk.start as usize;
            text.push_str(chunk.text.get(end.saturating_sub(start)..).unwrap_or_default());
            end = start + chunk.text.len();
        }
        Ok(text)
    }
}

/// The page of `files` that `request` asks for. Files that were attached together stand in the
/// order they were uploaded.
pub(super) fn page_of(
    store: VectorStoreId,
    mut files: Vec<VectorStoreFile>,
    status: Option<FileStatus>,
    request: &PageRequest<FileId>,
) -> Result<Page<VectorStoreFile>> {
    files.sort_by_key(|file| (file.created_at, file.file));
    // The cursor may have left the state that is asked for, but not the list.
    for cursor in request.after.iter().chain(&request.before) {
        if !files.iter().any(|file| file.file == *cursor) {
            return Err(Error::not_found(format!(
                "No file found with id '{cursor}' in vector store '{store}'."
            )));
        }
    }
    let kept = |file: &VectorStoreFile| {
        status.is_none_or(|status| file.status == status)
            || request.after == Some(file.file)
            || request.before == Some(file.file)
    };
    files.retain(kept);
    Ok(Page::of(files, request, |file| file.file))
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
        usage_bytes: 0,
    }
}
