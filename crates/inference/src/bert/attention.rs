//! Self-attention of one window, head by head, in tiles of queries.
//!
//! Scores are kept transposed, one row a key and one lane a query: softmax then runs down the
//! rows with no sums across lanes, and the scores are already the panel that the product with
//! the values wants. Only keys and queries are transposed, 1/20 of the work of one product.

use pulp::{Simd, WithSimd};

use super::aligned::AlignedBuffer;
use super::math;
use super::matmul::{panel_width, tile};

/// Keys a tile of scores has, and dimensions a tile of the result.
pub(super) const TILE: usize = 8;

/// How a row is divided into heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) count: usize,
    pub(super) dims: usize,
}

#[derive(Debug, Default)]
pub(super) struct AttentionScratch {
    /// `[tile of keys][dimension][key]`
    keys: AlignedBuffer,
    /// `[tile of dimensions][key][dimension]`
    values: AlignedBuffer,
    /// `[dimension][query]`
    queries: AlignedBuffer,
    /// `[key][query]`
    scores: AlignedBuffer,
    /// `[dimension of a tile][query]`
    mixed: AlignedBuffer,
}

impl Heads {
    /// `context` becomes the attention of one window. `qkv` has a row a token: all heads' queries,
    /// then keys, then values.
    #[inline(always)]
    pub(super) fn attend<S: Simd>(
        self,
        simd: S,
        qkv: &[f32],
        context: &mut [f32],
        scratch: &mut AttentionScratch,
    ) {
        for head in 0..self.count {
            simd.vectorize(AttendHead { heads: self, head, qkv, context, scratch });
        }
    }
}

struct AttendHead<'a> {
    heads: Heads,
    head: usize,
    qkv: &'a [f32],
    context: &'a mut [f32],
    scratch: &'a mut AttentionScratch,
}

impl WithSimd for AttendHead<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads, head, qkv, context, scratch } = self;
        let Heads { count, dims } = heads;
        let hidden = count * dims;
        let tokens = context.len() / hidden;
        let width = panel_width(S::F32_LANES);
        let AttentionScratch { keys, values, queries, scores, mixed } = scratch;
        let column =
            |part: usize, token: usize| &qkv[(token * 3 + part) * hidden + head * dims..][..dims];
        pack_keys(|token| column(1, token), tokens, dims, keys);
        pack_values(|token| column(2, token), tokens, dims, values);
        scores.resize(tokens.next_multiple_of(TILE) * width);
        mixed.resize(TILE * width);
        for first in (0..tokens).step_by(width) {
            let present = width.min(tokens - first);
            pack_queries(|query| column(0, first + query), present, width, dims, queries);
            fill_scores(simd, keys, dims, queries, scores);
            let scale = softmax(simd, &mut scores[..tokens * width]);
            for (part, values) in values.chunks_exact(tokens * TILE).enumerate() {
                mix(simd, values, &scores[..tokens * width], scale, mixed);
                let offset = head * dims + part * TILE;
                for query in 0..present {
                    let out = &mut context[(first + query) * hidden + offset..][..TILE];
                    for (dim, out) in out.iter_mut().enumerate() {
                        *out = mixed[dim * width + query];
                    }
                }
            }
        }
    }
}

/// Tiles of keys, dimension-major; zeros beyond the last key.
#[inline(always)]
fn pack_keys<'a>(
    key: impl Fn(usize) -> &'a [f32],
    tokens: usize,
    dims: usize,
    packed: &mut AlignedBuffer,
) {
    packed.resize(tokens.next_multiple_of(TILE) * dims);
    for (part, packed) in packed.chunks_exact_mut(TILE * dims).enumerate() {
        let (packed, _) = packed.as_chunks_mut::<TILE>();
        for lane in 0..TILE {
            let token = part * TILE + lane;
            if token < tokens {
                packed.iter_mut().zip(key(token)).for_each(|(step, &value)| step[lane] = value);
            } else {
                packed.iter_mut().for_each(|step| step[lane] = 0.0);
            }
        }
    }
}

/// Tiles of dimensions, key-major.
#[inline(always)]
fn pack_values<'a>(
    value: impl Fn(usize) -> &'a [f32],
    tokens: usize,
    dims: usize,
    packed: &mut AlignedBuffer,
) {
    packed.resize(tokens * dims);
    for (part, packed) in packed.chunks_exact_mut(tokens * TILE).enumerate() {
        for (token, step) in packed.chunks_exact_mut(TILE).enumerate() {
            step.copy_from_slice(&value(token)[part * TILE..][..TILE]);
        }
    }
}

/// A panel of queries, dimension-major; zeros beyond the last of them.
#[inline(always)]
fn pack_queries<'a>(
    query: impl Fn(usize) -> &'a [f32],
    present: usize,
    width: usize,
    dims: usize,
    packed: &mut AlignedBuffer,
) {
    packed.resize(dims * width);
    packed.fill(0.0);
    for lane in 0..present {
        for (step, &value) in packed.chunks_exact_mut(width).zip(query(lane)) {
            step[lane] = value;
        }
    }
}

/// Each key's product with each query of the panel.
#[inline(always)]
fn fill_scores<S: Simd>(simd: S, keys: &[f32], dims: usize, queries: &[f32], scores: &mut [f32]) {
    let width = panel_width(S::F32_LANES);
    let right = S::as_simd_f32s(queries).0;
    let tiles = keys.chunks_exact(TILE * dims).zip(scores.chunks_exact_mut(TILE * width));
    for (left, scores) in tiles {
        let sums = tile::<S, TILE>(simd, left, TILE, right);
        let (rows, _) = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<2>();
        for (row, sum) in rows.iter_mut().zip(sums) {
            *row = sum;
        }
    }
}

/// Each column's scores become `e^(score - greatest)`; returns one over each column's sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32]) -> [S::f32s; 2] {
    let (rows, _) = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<2>();
    let mut greatest = [simd.splat_f32s(f32::NEG_INFINITY); 2];
    for row in rows.iter() {
        greatest = [simd.max_f32s(greatest[0], row[0]), simd.max_f32s(greatest[1], row[1])];
    }
    let mut sums = [simd.splat_f32s(0.0); 2];
    for row in rows {
        for half in 0..2 {
            row[half] = math::exp(simd, simd.sub_f32s(row[half], greatest[half]));
            sums[half] = simd.add_f32s(sums[half], row[half]);
        }
    }
    let one = simd.splat_f32s(1.0);
    [simd.div_f32s(one, sums[0]), simd.div_f32s(one, sums[1])]
}

/// One tile of the result, `[dimension][query]`.
#[inline(always)]
fn mix<S: Simd>(simd: S, values: &[f32], scores: &[f32], scale: [S::f32s; 2], mixed: &mut [f32]) {
    let sums = tile::<S, TILE>(simd, values, TILE, S::as_simd_f32s(scores).0);
    let (rows, _) = S::as_mut_simd_f32s(mixed).0.as_chunks_mut::<2>();
    for (row, sum) in rows.iter_mut().zip(sums) {
        *row = [simd.mul_f32s(sum[0], scale[0]), simd.mul_f32s(sum[1], scale[1])];
    }
}
