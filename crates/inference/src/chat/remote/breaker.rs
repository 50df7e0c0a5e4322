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
    reason: String,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// How long the endpoint is left alone still, and why; none lets the call through.
    pub(super) fn wait(&self, now: Instant) -> Option<(Duration, String)> {
        let mut state = self.lock();
        let until = state.closed_until?;
        if now < until {
            return Some((until - now, state.reason.clone()));
        }
        state.closed_until = Some(now + PAUSE);
        None
    }

    pub(super) fn answered(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn failed(&self, now: Instant, reason: String) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        state.reason = reason;
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
        let wait = |at| breaker.wait(at).map(|(wait, reason)| (wait, reason == "ill"));
        for _ in 0..FAILURES {
            assert_eq!(wait(start), None);
            breaker.failed(start, "ill".into());
        }
        let second = Duration::from_secs(1);
        assert_eq!(wait(start + second), Some((PAUSE - second, true)));
        let later = start + PAUSE;
        assert_eq!(wait(later), None);
        assert_eq!(wait(later), Some((PAUSE, true)), "another tries meanwhile");
        breaker.failed(later, "ill".into());
        assert_eq!(wait(later + second), Some((PAUSE - second, true)));
        assert_eq!(wait(later + PAUSE), None);
        breaker.answered();
        assert_eq!(wait(later + PAUSE), None);
        breaker.failed(later + PAUSE, "ill".into());
        assert_eq!(wait(later + PAUSE), None, "counted anew");
    }
}
