//! Runs this process knows to be going on: their channels, and how to stop them.
//!
//! Locks are taken in one order: a write transaction, then the map here. Nobody who holds the map
//! begins a transaction that writes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docent_core::{Read, Result, RunId, RunStatus, Store};

use super::events::{Channel, RunEvent, RunStream};
use super::replay::replay;
use crate::activity::Tally;
use crate::tables;

/// Why a worker leaves a run before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client wants it stopped.
    Cancel,
    /// Its time is over.
    Expire,
    /// The engine shuts down; another will take it up.
    Park,
    /// Another worker has taken it up.
    Lost,
}

/// A run this process knows to be going on.
#[derive(Debug)]
pub(crate) struct LiveRun {
    pub(crate) id: RunId,
    pub(crate) channel: Arc<Channel>,
    /// Whether a worker of this process is on it.
    pub(crate) working: AtomicBool,
    /// 0, or the [`Stop`] a worker is asked for, as it is numbered below.
    stop: AtomicU8,
}

impl LiveRun {
    fn new(id: RunId, events: Vec<RunEvent>) -> Arc<Self> {
        let channel = Arc::new(Channel::new(events));
        Arc::new(Self { id, channel, working: AtomicBool::new(false), stop: AtomicU8::new(0) })
    }

    /// Asks the worker to leave the run; it does at the model's next token.
    pub(crate) fn stop(&self, stop: Stop) {
        let number = match stop {
            Stop::Cancel => 1,
            Stop::Expire => 2,
            Stop::Park => 3,
            Stop::Lost => 4,
        };
        self.stop.store(number, Ordering::SeqCst);
    }

    /// What the worker was asked for.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::SeqCst) {
            1 => Some(Stop::Cancel),
            2 => Some(Stop::Expire),
            3 => Some(Stop::Park),
            4 => Some(Stop::Lost),
            _ => None,
        }
    }
}

/// Every run this process knows to be going on.
#[derive(Debug, Default)]
pub(crate) struct LiveRuns {
    runs: Mutex<BTreeMap<RunId, Arc<LiveRun>>>,
    pub(crate) tally: Tally,
}

impl LiveRuns {
    /// Begins a channel in which `events` have happened, in place of one before.
    pub(crate) fn begin(&self, id: RunId, events: Vec<RunEvent>) -> Arc<LiveRun> {
        let live = LiveRun::new(id, events);
        self.lock().insert(id, live.clone());
        live
    }

    /// The run's channel, begun from what the store says if there is none.
    pub(crate) fn attach(&self, id: RunId, read: &(impl Read + ?Sized)) -> Result<Arc<LiveRun>> {
        let mut map = self.lock();
        if let Some(live) = map.get(&id) {
            return Ok(live.clone());
        }
        let live = LiveRun::new(id, replay(read, id)?);
        map.insert(id, live.clone());
        Ok(live)
    }

    /// The run's events from the beginning, whether it goes on or is long over.
    pub(crate) fn follow(&self, id: RunId, store: &dyn Store) -> Result<RunStream> {
        let mut map = self.lock();
        if let Some(live) = map.get(&id) {
            return Ok(RunStream::new(live.channel.clone(), 0));
        }
        // The snapshot is taken under the lock: a worker attaches before it commits its claim, so
        // what we see here is nobody's, and whoever takes it up will find our channel.
        let read = store.read()?;
        let live = LiveRun::new(id, replay(read.as_ref(), id)?);
        let status = tables::run(read.as_ref(), id)?.status;
        if status.is_terminal() || status == RunStatus::RequiresAction {
            live.channel.close();
        } else {
            map.insert(id, live.clone());
        }
        Ok(RunStream::new(live.channel.clone(), 0))
    }

    pub(crate) fn get(&self, id: RunId) -> Option<Arc<LiveRun>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<LiveRun>> {
        self.lock().values().cloned().collect()
    }

    /// Tells the run's followers what was committed; the last event ends their streams.
    pub(crate) fn publish(&self, live: &Arc<LiveRun>, events: Vec<RunEvent>) {
        let ends = events.last().is_some_and(RunEvent::is_last);
        events.iter().for_each(|event| self.tally.note(event));
        if ends {
            // Before anybody hears of it: who follows an ended run is told what the store says.
            self.forget(live);
        }
        live.channel.push_all(events);
        if ends {
            live.channel.close();
        }
    }

    /// Ends the run's streams and forgets it, unless it was begun anew since.
    pub(crate) fn close(&self, live: &Arc<LiveRun>) {
        live.channel.close();
        self.forget(live);
    }

    fn forget(&self, live: &Arc<LiveRun>) {
        let mut map = self.lock();
        if map.get(&live.id).is_some_and(|present| Arc::ptr_eq(present, live)) {
            map.remove(&live.id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<LiveRun>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
