//! The projects of a library that is served: each a library of its own below it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use docent::store::KeyFile;
use docent::{Engine, Library, Result};
use docent_server::{ApiKeys, Projects};
use fs_err as fs;

use crate::setup::Setup;

/// Reads keys from the library's file, and opens projects beside `default`, with its models.
#[derive(Debug)]
pub(crate) struct LibraryProjects {
    setup: Setup,
    default: Arc<Library>,
    file: KeyFile,
    known: Mutex<Known>,
}

/// The keys as they were last read.
#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    keys: ApiKeys,
}

/// Tells one version of the file from another. It is replaced as a whole, so the number of its
/// inode changes too; that helps where two changes fall within one tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl LibraryProjects {
    pub(crate) fn new(setup: Setup, default: Arc<Library>) -> Self {
        let file = KeyFile::of(default.path());
        Self { setup, default, file, known: Mutex::default() }
    }

    /// None where there is no file.
    fn stamp(&self) -> Result<Option<Stamp>> {
        match fs::metadata(self.file.path()) {
            Ok(metadata) => Ok(Some(Stamp {
                bytes: metadata.len(),
                modified: metadata.modified().ok(),
                inode: inode(&metadata),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Projects for LibraryProjects {
    fn keys(&self) -> Result<ApiKeys> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before it is read: a change in between is then seen the next time.
        let stamp = self.stamp()?;
        if known.stamp != stamp {
            let keys = self.file.read()?;
            let keys = ApiKeys::hashed(keys.into_iter().map(|key| (key.hash, key.project)));
            *known = Known { stamp, keys };
        }
        Ok(known.keys.clone())
    }

    fn open(&self, project: &str) -> Result<Engine> {
        Ok(self.setup.create_project(project, &self.default)?.engine().clone())
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
