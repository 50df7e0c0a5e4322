//! Putting a library together.

use std::path::PathBuf;
use std::sync::Arc;

use docent_core::{
    Blobs, ChatModels, Clock, Embedder, Error, IdSource, RandomIds, Reranker, Result, Store,
    SystemClock, Tool,
};
use docent_engine::{Engine, EngineOptions, EngineParts};
use docent_inference::{Catalog, ConfiguredModels, FileRole, ModelsConfig};
use docent_ingest::{Guard, Ingestor, Limits, ThreadGuard};
use docent_retrieval::{Collections, CollectionsOptions, CollectionsParts};
use docent_store::{LibraryDir, Mode};

use crate::Library;

/// The embedder a library uses when nobody names another.
pub(crate) const DEFAULT_EMBEDDER: &str = "all-MiniLM-L6-v2";

/// Everything that can be chosen about a [`Library`] before it is opened.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is opened"]
pub struct LibraryBuilder {
    path: PathBuf,
    mode: Mode,
    catalog: Catalog,
    embedder: EmbedderChoice,
    reranker: Option<Arc<dyn Reranker>>,
    models: ModelsConfig,
    own_models: Option<Arc<dyn ChatModels>>,
    tools: Vec<Arc<dyn Tool>>,
    guard: Arc<dyn Guard>,
    limits: Limits,
    collections: CollectionsOptions,
    engine: EngineOptions,
    clock: Arc<dyn Clock>,
    ids: Option<Arc<dyn IdSource>>,
}

/// Where vectors come from.
#[derive(Debug)]
enum EmbedderChoice {
    /// The catalog's, if its weights are on this machine.
    Named(String),
    /// The application's own.
    Own(Arc<dyn Embedder>),
    /// Words only.
    None,
}

impl LibraryBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            mode: Mode::OpenOrCreate,
            catalog: Catalog::builtin(),
            embedder: EmbedderChoice::Named(DEFAULT_EMBEDDER.to_owned()),
            reranker: None,
            models: ModelsConfig::default(),
            own_models: None,
            tools: Vec::new(),
            guard: Arc::new(ThreadGuard::default()),
            limits: Limits::default(),
            collections: CollectionsOptions::default(),
            engine: EngineOptions::default(),
            clock: Arc::new(SystemClock),
            ids: None,
        }
    }

    /// Refuses to open a library that does not exist yet; otherwise it is created.
    pub fn existing(mut self) -> Self {
        self.mode = Mode::OpenExisting;
        self
    }

    /// Where models are described and found; the built-in catalog unless set.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Embeds with the catalog's `name`. It is loaded when first needed; while its weights are not
    /// on this machine, documents wait for their vectors and searches go by words alone.
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = EmbedderChoice::Named(name.into());
        self
    }

    /// Embeds with `embedder`.
    pub fn own_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = EmbedderChoice::Own(embedder);
        self
    }

    /// Searches by words alone.
    pub fn without_embedder(mut self) -> Self {
        self.embedder = EmbedderChoice::None;
        self
    }

    /// Looks at the best candidates of every search once more.
    pub fn reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// The chat models, as in `docent.toml`; without it the extractive model answers every name.
    pub fn models(mut self, models: ModelsConfig) -> Self {
        self.models = models;
        self
    }

    /// Finds chat models by `models` instead of a configuration.
    pub fn own_models(mut self, models: Arc<dyn ChatModels>) -> Self {
        self.own_models = Some(models);
        self
    }

    /// Takes the embedder, the reranker and the chat models of a library that is open, so that they
    /// are loaded once for both.
    pub fn sharing_models(mut self, other: &Library) -> Self {
        let collections = other.collections();
        self.embedder = match collections.embedder() {
            Some(embedder) => EmbedderChoice::Own(embedder.clone()),
            None => EmbedderChoice::None,
        };
        self.reranker = collections.reranker().cloned();
        self.own_models = Some(other.engine().models().clone());
        self
    }

    /// A function that assistants may call.
    pub fn tool(mut self, tool: impl Tool + 'static) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Where parsers run. A [`ThreadGuard`] unless set; a program of yours that calls
    /// [`serve_extraction`](docent_ingest::serve_extraction) can have a
    /// [`ProcessGuard`](docent_ingest::ProcessGuard), which also bounds memory.
    pub fn guard(mut self, guard: Arc<dyn Guard>) -> Self {
        self.guard = guard;
        self
    }

    /// What reading one file may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How files are indexed and searched.
    pub fn collections(mut self, options: CollectionsOptions) -> Self {
        self.collections = options;
        self
    }

    /// How runs are worked on.
    pub fn engine(mut self, options: EngineOptions) -> Self {
        self.engine = options;
        self
    }

    /// Tells the time; the system's clock unless set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes ids; random ones unless set.
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// Opens the library, makes every index level with the log, and takes up unfinished runs.
    ///
    /// # Errors
    /// Those of [`LibraryDir::open`]; [`NotFound`](docent_core::ErrorKind::NotFound) for an
    /// embedder the catalog does not know.
    pub fn open(self) -> Result<Library> {
        let dir = LibraryDir::open(&self.path, self.mode)?;
        let store: Arc<dyn Store> = dir.store().clone();
        let blobs: Arc<dyn Blobs> = dir.blobs().clone();
        let ids = self.ids.unwrap_or_else(|| Arc::new(RandomIds::new(self.clock.clone())));
        let collections = Arc::new(Collections::open(CollectionsParts {
            store: store.clone(),
            blobs,
            ingestor: Ingestor::new(self.guard, self.limits),
            embedder: self.embedder.resolve(&self.catalog)?,
            reranker: self.reranker,
            clock: self.clock.clone(),
            ids: ids.clone(),
            indexes: dir.indexes_dir(),
            options: self.collections,
        })?);
        let models = self.own_models.unwrap_or_else(|| configured(self.models, self.catalog));
        let engine = Engine::open(EngineParts {
            store,
            collections,
            models,
            tools: self.tools,
            clock: self.clock,
            ids,
            options: self.engine,
        })?;
        Library::new(dir, engine)
    }
}

impl EmbedderChoice {
    fn resolve(self, catalog: &Catalog) -> Result<Option<Arc<dyn Embedder>>> {
        match self {
            Self::None => Ok(None),
            Self::Own(embedder) => Ok(Some(embedder)),
            Self::Named(name) => named_embedder(&name, catalog),
        }
    }
}

#[cfg(feature = "local-models")]
fn named_embedder(name: &str, catalog: &Catalog) -> Result<Option<Arc<dyn Embedder>>> {
    catalog.get(name)?;
    let Some(files) = catalog.locate(name) else { return Ok(None) };
    Ok(Some(Arc::new(crate::lazy::LazyEmbedder::new(files)?)))
}

#[cfg(not(feature = "local-models"))]
fn named_embedder(name: &str, catalog: &Catalog) -> Result<Option<Arc<dyn Embedder>>> {
    catalog.get(name)?;
    Ok(None)
}

fn configured(models: ModelsConfig, catalog: Catalog) -> Arc<dyn ChatModels> {
    let weights = move |name: &str| {
        catalog.get(name)?;
        let files = catalog.locate(name).ok_or_else(|| {
            Error::unavailable(format!(
                "the weights of {name} are not on this machine; run \"docent models pull {name}\""
            ))
        })?;
        Ok(files.path(FileRole::Weights)?.to_path_buf())
    };
    Arc::new(ConfiguredModels::new(models).with_locator(weights))
}
