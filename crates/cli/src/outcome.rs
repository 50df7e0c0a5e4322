//! How a command ends, and the exit code for it.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit code after Ctrl-C, as shells count signals: 128 and SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did its work.
    Done,
    /// It did its work, which was to find that something is wrong.
    FoundWrong,
    /// A file that was named could not be added; all others were.
    NotAdded,
    /// Ctrl-C.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::FoundWrong => Self::FAILURE,
            Outcome::NotAdded => Self::from(3),
            Outcome::Interrupted => Self::from(INTERRUPTED),
        }
    }
}

/// A command line that clap accepts and we cannot.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) String);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// The exit code for a failure.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<WrongUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Whether whoever read our output has gone away, as `head` does. There is nobody left to tell.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}
