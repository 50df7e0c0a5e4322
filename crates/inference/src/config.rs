//! Which chat model answers to which name: the `[models]` part of `docent.toml`.
//!
//! ```toml
//! [models."gpt-4o"]
//! backend = "remote"                        # "remote", "local" or "extractive"
//! base_url = "https://api.openai.com/v1"
//! api_key_env = "OPENAI_API_KEY"            # the variable that holds the key, never the key
//!
//! [models.small]
//! backend = "local"
//! path = "models/SmolLM2-135M-Instruct.Q4_1.gguf"   # relative to this file
//! temperature = 0.6                         # these five where the request does not say;
//! top_p = 0.95                              # without a temperature the likeliest token is taken
//! top_k = 20
//! min_p = 0.05
//! repetition_penalty = 1.1
//!
//! [models."*"]                              # every other name
//! backend = "extractive"
//! ```
//!
//! Without a `[models]` part the extractive model answers to every name. The rest of
//! `docent.toml` belongs to others and is not looked at here.

mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docent_core::{Error, Profile, Result};
use serde::{Deserialize, Deserializer};

pub use self::registry::{ConfiguredModels, LocateModel};

/// The name that stands for every name without an entry of its own.
pub const ANY_MODEL: &str = "*";

/// The `[models]` part of `docent.toml`: an entry for each name, perhaps one for
/// [any other](ANY_MODEL).
#[derive(Clone, Debug, PartialEq)]
pub struct ModelsConfig {
    entries: BTreeMap<String, ModelConfig>,
}

/// What answers to a name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelConfig {
    /// The passages' own sentences.
    Extractive,
    /// Weights on this machine.
    Local(LocalConfig),
    /// An OpenAI-compatible endpoint.
    Remote(RemoteConfig),
}

/// A chat model on this machine: exactly one of `path` and `model` is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalConfig {
    /// A GGUF file.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// A name in the model catalog.
    #[serde(default)]
    pub model: Option<String>,
    /// How many tokens of prompt and answer it takes, at most as many as it was trained for; 8,192
    /// of them unless told otherwise, because their keys and values take memory.
    #[serde(default)]
    pub context_tokens: Option<usize>,
    /// How long an answer may be when the request does not say.
    #[serde(default)]
    pub max_output_tokens: Option<usize>,
    /// What it can be trusted with; [`Profile::Basic`] unless told otherwise, because small models
    /// do not choose tools sensibly.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// How many megabytes of conversations that were read are kept in memory, so that what follows
    /// them is answered sooner; 512 unless told otherwise, 0 keeps none.
    #[serde(default)]
    pub prefix_cache_mb: Option<usize>,
    /// What is used where a request has no temperature, 0 to 2; none takes the likeliest token.
    #[serde(default)]
    pub temperature: Option<f32>,
    /// What is used where a request has no `top_p`, 0 to 1: only the likeliest tokens that together
    /// reach this share.
    #[serde(default)]
    pub top_p: Option<f32>,
    /// Only so many of the likeliest tokens; none or 0 is all.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Only tokens at least this share as likely as the likeliest, 0 to 1.
    #[serde(default)]
    pub min_p: Option<f32>,
    /// What the scores of the answer's last tokens are divided by, 1 to 2. JSON and calls are
    /// spared.
    #[serde(default)]
    pub repetition_penalty: Option<f32>,
    /// The models that a run asks instead, in order, when this one is not here to be loaded. Their
    /// own lists are not followed.
    #[serde(default)]
    pub fallback: Vec<String>,
}

/// A chat model behind an OpenAI-compatible endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// What `/chat/completions` is appended to, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The environment variable that holds the key; none sends no key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The name the endpoint is told; none sends the name the user asked for.
    #[serde(default)]
    pub model: Option<String>,
    /// How many tokens of prompt and answer it takes together.
    #[serde(default = "RemoteConfig::context_tokens")]
    pub context_tokens: usize,
    /// How much of the window is kept for an answer when the request does not say. The endpoint
    /// is only told what the request says.
    #[serde(default = "RemoteConfig::max_output_tokens")]
    pub max_output_tokens: usize,
    /// What it can be trusted with.
    #[serde(default = "RemoteConfig::profile")]
    pub profile: Profile,
    /// How long connecting may take, with the name look-up and the TLS handshake.
    #[serde(
        rename = "connect_timeout_seconds",
        deserialize_with = "seconds",
        default = "RemoteConfig::connect_timeout"
    )]
    pub connect_timeout: Duration,
    /// How long the first piece of an answer may take: models think, and load.
    #[serde(
        rename = "first_token_timeout_seconds",
        deserialize_with = "seconds",
        default = "RemoteConfig::first_token_timeout"
    )]
    pub first_token_timeout: Duration,
    /// How long a stream may be silent after it began.
    #[serde(
        rename = "idle_timeout_seconds",
        deserialize_with = "seconds",
        default = "RemoteConfig::idle_timeout"
    )]
    pub idle_timeout: Duration,
    /// How long a call may take, with all its retries.
    #[serde(
        rename = "total_timeout_seconds",
        deserialize_with = "seconds",
        default = "RemoteConfig::total_timeout"
    )]
    pub total_timeout: Duration,
    /// How often a call is repeated before its first piece came.
    #[serde(default = "RemoteConfig::max_retries")]
    pub max_retries: u32,
    /// The models that a run asks instead, in order, when the endpoint is busy or cannot be reached
    /// and nothing of an answer was shown. Their own lists are not followed.
    #[serde(default)]
    pub fallback: Vec<String>,
}

impl RemoteConfig {
    /// An endpoint with everything else as it is by default.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            api_key_env: None,
            model: None,
            context_tokens: Self::context_tokens(),
            max_output_tokens: Self::max_output_tokens(),
            profile: Self::profile(),
            connect_timeout: Self::connect_timeout(),
            first_token_timeout: Self::first_token_timeout(),
            idle_timeout: Self::idle_timeout(),
            total_timeout: Self::total_timeout(),
            max_retries: Self::max_retries(),
            fallback: Vec::new(),
        }
    }

    fn context_tokens() -> usize {
        128_000
    }

    fn max_output_tokens() -> usize {
        4_096
    }

    fn profile() -> Profile {
        Profile::Tools
    }

    fn connect_timeout() -> Duration {
        Duration::from_secs(10)
    }

    fn first_token_timeout() -> Duration {
        Duration::from_secs(120)
    }

    fn idle_timeout() -> Duration {
        Duration::from_secs(60)
    }

    fn total_timeout() -> Duration {
        Duration::from_secs(600)
    }

    fn max_retries() -> u32 {
        4
    }
}

/// Seconds, whole or not.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of seconds")]
    enum Seconds {
        Whole(u64),
        Parts(f64),
    }
    let seconds = match Seconds::deserialize(deserializer)? {
        Seconds::Whole(seconds) => Duration::from_secs(seconds),
        Seconds::Parts(seconds) => {
            Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)?
        }
    };
    if seconds.is_zero() {
        return Err(serde::de::Error::custom("a timeout of 0 seconds fails every call"));
    }
    Ok(seconds)
}

impl Default for ModelsConfig {
    /// The extractive model under its own name and under every other.
    fn default() -> Self {
        let names = ["extractive", ANY_MODEL];
        Self { entries: names.map(|name| (name.to_owned(), ModelConfig::Extractive)).into() }
    }
}

impl ModelsConfig {
    /// A configuration without any model.
    pub fn empty() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Reads the `[models]` part of the file at `path`. Paths in it are relative to that file.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names the file, the entry and the key that is
    /// wrong or unknown; [`NotFound`](docent_core::ErrorKind::NotFound) if there is no such file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base).map_err(|error| error.context(path.display()))
    }

    /// Reads the `[models]` part of `text`. Paths in it are relative to `base`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let mut document: toml::Table =
            toml::from_str(text).map_err(|error| Error::invalid(error.to_string().trim_end()))?;
        if document.contains_key("model") {
            return Err(Error::invalid("unknown key \"model\"; write [models.NAME]"));
        }
        let Some(models) = document.remove("models") else { return Ok(Self::default()) };
        let toml::Value::Table(models) = models else {
            return Err(Error::invalid("\"models\" is not a table; write [models.NAME]"));
        };
        let mut config = Self::empty();
        for (name, entry) in models {
            let entry = parse_entry(entry, base)
                .map_err(|error| error.context(format_args!("[models.{name:?}]")))?;
            config.entries.insert(name, entry);
        }
        config.check_fallbacks()?;
        Ok(config)
    }

    /// Each is another entry.
    fn check_fallbacks(&self) -> Result<()> {
        for (name, entry) in &self.entries {
            let wrong = entry
                .fallback()
                .iter()
                .find(|other| *other == name || !self.entries.contains_key(other.as_str()));
            if let Some(wrong) = wrong {
                return Err(Error::invalid(format!(
                    "[models.{name:?}]: fallback {wrong:?} is no other entry; write [models.{wrong:?}]"
                )));
            }
        }
        Ok(())
    }

    /// Sets what answers to `name`.
    pub fn insert(&mut self, name: impl Into<String>, model: ModelConfig) {
        self.entries.insert(name.into(), model);
    }

    /// The entries, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ModelConfig)> {
        self.entries.iter().map(|(name, model)| (name.as_str(), model))
    }
}

impl ModelConfig {
    /// The models to ask instead, in order.
    pub(crate) fn fallback(&self) -> &[String] {
        match self {
            Self::Remote(remote) => &remote.fallback,
            Self::Local(local) => &local.fallback,
            Self::Extractive => &[],
        }
    }
}

fn parse_entry(entry: toml::Value, base: &Path) -> Result<ModelConfig> {
    const BACKENDS: &str = "\"remote\", \"local\" or \"extractive\"";
    let toml::Value::Table(mut entry) = entry else {
        return Err(Error::invalid(format!("not a table; give it backend = {BACKENDS}")));
    };
    let backend = entry.remove("backend");
    match backend.as_ref().map(|backend| backend.as_str().unwrap_or_default()) {
        Some("extractive") => match entry.keys().next() {
            Some(key) => Err(Error::invalid(format!(
                "unknown key {key:?}; the extractive backend has no settings"
            ))),
            None => Ok(ModelConfig::Extractive),
        },
        Some("remote") => read_keys::<RemoteConfig>(entry)?.checked().map(ModelConfig::Remote),
        Some("local") => read_keys::<LocalConfig>(entry)?.checked(base).map(ModelConfig::Local),
        Some(_) => Err(Error::invalid(format!("backend must be {BACKENDS}"))),
        None => Err(Error::invalid(format!("\"backend\" is missing; it is {BACKENDS}"))),
    }
}

fn read_keys<T: for<'de> Deserialize<'de>>(entry: toml::Table) -> Result<T> {
    entry.try_into().map_err(|error: toml::de::Error| {
        let message = error.to_string();
        Error::invalid(message.trim_end().replace("unknown field", "unknown key"))
    })
}

impl RemoteConfig {
    fn checked(self) -> Result<Self> {
        if !self.base_url.starts_with("http://") && !self.base_url.starts_with("https://") {
            let url = &self.base_url;
            return Err(Error::invalid(format!(
                "base_url {url:?} does not begin with http:// or https://"
            )));
        }
        check_window(self.context_tokens, self.max_output_tokens)?;
        Ok(self)
    }
}

impl LocalConfig {
    /// How many tokens of prompt and answer are taken where nothing is said of it: keys and values
    /// take memory.
    pub const USUAL_CONTEXT_TOKENS: usize = 8192;

    fn checked(mut self, base: &Path) -> Result<Self> {
        if self.path.is_some() == self.model.is_some() {
            return Err(Error::invalid(
                "the local backend needs either path = a GGUF file or model = a name in the catalog",
            ));
        }
        for (key, value, least, most) in [
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("repetition_penalty", self.repetition_penalty, 1.0, 2.0),
        ] {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                return Err(Error::invalid(format!("{key} = {value} is not {least} to {most}")));
            }
        }
        self.path = self.path.map(|path| base.join(path));
        if let Some(context) = self.context_tokens {
            check_window(context, self.max_output_tokens.unwrap_or(0))?;
        }
        Ok(self)
    }
}

fn check_window(context_tokens: usize, max_output_tokens: usize) -> Result<()> {
    if max_output_tokens < context_tokens {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "max_output_tokens = {max_output_tokens} leaves no room for a prompt in \
         context_tokens = {context_tokens}"
    )))
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;

    fn refused(text: &str) -> String {
        let error = ModelsConfig::parse(text, Path::new("")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    }

    #[test]
    fn every_backend_is_read() {
        let text = r#"
            vector_index = "auto"
            [models."gpt-4o"]
            backend = "remote"
            base_url = "https://api.example.com/v1"
            api_key_env = "EXAMPLE_KEY"
            idle_timeout_seconds = 2.5
            profile = "basic"
            [models.small]
            backend = "local"
            path = "weights/small.gguf"
            [models."*"]
            backend = "extractive"
        "#;
        let config = ModelsConfig::parse(text, Path::new("/etc/docent")).unwrap();
        let entries: Vec<(&str, &ModelConfig)> = config.iter().collect();
        let remote = RemoteConfig {
            api_key_env: Some("EXAMPLE_KEY".into()),
            idle_timeout: Duration::from_millis(2500),
            profile: Profile::Basic,
            ..RemoteConfig::new("https://api.example.com/v1")
        };
        let local = LocalConfig {
            path: Some("/etc/docent/weights/small.gguf".into()),
            ..LocalConfig::default()
        };
        assert_eq!(
            entries,
            [
                ("*", &ModelConfig::Extractive),
                ("gpt-4o", &ModelConfig::Remote(remote)),
                ("small", &ModelConfig::Local(local)),
            ]
        );
    }

    #[test]
    fn a_fallback_is_another_entry() {
        let text = "[models.a]\nbackend = \"local\"\npath = \"x\"\nfallback = [\"b\"]\n\
                    [models.b]\nbackend = \"extractive\"";
        let config = ModelsConfig::parse(text, Path::new("")).unwrap();
        let fallbacks: Vec<&[String]> = config.iter().map(|(_, model)| model.fallback()).collect();
        assert_eq!(fallbacks, [&["b".to_owned()][..], &[]]);
    }

    #[test]
    fn no_models_part_is_the_default() {
        let config = ModelsConfig::parse("vector_index = \"auto\"", Path::new("")).unwrap();
        assert_eq!(config, ModelsConfig::default());
    }

    #[test]
    fn a_wrong_key_is_named_with_its_entry() {
        let cases = [
            ("[models.a]\nbackend = \"remote\"\nbase_ur = \"x\"", "base_ur"),
            ("[models.a]\nbackend = \"remote\"", "base_url"),
            ("[models.a]\nbackend = \"remote\"\nbase_url = \"ftp://x\"", "ftp://x"),
            ("[models.a]\nbackend = \"extractive\"\npath = \"x\"", "path"),
            ("[models.a]\nbackend = \"local\"", "path"),
            ("[models.a]\nbackend = \"local\"\npath = \"x\"\nmodel = \"y\"", "either"),
            ("[models.a]\nbackend = \"cloud\"", "backend"),
            ("[models.a]\npath = \"x\"", "backend"),
            ("[models.a]\nbackend = \"local\"\npath = \"x\"\nmin_p = 1.5", "min_p = 1.5"),
            ("[models.a]\nbackend = \"local\"\npath = \"x\"\ntop_k = -1", "top_k"),
            ("[models.a]\nbackend = \"local\"\npath = \"x\"\ntemperature = nan", "temperature"),
            (
                "[models.a]\nbackend = \"local\"\npath = \"x\"\ncontext_tokens = \"many\"",
                "context_tokens",
            ),
            (
                "[models.a]\nbackend = \"remote\"\nbase_url = \"http://x\"\nidle_timeout_seconds = 0",
                "0 seconds",
            ),
            (
                "[models.a]\nbackend = \"remote\"\nbase_url = \"http://x\"\nidle_timeout_seconds = -1.5",
                "idle_timeout_seconds",
            ),
            (
                "[models.a]\nbackend = \"remote\"\nbase_url = \"http://x\"\nfallback = [\"b\"]",
                "no other entry",
            ),
            (
                "[models.a]\nbackend = \"remote\"\nbase_url = \"http://x\"\nfallback = [\"a\"]",
                "no other entry",
            ),
            (
                "[models.a]\nbackend = \"remote\"\nbase_url = \"http://x\"\ncontext_tokens = 10",
                "leaves no room",
            ),
        ];
        for (text, expected) in cases {
            let message = refused(text);
            assert!(message.starts_with("[models.\"a\"]: "), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        assert!(refused("[model.a]\nbackend = \"extractive\"").contains("[models.NAME]"));
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docent.toml");
        assert_eq!(ModelsConfig::load(&path).unwrap_err().kind(), ErrorKind::NotFound);
        fs_err::write(&path, "[models").unwrap();
        let error = ModelsConfig::load(&path).unwrap_err();
        assert!(error.to_string().contains("docent.toml"), "{error}");
    }
}
