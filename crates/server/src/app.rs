//! What every request needs: its project's engine, and who may ask.

use std::sync::Arc;

use docent_core::Result;
use docent_engine::Engine;

use crate::bridge::Threads;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::projects::Gate;
use crate::server::Patience;

/// What every request needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    /// None within a project: whoever comes that far was let in.
    gate: Option<Gate>,
    threads: Threads,
    ingest: Ingest,
    patience: Patience,
    metrics: Metrics,
}

impl App {
    /// The default project, and the way to the others.
    pub(crate) fn new(engine: Engine, gate: Gate, patience: Patience) -> Result<Self> {
        Self::with(engine, Some(gate), patience)
    }

    /// Another project.
    pub(crate) fn of_project(engine: Engine, patience: Patience) -> Result<Self> {
        Self::with(engine, None, patience)
    }

    fn with(engine: Engine, gate: Option<Gate>, patience: Patience) -> Result<Self> {
        let ingest = Ingest::begin(&engine)?;
        let (threads, metrics) = (Threads::default(), Metrics::default());
        Ok(Self(Arc::new(Shared { engine, gate, threads, ingest, patience, metrics })))
    }

    pub(crate) fn patience(&self) -> Patience {
        self.0.patience
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.0.gate.as_ref()
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

    /// Parks the runs of this project and of every other that is open, which ends their streams.
    pub(crate) async fn park_all(&self) {
        let all = [self.clone()].into_iter().chain(self.others());
        // At once: each may wait some seconds for a model to yield.
        let parks = all.map(|project| tokio::spawn(async move { project.park().await }));
        for park in parks.collect::<Vec<_>>() {
            // It cannot fail but by a panic, which was told already.
            let _ = park.await;
        }
    }

    /// Stops every project's engine for good; it may be called again.
    pub(crate) fn shut_down(&self) {
        for project in [self.clone()].into_iter().chain(self.others()) {
            project.ingest().stop();
            project.engine().shutdown();
        }
    }

    fn others(&self) -> Vec<Self> {
        self.gate().map(Gate::close).unwrap_or_default()
    }
}

/// The threads that ingest hold the engine, which would otherwise never be dropped.
impl Drop for Shared {
    fn drop(&mut self) {
        self.ingest.stop();
    }
}
