//! An endpoint that fails again and again is left alone for a while: who waits for nothing can ask
//! another model, and an endpoint that is ill is not asked by everyone at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many calls in a row, retries and all, until the endpoint is left alone.
const FAILURES: u32 = 5;
/// For how long. Then one call may try; the others go on waiting for what it finds.
const PAUSE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// How long the endpoint is left alone still; none lets the call through.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let until = state.closed_until?;
        if now < until {
            return Some(until - now);
        }
        state.closed_until = Some(now + PAUSE);
        None
    }

    pub(super) fn answered(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.closed_until = Some(now + PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_some_failures_one_call_tries_at_a_time_until_one_is_answered() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            assert_eq!(breaker.wait(start), None);
            breaker.failed(start);
        }
        let second = Duration::from_secs(1);
        assert_eq!(breaker.wait(start + second), Some(PAUSE - second));
        let later = start + PAUSE;
        assert_eq!(breaker.wait(later), None);
        assert_eq!(breaker.wait(later), Some(PAUSE), "another tries meanwhile");
        breaker.failed(later);
        assert_eq!(breaker.wait(later + second), Some(PAUSE - second));
        assert_eq!(breaker.wait(later + PAUSE), None);
        breaker.answered();
        assert_eq!(breaker.wait(later + PAUSE), None);
        breaker.failed(later + PAUSE);
        assert_eq!(breaker.wait(later + PAUSE), None, "counted anew");
    }
}
