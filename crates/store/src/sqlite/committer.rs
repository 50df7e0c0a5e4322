//! Group commit: one `fsync` acknowledges every transaction that has gathered.
//!
//! A committed draft is *sealed* and stands in line, in the order of the writers' turns. The first
//! thread that finds the writing connection free takes the line's head, writes it in one SQLite
//! transaction, and wakes all it has settled. While it waits for the disk, further drafts line up
//! for the next group.
//!
//! A commit never waits for another's open transaction, so it may be called with a lock held that
//! the next transaction takes. Nor does a leader wait for more to join: that was tried, with up to
//! half the time of the last group, and groups did not grow (4.4 of 8 threads, 16 of 32 either way);
//! half the threads gather while the other half is written.
//!
//! If a group cannot be written, all of it fails, and with it every draft behind it in the line
//! and the transaction now open: they may have read what has now never been.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use docent_core::{Error, ErrorKind, Result, crash_point};
use rusqlite::{Connection, TransactionBehavior};

use super::connection::in_our_words;
use super::rows;
use crate::draft::Draft;
use crate::turns::lock;

/// The line, and the connection that serves it.
pub(super) struct Committer {
    path: PathBuf,
    group_limit: usize,
    line: Mutex<Line>,
    /// A group was settled: perhaps yours, or else perhaps you lead the next.
    settled: Condvar,
}

struct Line {
    /// Taken by the thread that leads.
    writer: Option<Connection>,
    /// Sealed and not yet durable, oldest first; a group being written is still in here.
    sealed: VecDeque<Arc<Sealed>>,
    /// How many groups were led, and how many of them failed.
    groups: u64,
    failures: u64,
}

/// A draft in line, and in the end what became of it.
pub(super) struct Sealed {
    draft: Draft,
    outcome: OnceLock<Outcome>,
}

/// Why a group failed, in a form that every member can have.
type Outcome = std::result::Result<(), (ErrorKind, String)>;

/// What a new transaction stands on: the drafts that were in line when it began.
pub(super) struct Standing {
    below: Vec<Arc<Sealed>>,
    failures: u64,
}

impl Standing {
    /// Oldest first.
    pub(super) fn drafts(&self) -> impl DoubleEndedIterator<Item = &Draft> {
        self.below.iter().map(|sealed| &sealed.draft)
    }
}

impl Committer {
    pub(super) fn new(path: PathBuf, writer: Connection, group_limit: usize) -> Self {
        let sealed = VecDeque::new();
        let line = Line { writer: Some(writer), sealed, groups: 0, failures: 0 };
        Self { path, group_limit, line: Mutex::new(line), settled: Condvar::new() }
    }

    /// What a transaction that begins now stands on. Call with the turn.
    pub(super) fn standing(&self) -> Standing {
        let line = lock(&self.line);
        Standing { below: line.sealed.iter().cloned().collect(), failures: line.failures }
    }

    /// Puts `draft` in line, if it has anything to wait for. Call with the turn.
    pub(super) fn line_up(&self, draft: Draft, standing: Standing) -> Result<Option<Arc<Sealed>>> {
        // A transaction that only read must still not return before what it read is durable.
        if draft.is_empty() && standing.below.is_empty() {
            return Ok(None);
        }
        let mut line = lock(&self.line);
        if line.failures != standing.failures {
            return Err(Error::unavailable(format!(
                "an earlier transaction could not be written to {}, so this one was not either; try again",
                self.path.display()
            )));
        }
        let sealed = Arc::new(Sealed { draft, outcome: OnceLock::new() });
        line.sealed.push_back(Arc::clone(&sealed));
        Ok(Some(sealed))
    }

    /// Returns when `mine` is durable or has failed. Call without the turn.
    pub(super) fn settle(&self, mine: &Sealed) -> Result<()> {
        let mut line = lock(&self.line);
        loop {
            if let Some(outcome) = mine.outcome.get() {
                return outcome.clone().map_err(|(kind, message)| Error::new(kind, message));
            }
            line = match line.writer.take() {
                Some(writer) => self.lead(line, writer),
                None => self.settled.wait(line).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Writes the head of the line and tells everyone in it.
    fn lead<'a>(
        &'a self,
        line: MutexGuard<'a, Line>,
        mut writer: Connection,
    ) -> MutexGuard<'a, Line> {
        let group: Vec<Arc<Sealed>> = line.sealed.iter().take(self.group_limit).cloned().collect();
        drop(line);

        let begun = Instant::now();
        let written = write_group(&mut writer, &group);
        let took = begun.elapsed();

        let mut line = lock(&self.line);
        line.groups += 1;
        tracing::trace!(group = line.groups, transactions = group.len(), ?took, "group commit");
        line.writer = Some(writer);
        let (outcome, concerned) = match written {
            Ok(()) => (Ok(()), group.len()),
            Err(error) => {
                line.failures += 1;
                (Err(in_our_words(&self.path, &error)), line.sealed.len())
            }
        };
        for sealed in line.sealed.drain(..concerned) {
            // Set once: only a leader sets it, when it takes the draft out of the line.
            let _ = sealed.outcome.set(outcome.clone());
        }
        self.settled.notify_all();
        line
    }
}

fn write_group(writer: &mut Connection, group: &[Arc<Sealed>]) -> rusqlite::Result<()> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for sealed in group {
        for (table, edits) in sealed.draft.tables() {
            rows::write(&transaction, table, edits)?;
        }
    }
    crash_point("store.before-commit");
    transaction.commit()?;
    crash_point("store.after-commit");
    Ok(())
}

/// A disk that tests can stop and mend.
#[cfg(test)]
impl Committer {
    pub(super) fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(lock(&self.line).writer.as_ref().expect("no one leads"))
    }

    /// Nothing becomes durable until [`Self::mend_disk`].
    pub(super) fn stop_disk(&self) -> Connection {
        lock(&self.line).writer.take().expect("no one leads")
    }

    pub(super) fn mend_disk(&self, writer: Connection) {
        lock(&self.line).writer = Some(writer);
        self.settled.notify_all();
    }

    /// Waits until `count` drafts stand in line.
    pub(super) fn await_line(&self, count: usize) {
        while lock(&self.line).sealed.len() < count {
            std::thread::yield_now();
        }
    }

    /// How many groups were written.
    pub(super) fn groups(&self) -> u64 {
        lock(&self.line).groups
    }
}
