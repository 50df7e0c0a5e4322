//! What every request needs: the engine, and who may ask.

use std::sync::Arc;

use docent_core::Result;
use docent_engine::Engine;

use crate::bridge::Threads;
use crate::ingest::Ingest;
use crate::keys::ApiKeys;
use crate::metrics::Metrics;
use crate::server::Patience;

/// What every request needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    keys: ApiKeys,
    threads: Threads,
    ingest: Ingest,
    patience: Patience,
    metrics: Metrics,
}

impl App {
    pub(crate) fn new(engine: Engine, keys: ApiKeys, patience: Patience) -> Result<Self> {
        let ingest = Ingest::begin(&engine)?;
        let (threads, metrics) = (Threads::default(), Metrics::default());
        Ok(Self(Arc::new(Shared { engine, keys, threads, ingest, patience, metrics })))
    }

    pub(crate) fn patience(&self) -> Patience {
        self.0.patience
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

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
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
