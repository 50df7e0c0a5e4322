//! The promises of the [`Sandbox`] socket, as checks that every backend runs in one line:
//!
//! ```no_run
//! # fn sandbox() -> Box<dyn docent_core::Sandbox> { unimplemented!() }
//! use docent_sandbox::conformance;
//!
//! for skipped in conformance::all(&*sandbox()) {
//!     eprintln!("not checked: {} ({})", skipped.claim, skipped.reason);
//! }
//! ```
//!
//! Each check opens sessions of its own. What needs a package is skipped where
//! [`SandboxSpec::packages`](docent_core::SandboxSpec::packages) has none; what needs an
//! [ability](Abilities) is skipped where the caller says that the backend lacks it. A boundary is
//! no ability: what must not happen is in [`escape`](crate::escape) and is never skipped.

mod endings;
mod files;
mod output;
mod packages;
mod programs;
mod sessions;

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{
    Error, ErrorKind, Execution, ProgramEnd, Result, Sandbox, SandboxLimits, SandboxPath, Session,
};

/// How much later than promised a call may return: the machine that runs tests is busy.
pub const SLACK: Duration = Duration::from_secs(6);

/// What a backend can do; without a word, everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// A program can be interrupted so that its variables stay.
    pub interruption: bool,
    /// Programs have threads.
    pub threads: bool,
    /// Programs can make symbolic links and fifos.
    pub links: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self { interruption: true, threads: true, links: true }
    }
}

/// A check that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What it would have checked.
    pub claim: &'static str,
    /// Why it was not.
    pub reason: String,
}

/// Checks every promise of [`Sandbox`] and [`Session`] and gives the checks that could not be
/// made.
///
/// # Panics
/// At the first promise that is not kept, naming it.
pub fn all(sandbox: &dyn Sandbox) -> Vec<Skipped> {
    only(sandbox, Abilities::default(), "")
}

/// The same, of the checks whose claim has the words `filter`, for a backend with these abilities.
///
/// # Panics
/// At the first promise that is not kept, naming it.
pub fn only(sandbox: &dyn Sandbox, abilities: Abilities, filter: &str) -> Vec<Skipped> {
    let mut skipped = vec![];
    for check in checks().filter(|check| check.claim.contains(filter)) {
        let made = match check.needs.lacking(sandbox, abilities) {
            Some(reason) => Ok(Kept::NotChecked(reason)),
            None => (check.run)(sandbox),
        };
        match made {
            Ok(Kept::Yes) => {}
            Ok(Kept::NotChecked(reason)) => skipped.push(Skipped { claim: check.claim, reason }),
            Err(Broken(how)) => panic!("{}: {how}", check.claim),
        }
    }
    skipped
}

/// The claims that are checked, in order.
pub fn claims() -> impl Iterator<Item = &'static str> {
    checks().map(|check| check.claim)
}

fn checks() -> impl Iterator<Item = &'static Check> {
    [
        programs::CHECKS,
        files::CHECKS,
        output::CHECKS,
        endings::CHECKS,
        sessions::CHECKS,
        packages::CHECKS,
    ]
    .into_iter()
    .flatten()
}

struct Check {
    claim: &'static str,
    needs: Needs,
    run: fn(&dyn Sandbox) -> Checked,
}

const fn check(claim: &'static str, run: fn(&dyn Sandbox) -> Checked) -> Check {
    Check { claim, needs: Needs::Nothing, run }
}

impl Check {
    const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    Interruption,
    Threads,
    Links,
    Package(&'static str),
}

impl Needs {
    /// Why a check cannot be made, if it cannot.
    fn lacking(self, sandbox: &dyn Sandbox, abilities: Abilities) -> Option<String> {
        let (there, what) = match self {
            Self::Nothing => (true, "nothing"),
            Self::Interruption => (abilities.interruption, "interruption"),
            Self::Threads => (abilities.threads, "threads"),
            Self::Links => (abilities.links, "links"),
            Self::Package(name) => (has_package(sandbox, name), name),
        };
        (!there).then(|| format!("the {} sandbox has no {what}", sandbox.spec().name))
    }
}

fn has_package(sandbox: &dyn Sandbox, name: &str) -> bool {
    sandbox.spec().packages.iter().any(|package| package.split(' ').next() == Some(name))
}

enum Kept {
    Yes,
    NotChecked(String),
}

/// How a promise was broken.
struct Broken(String);

type Checked<T = Kept> = std::result::Result<T, Broken>;

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self(format!("{error:?}"))
    }
}

fn limits() -> SandboxLimits {
    SandboxLimits {
        data_bytes: 8 << 20,
        files: 1_500,
        output_bytes: 64 << 10,
        time: Duration::from_secs(30),
        ..SandboxLimits::default()
    }
}

fn open(sandbox: &dyn Sandbox) -> Result<Box<dyn Session>> {
    sandbox.open(&limits())
}

fn run(session: &mut dyn Session, program: &str) -> Result<Execution> {
    session.run(program, &mut |_| ControlFlow::Continue(()))
}

/// The value of a program that must come to its end.
fn value(session: &mut dyn Session, program: &str) -> Checked<Option<String>> {
    let execution = run(session, program)?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)
        .map_err(|Broken(how)| Broken(format!("{how}; it is\n{program}")))?;
    Ok(execution.value)
}

/// That the program comes to its end with this value.
fn gives(session: &mut dyn Session, program: &str, expected: &str) -> Checked {
    let found = value(session, program)?;
    same(&format!("the value of {program:?}"), &found.as_deref(), &Some(expected))
}

/// The traceback of a program that must raise an exception of this name.
fn raises(session: &mut dyn Session, program: &str, exception: &str) -> Checked<String> {
    match run(session, program)?.end {
        ProgramEnd::Raised { traceback } if traceback.contains(exception) => Ok(traceback),
        end => Err(Broken(format!("{program:?} must raise {exception}, not {end:?}"))),
    }
}

fn path(text: &str) -> SandboxPath {
    text.parse().expect("the suite's paths are paths")
}

fn put(session: &mut dyn Session, name: &str, mut bytes: &[u8]) -> Result<u64> {
    session.put(&path(name), &mut bytes)
}

/// That a call fails, and in this way.
fn fails<T: fmt::Debug>(what: &str, result: Result<T>, kind: ErrorKind) -> Checked {
    match result {
        Err(error) => same(&format!("{what} ({error})"), &error.kind(), &kind),
        Ok(value) => Err(Broken(format!("{what} must fail as {kind:?}, not give {value:?}"))),
    }
}

/// That two things are the same.
fn same<T: fmt::Debug + PartialEq>(what: &str, found: &T, expected: &T) -> Checked {
    that(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"))
}

/// That something holds.
fn that(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(Kept::Yes) } else { Err(Broken(otherwise())) }
}

/// That a call returns in time, and what it returns.
fn within<T>(most: Duration, call: impl FnOnce() -> T) -> Checked<T> {
    let start = Instant::now();
    let result = call();
    let took = start.elapsed();
    that(took <= most + SLACK, || format!("it took {took:?}, the promise is {most:?}"))?;
    Ok(result)
}
