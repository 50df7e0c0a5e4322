//! Who may ask: API keys, kept as hashes.

use std::fmt;

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The keys a server takes. Without any it takes every request.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    /// Takes these keys. Empty ones are left out.
    pub fn new(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let keys = keys.into_iter().filter(|key| !key.as_ref().is_empty());
        Self(keys.map(|key| hash(key.as_ref())).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a request that needs a key and has none of ours.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_empty() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = given.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "You didn't provide an API key. You need to provide your API key in an \
                 Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            ));
        };
        // Comparing hashes tells nothing about a key by the time it takes.
        if self.0.contains(&hash(key)) {
            return Ok(());
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
    fn only_a_known_key_passes() {
        let keys = ApiKeys::new(["sk-local-one", "", "sk-local-two"]);
        assert!(keys.check(&with("Bearer sk-local-two")).is_ok());
        assert!(keys.check(&HeaderMap::new()).is_err());
        let wrong = keys.check(&with("Bearer sk-local-three")).unwrap_err();
        assert_eq!(wrong.message, "Incorrect API key provided: sk-l****hree.");
        assert_eq!(wrong.code, Some("invalid_api_key"));
        assert!(ApiKeys::new([""]).is_empty());
    }
}
