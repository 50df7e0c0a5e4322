//! The threads that work on runs, and the keeper that renews their leases.
//!
//! Workers are begun when runs wait for one, up to a number, and then stay. They hold the engine's
//! inside but not the [`Engine`](crate::Engine), so dropping the last of those shuts them down.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use docent_core::{Error, ErrorKind, Result};

use crate::engine::Inner;
use crate::runs::{Stop, queue, work};

/// What a worker's calls may nest to. It mostly waits for a model, and there may be hundreds of
/// it: where address space is scarce, stacks of the usual two MiB would be what runs out first.
const WORKER_STACK_BYTES: usize = 1 << 20;

/// What the threads share.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    state: Mutex<State>,
    /// Something changed: work to do, or time to stop.
    changed: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often workers were woken for work they have not looked for yet.
    wakes: usize,
    idle: usize,
    workers: usize,
    /// Whether the keeper should look again, because a run may have begun.
    look_again: bool,
    stopping: bool,
    /// Threads that have not ended.
    running: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Begins the keeper and, if runs wait already, a worker.
    pub(crate) fn begin(&self, inner: &Arc<Inner>) -> Result<()> {
        let keeper = inner.clone();
        self.spawn(&mut self.lock(), named("docent-keeper"), move || keeper.workers.keep(&keeper))?;
        if queue::anything_waits(inner)? {
            self.wake(inner);
        }
        Ok(())
    }

    /// Says that a run waits. Begins another worker if all are busy and there may be more.
    pub(crate) fn wake(&self, inner: &Arc<Inner>) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        state.wakes += 1;
        state.look_again = true;
        if state.wakes > state.idle && state.workers < inner.options.workers.max(1) {
            let worker = inner.clone();
            let thread = named("docent-run").stack_size(WORKER_STACK_BYTES);
            match self.spawn(&mut state, thread, move || worker.workers.work(&worker)) {
                Ok(()) => state.workers += 1,
                // The workers there are will get to it.
                Err(error) => tracing::warn!(%error, "no further worker"),
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Begins a thread for work that a run does not wait for to its end.
    pub(crate) fn help(
        &self,
        inner: &Arc<Inner>,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        let mut state = self.lock();
        if state.stopping {
            return Ok(());
        }
        let helper = inner.clone();
        self.spawn(&mut state, named(name), move || {
            if catch_unwind(AssertUnwindSafe(body)).is_err() {
                tracing::error!("a helping thread panicked");
            }
            helper.workers.leave();
        })
    }

    /// `Break` once the engine stops.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.lock().stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn spawn(
        &self,
        state: &mut State,
        thread: thread::Builder,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        let thread = thread.spawn(body).map_err(|source| {
            Error::new(ErrorKind::Overloaded, "a thread of the engine cannot begin")
                .with_source(source)
        })?;
        state.running += 1;
        // Helping threads come and go.
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(thread);
        Ok(())
    }

    /// A worker's life: waits to be woken, then works until no run waits.
    fn work(&self, inner: &Arc<Inner>) {
        while self.await_work() {
            // Our own faults must not cost a worker; the run's lease will lapse.
            let worked = catch_unwind(AssertUnwindSafe(|| self.work_off(inner)));
            if worked.is_err() {
                tracing::error!("a worker panicked");
            }
        }
        self.leave();
    }

    /// Whether there is work; not so once the engine stops.
    fn await_work(&self) -> bool {
        let mut state = self.lock();
        state.idle += 1;
        while state.wakes == 0 && !state.stopping {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle -= 1;
        state.wakes = state.wakes.saturating_sub(1);
        !state.stopping
    }

    fn work_off(&self, inner: &Arc<Inner>) {
        while !self.lock().stopping {
            match queue::claim(inner) {
                Ok(Some(claimed)) => work::work_on(inner, claimed),
                Ok(None) => return,
                Err(error) => {
                    // The keeper wakes us again while runs wait.
                    tracing::error!(error = format!("{error:#}"), "no run can be claimed");
                    return;
                }
            }
        }
    }

    /// The keeper's life: a tick as long as any run goes on or any session is open, otherwise sleep.
    fn keep(&self, inner: &Arc<Inner>) {
        loop {
            let kept = queue::keep(inner);
            // Runs come back to the queue without anyone who would wake a worker for them.
            if queue::anything_waits(inner).unwrap_or(false) && self.lock().wakes == 0 {
                self.wake(inner);
            }
            let busy = kept.unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "leases cannot be kept");
                true
            });
            // Asked last: a run puts its session back before it ends.
            let busy = inner.expire_sessions() || busy;
            if !self.await_tick(busy.then_some(inner.options.tick)) {
                return self.leave();
            }
        }
    }

    fn await_tick(&self, tick: Option<Duration>) -> bool {
        let mut state = self.lock();
        let deadline = tick.map(|tick| Instant::now() + tick);
        while !(state.stopping || state.look_again && deadline.is_none()) {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.look_again = false;
        !state.stopping
    }

    fn leave(&self) {
        self.lock().running -= 1;
        self.ended.notify_all();
    }

    /// Parks every run and waits up to `grace` for the threads to end. A thread whose model does
    /// not yield by then is left to itself; its lease lapses.
    pub(crate) fn stop(&self, inner: &Inner, grace: Duration) {
        self.lock().stopping = true;
        self.changed.notify_all();
        for live in inner.live.all() {
            live.stop(Stop::Park);
        }
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, grace, |state| state.running > 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            // A thread that has left the loop is gone but for its last instructions.
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a thread of the engine panicked");
            }
        }
        for live in inner.live.all() {
            inner.live.close(&live);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}
