//! One of Tantivy's segments, with what scoring needs of each of its chunks in memory.

use std::fmt;
use std::sync::Arc;

use docent_core::{ChunkId, ChunkRange, ChunkSet};
use tantivy::index::SegmentId;
use tantivy::postings::BlockSegmentPostings;
use tantivy::schema::IndexRecordOption;
use tantivy::{InvertedIndexReader, SegmentReader, Term};

use super::Fields;

/// Twelve bytes a chunk: 1.2 MB for 100,000.
#[derive(Clone)]
pub(super) struct Segment {
    id: SegmentId,
    /// Tantivy's generation of deletes, to know the segment again after a commit.
    deletes: Option<u64>,
    postings: Arc<InvertedIndexReader>,
    words: tantivy::schema::Field,
    /// By Tantivy's document number.
    pub(super) chunks: Arc<Vec<ChunkId>>,
    /// The document numbers in the order of their chunks, where that is another: after a merge.
    by_chunk: Option<Arc<Vec<u32>>>,
    /// Lengths in words, by document number; [`GONE`] for a deleted chunk.
    pub(super) lengths: Arc<Vec<u32>>,
    pub(super) alive: u64,
    pub(super) total_length: u64,
    /// Whether chunks went since the commit, which Tantivy's `deletes` does not know of.
    touched: bool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({:?}, {} chunks)", self.id, self.alive)
    }
}

/// The length of a deleted chunk.
pub(super) const GONE: u32 = u32::MAX;

impl Segment {
    pub(super) fn load(reader: &SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let numbers = reader.max_doc();
        let chunk = reader.fast_fields().u64("chunk")?;
        let length = reader.fast_fields().u64("length")?;
        let length_of = |number| match reader.is_deleted(number) {
            true => GONE,
            false => u32::try_from(length.first(number).unwrap_or(0)).unwrap_or(GONE - 1),
        };
        let lengths: Vec<u32> = (0..numbers).map(length_of).collect();
        let chunks: Vec<ChunkId> =
            (0..numbers).map(|number| ChunkId(chunk.first(number).unwrap_or(0))).collect();
        let by_chunk = (!chunks.is_sorted()).then(|| {
            let mut numbers: Vec<u32> = (0..numbers).collect();
            numbers.sort_by_key(|&number| chunks[number as usize]);
            Arc::new(numbers)
        });
        let mut segment = Self {
            id: reader.segment_id(),
            deletes: reader.delete_opstamp(),
            postings: reader.inverted_index(fields.words)?,
            words: fields.words,
            chunks: Arc::new(chunks),
            by_chunk,
            lengths: Arc::new(lengths),
            alive: 0,
            total_length: 0,
            touched: false,
        };
        segment.count();
        Ok(segment)
    }

    pub(super) fn is(&self, reader: &SegmentReader) -> bool {
        !self.touched && (self.id, self.deletes) == (reader.segment_id(), reader.delete_opstamp())
    }

    pub(super) fn remove(&mut self, range: ChunkRange) {
        let gone = |(number, chunk): (usize, &ChunkId)| range.contains(*chunk).then_some(number);
        let gone: Vec<usize> = self.chunks.iter().enumerate().filter_map(gone).collect();
        if gone.is_empty() {
            return;
        }
        let lengths = Arc::make_mut(&mut self.lengths);
        gone.into_iter().for_each(|number| lengths[number] = GONE);
        self.touched = true;
        self.count();
    }

    fn count(&mut self) {
        let alive = self.lengths.iter().filter(|&&length| length != GONE);
        (self.alive, self.total_length) =
            alive.fold((0, 0), |(count, total), &length| (count + 1, total + u64::from(length)));
    }

    pub(super) fn holds(&self, chunk: ChunkId) -> bool {
        self.alive().any(|own| own == chunk)
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = ChunkId> {
        let both = self.chunks.iter().zip(self.lengths.iter());
        both.filter(|(_, length)| **length != GONE).map(|(chunk, _)| *chunk)
    }

    /// The document numbers of `chunks`, ascending; deleted ones included.
    pub(super) fn numbers_of(&self, chunks: &ChunkSet) -> Vec<u32> {
        let mut found = vec![];
        for range in chunks.ranges() {
            let before = |end: u64| match &self.by_chunk {
                None => self.chunks.partition_point(|chunk| chunk.0 < end),
                Some(numbers) => {
                    numbers.partition_point(|&number| self.chunks[number as usize].0 < end)
                }
            };
            let places = before(range.start)..before(range.end);
            match &self.by_chunk {
                None => found.extend(places.map(|place| place as u32)),
                Some(numbers) => found.extend_from_slice(&numbers[places]),
            }
        }
        if self.by_chunk.is_some() {
            found.sort_unstable();
        }
        found
    }

    pub(super) fn postings(&self, term: &str) -> std::io::Result<Option<BlockSegmentPostings>> {
        let term = Term::from_field_text(self.words, term);
        self.postings.read_block_postings(&term, IndexRecordOption::WithFreqs)
    }

    /// In how many living chunks `term` stands.
    pub(super) fn count_of(&self, term: &str) -> std::io::Result<u64> {
        let Some(mut postings) = self.postings(term)? else { return Ok(0) };
        if self.alive == self.lengths.len() as u64 {
            return Ok(u64::from(postings.doc_freq()));
        }
        let mut count = 0;
        while postings.block_len() > 0 {
            let living = |number: &&u32| self.lengths[**number as usize] != GONE;
            count += postings.docs().iter().filter(living).count() as u64;
            postings.advance();
        }
        Ok(count)
    }
}
