//! Finds a model's files on this machine, or fetches them.
//!
//! A file is used only if its SHA-256 is the manifest's. Hashing 90 MB takes a tenth of a second,
//! so a hash once checked is remembered with the file's length and time of change
//! ([`stamps`]); [`Catalog::verify`] trusts nothing remembered. Where the manifest has no hash, the
//! first file seen sets it ([`pins`]).

mod own;
mod pins;
mod place;
mod stamps;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{Error, Result};
use fs_err as fs;

pub use self::own::OwnModel;
use self::pins::Pins;
pub use self::place::default_cache_dir;
use self::stamps::Stamps;
pub(crate) use self::stamps::hash_file;
use crate::fetch::{self, Network, PullProgress, Wanted};
use crate::manifest::{FileRole, Manifest, ModelFile, Source};

/// The manifests compiled in; a test reads each of them.
const BUILTIN: [(&str, &str); 11] = [
    ("models/Qwen3-Embedding-0.6B.toml", include_str!("../../../models/Qwen3-Embedding-0.6B.toml")),
    (
        "models/SmolLM2-135M-Instruct.toml",
        include_str!("../../../models/SmolLM2-135M-Instruct.toml"),
    ),
    ("models/all-MiniLM-L6-v2.toml", include_str!("../../../models/all-MiniLM-L6-v2.toml")),
    ("models/bge-reranker-v2-m3.toml", include_str!("../../../models/bge-reranker-v2-m3.toml")),
    ("models/bge-small-en-v1.5.toml", include_str!("../../../models/bge-small-en-v1.5.toml")),
    (
        "models/granite-embedding-small-english-r2.toml",
        include_str!("../../../models/granite-embedding-small-english-r2.toml"),
    ),
    (
        "models/ms-marco-MiniLM-L6-v2.toml",
        include_str!("../../../models/ms-marco-MiniLM-L6-v2.toml"),
    ),
    (
        "models/multilingual-e5-small.toml",
        include_str!("../../../models/multilingual-e5-small.toml"),
    ),
    (
        "models/multilingual-e5-small-q4.toml",
        include_str!("../../../models/multilingual-e5-small-q4.toml"),
    ),
    (
        "models/nomic-embed-text-v1.5.toml",
        include_str!("../../../models/nomic-embed-text-v1.5.toml"),
    ),
    (
        "models/snowflake-arctic-embed-s.toml",
        include_str!("../../../models/snowflake-arctic-embed-s.toml"),
    ),
];

/// The models there are, and the directory their files are kept in: `<cache>/<model>/<file>`.
#[derive(Clone, Debug)]
pub struct Catalog {
    manifests: BTreeMap<String, Arc<Manifest>>,
    cache: PathBuf,
    network: Network,
}

impl Catalog {
    /// The models Docent knows by itself.
    pub fn builtin() -> Self {
        let mut catalog = Self::empty();
        for (origin, text) in BUILTIN {
            let manifest = Manifest::parse(text, origin).expect("a test reads every manifest");
            catalog.insert(manifest);
        }
        catalog
    }

    /// The models that `dir`'s `*.toml` files describe, and no others.
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self> {
        Self::empty().with_dir(dir)
    }

    /// Also the models that `dir`'s `*.toml` files describe; they come before equal names.
    pub fn with_dir(mut self, dir: impl AsRef<Path>) -> Result<Self> {
        for entry in fs::read_dir(dir.as_ref())? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == "toml") {
                let text = fs::read_to_string(&path)?;
                self.insert(Manifest::parse(&text, &path.display().to_string())?);
            }
        }
        Ok(self)
    }

    /// Also the models that `*.toml` files beside the kept ones describe: those a user has put
    /// there.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names the file that is no manifest.
    pub fn with_own_manifests(self) -> Result<Self> {
        let dir = self.cache.clone();
        if dir.is_dir() { self.with_dir(dir) } else { Ok(self) }
    }

    /// The same models, kept in `dir` instead of [`default_cache_dir`].
    #[must_use]
    pub fn with_cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = dir.into();
        self
    }

    /// Where files are kept.
    pub fn cache_dir(&self) -> &Path {
        &self.cache
    }

    /// The models, sorted by name.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &Manifest> {
        self.manifests.values().map(Arc::as_ref)
    }

    /// The model called `name`.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) names the models there are.
    pub fn get(&self, name: &str) -> Result<&Arc<Manifest>> {
        self.manifests.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.manifests.keys().map(String::as_str).collect();
            Error::not_found(format!("no model is called '{name}'; there are {}", known.join(", ")))
        })
    }

    /// The files of the model called `name`, if all are on this machine and are what the manifest
    /// says. Looks in the cache, in directories the manifest names, and in the Hugging Face cache;
    /// opens no socket.
    pub fn locate(&self, name: &str) -> Option<ModelFiles> {
        let manifest = &self.pinned(self.manifests.get(name)?)?;
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        let found = manifest.files.iter().map(|file| {
            let path = self.candidates(manifest, &file.name).into_iter().find(|path| {
                stamps.check(path, file).unwrap_or_else(|error| {
                    tracing::warn!(model = name, %error, "a model file is not used");
                    false
                })
            });
            Some((file.role, path?))
        });
        let paths = found.collect::<Option<BTreeMap<_, _>>>();
        stamps.save();
        Some(ModelFiles { manifest: Arc::clone(manifest), paths: paths? })
    }

    /// The files of the model called `name`, fetched if need be. `on_progress` may break off; what
    /// was fetched so far is kept and the next call goes on from there.
    ///
    /// Processes that pull the same model wait for one another.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) lists every source, why it failed and
    /// how to place the files by hand; [`Conflict`](docent_core::ErrorKind::Conflict) when the
    /// caller broke off.
    pub fn pull(
        &self,
        name: &str,
        on_progress: &mut dyn FnMut(PullProgress<'_>) -> ControlFlow<()>,
    ) -> Result<ModelFiles> {
        let manifest = self.get(name)?;
        if let Some(files) = self.locate(name) {
            return Ok(files);
        }
        let dir = self.model_dir(manifest);
        let _lock = fetch::lock(&dir, name, on_progress)?;
        // Whoever held the lock may have fetched it.
        if let Some(files) = self.locate(name) {
            return Ok(files);
        }
        let missing = self.missing(manifest);
        fetch::fetch(manifest, &missing, &dir, &self.network, on_progress)?;
        self.locate(name).ok_or_else(|| {
            Error::internal(format!("{name} was fetched to {} but is not there", dir.display()))
        })
    }

    /// Hashes every file of the model called `name` anew.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) if a file is not on this machine,
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) if it is not what the manifest says.
    pub fn verify(&self, name: &str) -> Result<ModelFiles> {
        let manifest = &self.pinned(self.get(name)?).ok_or_else(|| {
            Error::not_found(format!(
                "not all files of {name} are here; run \"docent models pull {name}\""
            ))
        })?;
        let mut paths = BTreeMap::new();
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        for file in &manifest.files {
            let path = self.candidates(manifest, &file.name).into_iter().find(|path| path.exists());
            let Some(path) = path else {
                return Err(Error::not_found(format!(
                    "{} of {name} is not here; run \"docent models pull {name}\"",
                    file.name
                )));
            };
            stamps.forget(&path);
            let found = hash_file(&path)?;
            if found != file.sha256 {
                stamps.save();
                return Err(Error::corrupt(format!(
                    "{} has sha256 {found} but {name} needs {}; delete it and run \"docent models pull {name}\"",
                    path.display(),
                    file.sha256
                )));
            }
            stamps.remember(&path, file);
            paths.insert(file.role, path);
        }
        stamps.save();
        Ok(ModelFiles { manifest: Arc::clone(manifest), paths })
    }

    fn empty() -> Self {
        Self {
            manifests: BTreeMap::new(),
            cache: default_cache_dir(),
            network: Network::from_env(),
        }
    }

    fn insert(&mut self, manifest: Manifest) {
        self.manifests.insert(manifest.name.clone(), Arc::new(manifest));
    }

    fn model_dir(&self, manifest: &Manifest) -> PathBuf {
        self.cache.join(&manifest.name)
    }

    /// Where the file called `name` may already be, best first.
    fn candidates(&self, manifest: &Manifest, name: &str) -> Vec<PathBuf> {
        let elsewhere = manifest.sources.iter().filter_map(|source| match source {
            Source::Dir { path } => Some(path.join(name)),
            source => self.network.hub_cache_path(source, name),
        });
        std::iter::once(self.model_dir(manifest).join(name)).chain(elsewhere).collect()
    }

    /// The manifest with every file pinned: those it leaves open as they were first seen, or as
    /// they are now. Nothing if one of them is not here.
    fn pinned(&self, manifest: &Arc<Manifest>) -> Option<Arc<Manifest>> {
        if manifest.unpinned_files.is_empty() {
            return Some(Arc::clone(manifest));
        }
        let mut pins = Pins::open(&self.model_dir(manifest));
        let mut pinned = Manifest::clone(manifest);
        for file in std::mem::take(&mut pinned.unpinned_files) {
            let paths = self.candidates(manifest, &file.name);
            pinned.files.push(pins.get_or_pin(&file, &paths)?);
        }
        pins.save();
        Some(Arc::new(pinned))
    }

    fn missing<'m>(&self, manifest: &'m Manifest) -> Vec<Wanted<'m>> {
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        let here = |file: &ModelFile, stamps: &mut Stamps| {
            let paths = self.candidates(manifest, &file.name);
            paths.iter().any(|path| stamps.check(path, file).unwrap_or(false))
        };
        let known = manifest.files.iter().filter(|file| !here(file, &mut stamps));
        let mut pins = Pins::open(&self.model_dir(manifest));
        let unpinned = manifest.unpinned_files.iter().filter_map(|file| {
            let paths = self.candidates(manifest, &file.name);
            match pins.get_or_pin(file, &paths) {
                Some(pinned) if here(&pinned, &mut Stamps::open(&self.model_dir(manifest))) => None,
                Some(pinned) => {
                    Some(Wanted { pin: Some((pinned.bytes, pinned.sha256)), name: &file.name })
                }
                None => Some(Wanted { name: &file.name, pin: None }),
            }
        });
        known.map(Wanted::from).chain(unpinned).collect()
    }

    #[cfg(test)]
    pub(crate) fn with_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }
}

/// A model's files on this machine, each checked against its manifest.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    manifest: Arc<Manifest>,
    paths: BTreeMap<FileRole, PathBuf>,
}

impl ModelFiles {
    #[cfg(test)]
    pub(crate) fn new(manifest: Arc<Manifest>, paths: BTreeMap<FileRole, PathBuf>) -> Self {
        Self { manifest, paths }
    }

    /// What the model is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the file for `role` is.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if the model has no such file.
    pub fn path(&self, role: FileRole) -> Result<&Path> {
        self.paths.get(&role).map(PathBuf::as_path).ok_or_else(|| {
            Error::invalid(format!("the manifest of {} names no {role}", self.manifest.name))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
