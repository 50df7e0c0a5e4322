//! A guard for library users, who have no binary of ours to run.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

use docent_core::FileError;

use super::{Guard, STACK_BYTES};
use crate::document::{invalid, ours};
use crate::{Document, Extractor, Format, Limits, extractor};

/// How many threads may be left behind before no more are started.
const MOST_ABANDONED: usize = 4;

/// Extracts in a thread with a big stack, catches its panics and leaves it behind when its time is
/// up.
///
/// A thread cannot be killed: one that hangs keeps its core and its memory until the process ends,
/// and a memory blow-up or a stack overflow ends the process. Four threads may be left behind at
/// once; then every file fails with a reason until one of them ends. Where files come from
/// strangers, use a [`ProcessGuard`](super::ProcessGuard).
#[derive(Debug, Default)]
pub struct ThreadGuard {
    abandoned: Arc<AtomicUsize>,
}

impl ThreadGuard {
    /// A guard with no thread left behind.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Guard for ThreadGuard {
    fn extract(
        &self,
        format: Format,
        bytes: Vec<u8>,
        limits: &Limits,
    ) -> Result<Document, FileError> {
        if self.abandoned.load(Ordering::Acquire) >= MOST_ABANDONED {
            return Err(ours(format!(
                "{MOST_ABANDONED} earlier files still keep threads busy; restart to go on"
            )));
        }
        let (done, result) = mpsc::sync_channel(1);
        let (abandoned, work_limits) = (Arc::clone(&self.abandoned), limits.clone());
        std::thread::Builder::new()
            .name("docent-extract".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let outcome = run(extractor(format), &bytes, &work_limits);
                if done.send(outcome).is_err() {
                    // The caller had given up; this thread ends after all.
                    abandoned.fetch_sub(1, Ordering::AcqRel);
                }
            })
            .map_err(|error| ours(format!("no thread to extract in: {error}")))?;
        match result.recv_timeout(limits.wall) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Disconnected) => Err(ours("the extraction vanished")),
            Err(RecvTimeoutError::Timeout) => self.abandon(&result, limits),
        }
    }
}

impl ThreadGuard {
    fn abandon(
        &self,
        result: &mpsc::Receiver<Result<Document, FileError>>,
        limits: &Limits,
    ) -> Result<Document, FileError> {
        // Counted before the receiver is dropped, so the thread cannot subtract first. If it ends
        // just now its result is taken after all.
        self.abandoned.fetch_add(1, Ordering::AcqRel);
        match result.try_recv() {
            Ok(outcome) => {
                self.abandoned.fetch_sub(1, Ordering::AcqRel);
                outcome
            }
            Err(_) => Err(too_slow(limits)),
        }
    }
}

/// Extracts with panics caught.
pub(super) fn run(
    extractor: Result<Box<dyn Extractor>, FileError>,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Document, FileError> {
    let extractor = extractor?;
    let work = AssertUnwindSafe(|| extractor.extract(bytes, limits));
    panic::catch_unwind(work).unwrap_or_else(|_| Err(invalid("the file is damaged")))
}

pub(super) fn too_slow(limits: &Limits) -> FileError {
    invalid(format!("the file takes longer than {:?} to read", limits.wall))
}
