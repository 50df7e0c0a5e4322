//! What the engine is doing, in numbers: for whoever watches it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use docent_core::{Result, Run, RunStatus, Usage};

use crate::engine::Engine;
use crate::runs::RunEvent;
use crate::tables::{RUN_DEADLINES, RUN_QUEUE, RUNS};

/// What the engine is doing, and what it did since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// How many runs that have not ended are in which status.
    pub active: BTreeMap<RunStatus, u64>,
    /// How many of them wait for a worker.
    pub queue: u64,
    /// How many runs ended, by the status they ended with.
    pub ended: BTreeMap<RunStatus, u64>,
    /// What these cost together.
    pub usage: Usage,
}

/// Runs that ended, and what they cost.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<(BTreeMap<RunStatus, u64>, Usage)>);

impl Tally {
    /// Counts the run that an event says has ended.
    pub(crate) fn note(&self, event: &RunEvent) {
        let RunEvent::Run(run) = event else { return };
        if run.status.is_terminal() {
            let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *tally.0.entry(run.status).or_default() += 1;
            tally.1 += run.usage.unwrap_or_default();
        }
    }
}

impl Engine {
    /// What the engine is doing, and what it did since it was opened.
    ///
    /// Active runs are counted in the store, in a time that grows with their number.
    pub fn activity(&self) -> Result<Activity> {
        let read = self.inner.store.read()?;
        let read = read.as_ref();
        let mut active = BTreeMap::new();
        for ((_, id), ()) in RUN_DEADLINES.all(read, "")? {
            if let Some(Run { status, .. }) = RUNS.get(read, &id)? {
                *active.entry(status).or_default() += 1;
            }
        }
        let queue = RUN_QUEUE.all(read, "")?.len() as u64;
        let tally = self.inner.live.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, usage) = tally.clone();
        Ok(Activity { active, queue, ended, usage })
    }
}
