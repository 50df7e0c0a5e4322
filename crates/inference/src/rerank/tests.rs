use super::*;
use crate::network::tests::{family, family_dir};

/// See `tests/fixtures/families_reference.py`.
#[test]
fn scores_are_those_of_transformers() {
    for name in ["bert-cross-encoder", "xlm-roberta-cross-encoder"] {
        let text = fs_err::read(family_dir(name).join("reference.json")).unwrap();
        let references: Vec<(String, String, f32)> = serde_json::from_slice(&text).unwrap();
        let reranker = CrossEncoder::load(&family(name, "reranker", "bert")).unwrap();
        assert_eq!(reranker.name(), name);
        for (query, passage, logit) in references {
            let score = reranker.score(&query, &[&passage]).unwrap()[0];
            let ours = (score / (1.0 - score)).ln();
            assert!((ours - logit).abs() < 1e-3, "{name}: {ours} is not {logit} for {query:?}");
        }
    }
}

#[test]
fn a_long_passage_scores_by_its_best_window_and_alone() {
    let reranker = CrossEncoder::load(&family("bert-cross-encoder", "reranker", "bert")).unwrap();
    let query = "where is the key";
    // 32 tokens hold three special ones, four of the query and 25 of the passage.
    let long = ["soup ".repeat(25), "key ".repeat(25)].concat();
    let parts = ["soup ".repeat(25), "key ".repeat(25)];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let apart = reranker.score(query, &parts).unwrap();
    assert!(apart[0] != apart[1]);
    let together = reranker.score(query, &[&long, "in", ""]).unwrap();
    assert_eq!(together[0], apart[0].max(apart[1]));
    assert_eq!(together[1], reranker.score(query, &["in"]).unwrap()[0]);
    assert!(reranker.score(&"key ".repeat(500), &["soup"]).unwrap()[0].is_finite());
    assert!(reranker.score("", &[]).unwrap().is_empty());
}

#[test]
fn what_is_no_cross_encoder_is_refused_with_the_reason() {
    let refused = |files: &ModelFiles, says: &str| {
        let error = CrossEncoder::load(files).unwrap_err();
        assert!(error.message().contains(says), "{error}");
    };
    refused(&family("bert-cross-encoder", "chat", "bert"), "is a chat model");
    refused(&family("qwen3", "reranker", "qwen3"), "only 'bert' rerankers");
    refused(&family("xlm-roberta", "reranker", "bert"), "no head");
}
