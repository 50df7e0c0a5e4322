//! Which library, which configuration, which models: settled once, before a command begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use directories::ProjectDirs;
use docent::inference::{
    Catalog, ConfiguredModels, FileRole, LocalConfig, ModelConfig, ModelKind, ModelsConfig,
};
use docent::ingest::ProcessGuard;
use docent::store::{LibraryDir, Mode, project_dir};
use docent::{
    CollectionsOptions, DEFAULT_EMBEDDER, DroppedMessages, EngineOptions, LateInteraction, Library,
    LibraryBuilder, Programs, QueryRewriting, RememberedEmbedder, VectorIndexKind,
};
use fs_err as fs;
use serde::Deserialize;

use crate::args::Global;
use crate::console::Console;
use crate::sandbox::SandboxSettings;
use crate::{interrupt, pull, sandbox};

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
    embedder: Chosen,
    vector_index: VectorIndexKind,
    pub(crate) late_interaction: LateInteraction,
    query_rewriting: QueryRewriting,
    dropped_messages: DroppedMessages,
    models: ModelsConfig,
    pub(crate) sandbox: SandboxSettings,
}

/// Which embedder was chosen.
#[derive(Clone, Debug)]
enum Chosen {
    /// The one that the library was built with, or else the default.
    Remembered,
    /// The configuration's.
    Named(String),
    /// None: words alone.
    Without,
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
        let embedder = match settings.embedder {
            _ if global.no_embedder => Chosen::Without,
            Some(name) => Chosen::Named(name),
            None => Chosen::Remembered,
        };
        let catalog = Catalog::builtin().with_own_manifests()?;
        let models = with_models_here(with_extractive(models), &catalog);
        Ok(Self {
            console,
            catalog,
            network: network(global),
            library,
            embedder,
            vector_index: settings.vector_index.into(),
            late_interaction: settings.late_interaction,
            query_rewriting: settings.query_rewriting.into(),
            dropped_messages: settings.context.into(),
            models,
            sandbox: settings.sandbox,
        })
    }

    /// Opens the library, which is created if there is none.
    pub(crate) fn create(&self) -> Result<Library> {
        Ok(self.builder(Weights::Fetch)?.open()?)
    }

    /// Opens the library for many clients at a time; it is created if there is none.
    pub(crate) fn create_for_clients(&self) -> Result<Library> {
        let builder = self.builder(Weights::Fetch)?.programs(self.programs());
        Ok(builder.engine(self.options_for_clients()).open()?)
    }

    /// Opens the library of a project for clients, with the models and the sandbox of `beside`; it
    /// is created if there is none.
    pub(crate) fn create_project(&self, name: &str, beside: &Library) -> docent::Result<Library> {
        let path = project_dir(&self.library, name);
        let builder = self.bare_builder(path).map_err(|error| {
            docent::Error::unavailable(format!("the project {name} cannot be opened: {error:#}"))
        })?;
        builder.sharing_models(beside).engine(self.options_for_clients()).open()
    }

    /// Who runs the programs that models write. A server begins without, and says why.
    fn programs(&self) -> Programs {
        match sandbox::open(&self.sandbox) {
            Ok(opened) => Programs::new(opened.sandbox, self.sandbox.options()),
            Err(error) => {
                let why = error.message().to_owned();
                if !self.sandbox.is_off() {
                    self.console.warn(format_args!(
                        "code_interpreter runs nothing: {why}; \"docent sandbox check\" tries again"
                    ));
                }
                Programs::refused(why)
            }
        }
    }

    fn options_for_clients(&self) -> EngineOptions {
        let remote = |model: &ModelConfig| matches!(model, ModelConfig::Remote(_));
        let usual = self.engine_options();
        match self.models.iter().any(|(_, model)| remote(model)) {
            true => EngineOptions { workers: REMOTE_RUNS, ..usual },
            false => usual,
        }
    }

    fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            query_rewriting: self.query_rewriting,
            dropped_messages: self.dropped_messages,
            ..EngineOptions::default()
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
        let embedder = match embedding {
            Embedding::Usual => self.embedder.clone(),
            Embedding::Without => Chosen::Without,
        };
        Self {
            console: self.console.clone(),
            catalog: self.catalog.clone(),
            models: self.models.clone(),
            sandbox: self.sandbox.clone(),
            library: path,
            embedder,
            ..*self
        }
    }

    /// The chat models as they are configured.
    pub(crate) fn models(&self) -> &ModelsConfig {
        &self.models
    }

    /// The chat models, ready to be asked, with another whose weights are a file.
    pub(crate) fn chat_models(&self, other: Option<(&str, &Path)>) -> ConfiguredModels {
        let mut models = self.models.clone();
        if let Some((name, path)) = other {
            let local = LocalConfig { path: Some(path.to_owned()), ..LocalConfig::default() };
            models.insert(name, ModelConfig::Local(local));
        }
        let catalog = self.catalog.clone();
        ConfiguredModels::new(models).with_locator(move |name| {
            let files = catalog.locate(name).ok_or_else(|| {
                docent::Error::unavailable(format!(
                    "the weights of {name} are not here; run \"docent models pull {name}\""
                ))
            })?;
            Ok(files.path(FileRole::Weights)?.to_owned())
        })
    }

    /// The embedder of a new library, where one is used.
    pub(crate) fn embedder_name(&self) -> Option<&str> {
        match &self.embedder {
            Chosen::Remembered => Some(DEFAULT_EMBEDDER),
            Chosen::Named(name) => Some(name),
            Chosen::Without => None,
        }
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
        let Some(new) = self.embedder_name() else { return Ok(builder.without_embedder()) };
        self.catalog.get(new)?;
        let remembered = Library::remembered_embedder(&self.library)?;
        let own = remembered.as_ref().map(|it| self.known_name(it, weights));
        // An unknown one was warned of, and new vector stores need one that is known.
        let own = own.flatten().unwrap_or_else(|| new.to_owned());
        let is_here = self.see_to_weights(&own, weights)?;
        let Chosen::Named(named) = &self.embedder else {
            return Ok(if is_here { builder.embedder(own) } else { builder.embedder(new) });
        };
        if *named != own {
            if weights == Weights::Fetch {
                self.console.note(format_args!(
                    "this library goes on with {own}, which it was built with; new vector stores \
                     get {named}; \"docent reembed --embedder {named}\" changes the library too"
                ));
            }
            self.see_to_weights(named, weights)?;
        }
        Ok(builder.embedder(named))
    }

    /// The name by which the catalog knows the embedder of the library.
    fn known_name(&self, embedder: &RememberedEmbedder, weights: Weights) -> Option<String> {
        let name = embedder.name_in(&self.catalog);
        let known = name.clone().filter(|name| self.catalog.get(name).is_ok());
        if known.is_none() && weights == Weights::Fetch {
            let name = name.unwrap_or_else(|| embedder.fingerprint.to_string());
            self.console.warn(format_args!(
                "searching by words alone: this library was built with {name}, which is not among \
                 the models here; \"docent reembed --embedder {}\" makes new vectors",
                self.embedder_name().unwrap_or(DEFAULT_EMBEDDER)
            ));
        }
        known
    }

    /// All but the models.
    fn bare_builder(&self, path: PathBuf) -> Result<LibraryBuilder> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let guard = ProcessGuard::new(program, vec!["__extract".into()]);
        let collections = CollectionsOptions {
            vector_index: self.vector_index,
            late_interaction: self.late_interaction,
            ..CollectionsOptions::default()
        };
        let builder = Library::builder(path).guard(Arc::new(guard)).collections(collections);
        Ok(builder.engine(self.engine_options()))
    }

    /// Whether the weights of `name` are here, or could be fetched. Without them everything still
    /// works by words, so their absence is a warning.
    fn see_to_weights(&self, name: &str, weights: Weights) -> Result<bool> {
        self.catalog.get(name)?;
        if self.catalog.locate(name).is_some() {
            return Ok(true);
        }
        if weights == Weights::IfHere {
            return Ok(false);
        }
        let reason = match self.fetch(name) {
            Ok(()) => return Ok(true),
            Err(error) if interrupt::pressed() => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        self.console.warn(format_args!(
            "searching by words alone, without {name}: {reason}\n\
             \"docent models pull {name}\" fetches it, and the next \"docent add\" embeds what \
             waits; --no-embedder goes without it on purpose"
        ));
        Ok(false)
    }

    /// Fetches the weights of `name`, where that is allowed.
    fn fetch(&self, name: &str) -> Result<()> {
        if self.network == Network::Offline {
            return Err(anyhow!("its weights are not here and nothing is fetched offline"));
        }
        pull::pull(name, self).map(drop)
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
    #[serde(default)]
    late_interaction: LateInteraction,
    #[serde(default)]
    query_rewriting: Rewriting,
    #[serde(default)]
    context: ContextSettings,
    #[serde(default)]
    sandbox: SandboxSettings,
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

/// Who rewrites what a search for an answer is to look for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rewriting {
    #[default]
    Model,
    Rules,
    Off,
}

impl From<Rewriting> for QueryRewriting {
    fn from(rewriting: Rewriting) -> Self {
        match rewriting {
            Rewriting::Model => Self::Model,
            Rewriting::Rules => Self::Rules,
            Rewriting::Off => Self::Off,
        }
    }
}

/// What is done with conversations that are too long for a model: the `[context]` part.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextSettings {
    #[serde(default)]
    summarize_dropped: bool,
}

impl From<ContextSettings> for DroppedMessages {
    fn from(settings: ContextSettings) -> Self {
        if settings.summarize_dropped { Self::Summarized } else { Self::Forgotten }
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

/// Chat models of the catalog whose weights are here answer to their names without being configured.
fn with_models_here(mut models: ModelsConfig, catalog: &Catalog) -> ModelsConfig {
    for manifest in catalog.list().filter(|manifest| manifest.kind == ModelKind::Chat) {
        let name = &manifest.name;
        if models.iter().all(|(known, _)| known != name) && catalog.locate(name).is_some() {
            let local = LocalConfig { model: Some(name.clone()), ..LocalConfig::default() };
            models.insert(name, ModelConfig::Local(local));
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
