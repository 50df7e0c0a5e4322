//! The threads that read and embed files that entered vector stores, and delete files that expired.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use docent_core::{Error, ErrorKind, Result};
use docent_engine::Engine;

/// One reads while another embeds; each fans out by itself.
const THREADS: usize = 2;

/// How long a failure (a full disk, an embedder that cannot begin) is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How often files are looked for whose time is over.
const SWEEP: Duration = Duration::from_secs(60);

/// Wakes and stops the threads. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ingest(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Grows whenever files may wait, so that each thread sees it once.
    wakes: u64,
    stopping: bool,
}

impl Ingest {
    /// Begins the threads, which look at once for what was left waiting.
    pub(crate) fn begin(engine: &Engine) -> Result<Self> {
        let ingest = Self::default();
        for number in 0..THREADS {
            let (engine, own) = (engine.clone(), ingest.clone());
            let thread = thread::Builder::new().name("docent-ingest".to_owned());
            let work = move || {
                if number == 0 {
                    sweep(&engine);
                }
                own.work(&engine);
            };
            thread.spawn(work).map_err(|source| {
                Error::new(ErrorKind::Overloaded, "thread docent-ingest cannot begin")
                    .with_source(source)
            })?;
        }
        Ok(ingest)
    }

    /// Says that files may wait.
    pub(crate) fn wake(&self) {
        self.lock().wakes += 1;
        self.0.changed.notify_all();
    }

    /// Asks the threads to stop after their present small step; what waits still waits durably.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.0.changed.notify_all();
    }

    fn work(&self, engine: &Engine) {
        let mut seen = 0;
        loop {
            let failed = match self.process(engine) {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "files wait");
                    true
                }
            };
            let mut state = self.lock();
            if failed && !state.stopping {
                let waited = self.0.changed.wait_timeout(state, AFTER_FAILURE);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let mut rested = false;
            while state.wakes == seen && !state.stopping && !failed && !rested {
                let waited = self.0.changed.wait_timeout(state, SWEEP);
                let (woken, time) = waited.unwrap_or_else(PoisonError::into_inner);
                (state, rested) = (woken, time.timed_out());
            }
            if state.stopping {
                return;
            }
            seen = state.wakes;
        }
    }

    fn process(&self, engine: &Engine) -> Result<()> {
        let collections = engine.collections();
        collections.delete_expired_files()?;
        if collections.pending()? > 0 {
            collections.process(&mut |_| self.flow())?;
        }
        Ok(())
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.lock().stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears away what uploads that a crash cut off have left.
fn sweep(engine: &Engine) {
    if let Err(error) = engine.collections().sweep() {
        tracing::warn!(error = format!("{error:#}"), "bytes of no file stay");
    }
}
