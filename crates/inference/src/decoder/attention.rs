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

/// What all heads of one conversation have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention<'a> {
    pub(super) cache: &'a Cache,
    /// One row a token: `[head][dimension]`.
    pub(super) queries: &'a [f32],
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

/// `out` becomes what the rows of all conversations find, one after another.
pub(super) fn attend(
    arch: Arch,
    conversations: &[Attention<'_>],
    spaces: &mut Vec<HeadSpace>,
    out: &mut [f32],
) {
    let heads = conversations
        .iter()
        .flat_map(|attention| (0..attention.kv_heads).map(move |head| (attention, head)));
    let heads: Vec<_> = heads.collect();
    if spaces.len() < heads.len() {
        spaces.resize_with(heads.len(), HeadSpace::default);
    }
    let work = heads.par_iter().zip(&mut *spaces).with_max_len(1);
    work.for_each(|(&(attention, head), space)| arch.dispatch(Head { attention, head, space }));
    let mut first = 0;
    for (at, (attention, head)) in heads.iter().enumerate() {
        let (width, part) = (attention.heads * attention.layout.key_dims, attention.group_dims());
        let rows = attention.queries.len() / width;
        let rows = out[first * width..][..rows * width].chunks_exact_mut(width);
        for (out, found) in rows.zip(spaces[at].out.chunks_exact(part)) {
            out[head * part..][..part].copy_from_slice(found);
        }
        if head + 1 == attention.kv_heads {
            first += attention.queries.len() / width;
        }
    }
}

impl Attention<'_> {
    /// How many query heads share one of keys.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// How many numbers a row has of those.
    fn group_dims(&self) -> usize {
        self.group() * self.layout.key_dims
    }
}

struct Head<'a> {
    attention: &'a Attention<'a>,
    head: usize,
    space: &'a mut HeadSpace,
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let attention = self.attention;
        let (dims, group) = (attention.layout.key_dims, attention.group());
        let rows = attention.queries.len() / (attention.heads * dims) * group;
        self.space.out.resize(rows * dims);
        if rows <= FEW {
            return self.strips::<S, FEW>(simd, rows);
        }
        self.widen::<S>(rows / group);
        if tile_rows(S::F32_LANES) == 12 {
            self.strips::<S, 12>(simd, rows);
        } else {
            self.strips::<S, 6>(simd, rows);
        }
    }
}

/// The pages that a strip sees.
#[derive(Clone, Copy)]
struct Seen {
    first: usize,
    pages: usize,
    /// The first one's place among those that were widened; none where one strip is all there is,
    /// which widens what it reads in a place that stays in the nearest cache.
    widened: Option<usize>,
}

impl Head<'_> {
    /// The first key that the token at `place` sees.
    fn begin(&self, place: usize) -> usize {
        self.attention.window.map_or(0, |window| (place + 1).saturating_sub(window))
    }

    /// Brings the pages that any of `tokens` rows sees to f32, for all strips.
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
            let out = &mut self.space.keys[page * keys..][..keys];
            for (part, out) in out.chunks_exact_mut(layout.key_dims * width).enumerate() {
                panel(head.0, PAGE, part, width, out);
            }
            let out = &mut self.space.values[page * values..][..values];
            for (part, out) in out.chunks_exact_mut(PAGE * width).enumerate() {
                panel(head.1, layout.value_dims, part, width, out);
            }
        }
    }

    #[inline(always)]
    fn strips<S: Simd, const R: usize>(&mut self, simd: S, rows: usize) {
        let group = self.attention.group();
        let first_page = self.begin(self.attention.first) / PAGE;
        for strip in (0..rows).step_by(R) {
            let present = R.min(rows - strip);
            let (from, to) = (
                self.attention.first + strip / group,
                self.attention.first + (strip + present - 1) / group,
            );
            let page = self.begin(from) / PAGE;
            let pages = to / PAGE + 1 - page;
            let seen = Seen { first: page, pages, widened: (R > FEW).then_some(page - first_page) };
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
        let (dims, group) = (layout.key_dims, self.attention.group());
        self.space.queries.resize(dims * R);
        self.space.queries.fill(0.0);
        for row in 0..present {
            let (token, head) = ((strip + row) / group, (strip + row) % group);
            let head = self.head * group + head;
            let query = &self.attention.queries[(token * heads + head) * dims..][..dims];
            for (step, value) in self.space.queries.chunks_exact_mut(R).zip(query) {
                step[row] = value * scale;
            }
        }
    }

    /// Each row's products with all keys of the pages.
    #[inline(always)]
    fn score<S: Simd, const R: usize>(&mut self, simd: S, seen: Seen) {
        let Attention { cache, layout, layer, .. } = *self.attention;
        let width = panel_width(S::F32_LANES);
        let size = layout.key_dims * width;
        let keys = seen.pages * PAGE;
        let HeadSpace { queries, keys: widened, scores, .. } = &mut *self.space;
        scores.resize(R * keys);
        if seen.widened.is_none() {
            widened.resize(size);
        }
        for at in 0..keys / width {
            let right = match seen.widened {
                Some(skipped) => &widened[(skipped * PAGE / width + at) * size..][..size],
                None => {
                    let (page, part) = (seen.first + at * width / PAGE, at % (PAGE / width));
                    panel(cache.head(page, layer, self.head).0, PAGE, part, width, widened);
                    &widened[..]
                }
            };
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
        let Attention { cache, layout, layer, .. } = *self.attention;
        let width = panel_width(S::F32_LANES);
        let (dims, size) = (layout.key_dims, PAGE * width);
        let HeadSpace { values: widened, shares, out, .. } = &mut *self.space;
        if seen.widened.is_none() {
            widened.resize(size);
        }
        for part in 0..dims.div_ceil(width) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; R];
            for page in 0..seen.pages {
                let right = match seen.widened {
                    Some(skipped) => {
                        &widened[(skipped + page) * PAGE * layout.value_dims + part * size..]
                            [..size]
                    }
                    None => {
                        let values = cache.head(seen.first + page, layer, self.head).1;
                        panel(values, layout.value_dims, part, width, widened);
                        &widened[..]
                    }
                };
                let left = &shares[page * PAGE * R..][..PAGE * R];
                sums = add_tile(simd, sums, left, R, S::as_simd_f32s(right).0);
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

/// The `part`th `width` columns of a matrix of `columns`, row by row.
#[inline(always)]
fn panel(rows: &[half::f16], columns: usize, part: usize, width: usize, out: &mut [f32]) {
    for (values, out) in rows.chunks_exact(columns).zip(out.chunks_exact_mut(width)) {
        widen(&values[part * width..][..width], out);
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
