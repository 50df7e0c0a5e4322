//! Writers come one after another: whoever holds the [`Turn`] has the only open transaction.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use docent_core::{Error, Result};

/// Locks `mutex` even if a thread panicked while it held it: what our locks guard is consistent
/// between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock that knows its owner.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    owner: Mutex<Option<ThreadId>>,
    freed: Condvar,
}

impl Turns {
    /// Waits until no one else has the turn.
    ///
    /// # Errors
    /// When this thread has it already: it would wait for itself forever.
    pub(crate) fn take(&self) -> Result<Turn<'_>> {
        let this = thread::current().id();
        let mut owner = lock(&self.owner);
        if *owner == Some(this) {
            return Err(Error::internal(
                "this thread already has a write transaction open; commit or drop it first",
            ));
        }
        while owner.is_some() {
            owner = self.freed.wait(owner).unwrap_or_else(PoisonError::into_inner);
        }
        *owner = Some(this);
        Ok(Turn(self))
    }
}

/// The turn; dropping it lets the next one on.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.owner) = None;
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
    }
}
