//! Weights that stay in 4 bits, and are unpacked a panel at a time.
//!
//! A query has a dozen tokens: its pass through the network is as long as it takes to read the
//! weights, and these are a seventh of their f32. What is unpacked is to the last bit what would
//! have been kept in f32, and is used by all rows of a block, so long texts lose little.

use pulp::Simd;

use super::matmul::panel_width;

/// Weights a block of ggml's Q4_0 has, which share a scale.
const BLOCK: usize = 32;
/// An f16 scale, and two weights a byte.
const BLOCK_BYTES: usize = 2 + BLOCK / 2;
/// Weights in one `u32`.
const WORD: usize = 8;
/// What is stored for a weight of 0.
const ZERO: i32 = 8;

/// The panels of a linear layer, as [`matmul`](super::matmul) wants them, in 4 bits.
#[derive(Debug)]
pub(super) struct Panels {
    width: usize,
    /// Blocks an output has.
    blocks: usize,
    /// `[panel][block][quarter of it][column]`, each eight weights, the first lowest.
    words: Vec<u32>,
    /// `[panel][block][column]`
    scales: Vec<f32>,
    /// What each column is multiplied by, once it is unpacked.
    factors: Vec<f32>,
}

impl Panels {
    /// Packs `rows` of Q4_0 blocks, one row an output, for panels of `width` columns. Each output
    /// has a factor.
    pub(super) fn new(width: usize, rows: &[u8], factors: &[f32]) -> Self {
        let outputs = factors.len();
        let row_bytes = rows.len() / outputs.max(1);
        let blocks = row_bytes / BLOCK_BYTES;
        let padded = outputs.next_multiple_of(width);
        let mut panels = Self {
            width,
            blocks,
            words: vec![0; padded * blocks * BLOCK / WORD],
            scales: vec![0.0; padded * blocks],
            factors: vec![0.0; padded],
        };
        panels.factors[..outputs].copy_from_slice(factors);
        for (output, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
            for (block, bytes) in row.chunks_exact(BLOCK_BYTES).enumerate() {
                panels.put(output, block, bytes);
            }
        }
        panels
    }

    fn put(&mut self, output: usize, block: usize, bytes: &[u8]) {
        let place = (output / self.width * self.blocks + block, output % self.width);
        let (scale, weights) = bytes.split_at(2);
        let scale = half::f16::from_le_bytes([scale[0], scale[1]]);
        self.scales[place.0 * self.width + place.1] = scale.to_f32();
        for (index, byte) in weights.iter().enumerate() {
            for (index, weight) in [(index, byte & 15), (index + BLOCK / 2, byte >> 4)] {
                let word = (place.0 * BLOCK / WORD + index / WORD) * self.width + place.1;
                self.words[word] |= u32::from(weight) << (4 * (index % WORD));
            }
        }
    }

    /// Writes a panel to `out`, `[input][column]`.
    ///
    /// Plain loops: inlined where the vector unit is known, they are compiled for it.
    #[inline(always)]
    pub(super) fn unpack<S: Simd>(&self, panel: usize, out: &mut [f32]) {
        let width = panel_width(S::F32_LANES);
        let factors = &self.factors[panel * width..][..width];
        let first = panel * self.blocks;
        for (block, out) in out.chunks_exact_mut(BLOCK * width).take(self.blocks).enumerate() {
            let scales = &self.scales[(first + block) * width..][..width];
            for (quarter, out) in out.chunks_exact_mut(WORD * width).enumerate() {
                let place = ((first + block) * (BLOCK / WORD) + quarter) * width;
                let words = &self.words[place..][..width];
                for (step, out) in out.chunks_exact_mut(width).enumerate() {
                    for column in 0..width {
                        let weight = ((words[column] >> (4 * step)) & 15) as i32 - ZERO;
                        out[column] = weight as f32 * scales[column] * factors[column];
                    }
                }
            }
        }
    }
}
