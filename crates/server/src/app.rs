//! What every request needs: the engine, and who may ask.

use std::sync::Arc;

use docent_core::Result;
use docent_engine::Engine;

use crate::bridge::Threads;
use crate::ingest::Ingest;
use crate::keys::ApiKeys;

/// What every request needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    keys: ApiKeys,
    threads: Threads,
    ingest: Ingest,
}

impl App {
    pub(crate) fn new(engine: Engine, keys: ApiKeys) -> Result<Self> {
        let ingest = Ingest::begin(&engine)?;
        Ok(Self(Arc::new(Shared { engine, keys, threads: Threads::default(), ingest })))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn keys(&self) -> &ApiKeys {
        &self.0.keys
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.0.threads
    }

    pub(crate) fn ingest(&self) -> &Ingest {
        &self.0.ingest
    }

    /// Stops the engine for good; it may be called again.
    pub(crate) fn shut_down(&self) {
        self.ingest().stop();
        self.engine().shutdown();
    }
}

/// The threads that ingest hold the engine, which would otherwise never be dropped.
impl Drop for Shared {
    fn drop(&mut self) {
        self.ingest.stop();
    }
}
