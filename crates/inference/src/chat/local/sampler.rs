//! From logits to a token.
//!
//! The order is that of `transformers`, for which model cards give their settings: repetition
//! penalty, temperature, top-k, top-p, min-p. Whatever is decided here is decided by scores and
//! ids alone, so the same seed chooses the same tokens from the same logits on every machine.

use std::cmp::Ordering;
use std::collections::VecDeque;

use docent_core::{Error, Result};

/// What the repetition penalty looks back at: tokens of the answer. Not of the prompt, because an
/// answer from passages has to repeat their words.
const PENALTY_WINDOW: usize = 64;

/// Below this a temperature means the likeliest token.
const COLD: f32 = 1e-3;

/// e^-30: a token so much less likely than the best is never drawn, and sorting a whole vocabulary
/// for its sake would cost more than the model.
const NEGLIGIBLE: f32 = 30.0;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    /// 0 takes the likeliest.
    pub(super) temperature: f32,
    /// Only the likeliest tokens that together reach this share; 1 is all.
    pub(super) top_p: f32,
    /// Only so many of the likeliest; 0 is all.
    pub(super) top_k: usize,
    /// Only tokens at least this share as likely as the likeliest; 0 is all.
    pub(super) min_p: f32,
    /// What the scores of tokens said lately are divided by; 1 leaves them.
    pub(super) repetition_penalty: f32,
}

impl Default for Choice {
    /// The likeliest token: small models wander when left to chance.
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 1.0, top_k: 0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

#[derive(Debug)]
pub(super) struct Sampler {
    choice: Choice,
    random: Random,
    recent: VecDeque<u32>,
}

impl Sampler {
    pub(super) fn new(choice: Choice, seed: Option<u64>) -> Self {
        let random = Random::new(seed.unwrap_or_else(random_seed));
        Self { choice, random, recent: VecDeque::with_capacity(PENALTY_WINDOW) }
    }

    /// A token by its score; those of -∞ are ruled out.
    ///
    /// # Errors
    /// [`Internal`](docent_core::ErrorKind::Internal) if a score is no number, or none is left.
    pub(super) fn choose(&mut self, logits: &[f32]) -> Result<u32> {
        if logits.iter().any(|score| score.is_nan()) {
            return Err(Error::internal(
                "the model's scores are no numbers; its weights are damaged or not supported",
            ));
        }
        let best = likeliest(logits).ok_or_else(|| Error::internal("no token may follow"))?;
        if self.choice.temperature < COLD {
            return Ok(best);
        }
        Ok(self.draw(logits, logits[best as usize]))
    }

    /// Divides the scores of what was said lately, once each.
    pub(super) fn penalize(&self, logits: &mut [f32]) {
        let penalty = self.choice.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        for (at, token) in self.recent.iter().enumerate() {
            let first = !self.recent.iter().take(at).any(|earlier| earlier == token);
            if let Some(score) = logits.get_mut(*token as usize).filter(|_| first) {
                *score = if *score > 0.0 { *score / penalty } else { *score * penalty };
            }
        }
    }

    /// Remembers a token of the answer.
    pub(super) fn said(&mut self, token: u32) {
        if self.recent.len() == PENALTY_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    fn draw(&mut self, logits: &[f32], best: f32) -> u32 {
        let Choice { temperature, top_p, top_k, min_p, .. } = self.choice;
        let weighed = (0u32..).zip(logits).filter_map(|(token, score)| {
            // An infinite best would make its own difference no number.
            let below = if *score == best { 0.0 } else { (score - best) / temperature };
            (below > -NEGLIGIBLE).then(|| (token, f64::from(below).exp()))
        });
        let mut weighed: Vec<(u32, f64)> = weighed.collect();
        weighed.sort_unstable_by(|a, b| {
            b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
        });
        if top_k > 0 {
            weighed.truncate(top_k);
        }
        truncate_at_share(&mut weighed, f64::from(top_p));
        // The likeliest weighs 1, so a weight is its share of the likeliest.
        weighed.retain(|(_, weight)| *weight >= f64::from(min_p.min(1.0)));
        self.pick(&weighed)
    }

    fn pick(&mut self, weighed: &[(u32, f64)]) -> u32 {
        let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.next_share() * total;
        for (token, weight) in weighed {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        // Rounding may leave a little.
        weighed.last().map_or(0, |(token, _)| *token)
    }
}

/// The token of the highest score, among equals the one of the lowest id.
fn likeliest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, score) in (0u32..).zip(logits) {
        if *score > best.map_or(f32::NEG_INFINITY, |(_, best)| best) {
            best = Some((token, *score));
        }
    }
    best.map(|(token, _)| token)
}

/// Keeps the first that together reach `share` of all; one at least.
fn truncate_at_share(weighed: &mut Vec<(u32, f64)>, share: f64) {
    if share >= 1.0 {
        return;
    }
    let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let reached = weighed.iter().position(|(_, weight)| {
        sum += weight;
        sum >= share * total
    });
    if let Some(at) = reached {
        weighed.truncate(at + 1);
    }
}

fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    // Without a random source the same seed every time: still a valid answer.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to draw tokens, and the same everywhere and
/// in every version of every crate.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, less than 1.
    pub(super) fn next_share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
