//! Sessions of a sandbox: one a thread, so many at a time, closed when nobody uses them.
//!
//! A worker takes a thread's session out of the map, works with it and puts it back, so the lock is
//! held for the map alone. What opens, runs and closes sessions may be slow, and is a stranger's
//! code as far as we know: it happens outside the lock, and may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docent_core::{FileId, Sandbox, Session, ThreadId, Timestamp};

use super::ProgramOptions;

/// How often a worker that waits for a session looks whether it should go on waiting.
const LOOK: Duration = Duration::from_millis(20);

/// The sessions there are.
#[derive(Debug)]
pub(crate) struct Sessions {
    sandbox: Arc<dyn Sandbox>,
    options: ProgramOptions,
    places: Mutex<BTreeMap<ThreadId, Place>>,
    /// A session was put back, or is gone.
    changed: Condvar,
}

/// The engine that a session belongs to: several may share the sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner {
    /// It has shut down: nobody will use its sessions.
    gone: Arc<AtomicBool>,
}

/// What is known of a thread's session.
#[derive(Debug)]
struct Place {
    owner: Owner,
    /// None while a worker has it.
    kept: Option<Kept>,
    /// When it was last used.
    used: Timestamp,
    /// It is to be closed once the worker is done with it.
    closing: bool,
}

/// A session that is open.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) session: Box<dyn Session>,
    /// The files that were put into it.
    pub(crate) files: BTreeSet<FileId>,
}

/// A thread's session in the hands of a worker, or the place for a new one. Dropping it closes the
/// session.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    sessions: &'a Sessions,
    thread: ThreadId,
    pub(crate) kept: Option<Kept>,
    put_back: bool,
}

impl Owner {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gone, &other.gone)
    }
}

impl Sessions {
    pub(crate) fn new(sandbox: Arc<dyn Sandbox>, options: ProgramOptions) -> Self {
        Self { sandbox, options, places: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn sandbox(&self) -> &Arc<dyn Sandbox> {
        &self.sandbox
    }

    pub(crate) fn options(&self) -> &ProgramOptions {
        &self.options
    }

    /// The thread's session, or a place for a new one, waited for while all are busy. None if they
    /// are for too long; `go_on` is asked meanwhile.
    pub(crate) fn enter<E>(
        &self,
        owner: &Owner,
        thread: ThreadId,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<Lease<'_>>, E> {
        let deadline = Instant::now() + self.options.patience;
        loop {
            if let Some((lease, closed)) = self.try_enter(owner, thread) {
                closed.into_iter().for_each(close);
                return Ok(Some(lease));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            go_on()?;
            let places = self.lock();
            drop(self.changed.wait_timeout(places, LOOK).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The thread's session, or a place for a new one, with the session that had to leave it.
    fn try_enter(&self, owner: &Owner, thread: ThreadId) -> Option<(Lease<'_>, Option<Kept>)> {
        let mut places = self.lock();
        if let Some(place) = places.get_mut(&thread) {
            return Some((self.lease(thread, Some(place.kept.take()?)), None));
        }
        let closed = match places.len() < self.options.sessions.max(1) {
            true => None,
            false => Some(take_least_used(&mut places)?),
        };
        let (owner, used) = (owner.clone(), Timestamp::default());
        places.insert(thread, Place { owner, kept: None, used, closing: false });
        Some((self.lease(thread, None), closed))
    }

    fn lease(&self, thread: ThreadId, kept: Option<Kept>) -> Lease<'_> {
        Lease { sessions: self, thread, kept, put_back: false }
    }

    /// The thread's session, if there is one and nobody uses it.
    pub(crate) fn present(&self, thread: ThreadId) -> Option<Lease<'_>> {
        let kept = self.lock().get_mut(&thread)?.kept.take()?;
        Some(self.lease(thread, Some(kept)))
    }

    /// Closes those of `owner` that were not used for long. Says whether it has any left.
    pub(crate) fn expire(&self, owner: &Owner, now: Timestamp) -> bool {
        let idle = self.options.idle;
        self.close_where(|_, place| place.owner.is(owner) && place.used.plus(idle) <= now);
        self.lock().values().any(|place| place.owner.is(owner))
    }

    /// Closes the thread's session, at once or when its program is over.
    pub(crate) fn close(&self, thread: ThreadId) {
        if let Some(place) = self.lock().get_mut(&thread) {
            place.closing = true;
        }
        self.close_where(|id, _| id == thread);
    }

    /// Closes all of `owner`; it will have no more.
    pub(crate) fn close_all(&self, owner: &Owner) {
        owner.gone.store(true, Ordering::SeqCst);
        self.close_where(|_, place| place.owner.is(owner));
    }

    /// Closes those that nobody uses and that `is_over` says so of.
    fn close_where(&self, is_over: impl Fn(ThreadId, &Place) -> bool) {
        let mut over = Vec::new();
        self.lock().retain(|thread, place| {
            let ends = place.kept.is_some() && is_over(*thread, place);
            if ends {
                over.extend(place.kept.take());
            }
            !ends
        });
        self.changed.notify_all();
        over.into_iter().for_each(close);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ThreadId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// Takes the session out of the map that was not used for longest, if there is one that nobody
/// uses now.
fn take_least_used(places: &mut BTreeMap<ThreadId, Place>) -> Option<Kept> {
    let unused = places.iter().filter(|(_, place)| place.kept.is_some());
    let thread = *unused.min_by_key(|(_, place)| place.used)?.0;
    places.remove(&thread)?.kept
}

/// A session ends when it is dropped.
fn close(kept: Kept) {
    if catch_unwind(AssertUnwindSafe(|| drop(kept))).is_err() {
        tracing::error!("a session of the sandbox panicked when it was closed");
    }
}

impl Lease<'_> {
    /// Puts the session back for the next who needs it.
    pub(crate) fn keep(mut self, now: Timestamp) {
        let mut places = self.sessions.lock();
        if let Some(place) = places.get_mut(&self.thread)
            && !(place.closing || place.owner.gone.load(Ordering::SeqCst))
            && self.kept.is_some()
        {
            (place.kept, place.used) = (self.kept.take(), now);
            self.put_back = true;
        }
        drop(places);
    }

    /// Closes the session; the place stays ours.
    pub(crate) fn forget(&mut self) {
        self.kept.take().into_iter().for_each(close);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.put_back {
            self.forget();
            self.sessions.lock().remove(&self.thread);
        }
        self.sessions.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
