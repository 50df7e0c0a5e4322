//! Reranking without a reranker: late interaction over the embedder's token vectors.
//!
//! Each token of the query looks for the token of the passage most like it, and the passage
//! scores by the mean of what they find (MaxSim of ColBERT, Khattab and Zaharia 2020, with an
//! embedder that was never trained for it). It costs one pass of each candidate through the
//! network, so token vectors are kept for the next query. docs/benchmarks/embedding.md says what
//! it gains and costs.

mod kept;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docent_core::{InputRole, Reranker, Result, TextHash};
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use self::kept::Kept;
use crate::bert::max_sim;
use crate::embed::BertEmbedder;

/// How much memory token vectors may take: about a hundred passages of 800 tokens.
const KEPT_BYTES: usize = 64 << 20;

/// A [`Reranker`] made of an embedder.
#[derive(Debug)]
pub struct LateInteraction {
    name: String,
    embedder: Arc<BertEmbedder>,
    vectors: TokenVectors,
}

impl LateInteraction {
    /// Scores with `embedder`'s token vectors.
    pub fn new(embedder: Arc<BertEmbedder>) -> Self {
        use docent_core::Embedder as _;
        let name = format!("late-interaction({})", embedder.spec().name);
        Self { name, embedder, vectors: TokenVectors::default() }
    }

    /// The same, keeping at most `bytes` of passages' token vectors.
    #[must_use]
    pub fn with_kept_bytes(mut self, bytes: usize) -> Self {
        self.vectors = TokenVectors::of_at_most(bytes);
        self
    }
}

impl Reranker for LateInteraction {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        self.vectors.scores(&self.embedder, query, passages)
    }
}

/// Token vectors of passages seen lately.
#[derive(Debug)]
pub(crate) struct TokenVectors(Mutex<Kept>);

impl Default for TokenVectors {
    fn default() -> Self {
        Self::of_at_most(KEPT_BYTES)
    }
}

impl TokenVectors {
    fn of_at_most(bytes: usize) -> Self {
        Self(Mutex::new(Kept::new(bytes)))
    }

    /// How well each passage answers `query`.
    pub(crate) fn scores(
        &self,
        embedder: &BertEmbedder,
        query: &str,
        passages: &[&str],
    ) -> Result<Vec<f32>> {
        let _span = tracing::debug_span!("rerank", passages = passages.len()).entered();
        let query = embedder.token_vectors(&[query], InputRole::Query)?;
        let query: Vec<f32> = query.iter().flat_map(|tokens| tokens.to_f32_vec()).collect();
        let passages = self.of_passages(embedder, passages)?;
        let dims = embedder.token_dims();
        let score = |passage: &Arc<[f16]>| max_sim(&query, &passage.to_f32_vec(), dims);
        Ok(passages.par_iter().map(score).collect())
    }

    /// Each passage's token vectors: those kept, and the others in one batch.
    fn of_passages(&self, embedder: &BertEmbedder, passages: &[&str]) -> Result<Vec<Arc<[f16]>>> {
        let hashes: Vec<TextHash> = passages.iter().map(|passage| TextHash::of(passage)).collect();
        let mut vectors: Vec<Option<Arc<[f16]>>> = {
            let mut kept = self.kept();
            hashes.iter().map(|hash| kept.get(*hash)).collect()
        };
        let missing: Vec<usize> = (0..passages.len()).filter(|&i| vectors[i].is_none()).collect();
        let texts: Vec<&str> = missing.iter().map(|&index| passages[index]).collect();
        let made = embedder.token_vectors(&texts, InputRole::Passage)?;
        let mut kept = self.kept();
        for (index, made) in missing.into_iter().zip(made) {
            let made: Arc<[f16]> = made.into();
            kept.insert(hashes[index], Arc::clone(&made));
            vectors[index] = Some(made);
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
