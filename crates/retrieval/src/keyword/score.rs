//! BM25, a term at a time, over the segments and the fresh chunks alike.

use docent_core::{ChunkId, Hit, Query, Result};

use super::segment::GONE;
use super::{Bm25, State, analyzer, broken};
use crate::top::Top;

/// A query's words beyond this are not read: a pasted book asks no better than its first pages.
const MAX_WORDS: usize = 4_096;

/// Of the words read, this many of the rarest are scored.
const MAX_TERMS: usize = 64;

struct Weighted {
    term: String,
    /// The inverse document frequency.
    weight: f32,
}

pub(super) fn search(
    state: &State,
    bm25: Bm25,
    query: &Query<'_>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let alive = state.fresh.alive + state.segments.iter().map(|segment| segment.alive).sum::<u64>();
    if alive == 0 || limit == 0 || query.allow.is_some_and(|allow| allow.is_empty()) {
        return Ok(vec![]);
    }
    let terms = weigh(state, alive, query.text)?;
    let total: u64 = state.segments.iter().map(|segment| segment.total_length).sum();
    let average = (total + state.fresh.total_length) as f32 / alive as f32;
    let norm = Norm {
        base: bm25.k1 * (1.0 - bm25.b),
        per_word: bm25.k1 * bm25.b / average.max(1.0),
        gain: bm25.k1 + 1.0,
    };
    let mut top = Top::new(limit);
    let mut scores = vec![];
    for segment in &state.segments {
        scores.clear();
        scores.resize(segment.lengths.len(), 0.0f32);
        for Weighted { term, weight } in &terms {
            let Some(mut postings) = segment.postings(term).map_err(broken)? else { continue };
            while postings.block_len() > 0 {
                for (&number, &times) in postings.docs().iter().zip(postings.freqs()) {
                    let length = segment.lengths[number as usize];
                    scores[number as usize] += norm.score(*weight, times, length);
                }
                postings.advance();
            }
        }
        collect(&mut top, &scores, &segment.chunks, &segment.lengths, query);
    }
    scores.clear();
    scores.resize(state.fresh.lengths.len(), 0.0);
    for Weighted { term, weight } in &terms {
        for &(number, times) in state.fresh.postings(term) {
            let length = state.fresh.lengths[number as usize];
            scores[number as usize] += norm.score(*weight, times, length);
        }
    }
    collect(&mut top, &scores, &state.fresh.chunks, &state.fresh.lengths, query);
    Ok(top.into_sorted())
}

/// The query's distinct words that stand anywhere, in the order of their text: scores are added in
/// that order, so they come out the same to the last bit wherever a chunk's postings are kept.
fn weigh(state: &State, alive: u64, text: &str) -> Result<Vec<Weighted>> {
    let mut words = vec![];
    analyzer::words(text, |word| {
        if words.len() < MAX_WORDS {
            words.push(word.to_owned());
        }
    });
    words.sort_unstable();
    words.dedup();
    let mut terms = vec![];
    for term in words {
        let mut count = state.fresh.count_of(&term);
        for segment in &state.segments {
            count += segment.count_of(&term).map_err(broken)?;
        }
        if count > 0 {
            let (all, count) = (alive as f32, count as f32);
            let weight = (1.0 + (all - count + 0.5) / (count + 0.5)).ln();
            terms.push(Weighted { term, weight });
        }
    }
    if terms.len() > MAX_TERMS {
        // The sort is stable: equally rare terms stay in the order of their text.
        terms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        terms.truncate(MAX_TERMS);
        terms.sort_unstable_by(|a, b| a.term.cmp(&b.term));
    }
    Ok(terms)
}

/// What of BM25's formula is the same for every chunk.
struct Norm {
    base: f32,
    per_word: f32,
    gain: f32,
}

impl Norm {
    fn score(&self, weight: f32, times: u32, length: u32) -> f32 {
        let times = times as f32;
        weight * times * self.gain / (times + self.base + self.per_word * length as f32)
    }
}

fn collect(
    top: &mut Top<Hit>,
    scores: &[f32],
    chunks: &[ChunkId],
    lengths: &[u32],
    query: &Query<'_>,
) {
    for (number, &score) in scores.iter().enumerate() {
        if score <= 0.0 || !top.would_take(score) || lengths[number] == GONE {
            continue;
        }
        let chunk = chunks[number];
        if query.allow.is_none_or(|allow| allow.contains(chunk)) {
            top.offer(Hit { chunk, score });
        }
    }
}
