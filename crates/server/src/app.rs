//! What every request needs: the engine, and who may ask.

use std::sync::Arc;

use docent_engine::Engine;

use crate::bridge::Threads;
use crate::keys::ApiKeys;

/// What every request needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    keys: ApiKeys,
    threads: Threads,
}

impl App {
    pub(crate) fn new(engine: Engine, keys: ApiKeys) -> Self {
        Self(Arc::new(Shared { engine, keys, threads: Threads::default() }))
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

    /// Stops the engine for good; it may be called again.
    pub(crate) fn shut_down(&self) {
        self.engine().shutdown();
    }
}
