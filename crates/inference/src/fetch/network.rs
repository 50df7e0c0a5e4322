//! What the environment says about the network.

use std::env;
use std::path::PathBuf;

use crate::manifest::Source;

/// How models may be fetched; read from the environment once, when a catalog is made.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// The variable that forbids every socket, if one is set.
    pub(super) offline: Option<&'static str>,
    /// `HF_ENDPOINT`, without a slash at its end.
    #[cfg_attr(not(feature = "model-download"), expect(dead_code, reason = "only downloads do"))]
    pub(super) endpoint: String,
    /// Commands that may be pip, in the order to try them.
    #[cfg_attr(not(feature = "model-download"), expect(dead_code, reason = "only downloads do"))]
    pub(super) pip: Vec<Vec<String>>,
    /// `$HF_HOME/hub`, or where that is when unset.
    pub(super) hub_cache: Option<PathBuf>,
}

impl Network {
    pub(crate) fn from_env() -> Self {
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            offline: ["DOCENT_OFFLINE", "HF_HUB_OFFLINE"].into_iter().find(|name| is_on(name)),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            pip: pip_commands(),
            hub_cache: hub_cache(),
        }
    }

    /// Where hf-hub and Python's `huggingface_hub` keep the file called `name`, if `source` is a
    /// repository of which they have a copy.
    #[cfg(feature = "model-download")]
    pub(crate) fn hub_cache_path(&self, source: &Source, name: &str) -> Option<PathBuf> {
        let Source::Hub { repo, revision, directory } = source else { return None };
        let repo =
            hf_hub::Repo::with_revision(repo.clone(), hf_hub::RepoType::Model, revision.clone());
        let cache = hf_hub::Cache::new(self.hub_cache.clone()?);
        cache.repo(repo).get(&super::hub::join(directory, name))
    }

    #[cfg(not(feature = "model-download"))]
    pub(crate) fn hub_cache_path(&self, _: &Source, _: &str) -> Option<PathBuf> {
        let _ = &self.hub_cache;
        None
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_on(name: &str) -> bool {
    text(name).is_some_and(|value| !matches!(&*value.to_ascii_lowercase(), "0" | "false" | "no"))
}

/// As hf-hub's `Cache::from_env`, which panics where there is no home directory.
fn hub_cache() -> Option<PathBuf> {
    let home = text("HF_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cache").join("huggingface")));
    home.map(|home| home.join("hub"))
}

fn pip_commands() -> Vec<Vec<String>> {
    let commands: &[&[&str]] = if cfg!(windows) {
        &[&["py", "-m", "pip"], &["python", "-m", "pip"], &["pip"]]
    } else {
        &[&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]]
    };
    let owned = |command: &&[&str]| command.iter().map(|&word| word.to_owned()).collect();
    commands.iter().map(owned).collect()
}
