use super::*;
use crate::embed::tests::embedder;

#[test]
fn the_passage_that_answers_scores_best_and_scores_stand_alone() {
    let Some(embedder) = embedder() else { return };
    let reranker = LateInteraction::new(embedder);
    let passages = [
        "The cafeteria serves soup on Mondays.",
        "The spare key is kept in the drawer below the window.",
        "",
        "Rivers carry sand to the sea.",
    ];
    let scores = reranker.score("where is the key?", &passages).unwrap();
    assert_eq!(scores.len(), passages.len());
    assert!((0..4).all(|index| scores[index] <= scores[1]), "{scores:?}");
    for (passage, score) in passages.iter().zip(&scores) {
        assert_eq!(reranker.score("where is the key?", &[passage]).unwrap(), [*score]);
    }
    let forgetful = LateInteraction::new(Arc::clone(&reranker.embedder)).with_kept_bytes(0);
    assert_eq!(forgetful.score("where is the key?", &passages).unwrap(), scores);
}
