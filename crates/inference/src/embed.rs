//! Embeds texts with a BERT encoder on this machine.
//!
//! Texts become windows ([`windows`]), windows become batches of like length, batches run beside
//! one another on rayon's threads, one thread each. A vector does not depend on the batch, nor on
//! how many threads there are.

mod pool;
mod tokenizer;
mod windows;

use std::sync::Mutex;

use docent_core::{
    Embedder, EmbedderSpec, Embedding, Error, Fingerprint, InputRole, Pooling, Result,
};
use half::f16;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::windows::{Tokens, Windows};
use crate::bert::{self, Bert, Scratch};
use crate::catalog::ModelFiles;
use crate::manifest::{EmbedderManifest, FileRole, Manifest, ModelKind};

/// How many tokens go through the network together at most. More of them do not run faster, and
/// memory grows with them.
const BATCH_TOKENS: usize = 512;

/// Bumped when the same manifest comes to give other vectors.
const VERSION: u32 = 1;

/// What may differ from the manifest.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BertOptions {
    /// How many tokens one vector stands for at most, special tokens included.
    pub window_tokens: Option<usize>,
}

/// An [`Embedder`] of the BERT family: all-MiniLM, BGE, E5 and their like, computed in f32.
#[derive(Debug)]
pub struct BertEmbedder {
    spec: EmbedderSpec,
    settings: EmbedderManifest,
    windows: Windows,
    bert: Bert,
    /// Memory of batches that ended, for batches to come.
    scratch: Mutex<Vec<Scratch>>,
}

impl Manifest {
    /// What this embedder is, known without loading it.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if it is no embedder.
    pub fn embedder_spec(&self) -> Result<EmbedderSpec> {
        spec(self, settings(self)?)
    }
}

fn spec(manifest: &Manifest, settings: &EmbedderManifest) -> Result<EmbedderSpec> {
    Ok(EmbedderSpec {
        name: manifest.name.clone(),
        fingerprint: fingerprint(manifest, settings)?,
        dims: settings.dims,
        window_tokens: settings.window_tokens,
        languages: manifest.languages.clone(),
    })
}

impl BertEmbedder {
    /// Loads the model as its manifest describes it. Takes a tenth of a second for MiniLM.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if it is no embedder, not of the BERT family,
    /// or its files do not fit together.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::load_with(files, &BertOptions::default())
    }

    /// Loads the model with `options`.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if an option does not fit the model.
    pub fn load_with(files: &ModelFiles, options: &BertOptions) -> Result<Self> {
        let manifest = files.manifest();
        let _span = tracing::info_span!("model.load", model = manifest.name).entered();
        let mut settings = settings(manifest)?.clone();
        settings.window_tokens = options.window_tokens.unwrap_or(settings.window_tokens);
        let bert = bert::load(files.path(FileRole::Weights)?, files.path(FileRole::Config).ok())?;
        check(&settings, manifest, &bert)?;
        let windows = Windows::load(files, &settings)?;
        let spec = spec(manifest, &settings)?;
        Ok(Self { spec, settings, windows, bert, scratch: Mutex::default() })
    }

    /// Each text's token vectors, row-major, each of length 1: all windows', without special
    /// tokens and prefix.
    pub(crate) fn token_vectors(&self, texts: &[&str], role: InputRole) -> Result<Vec<Vec<f16>>> {
        let tokens = self.tokenize(texts, role)?;
        let windows: Vec<&[u32]> = tokens.iter().flat_map(Tokens::windows).collect();
        let (before, after) = self.windows.around(role);
        let dims = self.settings.dims;
        let vectors = self.run(&windows, |rows| {
            let rows = &rows[before * dims..rows.len() - after * dims];
            let mut vectors = rows.to_vec();
            vectors.chunks_exact_mut(dims).for_each(pool::normalize);
            Ok(vectors.iter().map(|&value| f16::from_f32(value)).collect::<Vec<f16>>())
        })?;
        let mut vectors = vectors.into_iter();
        let each = tokens.iter().map(|tokens| tokens.windows().len());
        Ok(each.map(|count| vectors.by_ref().take(count).flatten().collect()).collect())
    }

    /// The mean over `query`'s rows of the greatest product with a row of `passage`; 0 if either
    /// has no rows.
    pub(crate) fn max_sim(&self, query: &[f32], passage: &[f32]) -> f32 {
        self.bert.max_sim(query, passage)
    }

    /// The windows of each text, in order.
    fn tokenize(&self, texts: &[&str], role: InputRole) -> Result<Vec<Tokens>> {
        texts.par_iter().map(|text| self.windows.split(text, role)).collect()
    }

    /// Calls `each` with the token vectors of every window, row-major. Batches run on several
    /// threads; what `each` returns comes back in the order of `windows`.
    fn run<T: Send>(
        &self,
        windows: &[&[u32]],
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
        windows: &[&[u32]],
        batch: &[usize],
        scratch: &mut Scratch,
        each: impl Fn(&[f32]) -> Result<T>,
    ) -> Result<Vec<(usize, T)>> {
        let members: Vec<&[u32]> = batch.iter().map(|&index| windows[index]).collect();
        let mut rows = self.bert.forward(&members, scratch)?;
        let mut done = Vec::with_capacity(batch.len());
        for (&index, window) in batch.iter().zip(members) {
            let (own, rest) = rows.split_at(window.len() * self.settings.dims);
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

impl Embedder for BertEmbedder {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        let texts_tokens = self.tokenize(texts, role)?;
        let windows: Vec<&[u32]> = texts_tokens.iter().flat_map(Tokens::windows).collect();
        let tokens = windows.iter().map(|window| window.len()).sum::<usize>();
        let _span =
            tracing::debug_span!("embed", texts = texts.len(), windows = windows.len(), tokens)
                .entered();
        let vectors = self.run(&windows, |rows| Ok(pool::pool(rows, &self.settings)))?;
        let mut vectors = vectors.into_iter();
        texts_tokens
            .iter()
            .map(|tokens| {
                let own = vectors.by_ref().take(tokens.windows().len());
                Embedding::new(self.spec.dims, own.flatten().collect())
            })
            .collect()
    }

    /// What [`embed`](Embedder::embed) sends through the network, special tokens included.
    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        let texts = self.tokenize(texts, role)?;
        Ok(texts.iter().map(|tokens| tokens.windows().map(<[u32]>::len).sum()).collect())
    }
}

/// Groups windows of like length until a batch is full. Padding is not the reason, there is none:
/// threads that end together are.
fn batches(windows: &[&[u32]]) -> Vec<Vec<usize>> {
    let mut longest_first: Vec<usize> = (0..windows.len()).collect();
    longest_first.sort_by_key(|&index| std::cmp::Reverse(windows[index].len()));
    let total: usize = windows.iter().map(|window| window.len()).sum();
    let limit = total.div_ceil(rayon::current_num_threads()).min(BATCH_TOKENS);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in longest_first {
        let tokens = windows[index].len();
        if room < tokens || batches.is_empty() {
            batches.push(Vec::new());
            room = limit.max(tokens);
        }
        room -= tokens;
        batches.last_mut().expect("one was just pushed").push(index);
    }
    batches
}

fn settings(manifest: &Manifest) -> Result<&EmbedderManifest> {
    if manifest.architecture != "bert" {
        return Err(Error::invalid(format!(
            "{} is of architecture '{}'; only 'bert' embedders run here",
            manifest.name, manifest.architecture
        )));
    }
    match (&manifest.embedder, manifest.kind) {
        (Some(settings), ModelKind::Embedder) => Ok(settings),
        _ => Err(Error::invalid(format!(
            "{} is a {} model, no embedder",
            manifest.name, manifest.kind
        ))),
    }
}

fn check(settings: &EmbedderManifest, manifest: &Manifest, bert: &Bert) -> Result<()> {
    let config = bert.config();
    if config.hidden_size != settings.dims {
        return Err(Error::invalid(format!(
            "the manifest of {} says {} dimensions, its weights have {}",
            manifest.name, settings.dims, config.hidden_size
        )));
    }
    let most = manifest.max_tokens.min(config.max_position_embeddings);
    if !(8..=most).contains(&settings.window_tokens) {
        return Err(Error::invalid(format!(
            "a window of {} tokens does not fit {}, which takes 8 to {most}",
            settings.window_tokens, manifest.name
        )));
    }
    Ok(())
}

/// Everything the vectors depend on, the parts a person looks for in clear.
fn fingerprint(manifest: &Manifest, settings: &EmbedderManifest) -> Result<Fingerprint> {
    let mut hasher = Sha256::new();
    hasher.update(format!("{VERSION}\n{settings:?}\n{:?}", manifest.files));
    let rest = hasher.finalize();
    let weights = manifest.file(FileRole::Weights).map(|file| file.sha256.to_string());
    let weights = weights.unwrap_or_default();
    let pooling = match settings.pooling {
        Pooling::Mean => "mean",
        Pooling::Cls => "cls",
        _ => "last",
    };
    let name: String = manifest.name.chars().take(64).collect();
    format!(
        "{}-{:.8}-{pooling}-w{}-{:02x}{:02x}{:02x}",
        name.to_ascii_lowercase(),
        weights,
        settings.window_tokens,
        rest[0],
        rest[1],
        rest[2]
    )
    .parse()
}

#[cfg(test)]
pub(crate) mod tests;
