//! What a question costs over 100,000 chunks: the default pipeline without a reranker, and with
//! late interaction over as many candidates as searches rerank by default.
//!
//! `cargo bench --bench latency -- [QUESTIONS [RERANKED]]`: 300 questions without and 10 with a
//! reranker unless told otherwise. The first run builds the library (minutes). The chunks' vectors
//! are made up, as embedding 100,000 chunks would take hours and how they lie changes no time; a
//! question is embedded by the real model, and token vectors are the real model's, if its weights
//! are on this machine.

#![expect(clippy::print_stdout, reason = "a measurement prints its table")]

#[path = "../crates/retrieval/benches/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use docent::inference::{BertEmbedder, Catalog, LateInteraction};
use docent::{
    Collections, DEFAULT_EMBEDDER, Embedder, EmbedderSpec, Embedding, InputRole, Result,
    SearchOptions, VectorIndexKind, VectorStoreId,
};
use support::{Made, library, open_with, percentile, questions};

/// A chunk of 800 tokens has as many windows of the default embedder's 512.
const WINDOWS: u64 = 2;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (plain, reranked) = (numbers.next().unwrap_or(300), numbers.next().unwrap_or(10));
    let (path, store) = library(100_000, WINDOWS);
    let Some(files) = Catalog::builtin().locate(DEFAULT_EMBEDDER) else {
        println!("the weights of {DEFAULT_EMBEDDER} are not here; questions cost no embedding");
        let made = Arc::new(Made::new(WINDOWS));
        let collections = open_with(&path, made, None, VectorIndexKind::Auto);
        return measure("default, not reranked", &collections, store, plain, 0);
    };
    let real = Arc::new(BertEmbedder::load(&files).unwrap());
    let asks = Arc::new(Asks { made: Made::new(WINDOWS), real: Arc::clone(&real) });
    {
        let collections = open_with(&path, asks.clone(), None, VectorIndexKind::Auto);
        measure("default, not reranked", &collections, store, plain, 0);
    }
    if reranked == 0 {
        return;
    }
    let reranker = Arc::new(LateInteraction::new(real));
    let collections = open_with(&path, asks, Some(reranker), VectorIndexKind::Auto);
    let rerank = SearchOptions::default().rerank;
    measure("late interaction, each question new", &collections, store, reranked, rerank);
    // One after another, so that what is kept of a question's candidates is there the second time.
    let questions = questions(reranked);
    let options = SearchOptions { rerank, ..SearchOptions::default() };
    let mut times = vec![];
    for question in &questions {
        collections.search(&[store], question, &options).unwrap();
        let started = Instant::now();
        collections.search(&[store], question, &options).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    print("late interaction, asked just before", &mut times);
}

fn measure(
    name: &str,
    collections: &Collections,
    store: VectorStoreId,
    count: usize,
    rerank: usize,
) {
    let options = SearchOptions { rerank, ..SearchOptions::default() };
    let mut times = vec![];
    let mut stages: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    // What is opened and loaded at the first question is not counted.
    collections
        .search(&[store], "configure the kernel", &SearchOptions { rerank: 0, ..options.clone() })
        .unwrap();
    for question in questions(count) {
        let started = Instant::now();
        let found = collections.search(&[store], &question, &options).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        for stage in found.trace.stages {
            stages.entry(stage.stage).or_default().push(stage.micros as f64 / 1e3);
        }
    }
    print(name, &mut times);
    for (stage, mut times) in stages {
        println!("  {stage:8} p50 {:8.2} ms", percentile(&mut times, 0.5));
    }
}

fn print(name: &str, times: &mut [f64]) {
    println!(
        "{name}: p50 {:.2} ms, p95 {:.2} ms ({} questions)",
        percentile(times, 0.5),
        percentile(times, 0.95),
        times.len()
    );
}

/// Made-up vectors for passages; a question costs what the real model takes for it.
#[derive(Debug)]
struct Asks {
    made: Made,
    real: Arc<BertEmbedder>,
}

impl Embedder for Asks {
    fn spec(&self) -> &EmbedderSpec {
        self.made.spec()
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        if role == InputRole::Query {
            self.real.embed(texts, role)?;
        }
        self.made.embed(texts, role)
    }

    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        self.real.count_tokens(texts, role)
    }
}
