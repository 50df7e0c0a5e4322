//! A last look at the best candidates where words cannot tell: late interaction.
//!
//! A vector is the mean of a text's tokens, and a mean forgets. Comparing token with token finds
//! again which passage has just what is asked (MaxSim of ColBERT; Khattab and Zaharia, SIGIR 2020,
//! here with an embedder that was never trained for it). Where the query's words stand in the
//! documents BM25 knows that already; where they do not, as for a question in another language, it
//! is a twentieth of nDCG@10 (docs/quality.md). It costs a pass of each candidate through the
//! network, so by default it is done only there.

use std::sync::Arc;

use docent_core::{Embedder, Result, Store};
use serde::{Deserialize, Serialize};

use super::Searched;
use super::asked::of_store;
use crate::fusion::Fused;
use crate::tables::CHUNKS;

/// Whether candidates are compared with the query token by token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LateInteraction {
    /// Where fewer than half of the query's words stand in the documents.
    #[default]
    WhereWordsFail,
    /// For every query.
    Always,
    /// For none.
    Never,
}

/// Words fail where less than this part of them is known. On parallel judged collections that is so
/// for 97 to 99 % of the questions in another language, and for 0.3 % of the others at most. Counted
/// and not by rarity: one misspelt word is the rarest of all in a large store.
const KNOWN_PART: f32 = 0.5;

/// How many of the best candidates are looked at. With more, those that are only about the same
/// rise too: a loss on Cranfield and CACM.
const CANDIDATES: usize = 10;

/// How many o200k tokens these have together at most, so that a query does not take seconds. Two
/// candidates are looked at in any case.
const TOKENS: u32 = 3_200;

/// By what part of their cosines' spread the scores of passages differ: they are means over a
/// query's tokens, most of which find something everywhere.
const SPREAD: f32 = 0.42;

/// Lets those of the best candidates rise that answer `query` token by token. Says whether any was
/// looked at.
pub(super) fn look(
    searched: &[Searched],
    store: &dyn Store,
    query: &str,
    when: LateInteraction,
    fused: &mut Fused,
) -> Result<bool> {
    if !is_wanted(searched, query, when)? {
        return Ok(false);
    }
    let Some(embedder) = first_embedder(searched, fused) else { return Ok(false) };
    let (places, texts) = passages(searched, store, &embedder, fused)?;
    if texts.len() < 2 {
        return Ok(false);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Some(scores) = embedder.late_interaction(query, &texts)? else { return Ok(false) };
    let least = scores.iter().copied().fold(f32::INFINITY, f32::min);
    if scores.len() != texts.len() || !least.is_finite() {
        return Ok(false);
    }
    let spread = SPREAD * embedder.spec().cosines.spread;
    for (place, score) in places.into_iter().zip(scores) {
        let candidate = &mut fused.candidates[place];
        candidate.late = Some(score);
        // Above the least, so that none falls behind what was not looked at.
        candidate.relevance += (score - least) / spread;
    }
    fused.sort();
    Ok(true)
}

fn is_wanted(searched: &[Searched], query: &str, when: LateInteraction) -> Result<bool> {
    match when {
        LateInteraction::Never => return Ok(false),
        LateInteraction::Always => return Ok(true),
        LateInteraction::WhereWordsFail => {}
    }
    for searched in searched.iter().filter(|searched| searched.by_words) {
        if searched.collection.keyword_index().known_part(query)? >= KNOWN_PART {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The embedder of the very first candidate. Scores of several cannot be compared.
fn first_embedder(searched: &[Searched], fused: &Fused) -> Option<Arc<dyn Embedder>> {
    let first = fused.candidates.first()?;
    of_store(searched, first.store)?.embedder().cloned()
}

/// The places of the candidates that are looked at, and their texts.
fn passages(
    searched: &[Searched],
    store: &dyn Store,
    embedder: &Arc<dyn Embedder>,
    fused: &Fused,
) -> Result<(Vec<usize>, Vec<String>)> {
    let fingerprint = &embedder.spec().fingerprint;
    let read = store.read()?;
    let (mut places, mut texts, mut tokens) = (vec![], vec![], 0);
    for (place, candidate) in fused.candidates.iter().enumerate().take(CANDIDATES) {
        let own = of_store(searched, candidate.store).and_then(Searched::embedder);
        if own.is_none_or(|own| own.spec().fingerprint != *fingerprint) {
            continue;
        }
        // One that was deleted meanwhile drops out when hits are chosen.
        let Some(chunk) = CHUNKS.get(&*read, &(candidate.store, candidate.chunk))? else {
            continue;
        };
        tokens += chunk.chunk.tokens;
        if texts.len() >= 2 && tokens > TOKENS {
            break;
        }
        places.push(place);
        texts.push(chunk.chunk.text);
    }
    Ok((places, texts))
}
