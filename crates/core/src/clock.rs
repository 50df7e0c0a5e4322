//! Time and new ids come from here, so that a test can hold them still.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::RawId;

/// Milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, as the Assistants API counts.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This point moved `later`; stays at the end of time rather than overflow.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970: wrong, but no reason to stop.
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::default().plus(since)
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.millis()))
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Makes new ids. Each is greater than all it made before.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// The next id, to be given a type by the caller: `ThreadId::new(ids.next_id())`.
    fn next_id(&self) -> RawId;
}

/// Ids of the present millisecond and a random tail.
#[derive(Debug)]
pub struct RandomIds {
    clock: Arc<dyn Clock>,
    last: Mutex<(u64, u128)>,
}

impl RandomIds {
    /// Sixteen base-62 digits.
    const TAILS: u128 = 62u128.pow(16);

    /// A source that reads the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::new((0, 0)) }
    }
}

impl IdSource for RandomIds {
    fn next_id(&self) -> RawId {
        let now = self.clock.now().millis();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Within one millisecond, or when the clock was set back, count on from the last id.
        *last = if now > last.0 { (now, random_tail()) } else { (last.0, last.1 + 1) };
        RawId::from_parts(last.0, last.1)
    }
}

/// A random tail with room above it to count in.
fn random_tail() -> u128 {
    let mut bytes = [0; 16];
    // Without a random source ids stay unique in this process by time and count.
    let _ = getrandom::fill(&mut bytes);
    u128::from_le_bytes(bytes) % (RandomIds::TAILS / 2)
}

/// Ids 1, 2, 3, … for tests that compare transcripts byte for byte.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl IdSource for SequentialIds {
    fn next_id(&self) -> RawId {
        RawId::from_parts(0, u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_stands_still() {
        let ids = RandomIds::new(Arc::new(ManualClock::new(Timestamp::from_millis(5))));
        let made: Vec<RawId> = (0..1000).map(|_| ids.next_id()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
    }
}
