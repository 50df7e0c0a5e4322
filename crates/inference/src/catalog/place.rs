//! Where models are kept.

use std::env;
use std::path::PathBuf;

/// The directory models are kept in: the environment variable `DOCENT_MODELS` if it is set, else
/// `docent/models` in the platform's directory for caches.
pub fn default_cache_dir() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCENT_MODELS").unwrap_or_else(|| {
        let caches = platform_caches(&set).unwrap_or_else(env::temp_dir);
        caches.join("docent").join("models")
    })
}

#[cfg(windows)]
fn platform_caches(set: &dyn Fn(&'static str) -> Option<PathBuf>) -> Option<PathBuf> {
    set("LOCALAPPDATA").or_else(|| Some(env::home_dir()?.join("AppData").join("Local")))
}

#[cfg(target_os = "macos")]
fn platform_caches(_: &dyn Fn(&'static str) -> Option<PathBuf>) -> Option<PathBuf> {
    Some(env::home_dir()?.join("Library").join("Caches"))
}

#[cfg(not(any(windows, target_os = "macos")))]
fn platform_caches(set: &dyn Fn(&'static str) -> Option<PathBuf>) -> Option<PathBuf> {
    let xdg = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    xdg.or_else(|| Some(env::home_dir()?.join(".cache")))
}
