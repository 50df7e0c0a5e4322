//! How long a program may run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What to do with a running program now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Continue,
    /// Raise `KeyboardInterrupt` in it; said once.
    Interrupt,
    /// It did not heed that.
    Kill,
}

/// The watch over one program.
#[derive(Debug)]
pub(super) struct Watch {
    /// Set by the caller to interrupt it before its time.
    asked: Arc<AtomicBool>,
    deadline: Instant,
    grace: Duration,
    interrupted: Option<Instant>,
}

impl Watch {
    pub(super) fn new(time: Duration, grace: Duration, asked: Arc<AtomicBool>) -> Self {
        // A time that no clock can show is none.
        let far = Duration::from_secs(365 * 24 * 3600);
        let deadline = Instant::now() + time.min(far);
        Self { asked, deadline, grace: grace.min(far), interrupted: None }
    }

    pub(super) fn step(&mut self, now: Instant) -> Step {
        match self.interrupted {
            Some(since) if now.duration_since(since) >= self.grace => Step::Kill,
            Some(_) => Step::Continue,
            None if now >= self.deadline || self.asked.load(Ordering::Relaxed) => {
                self.interrupted = Some(now);
                Step::Interrupt
            }
            None => Step::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_interrupted_once_and_then_killed() {
        let (time, grace) = (Duration::from_secs(10), Duration::from_secs(2));
        let mut watch = Watch::new(time, grace, Arc::default());
        let after = |seconds| watch.deadline + Duration::from_secs(seconds);
        let (early, late, last) = (after(0) - time, after(1), after(3));
        assert_eq!(watch.step(early), Step::Continue);
        assert_eq!(watch.step(late), Step::Interrupt);
        assert_eq!(watch.step(late), Step::Continue);
        assert_eq!(watch.step(last), Step::Kill);
    }

    #[test]
    fn the_caller_can_interrupt_before_time() {
        let asked = Arc::new(AtomicBool::new(false));
        let mut watch = Watch::new(Duration::MAX, Duration::MAX, asked.clone());
        assert_eq!(watch.step(Instant::now()), Step::Continue);
        asked.store(true, Ordering::Relaxed);
        assert_eq!(watch.step(Instant::now()), Step::Interrupt);
    }
}
