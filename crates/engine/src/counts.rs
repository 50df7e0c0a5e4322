//! How many tokens a text has, remembered: a thread's messages are counted in every turn of every
//! run, and a long thread's would cost more time than its search.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use docent_core::ChatModel;

use crate::runs::Worker;

/// Counts by model and text. Texts are known by a hash alone: should two ever have the same, a
/// prompt is somewhat longer or shorter than it seems.
#[derive(Debug, Default)]
pub(crate) struct TokenCounts {
    hasher: RandomState,
    known: Mutex<Generations>,
}

/// When the young ones are many they become the old ones, which are forgotten: what is asked for
/// again comes back in time.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, usize>,
    old: HashMap<u64, usize>,
}

impl TokenCounts {
    /// The length of `text` in the model's tokens.
    pub(crate) fn count(&self, model: &dyn ChatModel, text: &str) -> usize {
        let key = self.hasher.hash_one((model.spec().name.as_str(), text));
        let known = |known: &Mutex<Generations>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).get(key)
        };
        if let Some(tokens) = known(&self.known) {
            return tokens;
        }
        // No lock while the model counts.
        let tokens = model.count_tokens(text);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(key, tokens);
        tokens
    }
}

impl Generations {
    /// About a megabyte in each.
    const MOST: usize = 1 << 15;

    fn get(&mut self, key: u64) -> Option<usize> {
        if let Some(tokens) = self.young.get(&key) {
            return Some(*tokens);
        }
        let tokens = self.old.remove(&key)?;
        self.put(key, tokens);
        Some(tokens)
    }

    fn put(&mut self, key: u64, tokens: usize) {
        if self.young.len() >= Self::MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, tokens);
    }
}

impl Worker {
    /// Counts whole texts, each but once.
    pub(crate) fn count<'a>(&'a self, model: &'a dyn ChatModel) -> impl Fn(&str) -> usize + 'a {
        |text| self.inner.counts.count(model, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_outlives_what_is_not() {
        let mut known = Generations::default();
        known.put(0, 7);
        for key in 1..4 * Generations::MOST as u64 {
            known.put(key, 1);
            if key % 1000 == 0 {
                assert_eq!(known.get(0), Some(7));
            }
        }
        assert_eq!(known.get(1), None);
        assert!(known.young.len() + known.old.len() <= 2 * Generations::MOST);
    }
}
