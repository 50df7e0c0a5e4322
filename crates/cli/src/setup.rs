//! Which library, which configuration, which models: settled once, before a command begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use directories::ProjectDirs;
use docent::inference::{Catalog, ModelConfig, ModelsConfig};
use docent::ingest::ProcessGuard;
use docent::store::{LibraryDir, Mode, project_dir};
use docent::{CollectionsOptions, EngineOptions, Library, LibraryBuilder, VectorIndexKind};
use fs_err as fs;
use serde::Deserialize;

use crate::args::Global;
use crate::console::Console;
use crate::{interrupt, pull};

/// The embedder unless `docent.toml` names another.
const EMBEDDER: &str = "all-MiniLM-L6-v2";

/// The configuration's name, wherever it is looked for.
const CONFIG: &str = "docent.toml";

/// How many runs `docent serve` works on at a time with a remote model. Their threads wait for the
/// model and do not compute, so two hundred clients need not queue; one that sleeps costs some
/// pages of its small stack. Models on this machine take turns among themselves, and where there
/// are no others the engine's own bound is enough.
const REMOTE_RUNS: usize = 256;

/// Everything settled before a command begins.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) console: Console,
    pub(crate) catalog: Catalog,
    pub(crate) network: Network,
    /// Where the library is, or would be.
    pub(crate) library: PathBuf,
    /// None searches by words alone.
    embedder: Option<String>,
    vector_index: VectorIndexKind,
    models: ModelsConfig,
}

/// Whether weights may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Allowed,
    Offline,
}

/// What a command needs of the embedder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Fetched if they are not here.
    Fetch,
    /// Used if they are here.
    IfHere,
}

/// Whether a library has the embedder that is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedding {
    Usual,
    Without,
}

impl Setup {
    pub(crate) fn resolve(global: &Global, console: Console) -> Result<Self> {
        let library = match &global.library {
            Some(path) => path.clone(),
            None => default_library()?,
        };
        let (settings, models) = read_config(global.config.as_deref(), &library)?;
        let named = settings.embedder.unwrap_or_else(|| EMBEDDER.to_owned());
        Ok(Self {
            console,
            catalog: Catalog::builtin(),
            network: network(global),
            library,
            embedder: (!global.no_embedder).then_some(named),
            vector_index: settings.vector_index.into(),
            models: with_extractive(models),
        })
    }

    /// Opens the library, which is created if there is none.
    pub(crate) fn create(&self) -> Result<Library> {
        Ok(self.builder(Weights::Fetch)?.open()?)
    }

    /// Opens the library for many clients at a time; it is created if there is none.
    pub(crate) fn create_for_clients(&self) -> Result<Library> {
        let builder = self.builder(Weights::Fetch)?;
        Ok(builder.engine(self.options_for_clients()).open()?)
    }

    /// Opens the library of a project for clients, with the models of `beside`; it is created if
    /// there is none.
    pub(crate) fn create_project(&self, name: &str, beside: &Library) -> docent::Result<Library> {
        let path = project_dir(&self.library, name);
        let builder = self.bare_builder(path).map_err(|error| {
            docent::Error::unavailable(format!("the project {name} cannot be opened: {error:#}"))
        })?;
        builder.sharing_models(beside).engine(self.options_for_clients()).open()
    }

    fn options_for_clients(&self) -> EngineOptions {
        let remote = |model: &ModelConfig| matches!(model, ModelConfig::Remote(_));
        match self.models.iter().any(|(_, model)| remote(model)) {
            true => EngineOptions { workers: REMOTE_RUNS, ..Default::default() },
            false => EngineOptions::default(),
        }
    }

    /// Sees to it that there is a library. One that is there may be open elsewhere.
    pub(crate) fn create_if_missing(&self) -> Result<()> {
        if !self.exists() {
            LibraryDir::open(&self.library, Mode::OpenOrCreate)?;
        }
        Ok(())
    }

    /// The same setup for the library at `path`.
    pub(crate) fn elsewhere(&self, path: PathBuf, embedding: Embedding) -> Self {
        let embedder = self.embedder.clone().filter(|_| embedding == Embedding::Usual);
        Self {
            console: self.console.clone(),
            catalog: self.catalog.clone(),
            models: self.models.clone(),
            library: path,
            embedder,
            ..*self
        }
    }

    /// The embedder's name, where one is used.
    pub(crate) fn embedder_name(&self) -> Option<&str> {
        self.embedder.as_deref()
    }

    /// Opens the library, which must exist.
    pub(crate) fn existing(&self, weights: Weights) -> Result<Library> {
        if !self.exists() {
            return Err(self.no_library());
        }
        Ok(self.builder(weights)?.existing().open()?)
    }

    pub(crate) fn no_library(&self) -> anyhow::Error {
        anyhow!(
            "there is no library at {}; make one with \"docent add PATH\", or name another with \
             --library",
            self.library.display()
        )
    }

    /// Whether the directory is a library. `VERSION` is the first file a library writes.
    pub(crate) fn exists(&self) -> bool {
        self.library.join("VERSION").exists()
    }

    fn builder(&self, weights: Weights) -> Result<LibraryBuilder> {
        let builder = self.bare_builder(self.library.clone())?;
        let builder = builder.catalog(self.catalog.clone()).models(self.models.clone());
        Ok(match self.usable_embedder(weights)? {
            Some(name) => builder.embedder(name),
            None => builder.without_embedder(),
        })
    }

    /// All but the models.
    fn bare_builder(&self, path: PathBuf) -> Result<LibraryBuilder> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let guard = ProcessGuard::new(program, vec!["__extract".into()]);
        let collections =
            CollectionsOptions { vector_index: self.vector_index, ..CollectionsOptions::default() };
        Ok(Library::builder(path).guard(Arc::new(guard)).collections(collections))
    }

    /// The embedder, if its weights are here or could be fetched. Without it everything still
    /// works by words, so its absence is a warning.
    fn usable_embedder(&self, weights: Weights) -> Result<Option<&str>> {
        let Some(name) = self.embedder.as_deref() else { return Ok(None) };
        self.catalog.get(name)?;
        if self.catalog.locate(name).is_some() {
            return Ok(Some(name));
        }
        if weights == Weights::IfHere {
            return Ok(None);
        }
        let reason = match self.network {
            Network::Offline => {
                "its weights are not here and nothing is fetched offline".to_owned()
            }
            Network::Allowed => match pull::pull(name, self) {
                Ok(_) => return Ok(Some(name)),
                Err(error) if interrupt::pressed() => return Err(error),
                Err(error) => format!("{error:#}"),
            },
        };
        self.console.warn(format_args!(
            "searching by words alone, without {name}: {reason}\n\
             \"docent models pull {name}\" fetches it, and the next \"docent add\" embeds what \
             waits; --no-embedder goes without it on purpose"
        ));
        Ok(None)
    }
}

/// The keys of `docent.toml` that are not about chat models.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    embedder: Option<String>,
    #[serde(default)]
    vector_index: VectorIndex,
    /// Read by [`ModelsConfig`].
    #[serde(default, rename = "models")]
    _models: Option<toml::Table>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum VectorIndex {
    #[default]
    Auto,
    Exact,
    Hnsw,
}

impl From<VectorIndex> for VectorIndexKind {
    fn from(index: VectorIndex) -> Self {
        match index {
            VectorIndex::Auto => Self::Auto,
            VectorIndex::Exact => Self::Exact,
            VectorIndex::Hnsw => Self::Hnsw,
        }
    }
}

/// The configuration that was named, or else the first that is there: here, in the library.
fn read_config(named: Option<&Path>, library: &Path) -> Result<(Settings, ModelsConfig)> {
    let places = [PathBuf::from(CONFIG), library.join(CONFIG)];
    let found = match named {
        Some(path) => Some(path),
        None => places.iter().map(PathBuf::as_path).find(|path| path.is_file()),
    };
    let Some(path) = found else { return Ok(Default::default()) };
    let models = ModelsConfig::load(path)?;
    let text = fs::read_to_string(path)?;
    let settings = toml::from_str(&text).map_err(|error| {
        // The whole of it: the line it points at names the key.
        let message = error.to_string().replace("unknown field", "unknown key");
        anyhow::anyhow!("{}: {}", path.display(), message.trim_end())
    })?;
    Ok((settings, models))
}

/// What needs no download answers when nobody named a model, unless the configuration says
/// otherwise.
fn with_extractive(mut models: ModelsConfig) -> ModelsConfig {
    for name in ["default", "extractive"] {
        if !models.iter().any(|(known, _)| known == name || known == "*") {
            models.insert(name, ModelConfig::Extractive);
        }
    }
    models
}

fn network(global: &Global) -> Network {
    let asked = std::env::var_os("DOCENT_OFFLINE").is_some_and(|it| !it.is_empty() && it != "0");
    if global.offline || asked { Network::Offline } else { Network::Allowed }
}

fn default_library() -> Result<PathBuf> {
    let directories = ProjectDirs::from("", "", "docent")
        .context("your home directory is not known; name a library with --library DIR")?;
    Ok(directories.data_local_dir().join("library"))
}

/// Where what can be made again is kept.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let directories = ProjectDirs::from("", "", "docent")
        .context("your home directory is not known; set HOME")?;
    Ok(directories.cache_dir().to_owned())
}
