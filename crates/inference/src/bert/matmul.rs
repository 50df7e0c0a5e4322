//! The matrix product, by tiles that stay in registers.
//!
//! A tile is [`tile`]'s `R` rows by two vectors of columns. The right side is packed into
//! *panels* of two vectors' width, depth-major, so that a tile reads it in one straight line; the
//! left side is packed into strips of `R` rows, depth-major too. Weights are packed once, when
//! they are loaded; packing the activations costs 2 % of the product.
//!
//! Every number of the result is one sum over the depth, in order, in one accumulator: it does
//! not depend on how many other rows there are.

use pulp::{Arch, Simd, WithSimd};

use super::aligned::AlignedBuffer;
use super::{int8, math, q4};

/// Tiles of f32 are 6 or 12 rows high.
pub(super) const ROW_MULTIPLE: usize = 12;

/// How many numbers of activations are packed at a time: 256 KB, a quarter of a usual second
/// level cache, beside the panel that passes by.
const PACKED: usize = 1 << 16;

/// The widths and heights of tiles: 24 accumulators of AVX-512's 32 registers, 12 of AVX2's 16,
/// 12 of NEON's 32. All divide [`ROW_MULTIPLE`].
#[inline(always)]
pub(crate) const fn tile_rows(lanes: usize) -> usize {
    if matches!(lanes, 4 | 16) { 12 } else { 6 }
}

/// Two vectors.
#[inline(always)]
pub(crate) const fn panel_width(lanes: usize) -> usize {
    2 * lanes
}

/// `R` rows by two vectors: each row's sum over the depth of left times right.
///
/// `left` holds `R` numbers at every multiple of `stride`, one group a step of depth.
#[inline(always)]
pub(super) fn tile<S: Simd, const R: usize>(
    simd: S,
    left: &[f32],
    stride: usize,
    right: &[S::f32s],
) -> [[S::f32s; 2]; R] {
    add_tile(simd, [[simd.splat_f32s(0.0); 2]; R], left, stride, right)
}

/// [`tile`] upon sums that were begun before.
#[inline(always)]
pub(crate) fn add_tile<S: Simd, const R: usize>(
    simd: S,
    mut sums: [[S::f32s; 2]; R],
    left: &[f32],
    stride: usize,
    right: &[S::f32s],
) -> [[S::f32s; 2]; R] {
    let (right, _) = right.as_chunks::<2>();
    for (step, right) in right.iter().enumerate() {
        let Some(left) = left[step * stride..].first_chunk::<R>() else { break };
        for row in 0..R {
            let left = simd.splat_f32s(left[row]);
            sums[row][0] = simd.mul_add_e_f32s(left, right[0], sums[row][0]);
            sums[row][1] = simd.mul_add_e_f32s(left, right[1], sums[row][1]);
        }
    }
    sums
}

/// A row-major matrix: `rows` rows of `dims` numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    dims: usize,
    rows: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f32], dims: usize, rows: usize) -> Self {
        Self { values: &values[..rows * dims], dims, rows }
    }
}

/// Memory for one product, kept for the next.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// Strips of the left side.
    rows: AlignedBuffer,
    /// One panel of the right side, where panels are kept in fewer bits.
    panel: AlignedBuffer,
    /// The left side in 8 bits.
    int8: int8::Packed,
}

/// A linear layer with its weights packed for this machine.
#[derive(Debug)]
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Panels,
    /// As long as all panels are wide.
    bias: AlignedBuffer,
}

/// The right side of a product.
#[derive(Debug)]
enum Panels {
    /// `[panel][input][column of the panel]`, zeros beyond the last output.
    Plain(AlignedBuffer),
    Q4(q4::Panels),
    /// Multiplied without ever being f32.
    Int8(int8::Panels),
}

/// How wide panels are on `arch`.
fn width_on(arch: Arch) -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            panel_width(S::F32_LANES)
        }
    }
    arch.dispatch(Width)
}

impl Linear {
    /// Packs `weight`, row-major with one row an output.
    pub(super) fn new(arch: Arch, weight: &[f32], bias: &[f32]) -> Self {
        let width = width_on(arch);
        let (outputs, inputs) = (bias.len(), weight.len() / bias.len().max(1));
        let padded = outputs.next_multiple_of(width);
        let mut panels = AlignedBuffer::zeros(padded * inputs);
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / width * width * inputs..][..width * inputs];
            for (step, &value) in panel.chunks_exact_mut(width).zip(row) {
                step[output % width] = value;
            }
        }
        Self { inputs, outputs, panels: Panels::Plain(panels), bias: padded_to(padded, bias) }
    }

    /// Packs `rows` of Q4_0 blocks, one row of `inputs` weights an output, each multiplied by its
    /// output's factor.
    pub(super) fn from_q4(
        arch: Arch,
        inputs: usize,
        rows: &[u8],
        factors: &[f32],
        bias: &[f32],
    ) -> Self {
        let width = width_on(arch);
        let panels = Panels::Q4(q4::Panels::new(width, rows, factors));
        let bias_panels = padded_to(bias.len().next_multiple_of(width), bias);
        Self { inputs, outputs: bias.len(), panels, bias: bias_panels }
    }

    /// As [`from_q4`](Self::from_q4), for products in 8 bits. They differ from those in f32 by what
    /// rounding the input to 8 bits does.
    pub(super) fn from_q4_in_int8(
        kernel: int8::Kernel,
        rows: &[u8],
        factors: &[f32],
        bias: &[f32],
    ) -> Self {
        let panels = int8::Panels::new(kernel, rows, factors, bias);
        let (inputs, outputs) = (panels.inputs(), bias.len());
        Self { inputs, outputs, panels: Panels::Int8(panels), bias: AlignedBuffer::default() }
    }

    /// The number of rows that it multiplies is to be a multiple of this.
    pub(super) fn row_multiple(&self) -> usize {
        match self.panels {
            Panels::Plain(_) | Panels::Q4(_) => ROW_MULTIPLE,
            Panels::Int8(_) => int8::GROUP,
        }
    }

    /// `out` becomes `input` times the weights plus the bias.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(
        &self,
        simd: S,
        input: Rows<'_>,
        packing: &mut Packing,
        out: &mut [f32],
    ) {
        simd.vectorize(Apply::<false> { linear: self, input, packing, out });
    }

    /// The same, and GELU over it.
    #[inline(always)]
    pub(super) fn apply_gelu<S: Simd>(
        &self,
        simd: S,
        input: Rows<'_>,
        packing: &mut Packing,
        out: &mut [f32],
    ) {
        simd.vectorize(Apply::<true> { linear: self, input, packing, out });
    }
}

struct Apply<'a, const GELU: bool> {
    linear: &'a Linear,
    input: Rows<'a>,
    packing: &'a mut Packing,
    out: &'a mut [f32],
}

impl<const GELU: bool> WithSimd for Apply<'_, GELU> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if let Panels::Int8(panels) = &self.linear.panels {
            let packed = &mut self.packing.int8;
            panels.apply(self.input.values, packed, self.out, |rows| {
                if GELU {
                    simd.vectorize(math::GeluRows(rows));
                }
            });
        } else if tile_rows(S::F32_LANES) == 12 {
            self.by_tiles::<S, 12>(simd);
        } else {
            self.by_tiles::<S, 6>(simd);
        }
    }
}

impl<const GELU: bool> Apply<'_, GELU> {
    #[inline(always)]
    fn by_tiles<S: Simd, const R: usize>(self, simd: S) {
        let Self { linear, input, packing, out } = self;
        let Packing { rows: packed, panel: unpacked, int8: _ } = packing;
        let (depth, outputs) = (input.dims, linear.outputs);
        debug_assert_eq!(depth, linear.inputs);
        let width = panel_width(S::F32_LANES);
        let block = (PACKED / (R * depth)).max(1) * R;
        for first in (0..input.rows).step_by(block) {
            let rows = block.min(input.rows - first);
            packed.resize(rows * depth);
            pack::<R>(&input.values[first * depth..][..rows * depth], depth, packed);
            for panel in 0..outputs.div_ceil(width) {
                let column = panel * width;
                let right = match &linear.panels {
                    Panels::Plain(panels) => &panels[panel * width * depth..][..width * depth],
                    Panels::Q4(panels) => {
                        unpacked.resize(width * depth);
                        panels.unpack::<S>(panel, unpacked);
                        &unpacked[..]
                    }
                    Panels::Int8(_) => unreachable!("it has a product of its own"),
                };
                let columns = width.min(outputs - column);
                let bias = S::as_simd_f32s(&linear.bias[column..][..width]).0;
                let right = S::as_simd_f32s(right).0;
                for (strip, left) in packed.chunks_exact(R * depth).enumerate() {
                    let sums = tile::<S, R>(simd, left, R, right);
                    let row = first + strip * R;
                    for (row, sum) in (row..).zip(sums) {
                        let out = &mut out[row * outputs + column..][..columns];
                        store::<S, GELU>(simd, sum, bias, out);
                    }
                }
            }
        }
    }
}

fn padded_to(length: usize, values: &[f32]) -> AlignedBuffer {
    let mut padded = AlignedBuffer::zeros(length);
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// Writes one row of a tile.
#[inline(always)]
fn store<S: Simd, const GELU: bool>(simd: S, sum: [S::f32s; 2], bias: &[S::f32s], out: &mut [f32]) {
    let mut values = [simd.add_f32s(sum[0], bias[0]), simd.add_f32s(sum[1], bias[1])];
    if GELU {
        // No `map`: its closure would not be compiled for the vector unit.
        values = [math::gelu(simd, values[0]), math::gelu(simd, values[1])];
    }
    match S::as_mut_simd_f32s(out) {
        ([first, second], []) => (*first, *second) = (values[0], values[1]),
        _ => {
            let (first, second) = out.split_at_mut(out.len().min(S::F32_LANES));
            simd.partial_store_f32s(first, values[0]);
            if !second.is_empty() {
                simd.partial_store_f32s(second, values[1]);
            }
        }
    }
}

/// Lays strips of `R` rows out depth-major.
#[inline(always)]
fn pack<const R: usize>(rows: &[f32], depth: usize, packed: &mut [f32]) {
    for (strip, packed) in rows.chunks_exact(R * depth).zip(packed.chunks_exact_mut(R * depth)) {
        let (packed, _) = packed.as_chunks_mut::<R>();
        for (row, values) in strip.chunks_exact(depth).enumerate() {
            for (step, &value) in packed.iter_mut().zip(values) {
                step[row] = value;
            }
        }
    }
}
