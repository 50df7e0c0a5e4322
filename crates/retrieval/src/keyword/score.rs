//! BM25, a term at a time, over the segments and the fresh chunks alike.

use docent_core::{ChunkId, Hit, Query, Result};
use tantivy::TERMINATED;

use super::segment::{GONE, Segment};
use super::{Bm25, State, analyzer, broken};
use crate::top::Top;

/// A query's words beyond this are not read: a pasted book asks no better than its first pages.
const MAX_WORDS: usize = 4_096;

/// Of the words read, this many of the rarest are scored.
const MAX_TERMS: usize = 64;

/// Of a segment with this many times more chunks than are asked about, only those are looked up in
/// the postings, by their skip lists.
const SEEK_TIMES: u64 = 16;

/// BM25's third number: how soon a word that the query repeats stops counting more (Robertson and
/// Walker, TREC-3). Long questions say what they are about more than once.
const K3: f32 = 8.0;

struct Weights {
    terms: Vec<Weighted>,
    /// The weights of all of the query's words together.
    possible: f32,
    /// The part of it that words have which stand anywhere, 0 to 1.
    known: f32,
    /// The part of the query's distinct words that stand anywhere, 0 to 1.
    known_words: f32,
}

struct Weighted {
    term: String,
    /// The inverse document frequency, by how often the query says it.
    weight: f32,
}

pub(super) fn search(
    state: &State,
    bm25: Bm25,
    query: &Query<'_>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let alive = alive(state);
    if alive == 0 || limit == 0 || query.allow.is_some_and(|allow| allow.is_empty()) {
        return Ok(vec![]);
    }
    let Weights { terms, possible, known, .. } = weigh(state, alive, query.text)?;
    let total: u64 = state.segments.iter().map(|segment| segment.total_length).sum();
    let average = (total + state.fresh.total_length) as f32 / alive as f32;
    let norm = Norm {
        base: bm25.k1 * (1.0 - bm25.b),
        per_word: bm25.k1 * bm25.b / average.max(1.0),
        // A score is the part that it is of what the query's words could come to, and a query of
        // which the store knows but few words says little of any chunk.
        gain: known / possible,
    };
    let mut top = Top::new(limit);
    let mut scores = vec![];
    for segment in &state.segments {
        match query.allow {
            Some(allow) if allow.len().saturating_mul(SEEK_TIMES) < segment.alive => {
                seek(segment, &segment.numbers_of(allow), &terms, &norm, &mut top)?;
            }
            _ => scan(segment, &terms, &norm, &mut scores)?,
        }
        collect(&mut top, &scores, &segment.chunks, &segment.lengths, query);
        scores.clear();
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

fn alive(state: &State) -> u64 {
    state.fresh.alive + state.segments.iter().map(|segment| segment.alive).sum::<u64>()
}

/// See [`KeywordIndex::known_part`](super::KeywordIndex::known_part).
pub(super) fn known_part(state: &State, query: &str) -> Result<f32> {
    Ok(weigh(state, alive(state), query)?.known_words)
}

/// Every chunk's score, by document number.
fn scan(segment: &Segment, terms: &[Weighted], norm: &Norm, scores: &mut Vec<f32>) -> Result<()> {
    scores.resize(segment.lengths.len(), 0.0);
    for Weighted { term, weight } in terms {
        let Some(mut postings) = segment.postings(term).map_err(broken)? else { continue };
        while postings.block_len() > 0 {
            for (&number, &times) in postings.docs().iter().zip(postings.freqs()) {
                let length = segment.lengths[number as usize];
                scores[number as usize] += norm.score(*weight, times, length);
            }
            postings.advance();
        }
    }
    Ok(())
}

/// Offers the chunks of the document numbers `numbers`, which ascend, by their scores.
fn seek(
    segment: &Segment,
    numbers: &[u32],
    terms: &[Weighted],
    norm: &Norm,
    top: &mut Top<Hit>,
) -> Result<()> {
    let mut scores = vec![0.0; numbers.len()];
    for Weighted { term, weight } in terms {
        let Some(mut postings) = segment.postings(term).map_err(broken)? else { continue };
        for (&number, score) in numbers.iter().zip(&mut scores) {
            let at = postings.seek(number);
            match postings.doc(at) {
                found if found == number => {
                    let length = segment.lengths[number as usize];
                    *score += norm.score(*weight, postings.freq(at), length);
                }
                TERMINATED => break,
                _ => {}
            }
        }
    }
    for (&number, score) in numbers.iter().zip(scores) {
        if score > 0.0 && segment.lengths[number as usize] != GONE {
            top.offer(Hit { chunk: segment.chunks[number as usize], score });
        }
    }
    Ok(())
}

/// The query's distinct words that stand anywhere, in the order of their text: scores are added in
/// that order, so they come out the same to the last bit wherever a chunk's postings are kept.
fn weigh(state: &State, alive: u64, text: &str) -> Result<Weights> {
    let mut words = vec![];
    analyzer::query_words(text, |word| {
        if words.len() < MAX_WORDS {
            words.push(word.to_owned());
        }
    });
    words.sort_unstable();
    let mut terms = vec![];
    let (mut possible, mut known) = (0.0, 0.0);
    let mut distinct = 0;
    for same in words.chunk_by(|a, b| a == b) {
        let (term, times) = (same[0].clone(), same.len() as f32);
        let mut count = state.fresh.count_of(&term);
        for segment in &state.segments {
            count += segment.count_of(&term).map_err(broken)?;
        }
        let rarity = (1.0 + (alive as f32 - count as f32 + 0.5) / (count as f32 + 0.5)).ln();
        let weight = rarity * times * (K3 + 1.0) / (times + K3);
        distinct += 1;
        possible += weight;
        if count > 0 {
            known += weight;
            terms.push(Weighted { term, weight });
        }
    }
    // A query without words has none that is not known.
    let known_words = if distinct == 0 { 1.0 } else { terms.len() as f32 / distinct as f32 };
    if terms.len() > MAX_TERMS {
        // The sort is stable: equally rare terms stay in the order of their text.
        terms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        terms.truncate(MAX_TERMS);
        terms.sort_unstable_by(|a, b| a.term.cmp(&b.term));
    }
    let possible = f32::max(possible, f32::MIN_POSITIVE);
    Ok(Weights { terms, possible, known: known / possible, known_words })
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
