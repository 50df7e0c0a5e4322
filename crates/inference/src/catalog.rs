//! Finds a model's files on this machine, or fetches them.
//!
//! A file is used only if its SHA-256 is the manifest's. Hashing 90 MB takes a tenth of a second,
//! so a hash once checked is remembered with the file's length and time of change
//! ([`stamps`]); [`Catalog::verify`] trusts nothing remembered.

mod place;
mod stamps;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{Error, Result};
use fs_err as fs;

pub use self::place::default_cache_dir;
use self::stamps::Stamps;
pub(crate) use self::stamps::hash_file;
use crate::fetch::{self, Network, PullProgress};
use crate::manifest::{FileRole, Manifest, ModelFile, Source};

/// The manifests compiled in; a test reads each of them.
const BUILTIN: [(&str, &str); 3] = [
    ("models/all-MiniLM-L6-v2.toml", include_str!("../../../models/all-MiniLM-L6-v2.toml")),
    (
        "models/multilingual-e5-small-q4.toml",
        include_str!("../../../models/multilingual-e5-small-q4.toml"),
    ),
    (
        "models/SmolLM2-135M-Instruct.toml",
        include_str!("../../../models/SmolLM2-135M-Instruct.toml"),
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
        let manifest = self.manifests.get(name)?;
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        let found = manifest.files.iter().map(|file| {
            let path = self.candidates(manifest, file).into_iter().find(|path| {
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
        let manifest = self.get(name)?;
        let mut paths = BTreeMap::new();
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        for file in &manifest.files {
            let path = self.candidates(manifest, file).into_iter().find(|path| path.exists());
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

    /// Where `file` may already be, best first.
    fn candidates(&self, manifest: &Manifest, file: &ModelFile) -> Vec<PathBuf> {
        let elsewhere = manifest.sources.iter().filter_map(|source| match source {
            Source::Dir { path } => Some(path.join(&file.name)),
            source => self.network.hub_cache_path(source, &file.name),
        });
        std::iter::once(self.model_dir(manifest).join(&file.name)).chain(elsewhere).collect()
    }

    fn missing<'m>(&self, manifest: &'m Manifest) -> Vec<&'m ModelFile> {
        let mut stamps = Stamps::open(&self.model_dir(manifest));
        let here = |file: &ModelFile, stamps: &mut Stamps| {
            let paths = self.candidates(manifest, file);
            paths.iter().any(|path| stamps.check(path, file).unwrap_or(false))
        };
        manifest.files.iter().filter(|file| !here(file, &mut stamps)).collect()
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
