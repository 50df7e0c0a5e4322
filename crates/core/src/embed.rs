//! The embedder socket: texts in, vectors out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Whether a text asks or answers; many embedders treat the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputRole {
    /// A question.
    Query,
    /// Something that may answer one.
    Passage,
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
}

/// What an embedder is.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedderSpec {
    /// The model's name, as in its manifest.
    pub name: String,
    /// What its vectors depend on.
    pub fingerprint: Fingerprint,
    /// How long its vectors are.
    pub dims: usize,
    /// How many of the model's tokens one vector stands for; longer texts get several.
    pub window_tokens: usize,
    /// ISO 639-1 codes of the languages it understands; empty means any.
    ///
    /// A query in another language is answered by words alone: the vectors would be noise.
    pub languages: Vec<String>,
    /// How its cosines are to be read.
    pub cosines: CosineScale,
}

/// Where a model's cosines stand: one model calls texts that have nothing to do with each other
/// 0.05 alike, another 0.76.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineScale {
    /// The cosine of texts that have nothing to do with each other.
    pub unrelated: f32,
    /// How far such cosines are spread, about their standard deviation. Greater than 0.
    pub spread: f32,
}

impl Default for CosineScale {
    /// That of models trained at a temperature of 0.05, as sentence-transformers' are.
    fn default() -> Self {
        Self { unrelated: 0.05, spread: 0.09 }
    }
}

/// Names everything an embedder's vectors depend on: weights, pooling, prefixes, window.
///
/// A vector store keeps the fingerprint of the embedder its vectors came from, and a query
/// embedded by another is refused. Lower-case letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.chars().all(fits) {
            return Err(Error::invalid(
                "a fingerprint has lower-case letters, digits, '.', '_', '-'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

/// The vectors of one text: one for each window of its tokens, each of length 1.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    dims: usize,
    /// Row-major: window 0, window 1, …
    values: Vec<f32>,
}

impl Embedding {
    /// `values` holds one vector of `dims` numbers after another.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless there is at least one whole vector and every
    /// number is finite.
    pub fn new(dims: usize, values: Vec<f32>) -> Result<Self> {
        if dims == 0 || values.is_empty() || !values.len().is_multiple_of(dims) {
            return Err(Error::invalid(format!(
                "{} numbers are no vectors of {dims} dimensions",
                values.len()
            )));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Error::invalid("a vector holds a number that is not finite"));
        }
        Ok(Self { dims, values })
    }

    /// How long each vector is.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The vectors, in order of their windows.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dims)
    }

    /// The first window's vector: all there is for a short text.
    pub fn first(&self) -> &[f32] {
        &self.values[..self.dims]
    }

    /// All numbers, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({} x {})", self.windows().len(), self.dims)
    }
}

/// Turns texts into vectors.
///
/// The vectors of a text do not depend on what it is embedded together with. No text is cut:
/// one longer than a window gets one vector for each.
pub trait Embedder: Send + Sync + fmt::Debug {
    /// What it is.
    fn spec(&self) -> &EmbedderSpec;

    /// One [`Embedding`] for each text, in the same order.
    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>>;

    /// How many of the model's tokens each text is, with everything the model is given beside it.
    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>>;

    /// How well each passage answers `query` by late interaction: the mean over the query's tokens
    /// of the greatest cosine with a token of the passage (MaxSim; Khattab and Zaharia, SIGIR
    /// 2020). `None` from an embedder that does not show its tokens' vectors.
    ///
    /// It costs a pass of every passage through the network.
    fn late_interaction(&self, _query: &str, _passages: &[&str]) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }
}

/// Finds embedders by what their vectors depend on, so that a vector store goes on with the one it
/// was built with when new stores are built with another.
///
/// Asked again and again: an answer costs little, and weights are loaded at the first text.
pub trait Embedders: Send + Sync + fmt::Debug {
    /// The embedder whose vectors `fingerprint` names.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when nobody knows such an embedder,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it is known and not on this machine;
    /// the message then says how it gets there.
    fn find(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>>;
}
