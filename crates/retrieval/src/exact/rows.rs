//! The matrix in memory: a byte for every dimension, in blocks that never move, and the
//! [`Signs`] of a large one.

use std::sync::Arc;

use docent_core::{ChunkId, ChunkRange, ChunkSet};
use half::f16;

use super::signs::Signs;

/// Rows in a block. Growing adds a block and copies nothing.
pub(crate) const BLOCK_ROWS: usize = 4_096;

/// Codes are padded with zeros to this many, so that the inner loops have no tail.
const LANES: usize = 64;

/// [`BLOCK_ROWS`] vectors, or fewer in the last block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    pub(crate) chunks: Vec<ChunkId>,
    /// What a code of 1 stands for, by row.
    pub(crate) scales: Vec<f32>,
    pub(crate) codes: Vec<i8>,
    checks: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Rows {
    /// Codes a row, padding included.
    pub(crate) stride: usize,
    pub(crate) blocks: Vec<Arc<Block>>,
    len: usize,
    alive: usize,
    /// Bit `row` is set when the row is deleted.
    dead: Vec<u64>,
    chunk_count: usize,
    /// Bit `id` is set when chunk `id` has living rows.
    present: Vec<u64>,
    /// Ascending stretches of chunks, to find the rows of a filter without looking at all.
    runs: Vec<Run>,
    pub(crate) signs: Signs,
}

/// Rows `start..end`, whose chunks ascend from `first` to `last`.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
    first: ChunkId,
    last: ChunkId,
}

impl Rows {
    pub(crate) fn new(dims: usize) -> Self {
        let stride = dims.next_multiple_of(LANES);
        Self {
            stride,
            blocks: vec![],
            len: 0,
            alive: 0,
            dead: vec![],
            chunk_count: 0,
            present: vec![],
            runs: vec![],
            signs: Signs::new(stride),
        }
    }

    /// Rows, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    /// How many chunks have living rows.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunk_count
    }

    pub(crate) fn push(&mut self, chunk: ChunkId, exact: &[f16], check: u32) {
        let mut codes = vec![0; self.stride];
        let exact: Vec<f32> = exact.iter().map(|value| value.to_f32()).collect();
        let scale = quantize(&exact, &mut codes);
        self.push_codes(chunk, scale, &codes, check);
    }

    pub(crate) fn push_codes(&mut self, chunk: ChunkId, scale: f32, codes: &[i8], check: u32) {
        if self.len.is_multiple_of(BLOCK_ROWS) {
            self.blocks.push(Arc::default());
            self.dead.resize(self.dead.len() + BLOCK_ROWS / 64, 0);
        }
        let block = self.blocks.last_mut().expect("one was pushed before the first row");
        // Only full blocks are ever shared, so this copies nothing.
        let block = Arc::make_mut(block);
        block.chunks.push(chunk);
        block.scales.push(scale);
        block.codes.extend_from_slice(codes);
        block.checks.push(check);
        self.signs.add(codes);
        self.mark(chunk);
        self.extend_run(chunk);
        self.len += 1;
        self.alive += 1;
    }

    fn extend_run(&mut self, chunk: ChunkId) {
        match self.runs.last_mut() {
            Some(run) if run.last <= chunk => (run.end, run.last) = (self.len + 1, chunk),
            _ => self.runs.push(Run {
                start: self.len,
                end: self.len + 1,
                first: chunk,
                last: chunk,
            }),
        }
    }

    fn mark(&mut self, chunk: ChunkId) {
        let word = (chunk.0 / 64) as usize;
        if self.present.len() <= word {
            self.present.resize(word + 1, 0);
        }
        self.chunk_count += usize::from(!self.holds(chunk));
        self.present[word] |= 1 << (chunk.0 % 64);
    }

    pub(crate) fn holds(&self, chunk: ChunkId) -> bool {
        let word = self.present.get((chunk.0 / 64) as usize);
        word.is_some_and(|word| word >> (chunk.0 % 64) & 1 == 1)
    }

    /// Marks the rows of `range` deleted; says whether there were any.
    pub(crate) fn remove(&mut self, range: ChunkRange) -> bool {
        let before = self.alive;
        for rows in self.rows_of(&ChunkSet::from_ranges([range])) {
            for number in rows {
                if self.is_dead(number) {
                    continue;
                }
                self.alive -= 1;
                self.dead[number / 64] |= 1 << (number % 64);
                let at = number % BLOCK_ROWS * self.stride;
                let block = &self.blocks[number / BLOCK_ROWS];
                self.signs.take_away(&block.codes[at..at + self.stride]);
            }
        }
        let held = self.present.len() as u64 * 64;
        for chunk in range.start.0.min(held)..range.end.0.min(held) {
            self.chunk_count -= usize::from(self.holds(ChunkId(chunk)));
            self.present[(chunk / 64) as usize] &= !(1 << (chunk % 64));
        }
        self.alive < before
    }

    /// To be called after changes, before a search: a matrix of `bits_from` rows or more has bits.
    pub(crate) fn settle(&mut self, bits_from: usize) {
        if self.len < bits_from {
            return self.signs.forget();
        }
        self.signs.settle(&self.blocks, self.alive);
    }

    /// The rows of `chunks`, deleted ones included.
    pub(crate) fn rows_of(&self, chunks: &ChunkSet) -> Vec<std::ops::Range<usize>> {
        let mut found = vec![];
        for run in &self.runs {
            let ranges = chunks.ranges();
            let from = ranges.partition_point(|range| range.end <= run.first.0);
            for range in ranges[from..].iter().take_while(|range| range.start <= run.last.0) {
                let start = self.first_row(run, |chunk| chunk.0 < range.start);
                let end = self.first_row(run, |chunk| chunk.0 < range.end);
                if start < end {
                    found.push(start..end);
                }
            }
        }
        found
    }

    /// The first row of `run` whose chunk is not `before`; chunks ascend within a run.
    fn first_row(&self, run: &Run, before: impl Fn(ChunkId) -> bool) -> usize {
        let (mut low, mut high) = (run.start, run.end);
        while low < high {
            let middle = low.midpoint(high);
            if before(self.chunk(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(crate) fn chunk(&self, number: usize) -> ChunkId {
        self.blocks[number / BLOCK_ROWS].chunks[number % BLOCK_ROWS]
    }

    pub(crate) fn is_dead(&self, number: usize) -> bool {
        self.dead[number / 64] >> (number % 64) & 1 == 1
    }

    /// The full blocks, which change no more.
    pub(crate) fn full_blocks(&self) -> &[Arc<Block>] {
        &self.blocks[..self.len / BLOCK_ROWS]
    }

    pub(crate) fn scale(&self, number: usize) -> f32 {
        self.blocks[number / BLOCK_ROWS].scales[number % BLOCK_ROWS]
    }

    pub(crate) fn check(&self, number: usize) -> u32 {
        self.blocks[number / BLOCK_ROWS].checks[number % BLOCK_ROWS]
    }

    pub(crate) fn codes(&self, number: usize) -> &[i8] {
        let at = number % BLOCK_ROWS * self.stride;
        &self.blocks[number / BLOCK_ROWS].codes[at..at + self.stride]
    }

    /// Every chunk with living rows, in order.
    pub(crate) fn chunks(&self) -> Vec<ChunkId> {
        let ids = 0..self.present.len() as u64 * 64;
        ids.map(ChunkId).filter(|&chunk| self.holds(chunk)).collect()
    }

    /// Whether so many rows are deleted that rewriting the files pays.
    pub(crate) fn is_mostly_dead(&self) -> bool {
        let dead = self.len - self.alive;
        dead >= BLOCK_ROWS && dead * 3 >= self.len
    }
}

/// Writes `exact` as bytes; returns what a byte of 1 stands for, more than 0 even for zeros.
pub(crate) fn quantize(exact: &[f32], codes: &mut [i8]) -> f32 {
    let greatest = exact.iter().fold(0.0f32, |greatest, value| greatest.max(value.abs()));
    let scale = (greatest / 127.0).max(f32::MIN_POSITIVE);
    for (code, value) in codes.iter_mut().zip(exact) {
        // In -127..=127 by the choice of the scale; `as` saturates besides.
        *code = (value / scale).round() as i8;
    }
    scale
}
