//! The networks behind embedders and rerankers, and running one of them over many windows.
//!
//! BERT and XLM-RoBERTa run on [`crate::bert`], which was written for them; the other families on
//! candle's own models ([`stock`]), which cost a multiple of it a token.

mod stock;

use std::fmt;
use std::sync::Mutex;

use docent_core::{Error, Result};
use rayon::prelude::*;

use crate::bert::{self, Scratch};
use crate::catalog::ModelFiles;
use crate::manifest::FileRole;

/// How many tokens go through the network together at most. More of them do not run faster, and
/// memory grows with them.
const BATCH_TOKENS: usize = 512;

/// Token ids that the network sees at once, special tokens included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) ids: &'a [u32],
    /// Where the second of a pair of texts begins, for networks that are told; else the end.
    pub(crate) second: usize,
}

impl<'a> Window<'a> {
    /// Of one text.
    pub(crate) fn of_text(ids: &'a [u32]) -> Self {
        Self { ids, second: ids.len() }
    }
}

/// Turns token ids into token vectors.
pub(crate) trait Network: Send + Sync + fmt::Debug {
    /// How long a token's vector is.
    fn dims(&self) -> usize;

    /// How many tokens a window may have.
    fn max_window(&self) -> usize;

    /// The last layer's token vectors, row-major, window after window. A window's vectors do not
    /// depend on the others.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for a token or a position the network does not
    /// have.
    fn forward<'s>(&self, windows: &[Window<'_>], scratch: &'s mut Scratch) -> Result<&'s [f32]>;
}

/// Architectures that [`load`] knows, as manifests name them.
pub(crate) const ARCHITECTURES: [&str; 4] = ["bert", "modernbert", "nomic-bert", "qwen3"];

/// Loads the network that the manifest names.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) for an architecture that is not known, or weights
/// that do not fit it.
pub(crate) fn load(files: &ModelFiles) -> Result<Box<dyn Network>> {
    let manifest = files.manifest();
    let weights = files.path(FileRole::Weights)?;
    match &*manifest.architecture {
        "bert" => Ok(Box::new(bert::load(weights, files.path(FileRole::Config).ok())?)),
        known if ARCHITECTURES.contains(&known) => {
            Ok(Box::new(stock::load(known, weights, files.path(FileRole::Config)?)?))
        }
        other => Err(Error::invalid(format!(
            "{} is of architecture '{other}'; embedders may be of {}",
            manifest.name,
            ARCHITECTURES.join(", ")
        ))),
    }
}

/// A network that runs windows in batches, beside one another on rayon's threads.
#[derive(Debug)]
pub(crate) struct Runner {
    network: Box<dyn Network>,
    /// Memory of batches that ended, for batches to come.
    scratch: Mutex<Vec<Scratch>>,
}

impl Runner {
    pub(crate) fn new(network: Box<dyn Network>) -> Self {
        Self { network, scratch: Mutex::default() }
    }

    pub(crate) fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// Calls `each` with the token vectors of every window, row-major. Batches run on several
    /// threads; what `each` returns comes back in the order of `windows`.
    pub(crate) fn run<T: Send>(
        &self,
        windows: &[Window<'_>],
        each: impl Fn(&[f32]) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let batches = batches(windows);
        let done: Vec<Vec<(usize, T)>> = batches
            .par_iter()
            .map(|batch| {
                let mut scratch = self.take_scratch();
                let done = self.run_batch(windows, batch, &mut scratch, &each);
                self.keep_scratch(scratch);
                done
            })
            .collect::<Result<_>>()?;
        let mut results: Vec<Option<T>> = windows.iter().map(|_| None).collect();
        for (index, result) in done.into_iter().flatten() {
            results[index] = Some(result);
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn run_batch<T>(
        &self,
        windows: &[Window<'_>],
        batch: &[usize],
        scratch: &mut Scratch,
        each: impl Fn(&[f32]) -> Result<T>,
    ) -> Result<Vec<(usize, T)>> {
        let members: Vec<Window<'_>> = batch.iter().map(|&index| windows[index]).collect();
        let mut rows = self.network.forward(&members, scratch)?;
        let mut done = Vec::with_capacity(batch.len());
        for (&index, window) in batch.iter().zip(members) {
            let (own, rest) = rows.split_at(window.ids.len() * self.network.dims());
            done.push((index, each(own)?));
            rows = rest;
        }
        Ok(done)
    }

    fn take_scratch(&self) -> Scratch {
        let mut kept = self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.pop().unwrap_or_default()
    }

    fn keep_scratch(&self, scratch: Scratch) {
        self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(scratch);
    }
}

/// Groups windows of like length until a batch is full. Padding is not the reason, there is none:
/// threads that end together are.
fn batches(windows: &[Window<'_>]) -> Vec<Vec<usize>> {
    let mut longest_first: Vec<usize> = (0..windows.len()).collect();
    longest_first.sort_by_key(|&index| std::cmp::Reverse(windows[index].ids.len()));
    let total: usize = windows.iter().map(|window| window.ids.len()).sum();
    let limit = total.div_ceil(rayon::current_num_threads()).min(BATCH_TOKENS);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in longest_first {
        let tokens = windows[index].ids.len();
        if room < tokens || batches.is_empty() {
            batches.push(Vec::new());
            room = limit.max(tokens);
        }
        room -= tokens;
        batches.last_mut().expect("one was just pushed").push(index);
    }
    batches
}

#[cfg(test)]
pub(crate) mod tests;
