//! Ctrl-C: the first asks us to stop after the current small step, the second ends us at once.
//!
//! Ending at once is safe too, because everything acknowledged is on the disk; stopping is kinder,
//! because it can say what was kept.

use std::ops::ControlFlow;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::outcome::INTERRUPTED;

type Stop = Box<dyn FnOnce() + Send>;

static PRESSED: AtomicBool = AtomicBool::new(false);
static ON_PRESS: Mutex<Option<Stop>> = Mutex::new(None);

/// Begins to listen. SIGTERM and SIGHUP count as Ctrl-C.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::SeqCst) {
            process::exit(INTERRUPTED.into());
        }
        call_stop();
    })
}

/// Leaves Ctrl-C to our parent: a terminal sends it to both of us, and the parent decides what
/// becomes of the document that is being read.
pub(crate) fn leave_to_parent() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {})
}

/// Whether Ctrl-C was pressed.
pub(crate) fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}

/// The same, for closures that say whether to go on.
pub(crate) fn flow() -> ControlFlow<()> {
    if pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Calls `stop` when Ctrl-C is pressed, for work that has no step to look between. It runs on a
/// thread of its own.
pub(crate) fn on_press(stop: impl FnOnce() + Send + 'static) {
    *lock() = Some(Box::new(stop));
    // It may have been pressed just before: then nobody else calls it.
    if pressed() {
        call_stop();
    }
}

/// What [`on_press`] was given is over.
pub(crate) fn forget() {
    *lock() = None;
}

fn call_stop() {
    let stop = lock().take();
    if let Some(stop) = stop {
        stop();
    }
}

fn lock() -> MutexGuard<'static, Option<Stop>> {
    ON_PRESS.lock().unwrap_or_else(PoisonError::into_inner)
}
