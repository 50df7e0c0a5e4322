//! Where `file_search` looks: a seam, so that tests of runs need no index.

use std::fmt;

use docent_core::{ErrorKind, FileSearchResult, Result, VectorStoreId, VectorStoreStatus};
use docent_retrieval::{Collections, SearchHit, SearchOptions};

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

impl Passages for Collections {
    /// A vector store that was deleted or has expired since an assistant was told of it is passed
    /// over: its threads must still be answered.
    fn search(
        &self,
        stores: &[VectorStoreId],
        query: &str,
        limit: usize,
        score_threshold: f32,
    ) -> Result<Vec<FileSearchResult>> {
        let mut present = Vec::with_capacity(stores.len());
        for store in stores {
            match self.vector_store_summary(*store) {
                Ok(found) if found.status == VectorStoreStatus::Expired => {
                    tracing::warn!(%store, "a vector store has expired; it is not searched");
                }
                Ok(_) => present.push(*store),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::warn!(%store, "a vector store is gone; it is not searched");
                }
                Err(error) => return Err(error),
            }
        }
        let options = SearchOptions { limit, score_threshold, ..SearchOptions::default() };
        let found = Collections::search(self, &present, query, &options)?;
        Ok(found.hits.into_iter().map(recorded).collect())
    }
}

/// A hit as a run step keeps it.
fn recorded(hit: SearchHit) -> FileSearchResult {
    let SearchHit { vector_store, chunk, filename, score, .. } = hit;
    FileSearchResult { vector_store, filename, score, chunk }
}
