//! The indexes' part of a search: each asked at once, and asked again for what it did not find.

use std::collections::{BTreeMap, HashSet};

use docent_core::{
    ChunkId, ChunkRange, ChunkSet, Embedding, Error, Fingerprint, Hit, InputRole, Query, Result,
    VectorStoreId,
};

use super::Searched;
use crate::collections::{KEYWORD, VECTOR};
use crate::follower::Follower;
use crate::fusion::{Candidate, Fused, List, Scale};
use crate::{keyword, neighbors};

/// Threads that ask the indexes of one search.
const THREADS: usize = 4;

/// The query's vector by each embedder that some store needs.
pub(super) type QueryVectors = BTreeMap<Fingerprint, Vec<f32>>;

fn embed_query(searched: &[Searched], query: &str) -> Result<QueryVectors> {
    let mut vectors = QueryVectors::new();
    for embedder in searched.iter().filter_map(Searched::embedder) {
        let fingerprint = &embedder.spec().fingerprint;
        if !vectors.contains_key(fingerprint) {
            let made = embedder.embed(&[query], InputRole::Query)?;
            vectors.extend(made.first().map(|made| (fingerprint.clone(), direction(made))));
        }
    }
    Ok(vectors)
}

/// A query longer than a window has several vectors; their mean stands for it.
pub(in crate::collections) fn direction(embedding: &Embedding) -> Vec<f32> {
    let mut sum = vec![0.0f32; embedding.dims()];
    for window in embedding.windows() {
        sum.iter_mut().zip(window).for_each(|(sum, value)| *sum += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|value| *value /= length);
    }
    sum
}

/// What every index is asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) query: &'a str,
    pub(super) vectors: &'a QueryVectors,
}

/// Asks the indexes of every store, those of words while the query is still being embedded.
pub(super) fn embed_and_ask(
    searched: &[Searched],
    query: &str,
    limit: usize,
    on_embedded: impl FnOnce(),
) -> Result<(QueryVectors, Vec<List>)> {
    std::thread::scope(|scope| {
        let words = scope.spawn(|| {
            let vectors = QueryVectors::new();
            Asked { query, vectors: &vectors }.ask(KEYWORD, searched, limit)
        });
        let vectors = embed_query(searched, query)?;
        on_embedded();
        let mut lists = Asked { query, vectors: &vectors }.ask(VECTOR, searched, limit)?;
        lists.extend(words.join().map_err(|_| Error::internal("an index panicked"))??);
        Ok((vectors, lists))
    })
}

impl<'a> Asked<'a> {
    /// Asks the index `name` of every store at the same time.
    fn ask(self, name: &'static str, searched: &[Searched], limit: usize) -> Result<Vec<List>> {
        let asked: Vec<(&Searched, &Follower)> = searched
            .iter()
            .filter(|searched| match name {
                VECTOR => self.vector(searched).is_some(),
                _ => searched.by_words,
            })
            .flat_map(|searched| {
                let followers = searched.collection.followers().iter();
                let named = followers.filter(|follower| follower.name == name);
                named.map(move |follower| (searched, &**follower))
            })
            .collect();
        let by_words = Scale::of_words(keyword::distinct_words(self.query));
        in_parallel(&asked, |(searched, follower)| {
            let embedder = searched.embedder().filter(|_| name == VECTOR);
            Ok(List {
                name,
                store: searched.collection.id,
                scale: embedder.map_or(by_words, |it| Scale::of_cosines(it.spec().cosines)),
                hits: self.ask_one(searched, follower, searched.allow.as_ref(), limit)?,
                looked_up: vec![],
            })
        })
    }

    /// Asks each index for its scores of what only another index of the store found.
    pub(super) fn look_up(self, searched: &[Searched], lists: &mut [List]) -> Result<()> {
        let missing: Vec<(usize, ChunkSet)> = (0..lists.len())
            .map(|at| (at, missing(&lists[at], lists)))
            .filter(|(_, missing)| !missing.is_empty())
            .collect();
        let found = in_parallel(&missing, |(at, missing)| {
            let list = &lists[*at];
            let Some(searched) = of_store(searched, list.store) else { return Ok(vec![]) };
            let mut followers = searched.collection.followers().iter();
            match followers.find(|follower| follower.name == list.name) {
                Some(it) => self.ask_one(searched, it, Some(missing), missing.len() as usize),
                None => Ok(vec![]),
            }
        })?;
        for ((at, _), found) in missing.into_iter().zip(found) {
            lists[at].looked_up = found;
        }
        Ok(())
    }

    fn ask_one(
        self,
        searched: &Searched,
        follower: &Follower,
        allow: Option<&ChunkSet>,
        limit: usize,
    ) -> Result<Vec<Hit>> {
        let query = Query { text: self.query, vector: self.vector(searched), allow };
        follower.index.search(&query, limit)
    }

    /// The query's vector by the embedder of a store.
    fn vector(self, searched: &Searched) -> Option<&'a [f32]> {
        let fingerprint = &searched.embedder()?.spec().fingerprint;
        self.vectors.get(fingerprint).map(Vec::as_slice)
    }
}

pub(super) fn of_store(searched: &[Searched], store: VectorStoreId) -> Option<&Searched> {
    searched.iter().find(|searched| searched.collection.id == store)
}

/// The chunks that other lists of the same store have and `list` has not.
fn missing(list: &List, lists: &[List]) -> ChunkSet {
    let own: HashSet<ChunkId> = list.hits.iter().map(|hit| hit.chunk).collect();
    let others = lists.iter().filter(|other| other.store == list.store && other.name != list.name);
    let hits = others.flat_map(|other| &other.hits).filter(|hit| !own.contains(&hit.chunk));
    ChunkSet::from_ranges(
        hits.map(|hit| ChunkRange { start: hit.chunk, end: ChunkId(hit.chunk.0 + 1) }),
    )
}

/// Lets those candidates rise that are like the first `count`. Vectors of several embedders cannot
/// be compared: only those of the very first candidate's take part.
pub(super) fn compare(searched: &[Searched], fused: &mut Fused, count: usize) {
    let embedder = |it: &Candidate| of_store(searched, it.store)?.embedder();
    let Some(spec) = fused.candidates.first().and_then(embedder).map(|it| it.spec()) else {
        return;
    };
    let direction = |candidate: &Candidate| {
        embedder(candidate).filter(|it| it.spec().fingerprint == spec.fingerprint)?;
        let index = of_store(searched, candidate.store)?.collection.vector_index()?;
        index.direction(candidate.chunk)
    };
    let directions: Vec<Option<Vec<f32>>> = fused.candidates.iter().map(direction).collect();
    neighbors::rerank(fused, &directions, spec.cosines, count);
}

/// What `each` makes of `items`, in their order, by up to [`THREADS`] threads. Threads and not
/// rayon's: an index may make us wait, and fans out on rayon itself.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let share = items.len().div_ceil(THREADS).max(1);
    let mut shares = items.chunks(share);
    let own = shares.next().unwrap_or_default();
    let each = &each;
    std::thread::scope(|scope| {
        let others: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(each).collect::<Result<Vec<_>>>()))
            .collect();
        let mut made = own.iter().map(each).collect::<Result<Vec<_>>>()?;
        for other in others {
            let panicked = |_| Error::internal("an index panicked");
            made.extend(other.join().map_err(panicked)??);
        }
        Ok(made)
    })
}
