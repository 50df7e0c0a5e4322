use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::*;
use crate::Catalog;

const MODEL: &str = "all-MiniLM-L6-v2";

/// The embedder, if its weights are on this machine; says so if not.
pub(crate) fn embedder() -> Option<Arc<BertEmbedder>> {
    static LOADED: OnceLock<Option<Arc<BertEmbedder>>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        let files = Catalog::builtin().locate(MODEL)?;
        Some(Arc::new(BertEmbedder::load(&files).unwrap()))
    });
    if loaded.is_none() {
        eprintln!("SKIPPED: {MODEL} is not here; run \"docent models pull {MODEL}\"");
    }
    loaded.clone()
}

/// What sentence-transformers says; see `tests/fixtures/reference.py`.
#[derive(Deserialize)]
struct Reference {
    text: String,
    /// One vector a window.
    vectors: Vec<Vec<f32>>,
}

fn references() -> Vec<Reference> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minilm.json");
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let Some(embedder) = embedder() else { return };
    let references = references();
    assert!(references.len() >= 24);
    for reference in references {
        let ours = embedder.embed(&[&reference.text], InputRole::Passage).unwrap().remove(0);
        assert_eq!(ours.windows().len(), reference.vectors.len(), "{:?}", reference.text);
        for (ours, theirs) in ours.windows().zip(&reference.vectors) {
            let cosine = cosine(ours, theirs);
            assert!(cosine >= 0.9999, "{cosine} for {:?}", reference.text);
        }
    }
}

#[test]
fn a_batch_gives_what_each_text_alone_gives() {
    let Some(embedder) = embedder() else { return };
    let references = references();
    let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
    let together = embedder.embed(&texts, InputRole::Passage).unwrap();
    for (text, together) in texts.iter().zip(together) {
        let alone = embedder.embed(&[text], InputRole::Passage).unwrap().remove(0);
        assert!(together.values() == alone.values(), "not bit-identical: {text:?}");
    }
}
