//! Chunks: the passages we index, each knowing its pages and its place in the document.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::blob::parse_hex;
use crate::{Error, FileId, Result};

/// A passage cut from a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// The how-manyeth of its document, from 0.
    pub ordinal: u32,
    /// Its text, cleaned.
    pub text: String,
    /// Its length in o200k_base tokens.
    pub tokens: u32,
    /// Where it begins in the document's clean text, in bytes. It ends `text.len()` later.
    pub start: u64,
    /// Which page each part of it is on, in order; never empty, the first begins at 0.
    pub pages: Vec<PageStart>,
    /// The headings it stands under, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
}

/// From `at` on, a chunk's text is on `page`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageStart {
    /// Bytes from the beginning of the text.
    pub at: u32,
    /// The page, counted from 1.
    pub page: u32,
}

impl Chunk {
    /// The page of the byte at `offset` in [`text`](Self::text), counted from 1.
    pub fn page_at(&self, offset: usize) -> u32 {
        let next = self.pages.partition_point(|start| start.at as usize <= offset);
        self.pages.get(next.saturating_sub(1)).map_or(1, |start| start.page)
    }

    /// The page it begins on.
    pub fn page_start(&self) -> u32 {
        self.page_at(0)
    }

    /// The page it ends on.
    pub fn page_end(&self) -> u32 {
        self.page_at(self.text.len().saturating_sub(1))
    }

    /// The name its embedding is kept under.
    pub fn text_hash(&self) -> TextHash {
        TextHash::of(&self.text)
    }
}

/// A chunk that is part of a vector store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexedChunk {
    /// Its number in the vector store.
    pub id: ChunkId,
    /// The file it was cut from.
    pub file: FileId,
    /// The passage.
    #[serde(flatten)]
    pub chunk: Chunk,
}

/// The number of a chunk in its vector store. Never given twice; a file's chunks are neighbours.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ChunkId(pub u64);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The chunks of one file: `start..end`, possibly none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkRange {
    /// The first.
    pub start: ChunkId,
    /// One past the last.
    pub end: ChunkId,
}

impl ChunkRange {
    /// How many there are.
    pub fn len(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `chunk` is one of them.
    pub fn contains(self, chunk: ChunkId) -> bool {
        (self.start..self.end).contains(&chunk)
    }

    /// Each in turn.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = ChunkId> + use<> {
        (self.start.0..self.end.0).map(ChunkId)
    }
}

/// The chunks a filtered search may find: sorted ranges, because a file's chunks are neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkSet {
    ranges: Vec<Range<u64>>,
}

impl ChunkSet {
    /// Every chunk of the given files.
    pub fn from_ranges(ranges: impl IntoIterator<Item = ChunkRange>) -> Self {
        let mut sorted: Vec<Range<u64>> = ranges
            .into_iter()
            .filter(|range| !range.is_empty())
            .map(|range| range.start.0..range.end.0)
            .collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self { ranges: merged }
    }

    /// Whether `chunk` may be found.
    pub fn contains(&self, chunk: ChunkId) -> bool {
        let next = self.ranges.partition_point(|range| range.start <= chunk.0);
        next > 0 && chunk.0 < self.ranges[next - 1].end
    }

    /// How many chunks may be found.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether nothing may be found.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, in order, none touching another.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }
}

/// The first half of the SHA-256 of a text: the name its embedding is kept under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextHash([u8; 16]);

impl TextHash {
    /// The hash of `text`.
    pub fn of(text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

impl fmt::Display for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for TextHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex(text).map(Self).ok_or_else(|| Error::invalid("not 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_offset_is_on_the_page_that_began_before_it() {
        let chunk = Chunk {
            ordinal: 0,
            text: "one two three".into(),
            tokens: 3,
            start: 0,
            pages: vec![PageStart { at: 0, page: 7 }, PageStart { at: 4, page: 9 }],
            headings: vec![],
        };
        assert_eq!([0, 3, 4, 12].map(|at| chunk.page_at(at)), [7, 7, 9, 9]);
        assert_eq!((chunk.page_start(), chunk.page_end()), (7, 9));
    }

    proptest! {
        #[test]
        fn a_set_holds_what_its_ranges_hold(
            ranges in prop::collection::vec((0u64..60, 0u64..12), 0..12)
        ) {
            let ranges: Vec<ChunkRange> = ranges
                .into_iter()
                .map(|(start, len)| ChunkRange { start: ChunkId(start), end: ChunkId(start + len) })
                .collect();
            let set = ChunkSet::from_ranges(ranges.iter().copied());
            for id in (0..80).map(ChunkId) {
                prop_assert_eq!(set.contains(id), ranges.iter().any(|range| range.contains(id)));
            }
            prop_assert_eq!(set.len(), (0..80).filter(|&id| set.contains(ChunkId(id))).count() as u64);
        }
    }
}
