//! Remembers which files were hashed and found right.
//!
//! A stamp holds a file's length and time of change; a file that differs in either is hashed
//! again. The stamps are a cache: losing them costs one hashing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::manifest::ModelFile;

const FILE_NAME: &str = ".verified.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stamp {
    sha256: BlobHash,
    bytes: u64,
    /// Nanoseconds since 1970, as text because JSON's numbers end at 2^53.
    modified: String,
}

/// The stamps of one model's files.
#[derive(Debug)]
pub(super) struct Stamps {
    dir: PathBuf,
    stamps: BTreeMap<PathBuf, Stamp>,
    changed: bool,
}

impl Stamps {
    /// Reads what is remembered in `dir`; nothing, if that cannot be read.
    pub(super) fn open(dir: &Path) -> Self {
        let read = fs::read(dir.join(FILE_NAME)).ok();
        let stamps = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { dir: dir.to_owned(), stamps, changed: false }
    }

    /// Whether the file at `path` is there and is `expected`; hashes it only if it is new or
    /// changed.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) if it is something else.
    pub(super) fn check(&mut self, path: &Path, expected: &ModelFile) -> Result<bool> {
        let Some(now) = stamp(path, expected) else { return Ok(false) };
        if now.bytes != expected.bytes {
            return Err(Error::corrupt(format!(
                "{} has {} bytes, not {}",
                path.display(),
                now.bytes,
                expected.bytes
            )));
        }
        if self.stamps.get(path) == Some(&now) {
            return Ok(true);
        }
        let found = hash_file(path)?;
        if found != expected.sha256 {
            return Err(Error::corrupt(format!(
                "{} has sha256 {found}, not {}",
                path.display(),
                expected.sha256
            )));
        }
        self.stamps.insert(path.to_owned(), now);
        self.changed = true;
        Ok(true)
    }

    /// Notes that the file at `path` was just hashed and is `expected`.
    pub(super) fn remember(&mut self, path: &Path, expected: &ModelFile) {
        if let Some(now) = stamp(path, expected) {
            self.stamps.insert(path.to_owned(), now);
            self.changed = true;
        }
    }

    /// Makes the next check of `path` hash it.
    pub(super) fn forget(&mut self, path: &Path) {
        self.changed |= self.stamps.remove(path).is_some();
    }

    /// Writes the stamps if there is anything new. A directory that cannot be written to costs a
    /// hashing at the next start, no more.
    pub(super) fn save(&self) {
        if self.changed
            && let Err(error) = self.write()
        {
            tracing::debug!(%error, "model checksums are not remembered");
        }
    }

    fn write(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let staged = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer_pretty(&staged, &self.stamps)?;
        staged.persist(self.dir.join(FILE_NAME)).map_err(|error| error.error)?;
        Ok(())
    }
}

/// The stamp of the file at `path`, should its hash be the expected one; none if it is no file.
fn stamp(path: &Path, expected: &ModelFile) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_file())?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Stamp {
        sha256: expected.sha256,
        bytes: metadata.len(),
        modified: modified.as_nanos().to_string(),
    })
}

/// The SHA-256 of the file at `path`.
pub(crate) fn hash_file(path: &Path) -> Result<BlobHash> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(BlobHash(hasher.finalize().into()));
        }
        hasher.update(&buffer[..read]);
    }
}
