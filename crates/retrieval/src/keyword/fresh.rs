//! The chunks that came in after the last commit, indexed in memory.

use std::collections::HashMap;

use docent_core::{ChunkId, ChunkRange};

use super::segment::GONE;

/// Postings as lists in a map: good for a few thousand chunks, which is all it ever holds.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// (number here, how often), by word.
    postings: HashMap<String, Vec<(u32, u32)>>,
    pub(super) chunks: Vec<ChunkId>,
    /// Lengths in words; [`GONE`] for a deleted chunk.
    pub(super) lengths: Vec<u32>,
    pub(super) alive: u64,
    pub(super) total_length: u64,
}

impl Fresh {
    pub(super) fn add(&mut self, chunk: ChunkId, words: &[String]) {
        let number = self.chunks.len() as u32;
        for word in words {
            match self.postings.get_mut(word) {
                None => drop(self.postings.insert(word.clone(), vec![(number, 1)])),
                Some(list) => match list.last_mut() {
                    Some((last, times)) if *last == number => *times += 1,
                    _ => list.push((number, 1)),
                },
            }
        }
        self.chunks.push(chunk);
        self.lengths.push(words.len() as u32);
        self.alive += 1;
        self.total_length += words.len() as u64;
    }

    pub(super) fn remove(&mut self, range: ChunkRange) {
        for (chunk, length) in self.chunks.iter().zip(&mut self.lengths) {
            if range.contains(*chunk) && *length != GONE {
                self.alive -= 1;
                self.total_length -= u64::from(*length);
                *length = GONE;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn holds(&self, chunk: ChunkId) -> bool {
        self.alive().any(|own| own == chunk)
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = ChunkId> {
        let both = self.chunks.iter().zip(&self.lengths);
        both.filter(|(_, length)| **length != GONE).map(|(chunk, _)| *chunk)
    }

    pub(super) fn postings(&self, term: &str) -> &[(u32, u32)] {
        self.postings.get(term).map_or(&[], Vec::as_slice)
    }

    pub(super) fn count_of(&self, term: &str) -> u64 {
        let list = self.postings(term).iter();
        list.filter(|(number, _)| self.lengths[*number as usize] != GONE).count() as u64
    }
}
