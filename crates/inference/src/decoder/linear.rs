//! Products of rows with weights, over all cores.
//!
//! Many rows are divided among the cores; a few are multiplied by every core with a part of the
//! columns. Either way each number of the result is one sum over the depth in one order: it
//! depends neither on the other rows nor on the number of cores, to the last bit.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::codes::BLOCK;
use super::int8::{self, Vnni};
use super::packed::{COLUMNS, Weights};
use crate::bert::aligned::AlignedBuffer;
use crate::bert::matmul::{add_tile, panel_width, tile_rows};

/// From so many rows on they are divided, not the columns. A multiple of all tiles' heights.
const ROWS_TO_DIVIDE: usize = 24;

/// How this machine multiplies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) arch: Arch,
    /// Quantised weights are multiplied in 8 bits where there is this.
    pub(super) int8: Option<Vnni>,
}

impl Machine {
    pub(super) fn detect() -> Self {
        Self { arch: Arch::new(), int8: Vnni::detect() }
    }
}

/// One product: the weights, and where its rows go.
pub(super) struct Product<'a> {
    pub(super) weights: &'a Weights,
    /// `[row][output]`
    pub(super) out: &'a mut [f32],
}

/// Memory for products, kept for the next ones.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    cores: Vec<Core>,
    input: Input,
}

/// What one core works with.
#[derive(Debug, Default)]
struct Core {
    input: Input,
    panel: AlignedBuffer,
    /// `[panel][row][column]`
    out: AlignedBuffer,
}

/// Rows as products read them.
#[derive(Debug, Default)]
struct Input {
    rows: usize,
    dims: usize,
    int8: int8::Activations,
    /// As they came.
    plain: Vec<f32>,
    /// Whole strips of rows, depth-major.
    strips: AlignedBuffer,
}

/// A part of a matrix that results go to.
#[derive(Debug)]
pub(super) struct Place<'a> {
    values: &'a mut [f32],
    /// From a row to the next.
    row_stride: usize,
    /// From a panel to the next.
    panel_stride: usize,
}

impl Place<'_> {
    #[inline(always)]
    pub(super) fn at(&mut self, row: usize, panel: usize, count: usize) -> &mut [f32] {
        &mut self.values[row * self.row_stride + panel * self.panel_stride..][..count]
    }
}

/// Computes every product with the same `rows` of `dims` numbers each.
pub(super) fn multiply(
    machine: Machine,
    rows: &[f32],
    dims: usize,
    products: &mut [Product<'_>],
    workspace: &mut Workspace,
) {
    let cores = rayon::current_num_threads();
    workspace.cores.resize_with(cores, Core::default);
    if rows.len() / dims >= ROWS_TO_DIVIDE {
        by_rows(machine, rows, dims, products, workspace);
    } else {
        by_columns(machine, rows, dims, products, workspace);
    }
}

fn by_rows(
    machine: Machine,
    rows: &[f32],
    dims: usize,
    products: &mut [Product<'_>],
    workspace: &mut Workspace,
) {
    let cores = workspace.cores.len();
    let share = (rows.len() / dims).div_ceil(cores).next_multiple_of(ROWS_TO_DIVIDE / 2);
    let mut outs: Vec<_> = products
        .iter_mut()
        .map(|product| (product.weights, product.out.chunks_mut(share * product.weights.outputs())))
        .collect();
    let shares = rows.chunks(share * dims).zip(&mut workspace.cores).map(|(rows, core)| {
        let outs = outs.iter_mut().filter_map(|(weights, outs)| Some((*weights, outs.next()?)));
        (rows, core, outs.collect::<Vec<_>>())
    });
    let shares: Vec<_> = shares.collect();
    shares.into_par_iter().with_max_len(1).for_each(|(rows, core, outs)| {
        core.input.pack(machine, rows, dims, outs.iter().map(|(weights, _)| *weights));
        for (weights, values) in outs {
            let outputs = weights.outputs();
            let place = Place { values, row_stride: outputs, panel_stride: COLUMNS };
            run(machine, &core.input, weights, 0..weights.panels(), place, &mut core.panel);
        }
    });
}

fn by_columns(
    machine: Machine,
    rows: &[f32],
    dims: usize,
    products: &mut [Product<'_>],
    workspace: &mut Workspace,
) {
    let Workspace { cores, input } = workspace;
    input.pack(machine, rows, dims, products.iter().map(|product| product.weights));
    let count = cores.len();
    let all: Vec<&Weights> = products.iter().map(|product| product.weights).collect();
    let (input, rows) = (&*input, input.rows);
    cores.par_iter_mut().with_max_len(1).enumerate().for_each(|(core, space)| {
        let shares = all.iter().map(|weights| share(weights.panels(), core, count));
        let panels: usize = shares.clone().map(|share| share.len()).sum();
        space.out.resize(panels * rows * COLUMNS);
        let mut rest = &mut space.out[..];
        for (weights, share) in all.iter().zip(shares) {
            let (values, after) = rest.split_at_mut(share.len() * rows * COLUMNS);
            rest = after;
            let place = Place { values, row_stride: COLUMNS, panel_stride: rows * COLUMNS };
            run(machine, input, weights, share, place, &mut space.panel);
        }
    });
    for (core, space) in cores.iter().enumerate() {
        let mut panels = space.out.chunks_exact(rows * COLUMNS);
        for product in &mut *products {
            for panel in share(product.weights.panels(), core, count) {
                let Some(values) = panels.next() else { break };
                scatter(product, panel, values);
            }
        }
    }
}

/// The panels of `core`.
fn share(panels: usize, core: usize, cores: usize) -> Range<usize> {
    panels * core / cores..panels * (core + 1) / cores
}

fn scatter(product: &mut Product<'_>, panel: usize, values: &[f32]) {
    let (outputs, columns) = (product.weights.outputs(), product.weights.columns(panel));
    let rows = product.out.chunks_exact_mut(outputs).zip(values.chunks_exact(COLUMNS));
    for (out, values) in rows {
        out[panel * COLUMNS..][..columns].copy_from_slice(&values[..columns]);
    }
}

impl Input {
    fn pack<'a>(
        &mut self,
        machine: Machine,
        rows: &[f32],
        dims: usize,
        weights: impl Iterator<Item = &'a Weights>,
    ) {
        (self.rows, self.dims) = (rows.len() / dims, dims);
        let (mut int8, mut plain) = (None, false);
        for weights in weights {
            match weights {
                Weights::Codes(_) if machine.int8.is_some() => int8 = machine.int8,
                _ => plain = true,
            }
        }
        if let Some(vnni) = int8 {
            self.int8.pack(vnni, rows, dims);
        }
        if plain {
            self.plain.clear();
            self.plain.extend_from_slice(rows);
            machine.arch.dispatch(PackStrips { rows, dims, strips: &mut self.strips });
        }
    }
}

fn run(
    machine: Machine,
    input: &Input,
    weights: &Weights,
    panels: Range<usize>,
    mut place: Place<'_>,
    panel: &mut AlignedBuffer,
) {
    match (weights, machine.int8) {
        (Weights::Codes(codes), Some(vnni)) => {
            int8::multiply(vnni, &input.int8, codes, panels, &mut place);
        }
        _ => machine.arch.dispatch(InF32 { input, weights, panels, place, panel }),
    }
}

/// Whole strips, depth-major; the rows after them stay as they are.
struct PackStrips<'a> {
    rows: &'a [f32],
    dims: usize,
    strips: &'a mut AlignedBuffer,
}

impl WithSimd for PackStrips<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let height = tile_rows(S::F32_LANES);
        let whole = self.rows.len() / self.dims / height * height;
        self.strips.resize(whole * self.dims);
        let strips = self.rows.chunks_exact(height * self.dims);
        for (rows, packed) in strips.zip(self.strips.chunks_exact_mut(height * self.dims)) {
            for (at, row) in rows.chunks_exact(self.dims).enumerate() {
                for (step, value) in packed.chunks_exact_mut(height).zip(row) {
                    step[at] = *value;
                }
            }
        }
    }
}

/// The product in f32: each panel is unpacked once for all rows.
struct InF32<'a> {
    input: &'a Input,
    weights: &'a Weights,
    panels: Range<usize>,
    place: Place<'a>,
    panel: &'a mut AlignedBuffer,
}

impl WithSimd for InF32<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if tile_rows(S::F32_LANES) == 12 {
            self.by_tiles::<S, 12>(simd);
        } else {
            self.by_tiles::<S, 6>(simd);
        }
    }
}

impl InF32<'_> {
    #[inline(always)]
    fn by_tiles<S: Simd, const R: usize>(mut self, simd: S) {
        let width = panel_width(S::F32_LANES);
        for panel in self.panels.clone() {
            let columns = self.weights.columns(panel);
            for first in (0..columns).step_by(width) {
                let at = At { panel, first, columns: width.min(columns - first) };
                if self.input.rows < R {
                    self.few_rows::<S, R>(simd, at);
                } else {
                    self.many_rows::<S, R>(simd, at);
                }
            }
        }
    }

    /// The columns are unpacked whole, once for all strips of rows.
    #[inline(always)]
    fn many_rows<S: Simd, const R: usize>(&mut self, simd: S, at: At) {
        let (dims, width) = (self.input.dims, panel_width(S::F32_LANES));
        self.panel.resize(dims * width);
        for (block, out) in self.panel.chunks_mut(BLOCK * width).enumerate() {
            self.weights.unpack(at.panel, block, at.first, width, out);
        }
        let right = S::as_simd_f32s(self.panel).0;
        let strips = self.input.strips.chunks_exact(R * dims);
        let singles = (strips.len() * R)..self.input.rows;
        let mut out =
            Out { weights: self.weights, first: self.panels.start, place: &mut self.place };
        for (strip, left) in strips.enumerate() {
            let sums = add_tile(simd, [[simd.splat_f32s(0.0); 2]; R], left, R, right);
            for (row, sum) in (strip * R..).zip(sums) {
                out.store::<S>(simd, row, at, sum);
            }
        }
        for row in singles {
            let left = &self.input.plain[row * dims..][..dims];
            let [sum] = add_tile(simd, [[simd.splat_f32s(0.0); 2]; 1], left, 1, right);
            out.store::<S>(simd, row, at, sum);
        }
    }

    /// The columns are unpacked block by block, which stay in the nearest cache.
    #[inline(always)]
    fn few_rows<S: Simd, const R: usize>(&mut self, simd: S, at: At) {
        let (dims, width) = (self.input.dims, panel_width(S::F32_LANES));
        self.panel.resize(BLOCK * width);
        let mut sums = [[[simd.splat_f32s(0.0); 2]; 1]; R];
        for (block, from) in (0..dims).step_by(BLOCK).enumerate() {
            let inputs = BLOCK.min(dims - from);
            let unpacked = &mut self.panel[..inputs * width];
            self.weights.unpack(at.panel, block, at.first, width, unpacked);
            let right = S::as_simd_f32s(unpacked).0;
            for (row, sum) in sums.iter_mut().enumerate().take(self.input.rows) {
                let left = &self.input.plain[row * dims + from..][..inputs];
                *sum = add_tile(simd, *sum, left, 1, right);
            }
        }
        let mut out =
            Out { weights: self.weights, first: self.panels.start, place: &mut self.place };
        for (row, [sum]) in sums.into_iter().enumerate().take(self.input.rows) {
            out.store::<S>(simd, row, at, sum);
        }
    }
}

/// Where the sums of some panels go.
struct Out<'a, 'p> {
    weights: &'a Weights,
    /// The first of the panels.
    first: usize,
    place: &'a mut Place<'p>,
}

impl Out<'_, '_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, row: usize, at: At, sum: [S::f32s; 2]) {
        let bias = &self.weights.bias(at.panel)[at.first..][..panel_width(S::F32_LANES)];
        let bias = S::as_simd_f32s(bias).0;
        let out = self.place.at(row, at.panel - self.first, at.first + at.columns);
        let (first, second) = out[at.first..].split_at_mut(at.columns.min(S::F32_LANES));
        simd.partial_store_f32s(first, simd.add_f32s(sum[0], bias[0]));
        if !second.is_empty() {
            simd.partial_store_f32s(second, simd.add_f32s(sum[1], bias[1]));
        }
    }
}

/// Columns of a panel.
#[derive(Clone, Copy)]
struct At {
    panel: usize,
    first: usize,
    columns: usize,
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::decoder::codes::Form;
    use crate::decoder::packed::{Codes, Numbers};

    const INPUTS: usize = 512;
    const OUTPUTS: usize = 70;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|n| (((n + seed) * 7919 % 1009) as f32 - 500.0) / 300.0).collect()
    }

    fn product(machine: Machine, weights: &Weights, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; rows.len() / INPUTS * OUTPUTS];
        let mut products = [Product { weights, out: &mut out }];
        multiply(machine, rows, INPUTS, &mut products, &mut Workspace::default());
        out
    }

    #[test]
    fn products_in_every_format_are_those_of_the_weights_values() {
        use GgmlDType::{BF16, F16, F32, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
        let values =
            Tensor::from_vec(numbers(OUTPUTS * INPUTS, 3), (OUTPUTS, INPUTS), &Device::Cpu);
        let (values, bias) = (values.unwrap(), numbers(OUTPUTS, 11));
        for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4K, Q5K, Q6K, F16, BF16, F32] {
            let tensor = QTensor::quantize(&values, dtype).unwrap();
            let exact = tensor.dequantize(&Device::Cpu).unwrap();
            let exact: Vec<f32> = exact.flatten_all().unwrap().to_vec1().unwrap();
            let bytes = tensor.data().unwrap();
            let weights = match Form::of(dtype) {
                Some(form) => Weights::Codes(Codes::new(form, dtype, &bytes, &bias)),
                None => Weights::Numbers(Numbers::new(dtype, &bytes, &bias).unwrap()),
            };
            let mut row = vec![0.0; INPUTS];
            weights.row(OUTPUTS - 1, &mut row);
            assert_eq!(row, exact[(OUTPUTS - 1) * INPUTS..], "{dtype:?}");
            for count in [1, 7, 50] {
                let rows = numbers(count * INPUTS, 5);
                let expected: Vec<f64> = rows
                    .chunks(INPUTS)
                    .flat_map(|row| {
                        exact.chunks(INPUTS).zip(&bias).map(|(weights, bias)| {
                            let products = row.iter().zip(weights);
                            let sum: f64 =
                                products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                            sum + f64::from(*bias)
                        })
                    })
                    .collect();
                let best = Machine::detect();
                for machine in [best, Machine { int8: None, ..best }] {
                    let found = product(machine, &weights, &rows);
                    let off = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).powi(2));
                    let size: f64 = expected.iter().map(|value| value.powi(2)).sum();
                    let off = (off.sum::<f64>() / size).sqrt();
                    let most = if machine.int8.is_some() && Form::of(dtype).is_some() {
                        8e-3
                    } else {
                        1e-6
                    };
                    assert!(off < most, "{dtype:?}, {count} rows, {machine:?}: {off}");
                }
            }
        }
    }
}
