//! The user's files that programs find: which, where, and how a model is told of them.
//!
//! They are those of the run's resources and of its thread's, which files attached to messages
//! have joined. Each is at `/mnt/data/` under its id, for its name may be another's too.

use std::fmt;

use docent_core::{Error, ErrorKind, File, FileId, Result, SANDBOX_DATA, Thread};

use super::work::Worker;
use crate::programs::{Kept, ProgramOptions};

/// A file that programs are to find.
#[derive(Debug)]
pub(crate) struct Mount {
    id: FileId,
    /// The file, or why programs do not find it.
    file: std::result::Result<File, String>,
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match &self.file {
            Ok(File { filename, bytes, .. }) => {
                write!(f, "{SANDBOX_DATA}/{id} is {filename:?}, {bytes} bytes")
            }
            Err(reason) => write!(f, "{SANDBOX_DATA}/{id} is not there: {reason}"),
        }
    }
}

/// The files that the run's programs are to find.
pub(crate) fn of(worker: &Worker, thread: &Thread, options: &ProgramOptions) -> Vec<Mount> {
    let resources = [&worker.run.tool_resources, &thread.tool_resources];
    let mut mounts: Vec<Mount> = Vec::new();
    for id in resources.into_iter().filter_map(|it| it.code_files.as_ref()).flatten().copied() {
        if mounts.iter().all(|mount| mount.id != id) {
            mounts.push(Mount { id, file: find(worker, id, options.limits.data_bytes) });
        }
    }
    mounts
}

fn find(worker: &Worker, id: FileId, most: u64) -> std::result::Result<File, String> {
    let file = worker.inner.collections.file(id).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "it was deleted".to_owned(),
        _ => error.to_string(),
    })?;
    match file.bytes <= most {
        true => Ok(file),
        false => Err(format!("it has {} bytes, and all files may have {most}", file.bytes)),
    }
}

/// Puts into a session what it has not had yet. Says of each file that it cannot have why: at every
/// program, since each may be the first that a model asks for.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) if the session is lost.
pub(crate) fn put(worker: &Worker, mounts: &[Mount], kept: &mut Kept) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for mount in mounts {
        if kept.files.contains(&mount.id) {
            continue;
        }
        let put = match &mount.file {
            Ok(file) => put_one(worker, file, kept),
            Err(_) => {
                missing.push(mount.to_string());
                continue;
            }
        };
        match put {
            Ok(()) => drop(kept.files.insert(mount.id)),
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(error),
            Err(error) => {
                let file = Err(error.to_string());
                missing.push(Mount { id: mount.id, file }.to_string());
            }
        }
    }
    Ok(missing)
}

fn put_one(worker: &Worker, file: &File, kept: &mut Kept) -> Result<()> {
    let path = file.id.to_string().parse()?;
    let mut bytes = worker.inner.collections.open_file(file.id)?;
    let put = kept.session.put(&path, &mut bytes)?;
    match put == file.bytes {
        true => Ok(()),
        false => Err(Error::unavailable(format!("only {put} of its {} bytes fit", file.bytes))),
    }
}
