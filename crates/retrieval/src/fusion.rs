//! Merging the lists of several indexes into one.
//!
//! An index's own score says how much better one chunk is than another, which its rank does not;
//! but BM25's has no upper bound and a cosine's range is a habit of its model. So each kind of score
//! is first put on one scale, "how far above the unrelated", and then they are added: words by the
//! part of the query's words that a chunk covers, vectors by how many spreads a cosine stands above
//! that of unrelated texts ([`CosineScale`]). A chunk that only one index found is looked up in the
//! other, so that every candidate is judged by all there is to know of it.
//!
//! Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) needs no scale and was what
//! Docent did before. It loses on every judged collection, and most where one index knows nothing:
//! a question in another language than the documents (docs/quality.md). It is kept to compare with.

use std::collections::HashMap;

use docent_core::{ChunkId, CosineScale, Hit, VectorStoreId};
use serde::{Deserialize, Serialize};

use crate::collections::{KEYWORD, VECTOR};

/// How lists become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fusion {
    /// By scores on one scale.
    #[default]
    Scores,
    /// By ranks alone.
    Ranks,
}

/// What all of a query's words are worth, in spreads of the vectors' cosines: this by the root of
/// their number. Of a long question one passage covers a smaller part, and its vector says less of
/// what is asked. Between 4 and 6 little changes on judged collections (docs/quality.md).
const WORDS_WEIGHT: f32 = 5.0;

/// A query of fewer words counts as one of so many: who asks for a part number wants the passage
/// that has it, not one that is like it.
const FEWEST_WORDS: usize = 10;

/// The constant of rank fusion's paper.
const RANK_CONSTANT: f32 = 60.0;

/// How an index's scores become relevance: 0 for the unrelated, and for every index alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    unrelated: f32,
    factor: f32,
    unknown: Unknown,
}

/// What a chunk is worth to an index that has no score for it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unknown {
    /// It has none of the query's words.
    Nothing,
    /// It has no vector yet: it may be as good as the last that was found by its own, no better,
    /// or it might stand above what is known to be good.
    LikeTheLast,
}

impl Scale {
    /// For the part, 0 to 1, of a query's words, of which there are `count`.
    pub(crate) fn of_words(count: usize) -> Self {
        let factor = WORDS_WEIGHT * (count.max(FEWEST_WORDS) as f32).sqrt();
        Self { unrelated: 0.0, factor, unknown: Unknown::Nothing }
    }

    pub(crate) fn of_cosines(scale: CosineScale) -> Self {
        let CosineScale { unrelated, spread } = scale;
        Self { unrelated, factor: 1.0 / spread, unknown: Unknown::LikeTheLast }
    }

    fn relevance(self, score: f32) -> f32 {
        (score - self.unrelated) * self.factor
    }
}

/// What an index says of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// The index.
    pub(crate) list: &'static str,
    /// From 1; none when the index was only asked for the score.
    pub(crate) rank: Option<usize>,
    pub(crate) score: f32,
}

/// A chunk some list found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) store: VectorStoreId,
    pub(crate) chunk: ChunkId,
    pub(crate) places: Vec<Place>,
    /// What all lists say together; what it is measured in depends on the fusion.
    pub(crate) relevance: f32,
    /// How like it is to the best candidates, a cosine; none before they were looked at.
    pub(crate) neighbors: Option<f32>,
    /// How well it answers by late interaction, if that was asked.
    pub(crate) late: Option<f32>,
}

impl Candidate {
    pub(crate) fn new(store: VectorStoreId, chunk: ChunkId) -> Self {
        Self { store, chunk, places: vec![], relevance: 0.0, neighbors: None, late: None }
    }
}

/// The candidates of all lists, best first.
#[derive(Debug)]
pub(crate) struct Fused {
    pub(crate) candidates: Vec<Candidate>,
    chance: Chance,
}

impl Fused {
    #[cfg(test)]
    pub(crate) fn new(candidates: Vec<Candidate>) -> Self {
        Self { candidates, chance: Chance::by_scores(&[]) }
    }

    /// Puts the candidates in order again.
    pub(crate) fn sort(&mut self) {
        self.candidates.sort_by(|a, b| {
            let by_name = || a.store.cmp(&b.store).then(a.chunk.cmp(&b.chunk));
            b.relevance.total_cmp(&a.relevance).then_with(by_name)
        });
    }

    /// A candidate's score, from 0 to 1.
    pub(crate) fn score(&self, candidate: &Candidate) -> f32 {
        self.chance.at(candidate.relevance)
    }
}

/// What one kind of index found in one vector store.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) name: &'static str,
    pub(crate) store: VectorStoreId,
    pub(crate) scale: Scale,
    pub(crate) hits: Vec<Hit>,
    /// The scores of chunks that others found and this index did not.
    pub(crate) looked_up: Vec<Hit>,
}

/// The candidates of `lists`, of each kind of index at most `limit`.
pub(crate) fn fuse(lists: &[List], limit: usize, fusion: Fusion) -> Fused {
    let mut kinds: Vec<&'static str> = lists.iter().map(|list| list.name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let found = gather(lists, &kinds, limit);
    let unknown: Vec<(&'static str, f32)> =
        kinds.iter().map(|name| (*name, worth_of_unknown(name, &found))).collect();
    let candidates = found.into_iter().map(|((store, chunk), known)| {
        let relevance = match fusion {
            Fusion::Scores => by_scores(&known, &unknown),
            Fusion::Ranks => by_ranks(&known),
        };
        let places = known.into_iter().map(|known| known.place).collect();
        Candidate { places, relevance, ..Candidate::new(store, chunk) }
    });
    let chance = match fusion {
        Fusion::Scores => Chance::by_scores(&kinds),
        Fusion::Ranks => Chance::Share { of: kinds.len() as f32 / (RANK_CONSTANT + 1.0) },
    };
    let mut fused = Fused { candidates: candidates.collect(), chance };
    fused.sort();
    fused
}

/// What is known of each chunk that some list found.
type Found = HashMap<(VectorStoreId, ChunkId), Vec<Known>>;

fn gather(lists: &[List], kinds: &[&'static str], limit: usize) -> Found {
    let mut found = Found::new();
    for name in kinds {
        for (key, place, scale) in ranked(lists, name, limit) {
            found.entry(key).or_default().push(Known::new(place, scale));
        }
    }
    for list in lists {
        for hit in &list.looked_up {
            if let Some(known) = found.get_mut(&(list.store, hit.chunk)) {
                let place = Place { list: list.name, rank: None, score: hit.score };
                known.push(Known::new(place, list.scale));
            }
        }
    }
    found
}

struct Known {
    place: Place,
    relevance: f32,
    unknown: Unknown,
}

impl Known {
    fn new(place: Place, scale: Scale) -> Self {
        Self { place, relevance: scale.relevance(place.score), unknown: scale.unknown }
    }
}

/// The best `limit` of all lists called `name`. Those of several vector stores are merged by score,
/// or the best of an irrelevant store would rank with the best of a good one.
fn ranked<'a>(
    lists: &'a [List],
    name: &'static str,
    limit: usize,
) -> impl Iterator<Item = ((VectorStoreId, ChunkId), Place, Scale)> + 'a {
    let own = lists.iter().filter(|list| list.name == name);
    let mut hits: Vec<(VectorStoreId, Hit, Scale)> =
        own.flat_map(|list| list.hits.iter().map(|hit| (list.store, *hit, list.scale))).collect();
    hits.sort_by(|(a_store, a, a_scale), (b_store, b, b_scale)| {
        let (a_worth, b_worth) = (a_scale.relevance(a.score), b_scale.relevance(b.score));
        b_worth.total_cmp(&a_worth).then(a_store.cmp(b_store)).then(a.chunk.cmp(&b.chunk))
    });
    hits.into_iter().take(limit).zip(1..).map(move |((store, hit, scale), rank)| {
        ((store, hit.chunk), Place { list: name, rank: Some(rank), score: hit.score }, scale)
    })
}

fn by_scores(known: &[Known], unknown: &[(&'static str, f32)]) -> f32 {
    let of = |name| known.iter().find(|known| known.place.list == name);
    unknown.iter().map(|(name, unknown)| of(*name).map_or(*unknown, |it| it.relevance)).sum()
}

fn by_ranks(known: &[Known]) -> f32 {
    let ranks = known.iter().filter_map(|known| known.place.rank);
    ranks.map(|rank| 1.0 / (RANK_CONSTANT + rank as f32)).sum()
}

fn worth_of_unknown(name: &str, found: &Found) -> f32 {
    let ranked = |known: &&Known| known.place.list == name && known.place.rank.is_some();
    let by_relevance = |a: &&Known, b: &&Known| a.relevance.total_cmp(&b.relevance);
    match found.values().flatten().filter(ranked).min_by(by_relevance) {
        Some(last) if last.unknown == Unknown::LikeTheLast => last.relevance,
        _ => 0.0,
    }
}

/// Turns relevance into a score from 0 to 1.
#[derive(Clone, Copy, Debug)]
enum Chance {
    /// The chance that a passage answers the query: a logistic curve, fitted to the first twenty
    /// candidates of half of the queries of seven judged collections, each collection counting alike.
    /// They differ (docs/quality.md): it is an estimate, and the same for every store.
    Logistic {
        /// The relevance at which it is one half.
        even: f32,
        slope: f32,
    },
    /// What part it is of being first in every list.
    Share { of: f32 },
}

impl Chance {
    fn by_scores(kinds: &[&str]) -> Self {
        let (even, slope) = match kinds {
            [KEYWORD] => (7.3, 0.50),
            [VECTOR] => (5.9, 0.73),
            _ => (10.9, 0.36),
        };
        Self::Logistic { even, slope }
    }

    fn at(self, relevance: f32) -> f32 {
        match self {
            Self::Logistic { even, slope } => 1.0 / (1.0 + ((even - relevance) * slope).exp()),
            Self::Share { of } => (relevance / of).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSINES: CosineScale = CosineScale { unrelated: 0.1, spread: 0.1 };

    fn list(name: &'static str, store: &str, hits: &[(u64, f32)]) -> List {
        let store = format!("vs_{store:0>24}").parse().unwrap();
        let hits = hits.iter().map(|&(id, score)| Hit { chunk: ChunkId(id), score }).collect();
        let scale = if name == KEYWORD { Scale::of_words(16) } else { Scale::of_cosines(COSINES) };
        List { name, store, scale, hits, looked_up: vec![] }
    }

    fn order(fused: &Fused) -> Vec<u64> {
        fused.candidates.iter().map(|candidate| candidate.chunk.0).collect()
    }

    fn scores(fused: &Fused) -> Vec<f32> {
        fused.candidates.iter().map(|candidate| fused.score(candidate)).collect()
    }

    #[test]
    fn by_ranks_what_both_lists_find_stands_before_what_one_finds_first() {
        let words = list(KEYWORD, "a", &[(1, 0.9), (2, 0.8)]);
        let vectors = list(VECTOR, "a", &[(3, 0.9), (2, 0.8)]);
        let fused = fuse(&[words, vectors], 100, Fusion::Ranks);
        assert_eq!(order(&fused), [2, 1, 3]);
        assert!(scores(&fused).iter().all(|score| (0.0..=1.0).contains(score)));
        assert_eq!(fused.candidates[0].places.len(), 2);
    }

    #[test]
    fn by_scores_a_first_rank_is_worth_what_its_score_says() {
        // The words' first has next to nothing of the query; the vectors know what is meant.
        let words = list(KEYWORD, "a", &[(1, 0.02)]);
        let mut vectors = list(VECTOR, "a", &[(3, 0.8), (2, 0.7)]);
        vectors.looked_up = vec![Hit { chunk: ChunkId(1), score: 0.2 }];
        let fused = fuse(&[words, vectors], 100, Fusion::Scores);
        assert_eq!(order(&fused), [3, 2, 1]);
        assert_eq!(fused.candidates[2].places.len(), 2);
        assert!(scores(&fused).is_sorted_by(|a, b| a >= b));
        assert!(scores(&fused).iter().all(|score| (0.0..=1.0).contains(score)));
    }

    #[test]
    fn what_has_no_vector_yet_counts_as_the_last_that_was_found_by_its_own() {
        let words = list(KEYWORD, "a", &[(1, 0.30), (2, 0.29)]);
        let vectors = list(VECTOR, "a", &[(2, 0.5), (3, 0.4)]);
        let fused = fuse(&[words, vectors], 100, Fusion::Scores);
        assert_eq!(order(&fused), [2, 1, 3]);
    }

    #[test]
    fn a_poor_store_does_not_rank_with_a_good_one() {
        let good = list(VECTOR, "a", &[(1, 0.9), (2, 0.8), (3, 0.7)]);
        let poor = list(VECTOR, "b", &[(1, 0.1)]);
        for fusion in [Fusion::Scores, Fusion::Ranks] {
            let fused = fuse(&[poor.clone(), good.clone()], 100, fusion);
            assert_eq!(fused.candidates.last().unwrap().places[0].rank, Some(4));
        }
    }
}
