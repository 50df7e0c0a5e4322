//! Writers come one after another: whoever holds the [`Turn`] has the only open transaction.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use docent_core::{Error, Result};

/// Locks `mutex` even if a thread panicked while it held it: what our locks guard is consistent
/// between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock that knows its owner and how many want it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    owner: Option<ThreadId>,
    wanted_by: usize,
}

impl Turns {
    /// Waits until no one else has the turn.
    ///
    /// # Errors
    /// When this thread has it already: it would wait for itself forever.
    pub(crate) fn take(&self) -> Result<Turn<'_>> {
        let this = thread::current().id();
        let mut state = lock(&self.state);
        if state.owner == Some(this) {
            return Err(Error::internal(
                "this thread already has a write transaction open; commit or drop it first",
            ));
        }
        state.wanted_by += 1;
        while state.owner.is_some() {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted_by -= 1;
        state.owner = Some(this);
        Ok(Turn(self))
    }

    /// Whether someone has the turn or waits for it.
    pub(crate) fn is_wanted(&self) -> bool {
        let state = lock(&self.state);
        state.owner.is_some() || state.wanted_by > 0
    }
}

/// The turn; dropping it lets the next one on.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).owner = None;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_turn_in_one_thread_is_refused_not_awaited() {
        let turns = Turns::default();
        let first = turns.take().unwrap();
        assert!(turns.take().unwrap_err().to_string().contains("already"));
        drop(first);
        assert!(turns.take().is_ok());
        assert!(!turns.is_wanted());
    }
}
