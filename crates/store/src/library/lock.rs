//! One process at a time has a library open.
//!
//! The kernel's lock on the file `LOCK` is the proof: it ends with its owner, however it ends. The
//! text in the file only names the owner for an error message; text of a dead owner means nothing
//! and is overwritten.

use std::fs::TryLockError;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use docent_core::{Error, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::unwritable;

/// The file's name.
pub(super) const FILE: &str = "LOCK";

/// Holds a library's lock until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: fs::File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    host: String,
    /// Seconds since 1970.
    opened_at: u64,
}

impl DirLock {
    /// Takes the lock of the library at `dir`.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let open =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| unwritable(&path, error))?;
        lock_soon(&file, dir, &path)?;
        let owner = serde_json::to_string(&Owner::this_process())
            .expect("a number, a string and a number are JSON");
        file.set_len(0).map_err(|error| unwritable(&path, error))?;
        file.write_all(owner.as_bytes()).map_err(|error| unwritable(&path, error))?;
        Ok(Self { _file: file })
    }
}

/// How long an owner that is about to go is waited for: one command right after another, or a child
/// process that holds its parent's open files until it becomes another program.
const PATIENCE: Duration = Duration::from_millis(1500);

fn lock_soon(file: &fs::File, dir: &Path, path: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(15));
            }
            Err(TryLockError::WouldBlock) => return Err(in_use(dir, path)),
            Err(TryLockError::Error(error)) => {
                let reason =
                    format!("{} cannot be locked; libraries need a local disk", path.display());
                return Err(Error::unavailable(reason).with_source(error));
            }
        }
    }
}

impl Owner {
    fn this_process() -> Self {
        Self { pid: std::process::id(), host: host_name(), opened_at: unix_seconds() }
    }

    fn describe(&self) -> String {
        let seconds = unix_seconds().saturating_sub(self.opened_at);
        let age = match seconds {
            0..120 => format!("{seconds} seconds"),
            120..7200 => format!("{} minutes", seconds / 60),
            _ => format!("{} hours", seconds / 3600),
        };
        if self.pid == std::process::id() && self.host == host_name() {
            return format!("this process, for {age}; it can be opened once only");
        }
        let Self { pid, host, .. } = self;
        format!("process {pid} on {host}, for {age}; end it, or name another library")
    }
}

fn in_use(dir: &Path, path: &Path) -> Error {
    // Where the text cannot be read (just being written, or a system that locks reading too) the
    // owner stays unnamed.
    let text = fs::read_to_string(path).unwrap_or_default();
    let owner = serde_json::from_str::<Owner>(&text)
        .map_or_else(|_| "another process".to_owned(), |owner| owner.describe());
    Error::conflict(format!("the library {} is in use by {owner}", dir.display()))
}

fn unix_seconds() -> u64 {
    // This is for people to read; an injected clock could not be compared across processes.
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this machine".to_owned())
}
