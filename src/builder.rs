//! Putting a library together.

use std::path::PathBuf;
use std::sync::Arc;

use docent_core::{
    Blobs, ChatModels, Clock, Embedder, Embedders, Error, IdSource, RandomIds, Reranker, Result,
    Store, SystemClock, Tool,
};
use docent_engine::{Engine, EngineOptions, EngineParts, Programs};
use docent_inference::{Catalog, ConfiguredModels, FileRole, ModelsConfig};
use docent_ingest::{Guard, Ingestor, Limits, ThreadGuard};
use docent_retrieval::{Collections, CollectionsOptions, CollectionsParts, StoreEmbedders};
use docent_store::{LibraryDir, Mode};

use crate::Library;
use crate::embedders::{CatalogEmbedders, named_embedder, own_embedder};

/// The embedder of a library that has no vectors yet, when nobody names another.
pub const DEFAULT_EMBEDDER: &str = "multilingual-e5-small-q4";

/// Everything that can be chosen about a [`Library`] before it is opened.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is opened"]
pub struct LibraryBuilder {
    path: PathBuf,
    mode: Mode,
    catalog: Catalog,
    embedder: EmbedderChoice,
    others: Option<Arc<dyn Embedders>>,
    reranker: Option<Arc<dyn Reranker>>,
    models: ModelsConfig,
    own_models: Option<Arc<dyn ChatModels>>,
    tools: Vec<Arc<dyn Tool>>,
    programs: Programs,
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
    /// What the library remembers, else the default.
    Remembered,
    /// The catalog's, if its weights are on this machine.
    Named(String),
    /// The application's own.
    Own(Arc<dyn Embedder>),
    /// Those of another library.
    Shared(StoreEmbedders),
    /// Words only.
    None,
}

impl LibraryBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            mode: Mode::OpenOrCreate,
            catalog: Catalog::builtin(),
            embedder: EmbedderChoice::Remembered,
            others: None,
            reranker: None,
            models: ModelsConfig::default(),
            own_models: None,
            tools: Vec::new(),
            programs: Programs::default(),
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

    /// Embeds new vector stores with the catalog's `name`. It is loaded when first needed; while its
    /// weights are not on this machine, documents wait for their vectors and searches go by words
    /// alone. Unless one is chosen it is the one that the library was built with, or else
    /// [`DEFAULT_EMBEDDER`].
    ///
    /// A vector store that has vectors goes on with the embedder that made them, whatever is chosen
    /// here; [`Library::reembed`] is what changes it.
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = EmbedderChoice::Named(name.into());
        self
    }

    /// Embeds new vector stores with `embedder`.
    pub fn own_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = EmbedderChoice::Own(embedder);
        self
    }

    /// Finds the embedders of vector stores that were built with another than the one for new
    /// stores; the catalog's unless set.
    pub fn embedders(mut self, embedders: Arc<dyn Embedders>) -> Self {
        self.others = Some(embedders);
        self
    }

    /// Searches by words alone, also where there are vectors.
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
    /// are loaded once for both, and who runs programs there, so that both have no more sessions
    /// than one may.
    pub fn sharing_models(mut self, other: &Library) -> Self {
        let collections = other.collections();
        self.embedder = EmbedderChoice::Shared(collections.embedders());
        self.reranker = collections.reranker().cloned();
        self.own_models = Some(other.engine().models().clone());
        self.programs = other.engine().programs().clone();
        self
    }

    /// A function that assistants may call.
    pub fn tool(mut self, tool: impl Tool + 'static) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Who runs the programs that assistants with the tool `code_interpreter` write; nobody unless
    /// set. Their run steps say why nobody does.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use docent::{Library, ProgramOptions, Programs, Result, Sandbox};
    /// # fn open_sandbox() -> Result<Arc<dyn Sandbox>> { Err(docent::Error::unavailable("no Python")) }
    /// # let folder = tempfile::tempdir()?;
    /// let programs = match open_sandbox() {
    ///     Ok(sandbox) => Programs::new(sandbox, ProgramOptions::default()),
    ///     Err(error) => Programs::refused(error.to_string()),
    /// };
    /// let library = Library::builder(folder.path()).without_embedder().programs(programs).open()?;
    /// # Ok::<(), docent::Error>(())
    /// ```
    pub fn programs(mut self, programs: Programs) -> Self {
        self.programs = programs;
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
        let others = self.others.unwrap_or_else(|| CatalogEmbedders::of(&self.catalog));
        let StoreEmbedders { usual, others } =
            self.embedder.resolve(&self.catalog, others, &*store)?;
        let collections = Arc::new(Collections::open(CollectionsParts {
            store: store.clone(),
            blobs,
            ingestor: Ingestor::new(self.guard, self.limits),
            embedder: usual,
            embedders: others,
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
            programs: self.programs,
            clock: self.clock,
            ids,
            options: self.engine,
        })?;
        Library::new(dir, engine)
    }
}

impl EmbedderChoice {
    /// The embedder of new vector stores, and what finds those of others.
    fn resolve(
        self,
        catalog: &Catalog,
        others: Arc<dyn Embedders>,
        store: &dyn Store,
    ) -> Result<StoreEmbedders> {
        let usual = match self {
            Self::None => return Ok(StoreEmbedders::default()),
            Self::Shared(shared) => return Ok(shared),
            Self::Own(embedder) => Some(embedder),
            Self::Named(name) => named_embedder(&name, catalog)?,
            Self::Remembered => match own_embedder(&*store.read()?)? {
                Some(remembered) => match remembered.embedder(&*others) {
                    Some(embedder) => Some(embedder),
                    None => named_embedder(DEFAULT_EMBEDDER, catalog)?,
                },
                None => named_embedder(DEFAULT_EMBEDDER, catalog)?,
            },
        };
        Ok(StoreEmbedders { usual, others: Some(others) })
    }
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
