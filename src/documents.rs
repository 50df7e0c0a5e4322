//! Documents: files of the user's that the library follows by their path.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use docent_core::{
    BlobHash, Blobs, Error, ErrorKind, File, FileId, FileStatus, Imported, Purpose, Result, Store,
    Table, VectorStoreFile,
};
use docent_retrieval::{AttachOptions, NewFile};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Library;

/// Documents by their absolute path.
pub(crate) const DOCUMENTS: Table<String, Tracked> = Table::new("documents");

/// What became of a path that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Added {
    /// It is in the library now, and waits to be processed.
    New(FileId),
    /// It was there with other content; the new waits to be processed, the old is found until then.
    Changed(FileId),
    /// It was there just as it is.
    Unchanged(FileId),
}

impl Added {
    /// The file it is in the library.
    pub fn file(self) -> FileId {
        let (Self::New(file) | Self::Changed(file) | Self::Unchanged(file)) = self;
        file
    }
}

/// A document of the library.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it was added from; none for a file that came in through the API.
    pub path: Option<PathBuf>,
    /// Its bytes.
    pub file: File,
    /// How far it has come.
    pub state: VectorStoreFile,
}

/// What we know of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tracked {
    file: FileId,
    hash: BlobHash,
    #[serde(flatten)]
    stamp: Stamp,
    /// Older versions, which leave once this one is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaces: Vec<FileId>,
}

/// While these stay the same, a file is taken as unchanged without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// Nanoseconds since the epoch.
    modified: u64,
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Result<Self> {
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { bytes: metadata.len(), modified: nanos })
    }
}

impl Library {
    /// Adds the document at `path`, durably; [`process`](Self::process) then reads it. One whose
    /// size and modification time are unchanged is not opened.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for what is no regular file or has a name that
    /// is not Unicode, [`NotFound`](docent_core::ErrorKind::NotFound) for what is not there.
    pub fn add(&self, path: impl AsRef<Path>) -> Result<Added> {
        let path = fs::canonicalize(path.as_ref())?;
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(Error::invalid(format!("{} is no regular file", path.display())));
        }
        let (Some(key), Some(name)) = (path.to_str(), path.file_name().and_then(|it| it.to_str()))
        else {
            return Err(Error::invalid(format!("the name {} is not Unicode", path.display())));
        };
        let stamp = Stamp::of(&metadata)?;
        let known = self.tracked(key)?;
        if let Some(known) = known.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(Added::Unchanged(known.file));
        }
        // The hash tells a file that was only touched from one that was changed.
        let blob = self.dir().blobs().put(&mut fs::File::open(&path)?)?;
        match known {
            Some(known) if known.hash == blob.hash => {
                let file = known.file;
                self.track(key, &Tracked { stamp, ..known })?;
                Ok(Added::Unchanged(file))
            }
            known => self.take_in(key, name, blob.hash, stamp, known),
        }
    }

    /// The file, its place in the vector store and its path become known in one transaction.
    fn take_in(
        &self,
        key: &str,
        name: &str,
        hash: BlobHash,
        stamp: Stamp,
        known: Option<Tracked>,
    ) -> Result<Added> {
        let mut source: Box<dyn io::Read + Send> = self.dir().blobs().open(hash)?;
        let changed = known.is_some();
        let replaces: Vec<FileId> =
            known.into_iter().flat_map(|old| old.replaces.into_iter().chain([old.file])).collect();
        let (file, _) = self.collections().add_file(
            self.vector_store(),
            NewFile { filename: name, purpose: Purpose::Assistants },
            &mut source,
            AttachOptions::default(),
            &mut |write, file| {
                let row = Tracked { file: file.id, hash, stamp, replaces: replaces.clone() };
                DOCUMENTS.put(write, &key.to_owned(), &row)
            },
        )?;
        Ok(if changed { Added::Changed(file.id) } else { Added::New(file.id) })
    }

    /// Every document, in the order they came.
    pub fn documents(&self) -> Result<Vec<Document>> {
        let rows = DOCUMENTS.all(self.dir().store().read()?.as_ref(), "")?;
        let mut paths: std::collections::HashMap<FileId, PathBuf> =
            rows.into_iter().map(|(path, row)| (row.file, PathBuf::from(path))).collect();
        let mut documents = Vec::new();
        for state in self.collections().vector_store_files(self.vector_store())? {
            let file = self.collections().file(state.file)?;
            documents.push(Document { path: paths.remove(&file.id), file, state });
        }
        Ok(documents)
    }

    /// Lets go of older versions of documents whose newer version is in.
    pub(crate) fn retire_replaced(&self) -> Result<()> {
        let rows = DOCUMENTS.all(self.dir().store().read()?.as_ref(), "")?;
        for (path, row) in rows.into_iter().filter(|(_, row)| !row.replaces.is_empty()) {
            let state = self.collections().vector_store_file(self.vector_store(), row.file)?;
            if state.status == FileStatus::InProgress {
                continue;
            }
            for old in &row.replaces {
                self.collections().delete_file(*old)?;
            }
            self.track(&path, &Tracked { replaces: Vec::new(), ..row })?;
        }
        Ok(())
    }

    /// Forgets the path that `file` came from, so that adding it again is adding it anew.
    pub(crate) fn forget_document(&self, file: FileId) -> Result<()> {
        let mut write = self.dir().store().write()?;
        let rows = DOCUMENTS.all(write.as_ref(), "")?;
        for (path, _) in rows.into_iter().filter(|(_, row)| row.file == file) {
            DOCUMENTS.delete(write.as_mut(), &path)?;
        }
        write.commit()
    }

    /// What we know of a path, unless its file was deleted meanwhile.
    fn tracked(&self, path: &str) -> Result<Option<Tracked>> {
        let row = DOCUMENTS.get(self.dir().store().read()?.as_ref(), &path.to_owned())?;
        let Some(row) = row else { return Ok(None) };
        match self.collections().vector_store_file(self.vector_store(), row.file) {
            Ok(_) => Ok(Some(row)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has `path` lead to a document that was imported, unless it leads to another, or the document
    /// is not among ours.
    pub(crate) fn import_document(&self, path: &str, row: &Tracked) -> Result<Imported> {
        match self.collections().vector_store_file(self.vector_store(), row.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Imported::Present),
            entered => entered.map(drop)?,
        }
        if self.tracked(path)?.is_some() {
            return Ok(Imported::Present);
        }
        self.track(path, row)?;
        Ok(Imported::New)
    }

    fn track(&self, path: &str, row: &Tracked) -> Result<()> {
        let mut write = self.dir().store().write()?;
        DOCUMENTS.put(write.as_mut(), &path.to_owned(), row)?;
        write.commit()
    }
}
