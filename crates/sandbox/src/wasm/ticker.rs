//! The clock that makes running guests look at their watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

const TICK: Duration = Duration::from_millis(20);

/// Raises the engine's epoch while programs run in it; with none running there is no thread.
#[derive(Clone, Debug)]
pub(super) struct Ticker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    has_thread: bool,
}

/// A program runs; dropped when it has ended.
#[derive(Debug)]
pub(super) struct Ticking(Arc<Shared>);

impl Ticker {
    pub(super) fn new(engine: &Engine) -> Self {
        Self(Arc::new(Shared { engine: engine.clone(), state: Mutex::default() }))
    }

    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(&self) -> std::io::Result<Ticking> {
        let mut state = self.0.lock();
        if !state.has_thread {
            let shared = self.0.clone();
            thread::Builder::new().name("wasm-ticker".to_owned()).spawn(move || shared.tick())?;
            state.has_thread = true;
        }
        state.running += 1;
        Ok(Ticking(self.0.clone()))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

impl Shared {
    fn tick(&self) {
        loop {
            thread::sleep(TICK);
            let mut state = self.lock();
            if state.running == 0 {
                state.has_thread = false;
                return;
            }
            drop(state);
            self.engine.increment_epoch();
        }
    }

    /// The counts are right whoever panicked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
