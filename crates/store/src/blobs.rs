//! Original bytes in files named by their hash: `blobs/ab/cdef…`.
//!
//! Bytes go to a temporary file beside the others, are hashed on the way, synced, and renamed to
//! their name; then the directory is synced. So a name that exists has all its bytes, whatever
//! moment the power goes. What is left of an unfinished one is swept when the directory is opened.

mod memory;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{BlobHash, BlobInfo, Blobs, Error, ErrorKind, Result, crash_point};
use fs_err as fs;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::library::DirLock;

pub use memory::MemoryBlobs;

/// Keeps blobs in a directory.
pub struct DirBlobs {
    dir: PathBuf,
    _lock: Option<Arc<DirLock>>,
}

/// Where unfinished blobs are. In the same directory, so that the rename stays in one file system.
const UNFINISHED: &str = "tmp";

/// Large enough that the system calls do not show, small enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 128 << 10;

impl DirBlobs {
    /// Opens the directory at `path`; creates it where there is none.
    ///
    /// Unfinished blobs in it are removed, so only one `DirBlobs` may have a directory open:
    /// [`LibraryDir`](crate::LibraryDir) sees to it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_locked(path.as_ref(), None)
    }

    pub(crate) fn open_locked(path: &Path, lock: Option<Arc<DirLock>>) -> Result<Self> {
        let dir = std::path::absolute(path)?;
        let unfinished = dir.join(UNFINISHED);
        if unfinished.try_exists()? {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        // Also for directories that a process made and did not live to sync.
        sync_dir(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Reads a blob and compares it with its name.
    ///
    /// # Errors
    /// `NotFound` if it is not kept, `Corrupt` if its bytes are not those that were put.
    pub fn verify(&self, hash: BlobHash) -> Result<BlobInfo> {
        let mut blob = self.open(hash)?;
        let bytes = io::copy(&mut blob, &mut io::sink())?;
        Ok(BlobInfo { hash, bytes })
    }

    fn path(&self, hash: BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.dir.join(&name[..2]).join(&name[2..])
    }

    /// Moves a finished file to its name, unless all its bytes are there already.
    fn keep(&self, file: NamedTempFile, info: BlobInfo) -> Result<()> {
        let path = self.path(info.hash);
        let shard = path.parent().expect("a blob's path has two parts below the directory");
        if !shard.try_exists()? {
            fs::create_dir_all(shard)?;
            sync_dir(&self.dir)?;
        }
        // A file of another length was damaged from outside; the fresh bytes heal it.
        let kept = fs::metadata(&path).is_ok_and(|kept| kept.len() == info.bytes);
        if !kept {
            crash_point("blobs.before-rename");
            file.persist(&path).map_err(|error| unwritten(&path, error.error))?;
            crash_point("blobs.after-rename");
        }
        // Even if it was kept: whoever renamed it may not have lived to sync.
        sync_dir(shard)
    }

    /// The blobs in one directory.
    fn list_shard(&self, shard: &str, found: &mut Vec<BlobInfo>) -> Result<()> {
        for entry in fs::read_dir(self.dir.join(shard))? {
            let entry = entry?;
            let name = format!("{shard}{}", entry.file_name().to_string_lossy());
            // Whatever has no blob's name is not ours.
            if let Ok(hash) = name.parse() {
                found.push(BlobInfo { hash, bytes: entry.metadata()?.len() });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DirBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirBlobs").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Blobs for DirBlobs {
    fn put(&self, source: &mut dyn Read) -> Result<BlobInfo> {
        let unfinished = self.dir.join(UNFINISHED);
        let mut file =
            NamedTempFile::new_in(&unfinished).map_err(|error| unwritten(&unfinished, error))?;
        let info = copy_and_hash(source, |bytes| {
            file.write_all(bytes).map_err(|error| unwritten(&unfinished, error))
        })?;
        file.as_file().sync_all().map_err(|error| unwritten(&unfinished, error))?;
        self.keep(file, info)?;
        Ok(info)
    }

    /// The reader compares the bytes with their name as they pass: at the end of a damaged blob it
    /// gives an error of kind `InvalidData`.
    fn open(&self, hash: BlobHash) -> Result<Box<dyn Read + Send>> {
        match fs::File::open(self.path(hash)) {
            Ok(file) => Ok(Box::new(Verified { file, hash, hasher: Sha256::new() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_kept(hash)),
            Err(error) => Err(error.into()),
        }
    }

    fn delete(&self, hash: BlobHash) -> Result<bool> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_dir(path.parent().expect("a blob's path has a parent"))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self) -> Result<Vec<BlobInfo>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_shard = name.len() == 2 && entry.file_type()?.is_dir();
            if let (true, Some(shard)) = (is_shard, name.to_str()) {
                self.list_shard(shard, &mut found)?;
            }
        }
        found.sort_unstable_by_key(|info| info.hash);
        Ok(found)
    }
}

/// Reads `source` to its end, a buffer at a time, and names what was read.
fn copy_and_hash(
    source: &mut dyn Read,
    mut write: impl FnMut(&[u8]) -> Result<()>,
) -> Result<BlobInfo> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::from(error).context("the file cannot be read")),
        };
        hasher.update(read);
        write(read)?;
        bytes += read.len() as u64;
    }
    Ok(BlobInfo { hash: BlobHash(hasher.finalize().into()), bytes })
}

/// A file that must have the hash it is named by.
struct Verified {
    file: fs::File,
    hash: BlobHash,
    hasher: Sha256,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        let at_end = read == 0 && !buffer.is_empty();
        if at_end && self.hasher.clone().finalize()[..] != self.hash.0 {
            let damage = format!("blob {} is damaged; add its file again to heal it", self.hash);
            return Err(io::Error::new(io::ErrorKind::InvalidData, damage));
        }
        Ok(read)
    }
}

fn not_kept(hash: BlobHash) -> Error {
    Error::not_found(format!("blob {hash} is not kept"))
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let path = path.display();
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk with {path} is full, nothing was kept; make room and try again")
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            format!("{path} may not be written; check its permissions")
        }
        _ => format!("{path} cannot be written"),
    };
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

/// Makes the names in a directory durable. Only Unix needs it, and can.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
