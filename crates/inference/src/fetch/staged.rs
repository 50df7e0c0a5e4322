//! A file that is hashed while it arrives and takes its name only once it is whole and right.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use docent_core::BlobHash;
use fs_err as fs;
use sha2::{Digest, Sha256};

use super::{Failure, Wanted};

/// A file on its way, kept as `<name>.part`.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    expected: Wanted<'a>,
    /// How long it will be, if that is known.
    length: Option<u64>,
    live: PathBuf,
    path: PathBuf,
    file: fs::File,
    hasher: Sha256,
    bytes: u64,
}

impl<'a> Staged<'a> {
    /// Goes on where an earlier attempt at `expected` ended.
    pub(super) fn resume(dir: &Path, expected: Wanted<'a>) -> Result<Self, Failure> {
        let path = dir.join(format!("{}.part", expected.name));
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let live = dir.join(expected.name);
        let length = expected.pin.map(|(bytes, _)| bytes);
        let hasher = Sha256::new();
        let mut staged = Self { expected, length, live, path, file, hasher, bytes: 0 };
        let Some(length) = length else {
            // What is there may be of another file: nothing would tell.
            staged.restart()?;
            return Ok(staged);
        };
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = staged.file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            staged.hasher.update(&buffer[..read]);
            staged.bytes += read as u64;
        }
        if staged.bytes > length {
            staged.restart()?;
        }
        Ok(staged)
    }

    /// Begins `expected` from its first byte.
    pub(super) fn create(dir: &Path, expected: Wanted<'a>) -> Result<Self, Failure> {
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

    /// How many it will be, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Says how many it will be.
    pub(super) fn set_length(&mut self, length: Option<u64>) {
        self.length = length;
    }

    /// Whether all have arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.length == Some(self.bytes)
    }

    /// Takes the next bytes; more than the manifest says are refused before they fill the disk.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(length) = self.length.filter(|&length| self.bytes + bytes.len() as u64 > length)
        {
            self.restart()?;
            return Err(Failure::Because(format!(
                "{} is longer than {length} bytes",
                self.expected.name
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
        if let Some((bytes, sha256)) = self.expected.pin.filter(|(_, sha256)| found != *sha256) {
            drop(self.file);
            fs::remove_file(&self.path)?;
            return Err(Failure::Because(format!(
                "{} has {} bytes and sha256 {found}, not {bytes} and {sha256}",
                self.expected.name, self.bytes
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
