//! Merging ranked lists whose scores cannot be compared.
//!
//! BM25 scores are unbounded and cosines are not, so lists of different indexes are fused by rank
//! alone: reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), a candidate's score
//! being the sum over its lists of 1 / (60 + rank). Lists of the same kind of index from several
//! vector stores are merged by score first, or the best of an irrelevant store would rank with the
//! best of a good one.

use std::collections::HashMap;

use docent_core::{ChunkId, Hit, VectorStoreId};

/// The constant of the paper.
pub(crate) const K: f32 = 60.0;

/// Where a candidate stands in one list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// The list.
    pub(crate) list: &'static str,
    /// From 1.
    pub(crate) rank: usize,
    pub(crate) score: f32,
}

/// A chunk some list found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) store: VectorStoreId,
    pub(crate) chunk: ChunkId,
    pub(crate) places: Vec<Place>,
    /// 0 to 1: what part it has of being first in every list.
    pub(crate) fused: f32,
}

/// What one kind of index found in one vector store.
pub(crate) struct List {
    pub(crate) name: &'static str,
    pub(crate) store: VectorStoreId,
    pub(crate) hits: Vec<Hit>,
}

/// The candidates of `lists`, best first, of each kind of index at most `limit`.
pub(crate) fn fuse(lists: Vec<List>, limit: usize) -> Vec<Candidate> {
    let mut kinds: Vec<&'static str> = lists.iter().map(|list| list.name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut found: HashMap<(VectorStoreId, ChunkId), Vec<Place>> = HashMap::new();
    for name in &kinds {
        let own = lists.iter().filter(|list| list.name == *name);
        let mut hits: Vec<(VectorStoreId, Hit)> =
            own.flat_map(|list| list.hits.iter().map(|hit| (list.store, *hit))).collect();
        hits.sort_by(|(a_store, a), (b_store, b)| {
            b.score.total_cmp(&a.score).then(a_store.cmp(b_store)).then(a.chunk.cmp(&b.chunk))
        });
        for (before, (store, hit)) in hits.into_iter().take(limit).enumerate() {
            let place = Place { list: name, rank: before + 1, score: hit.score };
            found.entry((store, hit.chunk)).or_default().push(place);
        }
    }
    let best = kinds.len() as f32 / (K + 1.0);
    let mut candidates: Vec<Candidate> = found
        .into_iter()
        .map(|((store, chunk), places)| {
            let sum: f32 = places.iter().map(|place| 1.0 / (K + place.rank as f32)).sum();
            Candidate { store, chunk, places, fused: (sum / best).min(1.0) }
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.fused.total_cmp(&a.fused).then(a.store.cmp(&b.store)).then(a.chunk.cmp(&b.chunk))
    });
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &'static str, store: &str, hits: &[(u64, f32)]) -> List {
        let store = format!("vs_{store:0>24}").parse().unwrap();
        let hits = hits.iter().map(|&(id, score)| Hit { chunk: ChunkId(id), score }).collect();
        List { name, store, hits }
    }

    #[test]
    fn what_both_lists_find_stands_before_what_one_finds_first() {
        let words = list("keyword", "a", &[(1, 9.0), (2, 8.0)]);
        let vectors = list("vector", "a", &[(3, 0.9), (2, 0.8)]);
        let fused = fuse(vec![words, vectors], 100);
        assert_eq!(fused.iter().map(|c| c.chunk.0).collect::<Vec<_>>(), [2, 1, 3]);
        assert!(fused.iter().all(|c| (0.0..=1.0).contains(&c.fused)));
        assert_eq!(fused[0].places.len(), 2);
    }

    #[test]
    fn one_list_alone_gives_its_first_the_full_score() {
        let fused = fuse(vec![list("keyword", "a", &[(1, 3.0)])], 100);
        assert_eq!(fused[0].fused, 1.0);
    }

    #[test]
    fn a_poor_store_does_not_rank_with_a_good_one() {
        let good = list("vector", "a", &[(1, 0.9), (2, 0.8), (3, 0.7)]);
        let poor = list("vector", "b", &[(1, 0.1)]);
        let fused = fuse(vec![poor, good], 100);
        assert_eq!(fused.last().unwrap().places[0].rank, 4);
    }
}
