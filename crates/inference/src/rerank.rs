//! Cross-encoders: a query and a passage go through the network together, and a head on top says
//! how well they fit.
//!
//! Of BERT's and XLM-RoBERTa's family, as ms-marco-MiniLM and bge-reranker. A passage longer than
//! the network's window is cut into several, as embedders do, and scores by its best.

use docent_core::{Error, Reranker, Result};

use crate::bert::{self, Head};
use crate::catalog::ModelFiles;
use crate::manifest::{FileRole, ModelKind};
use crate::network::{Runner, Window};
use crate::tokenizer::{PairFrame, Tokenizer, cut};

/// A [`Reranker`] of weights made for it.
#[derive(Debug)]
pub struct CrossEncoder {
    name: String,
    runner: Runner,
    head: Head,
    tokenizer: Tokenizer,
    frame: PairFrame,
    window_tokens: usize,
}

impl CrossEncoder {
    /// Loads the model as its manifest describes it.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if it is no reranker of BERT's family, or its
    /// files do not fit together.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let manifest = files.manifest();
        let _span = tracing::info_span!("model.load", model = manifest.name).entered();
        if manifest.kind != ModelKind::Reranker || manifest.architecture != "bert" {
            return Err(Error::invalid(format!(
                "{} is a {} model of architecture '{}'; only 'bert' rerankers run here",
                manifest.name, manifest.kind, manifest.architecture
            )));
        }
        let config = files.path(FileRole::Config).ok();
        let (bert, head) = bert::load_with_head(files.path(FileRole::Weights)?, config)?;
        let runner = Runner::new(Box::new(bert));
        let tokenizer = Tokenizer::load(files)?;
        let frame = tokenizer.pair_frame()?;
        let window_tokens = manifest.max_tokens.min(runner.network().max_window());
        if window_tokens < frame.tokens() + 8 {
            return Err(Error::invalid(format!(
                "a window of {window_tokens} tokens has no room for a pair of texts"
            )));
        }
        Ok(Self { name: manifest.name.clone(), runner, head, tokenizer, frame, window_tokens })
    }

    /// The windows that hold `query` and each part of `passage`: token ids, and where the second
    /// text begins.
    fn windows(&self, query: &[u32], passage: &str) -> Result<Vec<(Vec<u32>, usize)>> {
        let passage = self.tokenizer.encode(passage)?;
        let room = self.window_tokens - self.frame.tokens() - query.len();
        Ok(cut(passage.len(), room).map(|part| self.frame.join(query, &passage[part])).collect())
    }
}

impl Reranker for CrossEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    /// Between 0 and 1: the logistic function of what the head says. Of a query longer than half a
    /// window only the beginning is read.
    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        let _span = tracing::debug_span!("rerank", passages = passages.len()).entered();
        let mut query = self.tokenizer.encode(query)?;
        query.truncate((self.window_tokens - self.frame.tokens()) / 2);
        let windows = passages
            .iter()
            .map(|passage| self.windows(&query, passage))
            .collect::<Result<Vec<_>>>()?;
        let all: Vec<Window<'_>> =
            windows.iter().flatten().map(|(ids, second)| Window { ids, second: *second }).collect();
        let dims = self.runner.network().dims();
        let mut logits =
            self.runner.run(&all, |rows| Ok(self.head.logit(&rows[..dims])))?.into_iter();
        let best = |own: &Vec<_>| logits.by_ref().take(own.len()).fold(f32::NEG_INFINITY, f32::max);
        Ok(windows.iter().map(best).map(|logit| 1.0 / (1.0 + (-logit).exp())).collect())
    }
}

#[cfg(test)]
mod tests;
