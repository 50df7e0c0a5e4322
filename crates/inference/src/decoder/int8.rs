//! The product of activations in 8 bits with weights in 4 or 8, by VNNI.
//!
//! Activations are brought to the weights' shape: 32 numbers of a row share a scale, each is a
//! code of -127 to 127. Inside a block the product is whole numbers, four of them a lane and an
//! instruction where f32 has one; each block's sum is scaled and added to the row's in f32. This is
//! how llama.cpp multiplies quantised weights too.
//!
//! Whole numbers add up to the same in any order and the scaled sums are added in the order of
//! the blocks, so a row's result does not depend on the other rows, to the last bit: a token read
//! in a long prompt and one read alone leave the same keys and values.

#![expect(unsafe_code, reason = "calling a function compiled for a processor that was detected")]
#![allow(
    clippy::needless_range_loop,
    reason = "tiles are indexed by row and vector at once; closures are not compiled for the unit"
)]

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use super::codes::BLOCK;
use super::linear::Place;
use super::packed::{COLUMNS, Codes, Line};

/// Four codes, which one instruction multiplies.
const QUAD: usize = 4;
/// Quads a block has.
const QUADS: usize = BLOCK / QUAD;
/// Numbers in one vector.
const LANES: usize = 16;
/// Rows side by side: with two vectors of columns 12 sums in whole numbers and 12 in f32, of 32
/// registers.
const GROUP: usize = 6;
/// What rounds a small number that it is added to.
const ROUNDER: f32 = 12_582_912.0;
/// How many bytes of rows pass a panel of weights before the next: half of a usual second level
/// cache.
const BAND_BYTES: usize = 1 << 19;

/// That this processor has the instructions: only [`detect`](Self::detect) makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vnni(());

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has_all.then_some(Self(()))
    }
}

/// A block of `R` rows.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Rows<const R: usize> {
    /// `[quad][row]`, four codes each.
    quads: [[i32; R]; QUADS],
    /// The sums of the codes of each half.
    sums: [[i32; R]; 2],
    scales: [f32; R],
}

impl<const R: usize> Rows<R> {
    const NOTHING: Self = Self { quads: [[0; R]; QUADS], sums: [[0; R]; 2], scales: [0.0; R] };
}

/// Rows in 8 bits: as many whole groups as there are, then the others one by one.
#[derive(Debug, Default)]
pub(super) struct Activations {
    blocks: usize,
    groups: Vec<Rows<GROUP>>,
    singles: Vec<Rows<1>>,
}

impl Activations {
    /// Takes `rows`, row-major, of `dims` numbers each.
    pub(super) fn pack(&mut self, _: Vnni, rows: &[f32], dims: usize) {
        self.blocks = dims / BLOCK;
        let whole = rows.len() / dims / GROUP * GROUP;
        let (grouped, singles) = rows.split_at(whole * dims);
        self.groups.resize(whole / GROUP * self.blocks, Rows::NOTHING);
        self.singles.resize(singles.len() / dims * self.blocks, Rows::NOTHING);
        // SAFETY: there is a `Vnni`, so the features were seen.
        unsafe {
            pack(grouped, self.blocks, &mut self.groups);
            pack(singles, self.blocks, &mut self.singles);
        }
    }
}

/// Every row times the columns of `panels`, which are numbered from 0 in `place`.
pub(super) fn multiply(
    _: Vnni,
    activations: &Activations,
    codes: &Codes,
    panels: Range<usize>,
    place: &mut Place<'_>,
) {
    let form = codes.form();
    // SAFETY: there is a `Vnni`, so the features were seen.
    unsafe {
        match (form.bits, form.halves, form.minima) {
            (4, _, false) => run::<false, false, false>(activations, codes, panels, place),
            (4, _, true) => run::<false, false, true>(activations, codes, panels, place),
            (_, false, false) => run::<true, false, false>(activations, codes, panels, place),
            (_, false, true) => run::<true, false, true>(activations, codes, panels, place),
            (_, true, _) => run::<true, true, false>(activations, codes, panels, place),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn run<const EIGHT: bool, const HALVES: bool, const MINIMA: bool>(
    activations: &Activations,
    codes: &Codes,
    panels: Range<usize>,
    place: &mut Place<'_>,
) {
    let blocks = activations.blocks;
    let band = (BAND_BYTES / (blocks * size_of::<Rows<GROUP>>()).max(1)).max(1);
    let groups = activations.groups.len() / blocks.max(1);
    for first in (0..groups).step_by(band) {
        for panel in panels.clone() {
            for group in first..groups.min(first + band) {
                let rows = &activations.groups[group * blocks..][..blocks];
                let sums = tile::<GROUP, EIGHT, HALVES, MINIMA>(rows, codes, panel);
                store(sums, codes, panel, group * GROUP, panels.start, place);
            }
        }
    }
    for panel in panels.clone() {
        for (at, row) in activations.singles.chunks_exact(blocks).enumerate() {
            let sums = tile::<1, EIGHT, HALVES, MINIMA>(row, codes, panel);
            store(sums, codes, panel, groups * GROUP + at, panels.start, place);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn tile<const R: usize, const EIGHT: bool, const HALVES: bool, const MINIMA: bool>(
    rows: &[Rows<R>],
    codes: &Codes,
    panel: usize,
) -> [[__m512; 2]; R] {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    let zero = -i32::from(codes.form().zero);
    let halves = if HALVES { 2 } else { 1 };
    // A number that the compiler does not know keeps it from doing all quads at once, for which
    // there are not enough registers but for a single row.
    let quads = QUADS / halves / if EIGHT { 1 } else { 2 };
    let quads = if R == 1 { quads } else { std::hint::black_box(quads) };
    for (block, row) in rows.iter().enumerate() {
        let weights = codes.block(panel, block);
        for half in 0..halves {
            let mut whole = [[_mm512_setzero_si512(); 2]; R];
            for at in 0..R {
                let sum =
                    if HALVES { row.sums[half][at] } else { row.sums[0][at] + row.sums[1][at] };
                whole[at] = [_mm512_set1_epi32(sum * zero); 2];
            }
            if EIGHT {
                let first = half * QUADS / 2;
                for quad in first..first + quads {
                    whole = add_quad(whole, lines(weights.codes[quad]), &row.quads[quad]);
                }
            } else {
                let low_half = _mm512_set1_epi8(15);
                for quad in 0..quads {
                    let [a, b] = lines(weights.codes[quad]);
                    let low = [_mm512_and_si512(a, low_half), _mm512_and_si512(b, low_half)];
                    let (a, b) = (_mm512_srli_epi16::<4>(a), _mm512_srli_epi16::<4>(b));
                    let high = [_mm512_and_si512(a, low_half), _mm512_and_si512(b, low_half)];
                    whole = add_quad(whole, low, &row.quads[quad]);
                    whole = add_quad(whole, high, &row.quads[quad + QUADS / 2]);
                }
            }
            let scales = numbers(weights.scales(half));
            for at in 0..R {
                let scale = _mm512_set1_ps(row.scales[at]);
                for vector in 0..2 {
                    let scale = _mm512_mul_ps(scales[vector], scale);
                    let whole = _mm512_cvtepi32_ps(whole[at][vector]);
                    sums[at][vector] = _mm512_fmadd_ps(whole, scale, sums[at][vector]);
                }
            }
        }
        if MINIMA {
            let minima = numbers(weights.minima);
            for at in 0..R {
                let sum = (row.sums[0][at] + row.sums[1][at]) as f32 * row.scales[at];
                let sum = _mm512_set1_ps(sum);
                sums[at][0] = _mm512_fmadd_ps(minima[0], sum, sums[at][0]);
                sums[at][1] = _mm512_fmadd_ps(minima[1], sum, sums[at][1]);
            }
        }
    }
    sums
}

/// Adds the products of four inputs with all columns.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_quad<const R: usize>(
    mut whole: [[__m512i; 2]; R],
    weights: [__m512i; 2],
    quads: &[i32; R],
) -> [[__m512i; 2]; R] {
    for at in 0..R {
        let four = _mm512_set1_epi32(quads[at]);
        whole[at][0] = _mm512_dpbusd_epi32(whole[at][0], weights[0], four);
        whole[at][1] = _mm512_dpbusd_epi32(whole[at][1], weights[1], four);
    }
    whole
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn store<const R: usize>(
    sums: [[__m512; 2]; R],
    codes: &Codes,
    panel: usize,
    row: usize,
    first_panel: usize,
    place: &mut Place<'_>,
) {
    let bias = numbers(codes.bias(panel));
    let count = codes.columns(panel);
    for at in 0..R {
        let out = place.at(row + at, panel - first_panel, count);
        let (first, second) = out.split_at_mut(count.min(LANES));
        for (vector, out) in [first, second].into_iter().enumerate() {
            let present = ((1u32 << out.len()) - 1) as u16;
            let sum = _mm512_add_ps(sums[at][vector], bias[vector]);
            // SAFETY: the mask has as many ones as `out` has numbers.
            unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), present, sum) };
        }
    }
}

/// Brings rows to 8 bits, group by group.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn pack<const R: usize>(rows: &[f32], blocks: usize, packed: &mut [Rows<R>]) {
    let dims = blocks * BLOCK;
    let groups = rows.chunks_exact(R * dims).zip(packed.chunks_exact_mut(blocks.max(1)));
    for (rows, group) in groups {
        for (at, values) in rows.chunks_exact(dims).enumerate() {
            let (values, _) = values.as_chunks::<BLOCK>();
            for (values, block) in values.iter().zip(&mut *group) {
                block.put(at, values);
            }
        }
    }
}

impl<const R: usize> Rows<R> {
    #[inline(always)]
    fn put(&mut self, at: usize, values: &[f32; BLOCK]) {
        // As whole numbers: sizes of floats have the same order. What is no number is the
        // greatest, and makes the sums none either.
        let mut greatest = 0u32;
        for value in values {
            greatest = greatest.max(value.abs().to_bits());
        }
        let greatest = f32::from_bits(greatest);
        let inverse = if greatest > 0.0 { 127.0 / greatest } else { 0.0 };
        let mut codes = [0u32; BLOCK];
        for (code, value) in codes.iter_mut().zip(values) {
            // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
            *code = (value * inverse + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits());
        }
        let mut bytes = [0u8; BLOCK];
        for (byte, code) in bytes.iter_mut().zip(codes) {
            *byte = code as u8;
        }
        for (quads, bytes) in self.quads.iter_mut().zip(bytes.as_chunks::<QUAD>().0) {
            quads[at] = i32::from_le_bytes(*bytes);
        }
        for (sums, codes) in self.sums.iter_mut().zip(codes.chunks_exact(BLOCK / 2)) {
            sums[at] = codes.iter().fold(0u32, |sum, code| sum.wrapping_add(*code)) as i32;
        }
        self.scales[at] = greatest / 127.0;
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn numbers(columns: &[f32; COLUMNS]) -> [__m512; 2] {
    // SAFETY: both are 32 numbers, of which every value is one.
    unsafe { transmute(*columns) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn lines(codes: Line) -> [__m512i; 2] {
    // SAFETY: both are 128 bytes, of which every value is one.
    unsafe { transmute(codes) }
}
