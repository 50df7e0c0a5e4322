//! Reranking without a reranker: late interaction over the embedder's token vectors.
//!
//! Each token of the query looks for the token of the passage most like it, and the passage
//! scores by the mean of what they find (MaxSim of ColBERT, Khattab and Zaharia 2020, with an
//! embedder that was never trained for it). It costs one pass of each candidate through the
//! network, so token vectors are kept for the next query. docs/benchmarks/embedding.md says what
//! it gains and costs.

mod kept;

use std::sync::{Arc, Mutex};

use docent_core::{InputRole, Reranker, Result, TextHash};
use half::f16;
use half::slice::HalfFloatSliceExt;

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
    kept: Mutex<Kept>,
}

impl LateInteraction {
    /// Scores with `embedder`'s token vectors.
    pub fn new(embedder: Arc<BertEmbedder>) -> Self {
        use docent_core::Embedder as _;
        let name = format!("late-interaction({})", embedder.spec().name);
        Self { name, embedder, kept: Mutex::new(Kept::new(KEPT_BYTES)) }
    }

    /// The same, keeping at most `bytes` of passages' token vectors.
    #[must_use]
    pub fn with_kept_bytes(mut self, bytes: usize) -> Self {
        self.kept = Mutex::new(Kept::new(bytes));
        self
    }

    /// Each passage's token vectors: those kept, and the others in one batch.
    fn token_vectors(&self, passages: &[&str]) -> Result<Vec<Arc<[f16]>>> {
        let hashes: Vec<TextHash> = passages.iter().map(|passage| TextHash::of(passage)).collect();
        let mut vectors: Vec<Option<Arc<[f16]>>> = {
            let mut kept = self.kept();
            hashes.iter().map(|hash| kept.get(*hash)).collect()
        };
        let missing: Vec<usize> = (0..passages.len()).filter(|&i| vectors[i].is_none()).collect();
        let texts: Vec<&str> = missing.iter().map(|&index| passages[index]).collect();
        let made = self.embedder.token_vectors(&texts, InputRole::Passage)?;
        let mut kept = self.kept();
        for (index, made) in missing.into_iter().zip(made) {
            let made: Arc<[f16]> = made.into();
            kept.insert(hashes[index], Arc::clone(&made));
            vectors[index] = Some(made);
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Reranker for LateInteraction {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        let _span = tracing::debug_span!("rerank", passages = passages.len()).entered();
        let query = self.embedder.token_vectors(&[query], InputRole::Query)?;
        let query: Vec<f32> = query.iter().flat_map(|tokens| tokens.to_f32_vec()).collect();
        let passages = self.token_vectors(passages)?;
        let dims = self.embedder.token_dims();
        Ok(passages.iter().map(|passage| max_sim(&query, &passage.to_f32_vec(), dims)).collect())
    }
}

#[cfg(test)]
mod tests;
