//! Who may ask: API keys, kept as hashes, each for a project.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The project that a server has from its beginning.
pub(crate) const DEFAULT_PROJECT: &str = "default";

/// The keys a server takes. Without any it takes every request. Cheap to clone.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<HashMap<[u8; 32], Arc<str>>>);

impl ApiKeys {
    /// Takes these keys, for the default project. Empty ones are left out.
    pub fn new(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let keys = keys.into_iter().filter(|key| !key.as_ref().is_empty());
        Self::hashed(keys.map(|key| (hash(key.as_ref()), DEFAULT_PROJECT)))
    }

    /// Takes keys of which only the SHA-256 is known, each for a project.
    pub fn hashed(keys: impl IntoIterator<Item = ([u8; 32], impl AsRef<str>)>) -> Self {
        Self(Arc::new(keys.into_iter().map(|(key, to)| (key, to.as_ref().into())).collect()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The project that a request's key is for, in the first of `known` that knows it.
    pub(crate) fn project_of(known: &[&Self], headers: &HeaderMap) -> Result<Arc<str>, ApiError> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = given.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "You didn't provide an API key. You need to provide your API key in an \
                 Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            ));
        };
        // Looking for a hash tells nothing about a key by the time it takes.
        let hash = hash(key);
        if let Some(project) = known.iter().find_map(|keys| keys.0.get(&hash)) {
            return Ok(project.clone());
        }
        let message = format!("Incorrect API key provided: {}.", masked(key));
        Err(ApiError::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key"))
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// As much of a key as helps its owner find the mistake.
fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() < 12 {
        return "*".repeat(chars.len());
    }
    let (first, last) = (&chars[..4], &chars[chars.len() - 4..]);
    format!("{}****{}", first.iter().collect::<String>(), last.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_a_known_key_passes_and_says_its_project() {
        let keys = ApiKeys::new(["sk-local-one", "", "sk-local-two"]);
        let other = ApiKeys::hashed([(hash("sk-local-other"), "team-b")]);
        let project = |header: &str| ApiKeys::project_of(&[&keys, &other], &with(header));
        assert_eq!(&*project("Bearer sk-local-two").unwrap(), DEFAULT_PROJECT);
        assert_eq!(&*project("Bearer sk-local-other").unwrap(), "team-b");
        assert!(ApiKeys::project_of(&[&keys], &HeaderMap::new()).is_err());
        let wrong = project("Bearer sk-local-three").unwrap_err();
        assert_eq!(wrong.message, "Incorrect API key provided: sk-l****hree.");
        assert_eq!(wrong.code, Some("invalid_api_key"));
        assert!(ApiKeys::new([""]).is_empty());
    }
}
