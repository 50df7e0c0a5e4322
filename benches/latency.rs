//! What a question costs over 100,000 chunks: the default pipeline where the question's words stand
//! in the documents, and with late interaction, as where they do not.
//!
//! `cargo bench --bench latency -- [QUESTIONS [LOOKED_AT_AGAIN]]`: 300 questions without and 10 with
//! late interaction unless told otherwise. The first run builds the library (minutes). The chunks'
//! vectors are made up, as embedding 100,000 chunks would take hours and how they lie changes no
//! time; a question is embedded by the real model, and token vectors are the real model's, if its
//! weights are on this machine.

#![expect(clippy::print_stdout, reason = "a measurement prints its table")]

#[path = "../crates/retrieval/benches/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use docent::LateInteraction::{self, Always};
use docent::inference::{BertEmbedder, Catalog};
use docent::{
    Collections, DEFAULT_EMBEDDER, Embedder, EmbedderSpec, Embedding, InputRole, Result,
    SearchOptions, VectorIndexKind, VectorStoreId,
};
use support::{Made, library, open_with, percentile, questions};

/// A chunk of 800 tokens has as many windows of the default embedder's 512.
const WINDOWS: u64 = 2;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (plain, again) = (numbers.next().unwrap_or(300), numbers.next().unwrap_or(10));
    let (path, store) = library(100_000, WINDOWS);
    let Some(files) = Catalog::builtin().locate(DEFAULT_EMBEDDER) else {
        println!("the weights of {DEFAULT_EMBEDDER} are not here; questions cost no embedding");
        let made = Arc::new(Made::new(WINDOWS));
        let collections = open_with(&path, made, None, VectorIndexKind::Auto);
        return measure("default", &collections, store, plain, LateInteraction::default());
    };
    let real = Arc::new(BertEmbedder::load(&files).unwrap());
    let asks = Arc::new(Asks { made: Made::new(WINDOWS), real });
    let collections = open_with(&path, asks, None, VectorIndexKind::Auto);
    measure("default", &collections, store, plain, LateInteraction::default());
    if again == 0 {
        return;
    }
    measure("late interaction, each question new", &collections, store, again, Always);
    // One after another, so that what is kept of a question's candidates is there the second time.
    let options = SearchOptions { late_interaction: Some(Always), ..SearchOptions::default() };
    let mut times = vec![];
    for question in &questions(again) {
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
    late_interaction: LateInteraction,
) {
    let options =
        SearchOptions { late_interaction: Some(late_interaction), ..SearchOptions::default() };
    let mut times = vec![];
    let mut stages: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    // What is opened and loaded at the first question is not counted.
    collections.search(&[store], "configure the kernel", &SearchOptions::default()).unwrap();
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
        println!("  {stage:16} p50 {:8.2} ms", percentile(&mut times, 0.5));
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

    fn late_interaction(&self, query: &str, passages: &[&str]) -> Result<Option<Vec<f32>>> {
        self.real.late_interaction(query, passages)
    }

    fn count_tokens(&self, texts: &[&str], role: InputRole) -> Result<Vec<usize>> {
        self.real.count_tokens(texts, role)
    }
}
