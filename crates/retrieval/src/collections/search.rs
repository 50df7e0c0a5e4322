//! From a question to the best passages: every index asked, fused, reranked, thinned out.

mod asked;
mod late;
mod trace;

use std::collections::HashMap;
use std::sync::Arc;

use docent_core::{
    ChunkSet, Embedder, Error, FileId, Filter, IndexedChunk, Read, Result, VectorStoreId,
};
use serde::{Deserialize, Serialize};

use super::Collections;
use super::collection::Collection;
use crate::exact::ExactIndex;
use crate::fusion::{self, Fusion};
use crate::language;
use crate::overlap::Given;
use crate::tables::{self, CHUNKS, FILES};

pub use late::LateInteraction;
pub use trace::{CandidateTrace, ListPlace, StageTime, Trace};

pub(super) use asked::direction;
use asked::{Asked, compare, embed_and_ask};
use trace::Stopwatch;

/// What a search is to give.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// At most this many hits.
    pub limit: usize,
    /// Only files with such attributes.
    pub filter: Option<Filter>,
    /// Only hits that score this or better.
    pub score_threshold: f32,
    /// Which indexes are asked.
    pub mode: SearchMode,
    /// How many of each index's best are looked at.
    pub candidates: usize,
    /// How the indexes' lists become one.
    pub fusion: Fusion,
    /// How many of the best candidates the others are compared with, to let those rise that are
    /// like them; with 0 none. Only in a hybrid search with fusion by scores.
    pub neighbors: usize,
    /// Whether the best candidates are compared with the query token by token, by the embedder.
    /// Only in a hybrid search with fusion by scores, and not where a reranker looks at them or
    /// nobody is to ([`rerank`](Self::rerank) is 0). None goes by the
    /// [library's](super::CollectionsOptions::late_interaction).
    pub late_interaction: Option<LateInteraction>,
    /// How many of the best candidates the reranker, if there is one, looks at; with 0 neither it
    /// nor late interaction has a say.
    pub rerank: usize,
    /// Whether the trace names the file of every candidate. That reads them all, which takes
    /// several times as long as reading the hits.
    pub explain: bool,
}

impl SearchOptions {
    fn compares(&self) -> bool {
        self.mode == SearchMode::Hybrid && self.fusion == Fusion::Scores
    }
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            limit: 20,
            filter: None,
            score_threshold: 0.0,
            mode: SearchMode::default(),
            candidates: 100,
            fusion: Fusion::default(),
            neighbors: 3,
            late_interaction: None,
            rerank: 40,
            explain: false,
        }
    }
}

/// Which indexes a search asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SearchMode {
    /// Words and vectors, fused.
    #[default]
    Hybrid,
    /// Words only.
    Words,
    /// Vectors only; what has none yet is not found.
    Vectors,
}

/// What a search found, and how.
#[derive(Clone, Debug)]
pub struct SearchResult {
    /// The best passages, best first.
    pub hits: Vec<SearchHit>,
    /// How they were found.
    pub trace: Trace,
}

/// A passage that was found.
#[derive(Clone, Debug, Serialize)]
pub struct SearchHit {
    /// Where.
    pub vector_store: VectorStoreId,
    /// The passage.
    pub chunk: IndexedChunk,
    /// The name of its file.
    pub filename: String,
    /// 0 to 1, never greater than the hit before's: an estimate of the chance that the passage
    /// answers the query, if a reranker did not give its own. docs/quality.md says how good an
    /// estimate it is.
    pub score: f32,
}

/// One vector store in a search.
struct Searched {
    collection: Arc<Collection>,
    allow: Option<ChunkSet>,
    by_words: bool,
    by_vectors: bool,
}

/// A candidate on its way to be a hit.
struct Found {
    /// Its place among the trace's candidates.
    at: usize,
    score: f32,
    /// Its passage, once it was needed.
    chunk: Option<IndexedChunk>,
}

impl Collections {
    /// The best passages for any of `queries` in `stores`: each passage once, by its best score.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_any(
        &self,
        stores: &[VectorStoreId],
        queries: &[&str],
        options: &SearchOptions,
    ) -> Result<Vec<SearchHit>> {
        let mut best: Vec<SearchHit> = vec![];
        for query in queries {
            for hit in self.search(stores, query, options)?.hits {
                let same = |other: &&mut SearchHit| {
                    (other.vector_store, other.chunk.id) == (hit.vector_store, hit.chunk.id)
                };
                match best.iter_mut().find(same) {
                    Some(known) => known.score = known.score.max(hit.score),
                    None => best.push(hit),
                }
            }
        }
        // Stable: among equals the first query's come first.
        best.sort_by(|a, b| b.score.total_cmp(&a.score));
        best.truncate(options.limit);
        Ok(best)
    }

    /// The best passages for `query` in `stores`.
    ///
    /// Vectors take part where there are some, of the embedder that is set up, for a query in a
    /// language it understands; the [notes](Trace::notes) say where they do not. Chunks that were
    /// committed are found by their words at once, before they have vectors.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when a store is not there,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) when one has expired; a model's error.
    pub fn search(
        &self,
        stores: &[VectorStoreId],
        query: &str,
        options: &SearchOptions,
    ) -> Result<SearchResult> {
        let span = tracing::info_span!("search", stores = stores.len(), limit = options.limit);
        let _span = span.entered();
        let mut trace = Trace::default();
        let mut watch = Stopwatch::start();
        if query.trim().is_empty() {
            trace.notes.push("the query is empty".into());
            return Ok(SearchResult { hits: vec![], trace });
        }
        let searched = self.prepare(stores, query, options, &mut trace)?;
        watch.lap("open", &mut trace);
        let (vectors, mut lists) = embed_and_ask(&searched, query, options.candidates, || {
            watch.lap("embed", &mut trace);
        })?;
        watch.lap("indexes", &mut trace);
        if options.fusion == Fusion::Scores {
            Asked { query, vectors: &vectors }.look_up(&searched, &mut lists)?;
            watch.lap("look up", &mut trace);
        }
        let mut fused = fusion::fuse(&lists, options.candidates, options.fusion);
        if options.neighbors > 0 && options.compares() {
            compare(&searched, &mut fused, options.neighbors);
            watch.lap("neighbors", &mut trace);
        }
        if options.compares() && options.rerank > 0 && self.reranker.is_none() {
            let when = options.late_interaction.unwrap_or(self.options.late_interaction);
            if late::look(&searched, &*self.store, query, when, &mut fused)? {
                watch.lap("late interaction", &mut trace);
            }
        }
        trace.candidates =
            fused.candidates.iter().map(|it| CandidateTrace::new(it, &fused)).collect();
        let read = self.store.read()?;
        let needed = match &self.reranker {
            _ if options.explain => trace.candidates.len(),
            Some(_) => options.rerank,
            None => 0,
        };
        let mut found = read_first(&*read, needed, &mut trace)?;
        watch.lap("read", &mut trace);
        self.rerank(query, &mut found, options, &mut trace)?;
        watch.lap("rerank", &mut trace);
        let hits = choose(&*read, found, options, &mut trace)?;
        watch.lap("choose", &mut trace);
        Ok(SearchResult { hits, trace })
    }

    fn prepare(
        &self,
        stores: &[VectorStoreId],
        query: &str,
        options: &SearchOptions,
        trace: &mut Trace,
    ) -> Result<Vec<Searched>> {
        let read = self.store.read()?;
        let mut ids = stores.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut vector_stores = vec![];
        for id in ids {
            let vector_store = tables::vector_store(&*read, id)?;
            if vector_store.is_expired(self.clock.now()) {
                return Err(Error::invalid(format!(
                    "vector store {id} has expired; update it or add a file to use it again"
                )));
            }
            vector_stores.push(vector_store);
        }
        let mut searched = vec![];
        for vector_store in &vector_stores {
            let id = vector_store.id;
            let collection = self.collection(id)?;
            let allow = match &options.filter {
                None => None,
                Some(filter) => Some(collection.allowed(&*read, filter)?),
            };
            let by_vectors =
                options.mode != SearchMode::Words && uses_vectors(&collection, query, trace);
            if by_vectors {
                note_missing_vectors(&collection, trace);
            }
            let by_words = options.mode != SearchMode::Vectors;
            searched.push(Searched { collection, allow, by_words, by_vectors });
        }
        drop(read);
        self.note_use(&vector_stores);
        Ok(searched)
    }

    fn rerank(
        &self,
        query: &str,
        found: &mut Vec<Found>,
        options: &SearchOptions,
        trace: &mut Trace,
    ) -> Result<()> {
        let Some(reranker) = self.reranker.as_ref().filter(|_| options.rerank > 0) else {
            return Ok(());
        };
        let first = found.iter().take(options.rerank).map_while(|found| found.chunk.as_ref());
        let texts: Vec<&str> = first.map(|chunk| chunk.chunk.text.as_str()).collect();
        let scores = reranker.score(query, &texts)?;
        if scores.len() != texts.len() || scores.iter().any(|score| !score.is_finite()) {
            trace.notes.push(format!("{} gave no usable scores", reranker.name()));
            return Ok(());
        }
        for (found, &score) in found.iter().zip(&scores) {
            trace.candidates[found.at].reranked = Some(score);
        }
        apply_scores(found, &scores);
        Ok(())
    }
}

impl Searched {
    /// What its vectors are made by, if it is searched by them and has some.
    fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        let some = self.collection.vector_index().is_some_and(|index| !index.is_empty());
        self.collection.embedder().ok().filter(|_| self.by_vectors && some)
    }
}

/// Whether `collection` is searched by vectors too; if not, a note says why.
fn uses_vectors(collection: &Collection, query: &str, trace: &mut Trace) -> bool {
    let mut note = |text: String| {
        if !trace.notes.contains(&text) {
            trace.notes.push(text);
        }
    };
    let embedder = match collection.embedder() {
        Ok(embedder) => embedder,
        Err(reason) => {
            note(format!("vectors not used: {reason}"));
            return false;
        }
    };
    let spec = embedder.spec();
    if let Err(language) = language::understands(&spec.languages, query) {
        note(format!(
            "vectors not used: {} understands {}, the query is {language}",
            spec.name,
            named(&spec.languages)
        ));
        return false;
    }
    true
}

fn named(languages: &[String]) -> String {
    match languages.len() {
        0..=8 => languages.join(", "),
        many => format!("{many} languages"),
    }
}

/// Puts the reranked first, in their new order, and keeps scores within 0 to 1 and falling.
fn apply_scores(found: &mut Vec<Found>, scores: &[f32]) {
    let rest = found.split_off(scores.len());
    // Some rerankers give probabilities, some logits.
    let bounded = scores.iter().all(|score| (0.0..=1.0).contains(score));
    for (found, &score) in found.iter_mut().zip(scores) {
        found.score = if bounded { score } else { 1.0 / (1.0 + (-score).exp()) };
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.at.cmp(&b.at)));
    let last = found.last().map_or(1.0, |found| found.score);
    found.extend(rest.into_iter().map(|found| Found { score: found.score * last, ..found }));
}

fn note_missing_vectors(collection: &Collection, trace: &mut Trace) {
    let chunks = collection.keyword_index().len();
    let embedded = collection.vector_index().map_or(0, ExactIndex::chunk_count);
    if embedded < chunks {
        trace.notes.push(format!("{} of {chunks} chunks wait for vectors", chunks - embedded));
    }
}

/// The candidates, the passages of the first `needed` of them read. Of these, one that was deleted
/// since an index found it drops out.
fn read_first(read: &dyn Read, needed: usize, trace: &mut Trace) -> Result<Vec<Found>> {
    let mut found = vec![];
    for (at, candidate) in trace.candidates.iter_mut().enumerate() {
        let mut chunk = None;
        if at < needed {
            chunk = passage(read, candidate)?;
            if chunk.is_none() {
                continue;
            }
        }
        found.push(Found { at, score: candidate.fused, chunk });
    }
    Ok(found)
}

/// The passage of `candidate`, unless it was deleted since an index found it.
fn passage(read: &dyn Read, candidate: &mut CandidateTrace) -> Result<Option<IndexedChunk>> {
    let chunk = CHUNKS.get(read, &(candidate.vector_store, candidate.chunk))?;
    match &chunk {
        Some(chunk) => candidate.file = Some(chunk.file),
        None => candidate.dropped = Some("it was deleted".to_owned()),
    }
    Ok(chunk)
}

fn choose(
    read: &dyn Read,
    found: Vec<Found>,
    options: &SearchOptions,
    trace: &mut Trace,
) -> Result<Vec<SearchHit>> {
    let mut given = Given::default();
    let mut names = HashMap::new();
    let mut hits = vec![];
    for Found { at, score, chunk } in found {
        let candidate = &mut trace.candidates[at];
        if score < options.score_threshold {
            let threshold = options.score_threshold;
            candidate.dropped = Some(format!("its score is below the threshold, {threshold}"));
        } else if hits.len() >= options.limit {
            candidate.dropped = Some(format!("{} better ones were found", options.limit));
        } else if let Some(chunk) =
            chunk.map_or_else(|| passage(read, candidate), |it| Ok(Some(it)))?
        {
            let vector_store = candidate.vector_store;
            if let Err(percent) = given.take(vector_store, &chunk) {
                candidate.dropped = Some(format!("{percent} % of its text is in better hits"));
                continue;
            }
            let filename = filename(read, chunk.file, &mut names)?;
            hits.push(SearchHit { vector_store, chunk, filename, score });
        }
    }
    Ok(hits)
}

fn filename(read: &dyn Read, file: FileId, known: &mut HashMap<FileId, String>) -> Result<String> {
    if let Some(name) = known.get(&file) {
        return Ok(name.clone());
    }
    let name = FILES.get(read, &file)?.map(|file| file.filename).unwrap_or_default();
    known.insert(file, name.clone());
    Ok(name)
}
