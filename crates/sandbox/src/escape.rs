//! Programs that try to get out, and the judge who says whether one did.
//!
//! An [`Attempt`] is a program, what it tries, and the [walls](Layer) that stand in its way. Any
//! one of them is enough: the attempt gets through where all of them are taken away, which is how
//! a backend's tests show that an attempt is worth something. Every attempt is bounded, so that it
//! can succeed without harm.
//!
//! Two witnesses are heard. The program says of each thing it tries that it was refused, is absent
//! (no `fork` in WebAssembly), or got through. The [`Host`] sees for itself: whether somebody came
//! to its listeners, a file of its own changed, its victim was hurt, a process or mount is left, a
//! call took longer than it may, memory was taken. An attempt that neither succeeds nor is
//! refused, because its program is broken, is [unclear](Outcome::Unclear), which no test may take
//! for good.
//!
//! ```no_run
//! # fn sandbox() -> Box<dyn docent_core::Sandbox> { unimplemented!() }
//! use docent_sandbox::escape::{self, Host};
//!
//! let mut host = Host::new()?;
//! let findings = escape::only(&*sandbox(), &mut host, "");
//! escape::assert_held(&findings);
//! # Ok::<(), docent_core::Error>(())
//! ```
//!
//! While there is a host, nothing else may begin processes: what it did not see begin it takes for
//! the attempt's.

mod attempts;
mod fuzz;
mod host;
mod kernel;
mod processes;
mod trial;
mod walls;

use std::fmt;
use std::time::Duration;

use docent_core::{Sandbox, SandboxLimits};

pub use fuzz::{Fuzz, fuzz};
pub use host::Host;
pub use walls::Layer;

/// A program that tries to get out.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its name, as in `network/vsock`.
    pub name: String,
    /// What it tries, in words.
    pub tries: String,
    /// The walls in its way. Any one of them stops it.
    pub layers: &'static [Layer],
    /// What it is, after the prelude.
    program: String,
    ends: Ends,
    /// What the host reads and then puts when the program is over.
    crossing: &'static [&'static str],
    /// How often it does that.
    times: usize,
    /// How long the program may take.
    time: Duration,
}

/// How the program of an attempt may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// By itself, with a verdict, and the session goes on.
    Well,
    /// In any way, and in time.
    Somehow,
    /// Not by itself: somebody must stop it, in time.
    Stopped,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// A wall stopped it.
    Refused,
    /// The backend has nothing of the kind.
    Absent,
    /// Neither witness can tell: the attempt itself is broken.
    Unclear,
    /// It got through.
    Escaped,
}

/// An attempt and what became of it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The name of the attempt.
    pub attempt: String,
    /// The walls that should have stopped it.
    pub layers: &'static [Layer],
    /// What became of it.
    pub outcome: Outcome,
    /// What the witnesses said: first what got through, then what was absent, then what was
    /// refused.
    pub notes: Vec<String>,
    /// How the program ended.
    pub end: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} [{}]", self.attempt, self.outcome, self.end)?;
        for note in self.notes.iter().take(5) {
            write!(f, "; {note}")?;
        }
        if self.notes.len() > 5 {
            write!(f, "; and {} more", self.notes.len() - 5)?;
        }
        Ok(())
    }
}

/// The attempts, in order.
pub fn attempts() -> Vec<Attempt> {
    attempts::all()
}

/// Makes every attempt.
pub fn all(sandbox: &dyn Sandbox, host: &mut Host) -> Vec<Finding> {
    only(sandbox, host, "")
}

/// Makes the attempts whose name has `filter` in it. `network/` are all of a chapter,
/// `kernel/ptrace` is one.
pub fn only(sandbox: &dyn Sandbox, host: &mut Host, filter: &str) -> Vec<Finding> {
    let chosen = attempts().into_iter().filter(|attempt| attempt.name.contains(filter));
    chosen.map(|attempt| trial::judge(sandbox, host, &attempt)).collect()
}

/// Makes one attempt.
pub fn one(sandbox: &dyn Sandbox, host: &mut Host, attempt: &Attempt) -> Finding {
    trial::judge(sandbox, host, attempt)
}

/// That every attempt was stopped.
///
/// # Panics
/// With all that were not, or of which nobody knows.
pub fn assert_held(findings: &[Finding]) {
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| finding.outcome >= Outcome::Unclear)
        .map(|finding| format!("\n  {finding}"))
        .collect();
    assert!(bad.is_empty(), "{} of {} attempts:{}", bad.len(), findings.len(), bad.concat());
}

/// The limits of the sessions in which attempts are made: small, so that bombs are.
pub fn limits() -> SandboxLimits {
    SandboxLimits {
        memory_bytes: 256 << 20,
        data_bytes: 8 << 20,
        files: 500,
        processes: 32,
        output_bytes: 256 << 10,
        time: Duration::from_secs(15),
        grace: Duration::from_secs(1),
    }
}
