//! Keys and values of conversations that were read before, for those that begin the same way.
//!
//! A thread's next run begins with what its last one read, and runs of one assistant begin with
//! the same instructions: only what is new is computed. What is kept shares its pages, and the
//! least recently used is dropped when all pages together exceed a budget.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::decoder::Cache;

/// Fewer tokens in common than these are not worth a lookup.
const FEWEST_TOKENS: usize = 16;

#[derive(Debug)]
pub(super) struct Prefixes {
    budget_bytes: usize,
    /// The least recently used first.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    tokens: Vec<u32>,
    cache: Cache,
}

impl Prefixes {
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, kept: Mutex::default() }
    }

    /// What was read of the beginning of `prompt`, at least one token short of all of it: the last
    /// one's scores are to be computed.
    pub(super) fn find(&self, prompt: &[u32]) -> Option<Cache> {
        let mut kept = self.lock();
        let shared = |kept: &Kept| {
            let same = kept.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
            same.min(prompt.len().saturating_sub(1))
        };
        let best = (0..kept.len()).max_by_key(|at| shared(&kept[*at]))?;
        let len = shared(&kept[best]);
        if len < FEWEST_TOKENS {
            return None;
        }
        let found = kept.remove(best);
        let cache = found.cache.fork(len);
        kept.push(found);
        Some(cache)
    }

    /// Keeps `cache`, which has read `tokens`.
    pub(super) fn keep(&self, tokens: Vec<u32>, cache: Cache) {
        let mut kept = self.lock();
        // What it goes on from is found in it as well.
        kept.retain(|kept| !tokens.starts_with(&kept.tokens));
        kept.push(Kept { tokens, cache });
        while bytes(&kept) > self.budget_bytes {
            kept.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages that several share are there once.
fn bytes(kept: &[Kept]) -> usize {
    let pages: HashMap<usize, usize> = kept.iter().flat_map(|kept| kept.cache.pages()).collect();
    pages.values().sum()
}
