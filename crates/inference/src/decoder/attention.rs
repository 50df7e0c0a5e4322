//! Causal attention over a paged cache, one head of keys at a time with all heads of queries that
//! share it.
//!
//! Rows are (token, query head) pairs. Scores of a strip of rows are kept for all keys, so the
//! softmax is exact and every number is a sum in one order: a row's result does not depend on which
//! other rows there are.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::cache::{Cache, Layout, PAGE};
use super::packed::widen;
use crate::bert::aligned::AlignedBuffer;
use crate::bert::math;
use crate::bert::matmul::{add_tile, panel_width, tile_rows};

/// So many rows, or fewer, are one low tile: a token's own when it is read alone.
const FEW: usize = 4;

/// What all heads have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention<'a> {
    pub(super) cache: &'a Cache,
    pub(super) layout: Layout,
    pub(super) layer: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// The place of the first row's token.
    pub(super) first: usize,
    /// How many tokens a token sees, its own included.
    pub(super) window: Option<usize>,
    pub(super) scale: f32,
}

/// Memory for one head of keys, kept for the next.
#[derive(Debug, Default)]
pub(super) struct HeadSpace {
    /// `[dimension][row of the strip]`
    queries: AlignedBuffer,
    /// `[page][half of the page][dimension][token]`
    keys: AlignedBuffer,
    /// `[page][part of the dimensions][token][dimension]`
    values: AlignedBuffer,
    /// `[row of the strip][key]`
    scores: AlignedBuffer,
    /// `[key][row of the strip]`
    shares: AlignedBuffer,
    /// `[row][dimension]`
    out: AlignedBuffer,
}

impl Attention<'_> {
    /// `out` becomes what each row of `queries`, `[token][head][dimension]`, finds.
    pub(super) fn attend(
        &self,
        arch: Arch,
        queries: &[f32],
        spaces: &mut Vec<HeadSpace>,
        out: &mut [f32],
    ) {
        let (dims, group) = (self.layout.key_dims, self.heads / self.kv_heads);
        spaces.resize_with(self.kv_heads, HeadSpace::default);
        spaces.par_iter_mut().with_max_len(1).enumerate().for_each(|(head, space)| {
            arch.dispatch(Head { attention: self, head, queries, space });
        });
        for (head, space) in spaces.iter().enumerate() {
            let tokens = out.chunks_exact_mut(self.heads * dims);
            for (out, found) in tokens.zip(space.out.chunks_exact(group * dims)) {
                out[head * group * dims..][..group * dims].copy_from_slice(found);
            }
        }
    }
}

struct Head<'a> {
    attention: &'a Attention<'a>,
    head: usize,
    queries: &'a [f32],
    space: &'a mut HeadSpace,
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let attention = self.attention;
        let (dims, group) = (attention.layout.key_dims, attention.heads / attention.kv_heads);
        let rows = self.queries.len() / (attention.heads * dims) * group;
        self.space.out.resize(rows * dims);
        self.widen::<S>(rows / group);
        if rows <= FEW {
            self.strips::<S, FEW>(simd, rows);
        } else if tile_rows(S::F32_LANES) == 12 {
            self.strips::<S, 12>(simd, rows);
        } else {
            self.strips::<S, 6>(simd, rows);
        }
    }
}

/// The pages that a strip sees.
#[derive(Clone, Copy)]
struct Seen {
    /// The first one's place among those that were widened.
    skipped: usize,
    pages: usize,
}

impl Head<'_> {
    fn group(&self) -> usize {
        self.attention.heads / self.attention.kv_heads
    }

    /// The first key that the token at `place` sees.
    fn begin(&self, place: usize) -> usize {
        self.attention.window.map_or(0, |window| (place + 1).saturating_sub(window))
    }

    /// Brings the pages that any of `tokens` rows sees to f32, as products read them.
    #[inline(always)]
    fn widen<S: Simd>(&mut self, tokens: usize) {
        let Attention { cache, layout, layer, first, .. } = *self.attention;
        let width = panel_width(S::F32_LANES);
        let (first_page, last_page) = (self.begin(first) / PAGE, (first + tokens - 1) / PAGE);
        let pages = last_page + 1 - first_page;
        let (keys, values) = (layout.key_dims * PAGE, layout.value_dims * PAGE);
        self.space.keys.resize(pages * keys);
        self.space.values.resize(pages * values);
        for page in 0..pages {
            let head = cache.head(first_page + page, layer, self.head);
            panels(head.0, PAGE, width, &mut self.space.keys[page * keys..][..keys]);
            let out = &mut self.space.values[page * values..][..values];
            panels(head.1, layout.value_dims, width, out);
        }
    }

    #[inline(always)]
    fn strips<S: Simd, const R: usize>(&mut self, simd: S, rows: usize) {
        let group = self.group();
        let first_page = self.begin(self.attention.first) / PAGE;
        for strip in (0..rows).step_by(R) {
            let present = R.min(rows - strip);
            let (from, to) = (
                self.attention.first + strip / group,
                self.attention.first + (strip + present - 1) / group,
            );
            let page = self.begin(from) / PAGE;
            let seen = Seen { skipped: page - first_page, pages: to / PAGE + 1 - page };
            self.pack_queries::<R>(strip, present);
            self.score::<S, R>(simd, seen);
            for row in 0..present {
                let place = self.attention.first + (strip + row) / group;
                let (begin, end) = (self.begin(place) - page * PAGE, place + 1 - page * PAGE);
                let keys = seen.pages * PAGE;
                softmax(simd, &mut self.space.scores[row * keys..][..keys], begin, end);
            }
            self.turn_scores::<R>(seen, present);
            self.mix::<S, R>(simd, seen, strip, present);
        }
    }

    #[inline(always)]
    fn pack_queries<const R: usize>(&mut self, strip: usize, present: usize) {
        let Attention { layout, heads, scale, .. } = *self.attention;
        let (dims, group) = (layout.key_dims, self.group());
        self.space.queries.resize(dims * R);
        self.space.queries.fill(0.0);
        for row in 0..present {
            let (token, head) = ((strip + row) / group, (strip + row) % group);
            let head = self.head * group + head;
            let query = &self.queries[(token * heads + head) * dims..][..dims];
            for (step, value) in self.space.queries.chunks_exact_mut(R).zip(query) {
                step[row] = value * scale;
            }
        }
    }

    /// Each row's products with all keys of the pages.
    #[inline(always)]
    fn score<S: Simd, const R: usize>(&mut self, simd: S, seen: Seen) {
        let width = panel_width(S::F32_LANES);
        let panel = self.attention.layout.key_dims * width;
        let keys = seen.pages * PAGE;
        let HeadSpace { queries, keys: panels, scores, .. } = &mut *self.space;
        scores.resize(R * keys);
        let panels = panels[seen.skipped * PAGE / width * panel..].chunks_exact(panel);
        for (at, right) in panels.take(keys / width).enumerate() {
            let sums = [[simd.splat_f32s(0.0); 2]; R];
            let sums = add_tile(simd, sums, queries, R, S::as_simd_f32s(right).0);
            for (row, sum) in sums.into_iter().enumerate() {
                let out = &mut scores[row * keys + at * width..][..width];
                let out = S::as_mut_simd_f32s(out).0;
                (out[0], out[1]) = (sum[0], sum[1]);
            }
        }
    }

    /// From `[row][key]` to `[key][row]`; nothing of rows that are not there.
    #[inline(always)]
    fn turn_scores<const R: usize>(&mut self, seen: Seen, present: usize) {
        let keys = seen.pages * PAGE;
        let HeadSpace { scores, shares, .. } = &mut *self.space;
        shares.resize(keys * R);
        let (steps, _) = shares.as_chunks_mut::<R>();
        for row in 0..R {
            if row < present {
                let row_scores = &scores[row * keys..][..keys];
                steps.iter_mut().zip(row_scores).for_each(|(step, score)| step[row] = *score);
            } else {
                steps.iter_mut().for_each(|step| step[row] = 0.0);
            }
        }
    }

    /// Each row's sum of the values by its shares.
    #[inline(always)]
    fn mix<S: Simd, const R: usize>(&mut self, simd: S, seen: Seen, strip: usize, present: usize) {
        let width = panel_width(S::F32_LANES);
        let Layout { key_dims: dims, value_dims, .. } = self.attention.layout;
        let HeadSpace { values, shares, out, .. } = &mut *self.space;
        for part in 0..dims.div_ceil(width) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; R];
            for page in 0..seen.pages {
                let at = (seen.skipped + page) * PAGE * value_dims + part * PAGE * width;
                let right = S::as_simd_f32s(&values[at..][..PAGE * width]).0;
                sums = add_tile(simd, sums, &shares[page * PAGE * R..][..PAGE * R], R, right);
            }
            let columns = width.min(dims - part * width);
            for (row, sum) in sums.into_iter().enumerate().take(present) {
                let out = &mut out[(strip + row) * dims + part * width..][..columns];
                let (first, second) = out.split_at_mut(columns.min(S::F32_LANES));
                simd.partial_store_f32s(first, sum[0]);
                if !second.is_empty() {
                    simd.partial_store_f32s(second, sum[1]);
                }
            }
        }
    }
}

/// `rows` of `columns` numbers become panels of `width` columns.
#[inline(always)]
fn panels(rows: &[half::f16], columns: usize, width: usize, out: &mut [f32]) {
    let height = rows.len() / columns;
    for (row, values) in rows.chunks_exact(columns).enumerate() {
        for (part, values) in values.chunks_exact(width).enumerate() {
            widen(values, &mut out[(part * height + row) * width..][..width]);
        }
    }
}

/// The scores of the keys from `begin` to `end` become shares that add up to 1, all others 0.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], begin: usize, end: usize) {
    scores[..begin].fill(f32::NEG_INFINITY);
    scores[end..].fill(f32::NEG_INFINITY);
    let vectors = S::as_mut_simd_f32s(scores).0;
    let mut greatest = simd.splat_f32s(f32::NEG_INFINITY);
    for vector in vectors.iter() {
        greatest = simd.max_f32s(greatest, *vector);
    }
    let greatest = simd.splat_f32s(simd.reduce_max_f32s(greatest));
    for vector in vectors.iter_mut() {
        *vector = math::exp(simd, simd.sub_f32s(*vector, greatest));
    }
    // `exp` has no zero.
    scores[..begin].fill(0.0);
    scores[end..].fill(0.0);
    // One after another from the first key on: which pages there are before must not show.
    let vectors = S::as_mut_simd_f32s(scores).0;
    let mut sum = simd.splat_f32s(0.0);
    for vector in vectors.iter() {
        sum = simd.add_f32s(sum, *vector);
    }
    let inverse = simd.splat_f32s(1.0 / simd.reduce_sum_f32s(sum));
    for vector in vectors.iter_mut() {
        *vector = simd.mul_f32s(*vector, inverse);
    }
}
