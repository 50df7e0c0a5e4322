//! Late interaction: when it is asked, and what it does to the order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent_core::{Embedder, EmbedderSpec, Embedding, InputRole, Metadata, Result, VectorStoreId};
use docent_retrieval::{Collections, LateInteraction, SearchMode, SearchOptions, SearchResult};

use crate::support::{Embeds, Library};

/// Knows by its tokens that a passage answers which has the word "answer".
#[derive(Debug)]
struct Tokens {
    vectors: Arc<dyn Embedder>,
    /// Passages it was shown.
    shown: AtomicUsize,
}

impl Embedder for Tokens {
    fn spec(&self) -> &EmbedderSpec {
        self.vectors.spec()
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        self.vectors.embed(texts, role)
    }

    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        self.vectors.count_tokens(texts, role)
    }

    fn late_interaction(&self, _: &str, passages: &[&str]) -> Result<Option<Vec<f32>>> {
        self.shown.fetch_add(passages.len(), Ordering::SeqCst);
        let score = |text: &&str| if text.contains("answer") { 0.9 } else { 0.5 };
        Ok(Some(passages.iter().map(score).collect()))
    }
}

struct Asked {
    _library: Library,
    collections: Collections,
    store: VectorStoreId,
    tokens: Arc<Tokens>,
}

impl Asked {
    /// A library of `texts`.
    fn new(texts: &[String]) -> Self {
        Self::with(texts, Library::new(Embeds::English))
    }

    fn with(texts: &[String], library: Library) -> Self {
        let vectors = library.embedder(Embeds::English);
        let tokens = Arc::new(Tokens { vectors, shown: AtomicUsize::new(0) });
        let collections = library.open_with(Some(tokens.clone()));
        let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
        for (number, text) in texts.iter().enumerate() {
            library.add(&collections, store, &format!("{number}.txt"), text);
        }
        library.process(&collections);
        Self { _library: library, collections, store, tokens }
    }

    fn search(&self, query: &str, options: SearchOptions) -> SearchResult {
        self.collections.search(&[self.store], query, &options).unwrap()
    }

    fn shown(&self) -> usize {
        self.tokens.shown.swap(0, Ordering::SeqCst)
    }
}

/// Twenty short passages; the last ones have the word "answer".
fn short() -> Vec<String> {
    let text =
        |number: usize| format!("Passage {number} of the harbor{}", ["", " answer"][number / 15]);
    (0..20).map(text).collect()
}

fn options(late_interaction: LateInteraction) -> SearchOptions {
    SearchOptions { late_interaction: Some(late_interaction), ..SearchOptions::default() }
}

#[test]
fn where_words_fail_the_tokens_of_the_ten_best_decide() {
    let asked = Asked::new(&short());
    let without = asked.search("quando partono", options(LateInteraction::Never));
    assert_eq!(asked.shown(), 0);
    let with = asked.search("quando partono", SearchOptions::default());
    assert_eq!(asked.shown(), 10);
    assert!(with.trace.stages.iter().any(|stage| stage.stage == "late interaction"));
    let looked_at = |it: &SearchResult| {
        it.trace.candidates.iter().filter_map(|it| it.late_interaction).collect::<Vec<_>>()
    };
    assert!(looked_at(&without).is_empty());
    let scores = looked_at(&with);
    assert_eq!(scores.len(), 10);
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.8, "{scores:?}");
    // Those that were not looked at stay behind, in their order.
    let chunks = |it: &SearchResult, from| {
        it.hits[from..].iter().map(|hit| hit.chunk.id).collect::<Vec<_>>()
    };
    assert_eq!(chunks(&with, 10), chunks(&without, 10));
    assert_ne!(chunks(&with, 0), chunks(&without, 0));
    assert!(with.hits.is_sorted_by(|a, b| a.score >= b.score));
}

#[test]
fn a_query_whose_words_stand_there_costs_no_pass_through_the_network() {
    let asked = Asked::new(&short());
    asked.search("passage harbor", SearchOptions::default());
    asked.search("passage 7 or 8 of something else", SearchOptions::default());
    asked.search("== !!", SearchOptions::default());
    assert_eq!(asked.shown(), 0);
    asked.search("passage harbor", options(LateInteraction::Always));
    assert_eq!(asked.shown(), 10);
    asked.search("passage", SearchOptions { rerank: 0, ..options(LateInteraction::Always) });
    assert_eq!(asked.shown(), 0, "nobody is to look again");
    let vectors = SearchOptions { mode: SearchMode::Vectors, ..options(LateInteraction::Always) };
    asked.search("passage harbor", vectors);
    assert_eq!(asked.shown(), 0, "who asks for vectors alone gets their order");
}

#[test]
fn a_search_that_does_not_say_goes_by_its_library() {
    let mut library = Library::new(Embeds::English);
    library.options.late_interaction = LateInteraction::Never;
    let asked = Asked::with(&short(), library);
    asked.search("quando partono", SearchOptions::default());
    assert_eq!(asked.shown(), 0);
    asked.search("quando partono", options(LateInteraction::WhereWordsFail));
    assert_eq!(asked.shown(), 10);
}

#[test]
fn long_passages_are_looked_at_as_far_as_the_bound_allows_and_at_least_two() {
    let of_words =
        |words: usize| move |number: usize| format!("{number} {}", "harbor ".repeat(words));
    let asked = Asked::new(&(0..12).map(of_words(690)).collect::<Vec<_>>());
    asked.search("quando partono", SearchOptions::default());
    assert_eq!(asked.shown(), 4, "of some 690 to 700 tokens each, 3,200 hold four");
    let one = Asked::new(&short()[..1]);
    one.search("quando partono", SearchOptions::default());
    assert_eq!(one.shown(), 0, "one candidate has nobody to pass");
}
