//! Finding, and loading once, the chat model behind a name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use docent_core::{ChatModel, ChatModels, Error, Result};
use tracing::info_span;

use super::{ANY_MODEL, LocalConfig, ModelConfig, ModelsConfig, RemoteConfig};
use crate::chat::{Bounded, Extractive, Turns};

/// Finds the weights of a model in the catalog: a GGUF file for a name.
pub type LocateModel = dyn Fn(&str) -> Result<PathBuf> + Send + Sync;

/// The chat models of a configuration. Each is loaded when first asked for, and once, however
/// many threads ask. Those that compute on this machine [take turns](Turns).
pub struct ConfiguredModels {
    slots: BTreeMap<String, Slot>,
    locate: Box<LocateModel>,
    turns: Arc<Turns>,
}

enum Slot {
    /// Made by the application.
    Ready(Arc<dyn ChatModel>),
    /// Made by us, once.
    Lazy { config: ModelConfig, loaded: Mutex<Option<Arc<dyn ChatModel>>> },
}

impl ConfiguredModels {
    /// The models of `config`. Entries that name a model of the catalog need
    /// [`with_locator`](Self::with_locator).
    pub fn new(config: ModelsConfig) -> Self {
        let slot = |config| Slot::Lazy { config, loaded: Mutex::new(None) };
        let slots = config.entries.into_iter().map(|(name, entry)| (name, slot(entry))).collect();
        let locate = |name: &str| {
            Err(Error::unavailable(format!("there is no catalog to find model {name:?} in")))
        };
        let turns = Arc::new(Turns::for_this_machine());
        Self { slots, locate: Box::new(locate), turns }
    }

    /// The same models, finding weights by `locate`.
    #[must_use]
    pub fn with_locator(
        mut self,
        locate: impl Fn(&str) -> Result<PathBuf> + Send + Sync + 'static,
    ) -> Self {
        self.locate = Box::new(locate);
        self
    }

    /// The same models and one of the application's own, which answers to `name` (or to
    /// [any other name](ANY_MODEL)) whatever the configuration says.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>, model: Arc<dyn ChatModel>) -> Self {
        self.slots.insert(name.into(), Slot::Ready(model));
        self
    }

    fn load(&self, name: &str, config: &ModelConfig) -> Result<Arc<dyn ChatModel>> {
        let _span = info_span!("model.load", model = name).entered();
        let loaded = match config {
            ModelConfig::Extractive => Ok(Arc::new(Extractive::new(name)) as Arc<dyn ChatModel>),
            ModelConfig::Remote(remote) => load_remote(name, remote),
            ModelConfig::Local(local) => {
                let loaded = self.weights(local).and_then(|path| load_local(name, &path, local));
                loaded.map(|model| Arc::new(Bounded::new(model, self.turns.clone())) as _)
            }
        };
        loaded.map_err(|error| error.context(format_args!("chat model {name:?}")))
    }

    fn weights(&self, local: &LocalConfig) -> Result<PathBuf> {
        match (&local.path, &local.model) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(model)) => (self.locate)(model),
            (None, None) => Err(Error::invalid("needs a path or the name of a model")),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.names().join(", ");
        let known =
            if names.is_empty() { "none is".to_owned() } else { format!("there are {names}") };
        Error::not_found(format!(
            "no chat model is configured as {name:?} ({known}); add [models.{name:?}] or \
             [models.\"*\"] to docent.toml"
        ))
    }
}

#[cfg(feature = "remote-models")]
fn load_remote(name: &str, config: &RemoteConfig) -> Result<Arc<dyn ChatModel>> {
    Ok(Arc::new(crate::chat::Remote::new(name, config.clone())?))
}

#[cfg(not(feature = "remote-models"))]
fn load_remote(_: &str, _: &RemoteConfig) -> Result<Arc<dyn ChatModel>> {
    Err(Error::unavailable("this build has no remote models; build with feature \"remote-models\""))
}

#[cfg(feature = "local-models")]
fn load_local(name: &str, path: &Path, config: &LocalConfig) -> Result<Arc<dyn ChatModel>> {
    Ok(Arc::new(crate::chat::Local::load(name, path, config)?))
}

#[cfg(not(feature = "local-models"))]
fn load_local(_: &str, _: &Path, _: &LocalConfig) -> Result<Arc<dyn ChatModel>> {
    Err(Error::unavailable("this build has no local models; build with feature \"local-models\""))
}

impl ChatModels for ConfiguredModels {
    fn chat_model(&self, name: &str) -> Result<Arc<dyn ChatModel>> {
        let slot = self.slots.get_key_value(name).or_else(|| self.slots.get_key_value(ANY_MODEL));
        match slot {
            None => Err(self.unknown(name)),
            Some((_, Slot::Ready(model))) => Ok(Arc::clone(model)),
            Some((entry, Slot::Lazy { config, loaded })) => {
                // Held while loading, which takes seconds: whoever else wants this model has to
                // wait for it anyway, and must not load it a second time. A failure is not kept.
                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(model) = &*loaded {
                    return Ok(Arc::clone(model));
                }
                let model = self.load(entry, config)?;
                *loaded = Some(Arc::clone(&model));
                Ok(model)
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.slots.keys().filter(|name| *name != ANY_MODEL).cloned().collect()
    }

    fn fallbacks(&self, name: &str) -> Vec<String> {
        match self.slots.get(name).or_else(|| self.slots.get(ANY_MODEL)) {
            Some(Slot::Lazy { config, .. }) => config.fallback().to_vec(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for ConfiguredModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.slots.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;
    use crate::chat::Scripted;

    #[test]
    fn an_exact_name_goes_before_the_fallback() {
        let models = ConfiguredModels::new(ModelsConfig::default())
            .with_model("mine", Arc::new(Scripted::new([])));
        assert_eq!(models.chat_model("mine").unwrap().spec().name, "scripted");
        assert_eq!(models.chat_model("extractive").unwrap().spec().name, "extractive");
        assert_eq!(models.chat_model("gpt-4o").unwrap().spec().name, "*");
        assert_eq!(models.names(), ["extractive", "mine"]);
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let models = ConfiguredModels::new(ModelsConfig::empty())
            .with_model("b", Arc::new(Extractive::default()))
            .with_model("a", Arc::new(Extractive::default()));
        let error = models.chat_model("c").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("there are a, b"), "{error}");
    }

    #[test]
    fn a_model_is_loaded_once_by_many_threads() {
        let models = ConfiguredModels::new(ModelsConfig::default());
        let loaded: Vec<Arc<dyn ChatModel>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| models.chat_model("x").unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(loaded.iter().all(|model| Arc::ptr_eq(model, &loaded[0])));
    }
}
