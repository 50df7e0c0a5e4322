//! Embeds texts with a BERT encoder on this machine.
//!
//! Texts become windows ([`windows`]), windows become batches of like length, batches run beside
//! one another on rayon's threads, one thread each. A vector does not depend on the batch, nor on
//! how many threads there are.

mod pool;
mod windows;

use docent_core::{
    Embedder, EmbedderSpec, Embedding, Error, Fingerprint, InputRole, Pooling, Result,
};
use half::f16;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::windows::{Tokens, Windows};
use crate::catalog::ModelFiles;
use crate::late_interaction::TokenVectors;
use crate::manifest::{EmbedderManifest, FileRole, Manifest, ModelKind};
use crate::network::{self, Network, Runner, Window};

/// Bumped when the same manifest comes to give other vectors.
const VERSION: u32 = 1;

/// What may differ from the manifest.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BertOptions {
    /// How many tokens one vector stands for at most, special tokens included.
    pub window_tokens: Option<usize>,
    /// How many numbers of each vector are kept, for models trained so that the first say most
    /// (Matryoshka, Kusupati et al. 2022). The rest is cut off and the vector scaled to length 1.
    pub dims: Option<usize>,
}

/// An [`Embedder`] of the BERT family: all-MiniLM, BGE, E5 and their like, computed in f32.
#[derive(Debug)]
pub struct BertEmbedder {
    spec: EmbedderSpec,
    settings: EmbedderManifest,
    windows: Windows,
    runner: Runner,
    /// For late interaction.
    token_vectors: TokenVectors,
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
        cosines: manifest.cosines,
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
        settings.dims = options.dims.unwrap_or(settings.dims);
        let runner = Runner::new(network::load(files)?);
        check(&settings, manifest, runner.network())?;
        let windows = Windows::load(files, &settings)?;
        let spec = spec(manifest, &settings)?;
        Ok(Self { spec, settings, windows, runner, token_vectors: TokenVectors::default() })
    }

    /// Each text's token vectors, row-major, each of length 1: all windows', without special
    /// tokens and prefix.
    pub(crate) fn token_vectors(&self, texts: &[&str], role: InputRole) -> Result<Vec<Vec<f16>>> {
        let tokens = self.tokenize(texts, role)?;
        let windows: Vec<Window<'_>> =
            tokens.iter().flat_map(Tokens::windows).map(Window::of_text).collect();
        let (before, after) = self.windows.around(role);
        let dims = self.token_dims();
        let vectors = self.runner.run(&windows, |rows| {
            let rows = &rows[before * dims..rows.len() - after * dims];
            let mut vectors = rows.to_vec();
            vectors.chunks_exact_mut(dims).for_each(pool::normalize);
            Ok(vectors.iter().map(|&value| f16::from_f32(value)).collect::<Vec<f16>>())
        })?;
        let mut vectors = vectors.into_iter();
        let each = tokens.iter().map(|tokens| tokens.windows().len());
        Ok(each.map(|count| vectors.by_ref().take(count).flatten().collect()).collect())
    }

    /// How long a token's vector is.
    pub(crate) fn token_dims(&self) -> usize {
        self.runner.network().dims()
    }

    /// The windows of each text, in order.
    fn tokenize(&self, texts: &[&str], role: InputRole) -> Result<Vec<Tokens>> {
        texts.par_iter().map(|text| self.windows.split(text, role)).collect()
    }
}

impl Embedder for BertEmbedder {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        let texts_tokens = self.tokenize(texts, role)?;
        let windows: Vec<Window<'_>> =
            texts_tokens.iter().flat_map(Tokens::windows).map(Window::of_text).collect();
        let tokens = windows.iter().map(|window| window.ids.len()).sum::<usize>();
        let _span =
            tracing::debug_span!("embed", texts = texts.len(), windows = windows.len(), tokens)
                .entered();
        let vectors = self
            .runner
            .run(&windows, |rows| Ok(pool::pool(rows, self.token_dims(), &self.settings)))?;
        let mut vectors = vectors.into_iter();
        texts_tokens
            .iter()
            .map(|tokens| {
                let own = vectors.by_ref().take(tokens.windows().len());
                Embedding::new(self.spec.dims, own.flatten().collect())
            })
            .collect()
    }

    fn late_interaction(&self, query: &str, passages: &[&str]) -> Result<Option<Vec<f32>>> {
        self.token_vectors.scores(self, query, passages).map(Some)
    }

    /// What [`embed`](Embedder::embed) sends through the network, special tokens included.
    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        let texts = self.tokenize(texts, role)?;
        Ok(texts.iter().map(|tokens| tokens.windows().map(<[u32]>::len).sum()).collect())
    }
}

fn settings(manifest: &Manifest) -> Result<&EmbedderManifest> {
    match (&manifest.embedder, manifest.kind) {
        (Some(settings), ModelKind::Embedder) => Ok(settings),
        _ => Err(Error::invalid(format!(
            "{} is a {} model, no embedder",
            manifest.name, manifest.kind
        ))),
    }
}

fn check(settings: &EmbedderManifest, manifest: &Manifest, network: &dyn Network) -> Result<()> {
    if !(1..=network.dims()).contains(&settings.dims) {
        return Err(Error::invalid(format!(
            "{} dimensions were asked for, {} has {}; take 1 to {2}",
            settings.dims,
            manifest.name,
            network.dims()
        )));
    }
    let most = manifest.max_tokens.min(network.max_window());
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
