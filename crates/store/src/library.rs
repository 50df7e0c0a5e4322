//! A library: the directory that everything of one Docent is in.
//!
//! ```text
//! library/
//!   LOCK  VERSION     checked before anything else is opened
//!   state.sqlite      the truth
//!   blobs/            original bytes, named by their hash
//!   indexes/          caches; may be deleted while no one has the library open
//!   keys.json         who may ask, over HTTP; needs no lock
//!   projects/NAME/    libraries of their own, one for each further project
//! ```

mod keys;
mod lock;
mod version;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{Error, ErrorKind, Result};
use fs_err as fs;

use crate::blobs::DirBlobs;
use crate::sqlite::{CheckDepth, SqliteOptions, SqliteStore};

pub use keys::{DEFAULT_PROJECT, KeyEntry, KeyFile, NewKey, check_project, project_dir};
pub(crate) use lock::DirLock;
pub use version::FORMAT;

/// Whether a library may come into being by opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is created where there is none.
    OpenOrCreate,
    /// It must exist.
    OpenExisting,
}

/// An open library. No other process, nor this one a second time, can open it until this value and
/// every `Arc` it gave out are dropped.
#[derive(Debug)]
pub struct LibraryDir {
    path: PathBuf,
    store: Arc<SqliteStore>,
    blobs: Arc<DirBlobs>,
}

impl LibraryDir {
    /// Opens the library at `path`.
    ///
    /// # Errors
    /// - `NotFound`: there is none, and `mode` does not allow to create it.
    /// - `Conflict`: another process has it open; the message names it.
    /// - `Invalid`: the directory is someone else's, or a newer Docent's.
    /// - `Corrupt`: `VERSION` or `state.sqlite` is damaged.
    /// - `Unavailable`: it cannot be written, or the disk is full.
    pub fn open(path: impl AsRef<Path>, mode: Mode) -> Result<Self> {
        Self::open_dir(path.as_ref(), mode)
    }

    fn open_dir(path: &Path, mode: Mode) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let contents = Contents::of(&path)?;
        contents.admit(&path, mode)?;
        if contents == Contents::Missing {
            fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
        }
        let lock = Arc::new(DirLock::take(&path)?);
        // Someone may have come between the look and the lock.
        Contents::of(&path)?.admit(&path, mode)?;
        version::bring_up_to_date(&path)?;

        let options = SqliteOptions::default();
        let state = path.join("state.sqlite");
        let store = SqliteStore::open_locked(&state, &options, Some(Arc::clone(&lock)))?;
        let blobs = DirBlobs::open_locked(&path.join("blobs"), Some(lock))?;
        crate::blobs::sync_dir(&path)?;
        Ok(Self { path, store: Arc::new(store), blobs: Arc::new(blobs) })
    }

    /// Where the library is; absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its transactions.
    pub fn store(&self) -> &Arc<SqliteStore> {
        &self.store
    }

    /// Its original bytes.
    pub fn blobs(&self) -> &Arc<DirBlobs> {
        &self.blobs
    }

    /// Where indexes may keep their files. May not exist yet.
    pub fn indexes_dir(&self) -> PathBuf {
        self.path.join("indexes")
    }

    /// Says what is damaged in the database and the blobs; nothing if all is well. With
    /// [`CheckDepth::Full`] every blob is read and compared with its name.
    pub fn check(&self, depth: CheckDepth) -> Result<Vec<String>> {
        let mut findings = self.store.check(depth)?;
        if depth == CheckDepth::Full {
            for blob in docent_core::Blobs::list(&*self.blobs)? {
                match self.blobs.verify(blob.hash) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        findings.push(error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(findings)
    }
}

/// What a directory holds, before it is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Missing,
    /// Nothing, or no more than a beginning that was cut off before `VERSION`.
    Empty,
    Library,
    Foreign,
}

impl Contents {
    fn of(path: &Path) -> Result<Self> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(error) => return Err(error.into()),
        };
        let mut contents = Self::Empty;
        for entry in entries {
            let name = entry?.file_name();
            if name == version::FILE {
                return Ok(Self::Library);
            }
            if name != lock::FILE && name != version::STAGED {
                contents = Self::Foreign;
            }
        }
        Ok(contents)
    }

    /// Whether a library may be opened here.
    fn admit(self, path: &Path, mode: Mode) -> Result<()> {
        let path = path.display();
        match (self, mode) {
            (Self::Library, _) | (Self::Missing | Self::Empty, Mode::OpenOrCreate) => Ok(()),
            (Self::Missing | Self::Empty, Mode::OpenExisting) => Err(Error::not_found(format!(
                "there is no library at {path}; add a file to begin one, or name another directory"
            ))),
            (Self::Foreign, _) => Err(Error::invalid(format!(
                "{path} has files in it but no {}, so it is no library; name an empty or a new directory",
                version::FILE
            ))),
        }
    }
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    let message =
        format!("{} cannot be written; check its permissions and its disk", path.display());
    Error::unavailable(message).with_source(error)
}

#[cfg(test)]
mod tests;
