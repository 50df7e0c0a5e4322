//! Ways to search, and what a data set's queries find by each.

mod grid;

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use docent_core::{Error, Result};
use docent_retrieval::{Fusion, LateInteraction, SearchMode, SearchOptions};
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::metrics::Metric;

/// How deep rankings are looked at.
const DEPTH: usize = 100;

/// A way to search. As TOML: `[[pipeline]]` with a `name` and what differs from the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// What reports call it.
    pub name: String,
    /// Which indexes are asked.
    #[serde(default)]
    pub mode: SearchMode,
    /// How many of each index's best are looked at.
    #[serde(default = "Pipeline::candidates")]
    pub candidates: usize,
    /// How the indexes' lists become one: `scores` or `ranks`.
    #[serde(default)]
    pub fusion: Fusion,
    /// How many of the best candidates the others are compared with; 0 for none.
    #[serde(default = "Pipeline::neighbors")]
    pub neighbors: usize,
    /// Whether the best candidates are compared with the query token by token:
    /// `where_words_fail`, `always` or `never`; if it does not say, as `docent.toml` does.
    #[serde(default)]
    pub late_interaction: Option<LateInteraction>,
    /// How many of the best candidates the reranker, if there is one, looks at; with 0 neither it
    /// nor late interaction does.
    #[serde(default = "Pipeline::rerank")]
    pub rerank: usize,
}

impl Pipeline {
    fn candidates() -> usize {
        SearchOptions::default().candidates
    }

    fn neighbors() -> usize {
        SearchOptions::default().neighbors
    }

    fn rerank() -> usize {
        SearchOptions::default().rerank
    }

    fn of_mode(name: &str, mode: SearchMode) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            candidates: Self::candidates(),
            fusion: Fusion::default(),
            neighbors: if mode == SearchMode::Hybrid { Self::neighbors() } else { 0 },
            late_interaction: None,
            rerank: Self::rerank(),
        }
    }

    /// One of the names `bm25`, `dense` and `default`.
    pub fn named(name: &str) -> Option<Self> {
        let mode = match name {
            "bm25" => SearchMode::Words,
            "dense" => SearchMode::Vectors,
            "default" => SearchMode::Hybrid,
            _ => return None,
        };
        Some(Self::of_mode(name, mode))
    }

    /// Reads pipelines from the TOML file at `path`: `[[pipeline]]` tables, and every combination
    /// of the lists in `[grid]`.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        grid::parse(&fs_err::read_to_string(path)?)
            .map_err(|what| Error::invalid(format!("{}: {what}", path.display())))
    }

    fn options(&self) -> SearchOptions {
        SearchOptions {
            limit: DEPTH,
            mode: self.mode,
            candidates: self.candidates,
            fusion: self.fusion,
            neighbors: self.neighbors,
            late_interaction: self.late_interaction,
            rerank: self.rerank,
            ..SearchOptions::default()
        }
    }
}

/// What the queries found.
#[derive(Clone, Debug)]
pub struct Rankings {
    /// The documents each query found, best first, in the data set's order of queries.
    pub found: Vec<Vec<String>>,
    /// How long each query took.
    pub latencies: Vec<Duration>,
    /// What searches noted, each once.
    pub notes: Vec<String>,
}

impl Rankings {
    /// Asks `corpus` every query of `dataset`. `None` when `on_query`, which is told how many are
    /// done, broke off.
    ///
    /// # Errors
    /// A search's.
    pub fn ask(
        corpus: &Corpus,
        dataset: &Dataset,
        pipeline: &Pipeline,
        on_query: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let options = pipeline.options();
        let mut rankings = Self { found: vec![], latencies: vec![], notes: vec![] };
        // What is loaded at the first search is not this query's time.
        if let Some(first) = dataset.queries.first() {
            search(corpus, &first.text, &options)?;
        }
        for (done, query) in dataset.queries.iter().enumerate() {
            let begun = Instant::now();
            let (documents, notes) = search(corpus, &query.text, &options)?;
            rankings.latencies.push(begun.elapsed());
            rankings.found.push(documents);
            for note in notes {
                if !rankings.notes.contains(&note) {
                    rankings.notes.push(note);
                }
            }
            if on_query(done + 1).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(rankings))
    }

    /// `metric` of every query, in the data set's order.
    pub fn scores(&self, metric: Metric, dataset: &Dataset) -> Vec<f64> {
        let asked = self.found.iter().zip(&dataset.queries);
        asked.map(|(found, query)| metric.of(found, &query.grades)).collect()
    }

    /// The time within which `share` of the queries were answered, in milliseconds.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

/// The documents `query` finds, each at its best passage, and what the search noted.
fn search(
    corpus: &Corpus,
    query: &str,
    options: &SearchOptions,
) -> Result<(Vec<String>, Vec<String>)> {
    let result = corpus.collections().search(&[corpus.vector_store()], query, options)?;
    let mut seen = HashSet::new();
    let files = result.hits.iter().map(|hit| hit.chunk.file).filter(|file| seen.insert(*file));
    let documents = files.filter_map(|file| corpus.document(file)).map(str::to_owned);
    Ok((documents.collect(), result.trace.notes))
}

/// `metrics` of each query, by name.
pub(crate) fn by_query(
    rankings: &Rankings,
    dataset: &Dataset,
    metrics: &[Metric],
) -> BTreeMap<String, Vec<f64>> {
    metrics.iter().map(|it| (it.to_string(), rankings.scores(*it, dataset))).collect()
}
