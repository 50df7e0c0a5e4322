//! A file that is hashed while it arrives and takes its name only once it is whole and right.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use docent_core::BlobHash;
use fs_err as fs;
use sha2::{Digest, Sha256};

use super::Failure;
use crate::manifest::ModelFile;

/// A [`ModelFile`] on its way, kept as `<name>.part`.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    expected: &'a ModelFile,
    live: PathBuf,
    path: PathBuf,
    file: fs::File,
    hasher: Sha256,
    bytes: u64,
}

impl<'a> Staged<'a> {
    /// Goes on where an earlier attempt at `expected` ended.
    pub(super) fn resume(dir: &Path, expected: &'a ModelFile) -> Result<Self, Failure> {
        let path = dir.join(format!("{}.part", expected.name));
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let live = dir.join(&expected.name);
        let mut staged = Self { expected, live, path, file, hasher: Sha256::new(), bytes: 0 };
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = staged.file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            staged.hasher.update(&buffer[..read]);
            staged.bytes += read as u64;
        }
        if staged.bytes > expected.bytes {
            staged.restart()?;
        }
        Ok(staged)
    }

    /// Begins `expected` from its first byte.
    pub(super) fn create(dir: &Path, expected: &'a ModelFile) -> Result<Self, Failure> {
        let mut staged = Self::resume(dir, expected)?;
        staged.restart()?;
        Ok(staged)
    }

    /// Forgets what has arrived.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        use std::io::Seek;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    /// How many bytes have arrived.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all have.
    pub(super) fn is_complete(&self) -> bool {
        self.bytes == self.expected.bytes
    }

    /// Takes the next bytes; more than the manifest says are refused before they fill the disk.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.bytes + bytes.len() as u64 > self.expected.bytes {
            self.restart()?;
            return Err(Failure::Because(format!(
                "{} is longer than {} bytes",
                self.expected.name, self.expected.bytes
            )));
        }
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name if it is what the manifest says; removes it if not.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let found = BlobHash(self.hasher.finalize().into());
        if found != self.expected.sha256 {
            drop(self.file);
            fs::remove_file(&self.path)?;
            return Err(Failure::Because(format!(
                "{} has {} bytes and sha256 {found}, not {} and {}",
                self.expected.name, self.bytes, self.expected.bytes, self.expected.sha256
            )));
        }
        self.file.sync_all()?;
        drop(self.file);
        // The rename is the commit point: before it the file does not exist, after it it is whole.
        fs::rename(&self.path, &self.live)?;
        sync_parent(&self.live);
        Ok(())
    }
}

/// Makes a rename durable where directories can be synced. Should it be lost, the file is
/// fetched again.
fn sync_parent(path: &Path) {
    if let Some(dir) = path.parent().and_then(|dir| fs::File::open(dir).ok()) {
        let _ = dir.sync_all();
    }
}
