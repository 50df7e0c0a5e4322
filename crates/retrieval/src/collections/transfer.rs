//! Files and vector stores as they leave a library and enter another.
//!
//! What can be made again stays behind: chunks, vectors, the log, indexes. A file that was
//! completed waits to be read anew where it enters, and finds the same chunks, because they follow
//! from its bytes and its chunking strategy alone.

use std::io;

use docent_core::{
    BatchRecord, ChunkRange, Error, File, FileStatus, Imported, Read, Record, Result, VectorStore,
    VectorStoreFile, Write, check_attributes,
};

use super::Collections;
use super::attach::Attached;
use super::entries::{StoreTotals, put_entry};
use super::files::{base_name, put_file};
use super::stores::check_vector_store;
use crate::tables::{
    self, BATCH_FILES, BATCHES, FILES, JOBS, Job, STORE_FILES, TOTALS, VECTOR_STORES, batch_prefix,
};

/// Shows `each` every file, vector store, file in one, and batch that `read` has.
///
/// # Errors
/// When a row cannot be read, and those of `each`.
pub fn export(
    read: &(impl Read + ?Sized),
    each: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    FILES.each(read, |_, file| each(Record::File(file)))?;
    VECTOR_STORES.each(read, |_, store| each(Record::VectorStore(bare_store(store))))?;
    STORE_FILES.each(read, |_, entry| each(Record::VectorStoreFile(bare_entry(entry))))?;
    BATCHES.each(read, |id, batch| {
        let files = BATCH_FILES.all(read, &batch_prefix(id))?;
        let files = files.into_iter().map(|((_, file), ())| file).collect();
        each(Record::FileBatch(BatchRecord { batch, files }))
    })
}

/// Without what follows from vectors that were made here.
fn bare_store(store: VectorStore) -> VectorStore {
    VectorStore { embedder: None, ..store }
}

/// Without what follows from the file's bytes.
fn bare_entry(entry: VectorStoreFile) -> VectorStoreFile {
    VectorStoreFile {
        warnings: Vec::new(),
        pages: 0,
        chunks: ChunkRange::default(),
        embedded: 0,
        usage_bytes: 0,
        ..entry
    }
}

impl Collections {
    /// Takes in a file under the id it has, with the bytes that `source` yields. Durable once it
    /// returns.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) when these are not its bytes,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when another file has its id.
    pub fn import_file(&self, file: &File, source: &mut dyn io::Read) -> Result<Imported> {
        self.uploading(|| {
            let blob = self.keep_bytes(source)?;
            if (blob.hash, blob.bytes) != (file.hash, file.bytes) {
                self.collect_later(blob.hash);
                return Err(Error::invalid(format!(
                    "the bytes of {} are not those that its SHA-256 names",
                    file.id
                )));
            }
            let mut write = self.store.write()?;
            if let Some(present) = FILES.get(&*write, &file.id)? {
                return present_as(present == *file, file.id);
            }
            let file = File { filename: base_name(&file.filename), ..file.clone() };
            put_file(&mut *write, &file)?;
            write.commit()?;
            Ok(Imported::New)
        })
    }

    /// Takes in a vector store, a file in one, or a batch, under the id it has, as part of the
    /// caller's transaction. [`begin`](Self::begin) the files once it is committed.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when another thing has its id,
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when what it belongs to is not there,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) beyond the limits, or for another kind of
    /// record.
    pub fn import_within(
        &self,
        write: &mut dyn Write,
        record: &Record,
    ) -> Result<(Imported, Attached)> {
        match record {
            Record::VectorStore(store) => Ok((import_store(write, store)?, Attached::default())),
            Record::VectorStoreFile(entry) => self.import_entry(write, entry),
            Record::FileBatch(batch) => Ok((import_batch(write, batch)?, Attached::default())),
            other => Err(Error::invalid(format!("{other} is not a vector store's"))),
        }
    }

    fn import_entry(
        &self,
        write: &mut dyn Write,
        entry: &VectorStoreFile,
    ) -> Result<(Imported, Attached)> {
        let key = (entry.vector_store, entry.file);
        check_attributes(&entry.attributes, "attributes")?;
        tables::vector_store(&*write, entry.vector_store)?;
        tables::file(&*write, entry.file)?;
        if let Some(present) = STORE_FILES.get(&*write, &key)? {
            let same = (present.chunking, &present.attributes, present.created_at)
                == (entry.chunking, &entry.attributes, entry.created_at);
            let present =
                present_as(same, format_args!("{} in {}", entry.file, entry.vector_store));
            return Ok((present?, Attached::default()));
        }
        let mut entry = bare_entry(entry.clone());
        let mut attached = Attached::default();
        if matches!(entry.status, FileStatus::Completed | FileStatus::InProgress) {
            entry.status = FileStatus::InProgress;
            JOBS.put(write, &key, &Job { queued_at: self.clock.now() })?;
            attached = Attached::one(key);
        }
        put_entry(write, &entry)?;
        Ok((Imported::New, attached))
    }
}

fn import_store(write: &mut dyn Write, store: &VectorStore) -> Result<Imported> {
    check_vector_store(store)?;
    let store = bare_store(store.clone());
    if let Some(present) = VECTOR_STORES.get(&*write, &store.id)? {
        // It may have been used since.
        let last_active_at = store.last_active_at;
        let same = VectorStore { last_active_at, ..bare_store(present) } == store;
        return present_as(same, store.id);
    }
    VECTOR_STORES.put(write, &store.id, &store)?;
    TOTALS.put(write, &store.id, &StoreTotals::default())?;
    Ok(Imported::New)
}

fn import_batch(write: &mut dyn Write, record: &BatchRecord) -> Result<Imported> {
    let BatchRecord { batch, files } = record;
    tables::vector_store(&*write, batch.vector_store)?;
    if let Some(present) = BATCHES.get(&*write, &batch.id)? {
        return present_as(present == *batch, batch.id);
    }
    BATCHES.put(write, &batch.id, batch)?;
    for file in files {
        BATCH_FILES.put(write, &(batch.id, *file), &())?;
    }
    Ok(Imported::New)
}

/// What was to enter is there: either just so, or it is something else.
fn present_as(same: bool, name: impl std::fmt::Display) -> Result<Imported> {
    if same {
        return Ok(Imported::Present);
    }
    Err(Error::conflict(format!(
        "{name} is there already, with other content; import into another library, or delete it \
         first"
    )))
}
