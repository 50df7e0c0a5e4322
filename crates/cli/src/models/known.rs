//! What a name stands for: an entry of docent.toml, a model of the catalog, or a file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use docent::inference::{
    ANY_MODEL, FileRole, LocalConfig, Manifest, ModelConfig, ModelKind, RemoteConfig,
};

use crate::setup::Setup;

/// What a name stands for.
pub(super) enum Known<'a> {
    Extractive,
    Remote(&'a RemoteConfig),
    /// A chat model whose weights are a file. The catalog's has a manifest; the file is missing
    /// when its weights are not here.
    Gguf {
        path: Option<PathBuf>,
        manifest: Option<&'a Manifest>,
        config: Option<&'a LocalConfig>,
    },
    /// A model of the catalog that does not chat.
    Other(&'a Manifest),
}

impl<'a> Known<'a> {
    pub(super) fn find(name: &str, setup: &'a Setup) -> Result<Self> {
        match configured(name, setup) {
            Some(ModelConfig::Extractive) => return Ok(Self::Extractive),
            Some(ModelConfig::Remote(remote)) => return Ok(Self::Remote(remote)),
            Some(ModelConfig::Local(local)) => return Self::local(local, setup),
            _ => {}
        }
        if let Some(manifest) = setup.catalog.list().find(|manifest| manifest.name == name) {
            return Self::of_catalog(manifest, None, setup);
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|suffix| suffix == "gguf") && path.is_file() {
            return Ok(Self::Gguf { path: Some(path.to_owned()), manifest: None, config: None });
        }
        // An endpoint may know any name.
        if let Some(ModelConfig::Remote(remote)) = configured(ANY_MODEL, setup) {
            return Ok(Self::Remote(remote));
        }
        bail!(
            "no model is called '{name}'; \"docent models list\" has those there are, docent.toml \
             those you configured, and a path may end in .gguf"
        )
    }

    fn local(local: &'a LocalConfig, setup: &'a Setup) -> Result<Self> {
        match &local.model {
            Some(model) => Self::of_catalog(setup.catalog.get(model)?, Some(local), setup),
            None => {
                Ok(Self::Gguf { path: local.path.clone(), manifest: None, config: Some(local) })
            }
        }
    }

    fn of_catalog(
        manifest: &'a Manifest,
        config: Option<&'a LocalConfig>,
        setup: &Setup,
    ) -> Result<Self> {
        if manifest.kind != ModelKind::Chat {
            return Ok(Self::Other(manifest));
        }
        let files = setup.catalog.locate(&manifest.name);
        let path = files.map(|files| files.path(FileRole::Weights).map(Path::to_owned));
        Ok(Self::Gguf { path: path.transpose()?, manifest: Some(manifest), config })
    }
}

fn configured<'a>(name: &str, setup: &'a Setup) -> Option<&'a ModelConfig> {
    let mut entries = setup.models().iter();
    entries.find(|(known, _)| *known == name).map(|(_, model)| model)
}
