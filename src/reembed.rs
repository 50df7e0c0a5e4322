//! Another embedder for documents that are in: new vectors, a look at them, the flip.

use std::ops::ControlFlow;
use std::sync::Arc;

use docent_core::{Embedder, Result, VectorStoreId};
use docent_retrieval::{Comparison, Question, ReembedProgress, Reembedding};

use crate::Library;

/// How a vector store gets another embedder.
#[derive(Clone, Debug)]
pub struct ReembedOptions {
    /// Questions to compare old and new vectors by; without any, excerpts of the store's passages.
    pub questions: Vec<Question>,
    /// About how many excerpts.
    pub sample: usize,
    /// Which part of the first ten hits must stay the same, 0 to 1.
    pub min_overlap: Option<f64>,
    /// Whether the new vectors are searched in the end.
    pub flip: Flip,
}

impl Default for ReembedOptions {
    fn default() -> Self {
        Self { questions: Vec::new(), sample: 100, min_overlap: None, flip: Flip::default() }
    }
}

/// Whether new vectors are searched in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// Unless the comparison speaks against it.
    #[default]
    IfNotWorse,
    /// Whatever the comparison says.
    Always,
    /// No: they are kept, and the next reembed has little to do.
    Never,
}

/// What became of new vectors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reembedded {
    /// The vector store.
    pub vector_store: VectorStoreId,
    /// The embedder whose vectors were searched before; none if there were no vectors.
    pub from: Option<String>,
    /// The embedder of the new vectors.
    pub to: String,
    /// The chunks that have new vectors, and how many vectors had to be made.
    pub progress: ReembedProgress,
    /// What the comparison found, or why there is none.
    pub comparison: std::result::Result<Comparison, String>,
    /// Whether the new vectors are searched now.
    pub flipped: Flipped,
}

/// Whether the new vectors are searched now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flipped {
    /// They are.
    Yes,
    /// It was not asked for.
    NotAsked,
    /// The comparison speaks against it: this is why.
    Refused(String),
}

impl Library {
    /// Gives `store` vectors by `embedder`: makes them beside the old ones, compares the two, and
    /// has the new ones searched if `options` and the comparison allow it. [`process`] then works
    /// on files that waited for an embedder. `None` when `on_progress` broke off; what was made is
    /// kept and the next call goes on.
    ///
    /// Until then searches and new documents go on with the old vectors, and these are kept
    /// afterwards: [`Collections::roll_back`] goes back to them, [`Collections::prune_vectors`]
    /// drops them.
    ///
    /// [`process`]: Self::process
    /// [`Collections::roll_back`]: docent_retrieval::Collections::roll_back
    /// [`Collections::prune_vectors`]: docent_retrieval::Collections::prune_vectors
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when the store has this embedder already;
    /// those of the embedder.
    pub fn reembed(
        &self,
        store: VectorStoreId,
        embedder: Arc<dyn Embedder>,
        options: &ReembedOptions,
        on_progress: &mut dyn FnMut(ReembedProgress) -> ControlFlow<()>,
    ) -> Result<Option<Reembedded>> {
        let from = self.collections().store_vectors(store)?.searched;
        let to = embedder.spec().name.clone();
        let begun = self.collections().reembed(store, embedder, on_progress)?;
        let Some(made) = begun else { return Ok(None) };
        let comparison = compare(&made, options)?;
        let progress = made.progress();
        let flipped = match options.flip {
            Flip::Never => Some(Flipped::NotAsked),
            Flip::IfNotWorse => objection(&comparison, options).map(Flipped::Refused),
            Flip::Always => None,
        };
        let flipped = match flipped {
            Some(not) => not,
            None if made.flip(on_progress)?.is_some() => Flipped::Yes,
            None => return Ok(None),
        };
        let reembedded =
            Reembedded { vector_store: store, from, to, progress, comparison, flipped };
        Ok(Some(reembedded))
    }
}

fn compare(
    made: &Reembedding<'_>,
    options: &ReembedOptions,
) -> Result<std::result::Result<Comparison, String>> {
    match options.questions.as_slice() {
        [] => made.compare(&made.sample(options.sample)?),
        questions => made.compare(questions),
    }
}

/// Without a comparison only a bound on it can speak against the new vectors: the old ones may
/// not be usable at all.
fn objection(
    comparison: &std::result::Result<Comparison, String>,
    options: &ReembedOptions,
) -> Option<String> {
    match comparison {
        Ok(comparison) => comparison.objection(options.min_overlap),
        Err(reason) => {
            options.min_overlap.map(|_| format!("old and new cannot be compared: {reason}"))
        }
    }
}
