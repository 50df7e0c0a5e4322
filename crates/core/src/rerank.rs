//! The reranker socket: a slower, better opinion on a few candidates.

use std::fmt;

use crate::Result;

/// Scores passages against a query, more carefully than an index can.
pub trait Reranker: Send + Sync + fmt::Debug {
    /// Its name, for explanations.
    fn name(&self) -> &str;

    /// One score for each passage, in the same order; greater is better. A score depends on the
    /// query and its own passage alone.
    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>>;
}
