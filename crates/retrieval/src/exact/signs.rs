//! One bit a dimension: on which side of the middle of all rows a row lies.
//!
//! Of the middle and not of zero, because some embedders' vectors all point one way: of
//! multilingual-e5-small's ten best, signs around zero let 55 % through where those around the
//! middle let 92 % (docs/benchmarks/embedding.md). The middle is a function of the living rows
//! alone, by whole numbers and coarse, so that it is the same in whatever order they came and
//! seldom moves; when it does, only the dimensions that moved are looked at again.

use std::sync::Arc;

use super::rows::Block;

/// The middle of a dimension is a multiple of this many codes.
const STEP: i64 = 8;

/// The bits of every row, once there are so many rows that they are asked for.
#[derive(Debug)]
pub(crate) struct Signs {
    /// Of the living rows' codes, by dimension.
    sums: Vec<i64>,
    middle: Vec<i8>,
    /// By block, as many rows as the block had when they were last settled.
    blocks: Vec<Vec<u64>>,
}

impl Signs {
    pub(super) fn new(stride: usize) -> Self {
        Self { sums: vec![0; stride], middle: vec![0; stride], blocks: vec![] }
    }

    pub(super) fn add(&mut self, codes: &[i8]) {
        self.sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum += i64::from(*code));
    }

    pub(super) fn take_away(&mut self, codes: &[i8]) {
        self.sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum -= i64::from(*code));
    }

    /// Words of bits a row has.
    fn words(&self) -> usize {
        self.middle.len() / 64
    }

    /// The bits of block `number`, [`of`](Self::of) every row.
    pub(super) fn block(&self, number: usize) -> &[u64] {
        &self.blocks[number]
    }

    /// A row's bits.
    pub(super) fn of(&self, codes: &[i8]) -> Vec<u64> {
        let mut bits = vec![];
        self.extend(&mut bits, codes);
        bits
    }

    fn extend(&self, bits: &mut Vec<u64>, codes: &[i8]) {
        for (codes, middle) in codes.as_chunks::<64>().0.iter().zip(self.middle.as_chunks().0) {
            bits.push(sign_bits(codes, middle));
        }
    }

    /// Gives up the bits, which are made again when they are needed.
    pub(super) fn forget(&mut self) {
        self.blocks = vec![];
    }

    /// Makes the bits those of `blocks`, of which `alive` rows are not deleted.
    pub(super) fn settle(&mut self, blocks: &[Arc<Block>], alive: usize) {
        let moved = self.move_middle(alive);
        let (stride, words) = (self.middle.len(), self.words());
        let mut kept = std::mem::take(&mut self.blocks);
        kept.resize(blocks.len(), vec![]);
        for (bits, block) in kept.iter_mut().zip(blocks) {
            for &dimension in &moved {
                let (word, bit, middle) = (dimension / 64, dimension % 64, self.middle[dimension]);
                for (row, codes) in bits.chunks_exact_mut(words).zip(block.codes.chunks(stride)) {
                    let is_above = u64::from(codes[dimension] >= middle);
                    row[word] = row[word] & !(1 << bit) | is_above << bit;
                }
            }
            let known = bits.len() / words;
            bits.reserve_exact((block.codes.len() / stride - known) * words);
            block.codes.chunks_exact(stride).skip(known).for_each(|row| self.extend(bits, row));
        }
        self.blocks = kept;
    }

    /// The dimensions whose middle is another now.
    fn move_middle(&mut self, alive: usize) -> Vec<usize> {
        let step = STEP * alive.max(1) as i64;
        let mut moved = vec![];
        for (dimension, (middle, sum)) in self.middle.iter_mut().zip(&self.sums).enumerate() {
            // The mean of codes from -127 to 127, so it fits.
            let now = ((sum + step / 2).div_euclid(step) * STEP) as i8;
            if *middle != now {
                *middle = now;
                moved.push(dimension);
            }
        }
        moved
    }
}

/// One bit for each code that is not below the middle.
fn sign_bits(codes: &[i8; 64], middle: &[i8; 64]) -> u64 {
    let mut bits = 0;
    for (at, (code, middle)) in codes.iter().zip(middle).enumerate() {
        bits |= u64::from(code >= middle) << at;
    }
    bits
}

#[cfg(test)]
mod tests {
    use docent_core::{ChunkId, ChunkRange};
    use proptest::prelude::*;

    use super::super::rows::Rows;
    use super::*;

    /// Rows of 128 codes from `seeds`, all of them more often above zero than below.
    fn codes(seed: u64) -> Vec<i8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as i64 % 100 + 20
        };
        (0..128).map(|_| next().clamp(-127, 127) as i8).collect()
    }

    fn bits(rows: &Rows) -> Vec<Vec<u64>> {
        (0..rows.blocks.len()).map(|block| rows.signs.block(block).to_vec()).collect()
    }

    /// The part of all living rows' bits that is set.
    fn share_set(rows: &Rows) -> f64 {
        let living = (0..rows.len()).filter(|&row| !rows.is_dead(row));
        let set = living.flat_map(|row| rows.signs.of(rows.codes(row))).map(u64::count_ones);
        f64::from(set.sum::<u32>()) / (rows.alive() * 128) as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn however_rows_came_their_bits_are_those_around_the_middle_of_what_is_there(
            parts in prop::collection::vec((1usize..40, 0usize..20), 1..6)
        ) {
            let (mut rows, mut next) = (Rows::new(128), 0u64);
            for (add, remove) in parts {
                for _ in 0..add {
                    rows.push_codes(ChunkId(next), 1.0, &codes(next), 0);
                    next += 1;
                }
                let start = next / 2;
                let range = ChunkRange { start: ChunkId(start), end: ChunkId(start + remove as u64) };
                rows.remove(range);
                rows.settle(0);
            }
            let mut signs = Signs::new(128);
            let living = (0..rows.len()).filter(|&row| !rows.is_dead(row));
            living.for_each(|row| signs.add(rows.codes(row)));
            signs.move_middle(rows.alive());
            let expected: Vec<u64> =
                (0..rows.len()).flat_map(|row| signs.of(rows.codes(row))).collect();
            prop_assert_eq!(bits(&rows).concat(), expected);
            // A few rows may all lie on one side.
            if rows.alive() >= 50 {
                let set = share_set(&rows);
                prop_assert!((0.3..0.7).contains(&set), "{set} of the bits are set");
            }
        }
    }

    #[test]
    fn too_few_rows_have_no_bits() {
        let mut rows = Rows::new(128);
        for row in 0..10 {
            rows.push_codes(ChunkId(row), 1.0, &codes(row), 0);
        }
        rows.settle(11);
        assert!(rows.signs.blocks.is_empty());
        rows.settle(10);
        assert_eq!(rows.signs.block(0).len(), 10 * 2);
    }
}
