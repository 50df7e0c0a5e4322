//! An embedder that is loaded when its first vector is wanted.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use docent_core::{Embedder, EmbedderSpec, Embedding, InputRole, Result};
use docent_inference::{BertEmbedder, ModelFiles};

/// Knows what it is from its manifest, so that opening a library does not wait for weights.
pub(crate) struct LazyEmbedder {
    spec: EmbedderSpec,
    files: ModelFiles,
    loaded: OnceLock<BertEmbedder>,
    loading: Mutex<()>,
}

impl LazyEmbedder {
    pub(crate) fn new(files: ModelFiles) -> Result<Self> {
        let spec = files.manifest().embedder_spec()?;
        Ok(Self { spec, files, loaded: OnceLock::new(), loading: Mutex::new(()) })
    }

    fn get(&self) -> Result<&BertEmbedder> {
        if let Some(embedder) = self.loaded.get() {
            return Ok(embedder);
        }
        // Whoever else comes now waits rather than load the weights a second time.
        let _turn = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.loaded.get().is_none() {
            let _ = self.loaded.set(BertEmbedder::load(&self.files)?);
        }
        Ok(self.loaded.get().expect("it was set just above, under the lock"))
    }
}

impl Embedder for LazyEmbedder {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        self.get()?.embed(texts, role)
    }

    fn late_interaction(&self, query: &str, passages: &[&str]) -> Result<Option<Vec<f32>>> {
        self.get()?.late_interaction(query, passages)
    }

    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        self.get()?.count_tokens(texts, role)
    }
}

impl fmt::Debug for LazyEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyEmbedder").field("spec", &self.spec).finish_non_exhaustive()
    }
}
