//! Uploaded files: bytes as a blob, then the row that mentions them.

use std::io;
use std::time::Duration;

use docent_core::{
    BlobHash, BlobInfo, Error, File, FileId, Key, Page, PageRequest, Purpose, Result, Scan,
    VectorStoreFile, VectorStoreId, Write, crash_point,
};

use super::{AttachOptions, Collections};
use crate::tables::{
    self, BLOB_FILES, FILE_DEADLINES, FILES, STORE_FILES, VECTOR_STORES, blob_key,
};

/// What a file is called and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Its name; folders before it are dropped.
    pub filename: &'a str,
    /// What it is for.
    pub purpose: Purpose,
}

/// Writes what mentions new files, in the transaction that writes the files.
type Along<'a> = dyn FnMut(&mut dyn Write, &[File]) -> Result<()> + 'a;

/// What is told of a file once its bytes are in.
#[derive(Clone, Debug, Default)]
pub struct FileDescription {
    /// Its name; folders before it are dropped.
    pub filename: String,
    /// What it is for.
    pub purpose: Purpose,
    /// After how long it is deleted; none is never.
    pub expires_after: Option<Duration>,
}

impl Collections {
    /// Keeps all that `source` yields as a file. Durable once it returns.
    ///
    /// # Errors
    /// When the bytes cannot be read or kept.
    pub fn create_file(
        &self,
        filename: &str,
        purpose: Purpose,
        source: &mut dyn io::Read,
    ) -> Result<File> {
        let filename = filename.to_owned();
        let told = FileDescription { filename, purpose, expires_after: None };
        self.receive_file(source, &mut || told.clone())
    }

    /// The same for a file that is described only once its bytes are in: a form may tell its
    /// purpose last.
    ///
    /// # Errors
    /// When the bytes cannot be read or kept.
    pub fn receive_file(
        &self,
        source: &mut dyn io::Read,
        describe: &mut dyn FnMut() -> FileDescription,
    ) -> Result<File> {
        self.uploading(|| {
            let blob = self.keep_bytes(source)?;
            let FileDescription { filename, purpose, expires_after } = describe();
            let mut file = self.new_file(&filename, purpose, blob);
            file.expires_at = expires_after.map(|after| file.created_at.plus(after));
            let mut write = self.store.write()?;
            put_file(&mut *write, &file)?;
            write.commit()?;
            crash_point("ingest.after-file");
            Ok(file)
        })
    }

    /// Keeps all that `source` yields as a file and [attaches](Self::attach) it, in one
    /// transaction with whatever `along` writes about it.
    ///
    /// # Errors
    /// As [`create_file`](Self::create_file) and [`attach`](Self::attach), and `along`'s own; then
    /// nothing was written.
    pub fn add_file(
        &self,
        store: VectorStoreId,
        new: NewFile<'_>,
        source: &mut dyn io::Read,
        options: AttachOptions,
        along: &mut dyn FnMut(&mut dyn Write, &File) -> Result<()>,
    ) -> Result<(File, VectorStoreFile)> {
        self.uploading(|| {
            let file = self.new_file(new.filename, new.purpose, self.keep_bytes(source)?);
            let mut write = self.store.write()?;
            put_file(&mut *write, &file)?;
            let attached = self.attach_within(&mut *write, store, &[(file.id, options)])?;
            along(&mut *write, &file)?;
            let entry = tables::store_file(&*write, store, file.id)?;
            write.commit()?;
            self.begin(attached);
            Ok((file, entry))
        })
    }

    /// Keeps bytes as files, in one transaction with whatever `along` writes about them: either all
    /// of it is there afterwards, or nothing.
    ///
    /// # Errors
    /// When the bytes cannot be kept, and `along`'s own; then nothing was written.
    pub fn create_files(
        &self,
        new: &[(NewFile<'_>, &[u8])],
        along: &mut Along<'_>,
    ) -> Result<Vec<File>> {
        self.uploading(|| {
            let mut files = Vec::with_capacity(new.len());
            let written = self.write_files(new, &mut files, along);
            if written.is_err() {
                files.iter().for_each(|file| self.collect_later(file.hash));
            }
            written.map(|()| files)
        })
    }

    fn write_files(
        &self,
        new: &[(NewFile<'_>, &[u8])],
        files: &mut Vec<File>,
        along: &mut Along<'_>,
    ) -> Result<()> {
        for (NewFile { filename, purpose }, bytes) in new {
            let blob = self.keep_bytes(&mut &**bytes)?;
            files.push(self.new_file(filename, *purpose, blob));
        }
        let mut write = self.store.write()?;
        for file in files.iter() {
            put_file(&mut *write, file)?;
        }
        along(&mut *write, files)?;
        write.commit()
    }

    /// Keeps bytes, and the row that mentions them, together: nothing is collected between, but
    /// what could not be meanwhile is then.
    pub(super) fn uploading<T>(&self, upload: impl FnOnce() -> Result<T>) -> Result<T> {
        let kept = {
            let _no_collection = self.uploads.read();
            upload()
        };
        if let Err(error) = self.collect_orphans() {
            tracing::warn!(error = format!("{error:#}"), "bytes of deleted files stay");
        }
        kept
    }

    /// The bytes are on the disk before any row mentions them.
    pub(super) fn keep_bytes(&self, source: &mut dyn io::Read) -> Result<BlobInfo> {
        let blob = self.blobs.put(source)?;
        crash_point("ingest.after-blob");
        Ok(blob)
    }

    fn new_file(&self, filename: &str, purpose: Purpose, blob: BlobInfo) -> File {
        File {
            id: FileId::new(self.ids.next_id()),
            filename: base_name(filename),
            bytes: blob.bytes,
            hash: blob.hash,
            purpose,
            created_at: self.clock.now(),
            expires_at: None,
        }
    }

    /// The file `id`.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is none, or its time is over.
    pub fn file(&self, id: FileId) -> Result<File> {
        let file = tables::file(&*self.store.read()?, id)?;
        if file.is_expired(self.clock.now()) {
            return Err(Error::not_found(format!("{id} has expired")));
        }
        Ok(file)
    }

    /// Every file, oldest first.
    pub fn files(&self) -> Result<Vec<File>> {
        let files = FILES.all(&*self.store.read()?, "")?;
        Ok(files.into_iter().map(|(_, file)| file).collect())
    }

    /// Files that are for `purpose`, or all, a page at a time, in the order they were uploaded.
    pub fn files_page(
        &self,
        purpose: Option<Purpose>,
        request: &PageRequest<FileId>,
    ) -> Result<Page<File>> {
        let now = self.clock.now();
        let wanted = |_: &FileId, file: &File| {
            purpose.is_none_or(|it| file.purpose == it) && !file.is_expired(now)
        };
        let window = request.window("", Key::to_text);
        let page = FILES.page(&*self.store.read()?, &window, wanted)?;
        Ok(page.map(|(_, file)| file))
    }

    /// The files with these bytes, oldest first.
    pub fn files_with(&self, hash: BlobHash) -> Result<Vec<File>> {
        let read = self.store.read()?;
        let ids = BLOB_FILES.all(&*read, &format!("{hash}/"))?;
        ids.into_iter().map(|(_, id)| tables::file(&*read, id)).collect()
    }

    /// The original bytes of the file `id`.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is no such file.
    pub fn open_file(&self, id: FileId) -> Result<Box<dyn io::Read + Send>> {
        self.blobs.open(self.file(id)?.hash)
    }

    /// Forgets the file `id`: it leaves every vector store in the same transaction, and its bytes
    /// go when no other file has them. Says whether there was such a file.
    ///
    /// Embeddings of its text stay, for the same text in another file, until
    /// [`check`](Self::check) finds that no chunk has it.
    pub fn delete_file(&self, id: FileId) -> Result<bool> {
        let mut write = self.store.write()?;
        let Some(file) = FILES.get(&*write, &id)? else { return Ok(false) };
        let left = self.leave_all(&mut *write, id)?;
        FILES.delete(&mut *write, &id)?;
        BLOB_FILES.delete(&mut *write, &blob_key(&file))?;
        if let Some(at) = file.expires_at {
            FILE_DEADLINES.delete(&mut *write, &(at, id))?;
        }
        write.commit()?;
        for store in left {
            self.unqueue((store, id));
            self.catch_up(store)?;
        }
        self.collect_blob(file.hash)?;
        Ok(true)
    }

    /// Deletes the files whose time is over, as [`delete_file`](Self::delete_file) does, and says
    /// how many. Nobody sees them from that time on, but searches may until they are deleted.
    pub fn delete_expired_files(&self) -> Result<usize> {
        let mut deleted = 0;
        loop {
            let first = Scan { limit: 1, ..Scan::default() };
            let next = FILE_DEADLINES.scan(&*self.store.read()?, first)?.pop();
            let Some(((at, id), ())) = next.filter(|((at, _), ())| *at <= self.clock.now()) else {
                return Ok(deleted);
            };
            if self.delete_file(id)? {
                tracing::info!(file = %id, "a file has expired");
                deleted += 1;
                continue;
            }
            // A deadline without a file: whoever wrote it was cut short.
            let mut write = self.store.write()?;
            FILE_DEADLINES.delete(&mut *write, &(at, id))?;
            write.commit()?;
        }
    }

    fn leave_all(&self, write: &mut dyn Write, id: FileId) -> Result<Vec<VectorStoreId>> {
        let mut left = vec![];
        for (store, _) in VECTOR_STORES.all(&*write, "")? {
            if STORE_FILES.get(&*write, &(store, id))?.is_some() {
                self.leave(write, store, id)?;
                left.push(store);
            }
        }
        Ok(left)
    }
}

pub(super) fn put_file(write: &mut dyn Write, file: &File) -> Result<()> {
    FILES.put(write, &file.id, file)?;
    if let Some(at) = file.expires_at {
        FILE_DEADLINES.put(write, &(at, file.id), &())?;
    }
    BLOB_FILES.put(write, &blob_key(file), &file.id)
}

/// The last part of a path of either kind of system, of a length a file system could have.
pub(super) fn base_name(filename: &str) -> String {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn a_file_is_named_without_its_folders() {
        for (given, kept) in
            [("a/b/c.pdf", "c.pdf"), (r"C:\x\手册.pdf", "手册.pdf"), ("x/", "unnamed")]
        {
            assert_eq!(base_name(given), kept);
        }
    }
}
