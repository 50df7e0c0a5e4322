//! The sandbox socket: where programs that models write are run.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

/// Where a program finds its files.
pub const SANDBOX_DATA: &str = "/mnt/data";

/// A place where a stranger's programs can run without hurting anybody.
///
/// Every implementation passes `docent_sandbox::conformance` and holds against every program of
/// `docent_sandbox::escape`. One that cannot keep its promises on this machine must not exist: it
/// is refused where it is made, with what is missing.
pub trait Sandbox: Send + Sync + fmt::Debug {
    /// What it is.
    fn spec(&self) -> &SandboxSpec;

    /// Begins a session: an interpreter of its own, with no files and no variables. It takes some
    /// 100 ms.
    fn open(&self, limits: &SandboxLimits) -> Result<Box<dyn Session>>;
}

/// What a sandbox is, for people and for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Its backend: `linux`, `wasm`.
    pub name: String,
    /// What programs are written in, as in `Python 3.11.2`.
    pub language: String,
    /// The packages that people ask for and that are there, as in `pandas 2.3.1`.
    pub packages: Vec<String>,
}

/// What one session may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Memory of all its processes together, without its files.
    pub memory_bytes: u64,
    /// What its files may hold, in `/mnt/data` and half as much again in `/tmp`.
    pub data_bytes: u64,
    /// How many files and folders there may be, in `/mnt/data` and as many in `/tmp`.
    pub files: u64,
    /// How many processes and threads, where the backend has them.
    pub processes: u64,
    /// What one program may print; the rest is counted and dropped.
    pub output_bytes: usize,
    /// How long one program may run before it is interrupted. It keeps its variables.
    pub time: Duration,
    /// How long it may take to heed the interruption before the session is killed.
    pub grace: Duration,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            data_bytes: 128 << 20,
            files: 20_000,
            processes: 64,
            output_bytes: 1 << 20,
            time: Duration::from_secs(60),
            grace: Duration::from_secs(2),
        }
    }
}

/// An interpreter that keeps its variables from program to program. Dropping it ends everything
/// that ran in it and forgets its files.
pub trait Session: Send + fmt::Debug {
    /// Puts a file where programs find it, under [`SANDBOX_DATA`], in place of one of that name,
    /// and gives its length.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if there is no room for it,
    /// [`Conflict`](crate::ErrorKind::Conflict) if the session is lost.
    fn put(&mut self, path: &SandboxPath, bytes: &mut dyn io::Read) -> Result<u64>;

    /// Runs a program to its end. `on_output` is given what it prints as it comes and, several
    /// times a second, nothing; `Break` interrupts the program.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if the session was lost before. Whatever the
    /// program does is not an error but how it [ended](ProgramEnd).
    fn run(
        &mut self,
        program: &str,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution>;

    /// The bytes of a file that lies under [`SANDBOX_DATA`].
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is none, or what has that name is no
    /// regular file; [`Invalid`](crate::ErrorKind::Invalid) if it is longer than `max_bytes`;
    /// [`Conflict`](crate::ErrorKind::Conflict) if the session is lost.
    fn read(&mut self, path: &SandboxPath, max_bytes: u64) -> Result<Vec<u8>>;

    /// The regular files under [`SANDBOX_DATA`], in order of their paths, a thousand at most.
    fn files(&mut self) -> Result<Vec<SandboxFile>>;
}

/// A file in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxFile {
    /// Where it lies.
    pub path: SandboxPath,
    /// Its length.
    pub bytes: u64,
}

/// What came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub end: ProgramEnd,
    /// What it printed, both streams as they came, at most
    /// [`output_bytes`](SandboxLimits::output_bytes).
    pub logs: String,
    /// How many bytes more it printed.
    pub dropped_bytes: u64,
    /// The value of its last expression, as Python's `repr` writes it.
    pub value: Option<String>,
    /// The figures it drew, as PNG, in order.
    pub images: Vec<Vec<u8>>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramEnd {
    /// It came to its end.
    Completed,
    /// It raised what it did not catch.
    Raised {
        /// As Python prints it.
        traceback: String,
    },
    /// It was interrupted, by its time or by the caller; variables are kept.
    Interrupted {
        /// Where it was.
        traceback: String,
    },
    /// The session ended with it: variables and files are gone.
    Lost(SessionLoss),
}

/// Why a session was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionLoss {
    /// It did not heed its interruption.
    Killed,
    /// It took more memory than it may.
    OutOfMemory,
    /// The interpreter ended, and how.
    Crashed(String),
    /// It broke the protocol by which it is spoken to.
    Protocol,
}

impl fmt::Display for SessionLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("it did not stop when interrupted and was killed"),
            Self::OutOfMemory => f.write_str("it used more memory than it may"),
            Self::Crashed(how) => write!(f, "the interpreter ended: {how}"),
            Self::Protocol => f.write_str("it wrote where only the interpreter may write"),
        }
    }
}

/// The path of a file under [`SANDBOX_DATA`], as in `out/sales.csv`: one to eight names, none of
/// them `.` or `..`, each of at most 255 bytes and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxPath(String);

impl SandboxPath {
    /// The path, relative to [`SANDBOX_DATA`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last of its names.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for SandboxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SandboxPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_name = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name.len() <= 255
                && !name.chars().any(char::is_control)
        };
        if text.split('/').all(is_name) && text.split('/').count() <= 8 {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(format!("{text:?} is no path of a file under {SANDBOX_DATA}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_where_it_is_put() {
        for good in ["a.csv", "out/图.png", "a b", "..a/b..", "1/2/3/4/5/6/7/8"] {
            assert_eq!(good.parse::<SandboxPath>().unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        let bad =
            ["", "/etc", "a//b", "a/", ".", "..", "a/../b", "a\0b", "a\nb", "1/2/3/4/5/6/7/8/9"];
        for bad in bad.into_iter().chain([long.as_str()]) {
            assert!(bad.parse::<SandboxPath>().is_err(), "{bad:?}");
        }
    }
}
