//! Dropping passages whose text was mostly given already.
//!
//! Neighbouring chunks share half of their tokens by default, so a good passage brings its
//! neighbours along and a list of twenty hits would say everything twice. A candidate is dropped
//! when better ones of the same file, together, cover nearly half of its bytes or more; what it
//! had to add of its own is in its other neighbour, which stays.

use std::collections::HashMap;
use std::ops::Range;

use docent_core::{FileId, IndexedChunk, VectorStoreId};

/// A little below half: a 50 % overlap in tokens is not exactly that in bytes.
const COVERED: f64 = 0.45;

/// What parts of which files have been given.
#[derive(Debug, Default)]
pub(crate) struct Given(HashMap<(VectorStoreId, FileId), Vec<Range<u64>>>);

impl Given {
    /// Takes `chunk` unless it is mostly covered; then says how much is, in percent.
    pub(crate) fn take(&mut self, store: VectorStoreId, chunk: &IndexedChunk) -> Result<(), u32> {
        let start = chunk.chunk.start;
        let own = start..start + chunk.chunk.text.len() as u64;
        let given = self.0.entry((store, chunk.file)).or_default();
        let covered = covered(given, &own);
        let length = own.end - own.start;
        if length > 0 && covered as f64 >= COVERED * length as f64 {
            return Err((covered * 100 / length) as u32);
        }
        given.push(own);
        given.sort_unstable_by_key(|range| range.start);
        Ok(())
    }
}

/// How many of `own`'s bytes lie in `given`, which is sorted by start and may overlap itself.
fn covered(given: &[Range<u64>], own: &Range<u64>) -> u64 {
    let mut reached = own.start;
    let mut covered = 0;
    for range in given {
        let (start, end) = (range.start.max(reached), range.end.min(own.end));
        if start < end {
            covered += end - start;
            reached = end;
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use docent_core::{Chunk, ChunkId, PageStart};

    use super::*;

    fn chunk(start: u64, len: usize) -> IndexedChunk {
        IndexedChunk {
            id: ChunkId(start),
            file: "file-0123456789abcdefghijAB".parse().unwrap(),
            chunk: Chunk {
                ordinal: 0,
                text: "x".repeat(len),
                tokens: 1,
                start,
                pages: vec![PageStart { at: 0, page: 1 }],
                headings: vec![],
            },
        }
    }

    #[test]
    fn a_neighbour_goes_and_the_one_behind_it_stays() {
        let store = "vs_0123456789abcdefghijABCD".parse().unwrap();
        let mut given = Given::default();
        assert_eq!(given.take(store, &chunk(400, 800)), Ok(()));
        assert_eq!(given.take(store, &chunk(800, 800)), Err(50));
        assert_eq!(given.take(store, &chunk(1200, 800)), Ok(()));
        assert_eq!(given.take(store, &chunk(840, 800)), Err(100));
        assert_eq!(given.take(store, &chunk(0, 800)), Err(50));
        assert_eq!(given.take(store, &chunk(0, 500)), Ok(()));
    }
}
