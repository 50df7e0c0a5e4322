//! Where `file_search` looks: a seam, so that tests of runs need no index.

use std::fmt;

use docent_core::{FileSearchResult, Result, VectorStoreId};

/// Finds passages.
pub(crate) trait Passages: Send + Sync + fmt::Debug {
    /// The best passages of `stores` for `query`, best first, at most `limit`, each scoring at
    /// least `score_threshold`.
    fn search(
        &self,
        stores: &[VectorStoreId],
        query: &str,
        limit: usize,
        score_threshold: f32,
    ) -> Result<Vec<FileSearchResult>>;
}

/// No files at all.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Passages for Nothing {
    fn search(
        &self,
        _: &[VectorStoreId],
        _: &str,
        _: usize,
        _: f32,
    ) -> Result<Vec<FileSearchResult>> {
        Ok(Vec::new())
    }
}
