//! The product of activations in 8 bits and weights that stay in 4.
//!
//! Weights are ggml's Q4_0: blocks of 32 inputs of one output, each weight `scale * (code - 8)`
//! with a code of 0 to 15. Activations are brought to the same shape: 32 numbers of a row share a
//! scale, each number is a code of -127 to 127. Inside a block the product is whole numbers, four
//! of them an instruction (VNNI) where f32 has one; each block's sum is scaled and added to the
//! row's in f32. `code - 8` is never made: the sum starts at -8 times the sum of the activations.
//!
//! Whole numbers add up to the same in any order, and the scaled sums are added in the order of
//! the blocks with fused products, so every version below gives the same bits.
//!
//! docs/benchmarks/embedding.md says what it gains and that nothing of quality is lost.

#![expect(unsafe_code, reason = "calling a function compiled for a processor that was detected")]
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_imports))]
#![allow(
    clippy::needless_range_loop,
    reason = "tiles are indexed by row and half; see tile_avx512"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::mem::transmute;

/// Inputs that share a scale.
const BLOCK: usize = 32;
/// An f16 scale, and two weights a byte.
const BLOCK_BYTES: usize = 2 + BLOCK / 2;
/// What is stored for a weight of 0.
const ZERO: i32 = 8;
/// Outputs side by side: two of AVX-512's vectors, so that what is read of a row serves two.
const COLUMNS: usize = 32;
/// Outputs in one vector of AVX-512.
const LANES: usize = 16;
/// Rows side by side: with two vectors of columns 12 sums in whole numbers and 12 in f32, of 32
/// registers. The number of rows is to be a multiple of it.
pub(super) const GROUP: usize = 6;
/// Four codes, which one instruction multiplies.
const QUAD: usize = 4;
/// Quads a block has.
const QUADS: usize = BLOCK / QUAD;
/// What rounds a small number that it is added to.
const ROUNDER: f32 = 12_582_912.0;
/// How many bytes of activations are packed at a time: half of a usual second level cache.
const PACKED_BYTES: usize = 1 << 19;

/// Which version of the product this processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The fastest here; none where f32 is the better way.
    pub(super) fn detect() -> Option<Self> {
        Self::all().into_iter().next_back()
    }

    /// All that run here, the fastest last.
    pub(super) fn all() -> Vec<Self> {
        #[allow(unused_mut, reason = "other processors have none")]
        let mut kernels = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                kernels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                kernels.push(Self::Avx512);
            }
        }
        kernels
    }
}

/// A block of [`COLUMNS`] outputs.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Weights {
    scales: [f32; COLUMNS],
    /// `[quad][column][code]`: the low halves are inputs 0 to 15, the high ones 16 to 31.
    codes: [[u8; COLUMNS * QUAD]; QUADS / 2],
}

/// A block of [`GROUP`] rows of activations.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Activations {
    /// `[quad][row]`, four codes each.
    quads: [[i32; GROUP]; QUADS],
    /// What each row's sum starts with.
    starts: [i32; GROUP],
    scales: [f32; GROUP],
}

/// Memory for one product, kept for the next.
#[derive(Debug, Default)]
pub(super) struct Packed(Vec<Activations>);

/// The weights of a linear layer, in panels of [`COLUMNS`] outputs.
#[derive(Debug)]
pub(super) struct Panels {
    kernel: Kernel,
    /// Blocks an output has.
    blocks: usize,
    /// `[panel][block]`
    weights: Vec<Weights>,
    bias: Vec<[f32; COLUMNS]>,
    outputs: usize,
}

impl Panels {
    /// Packs `rows` of Q4_0 blocks, one row an output, each multiplied by its output's factor.
    pub(super) fn new(kernel: Kernel, rows: &[u8], factors: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let row_bytes = rows.len() / outputs.max(1);
        let blocks = row_bytes / BLOCK_BYTES;
        let panels = outputs.div_ceil(COLUMNS);
        let nothing = Weights { scales: [0.0; COLUMNS], codes: [[0; COLUMNS * QUAD]; _] };
        let mut weights = vec![nothing; panels * blocks];
        for (output, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
            let (panel, column) = (output / COLUMNS, output % COLUMNS);
            for (block, bytes) in row.chunks_exact(BLOCK_BYTES).enumerate() {
                weights[panel * blocks + block].put(column, bytes, factors[output]);
            }
        }
        let mut padded = vec![[0.0; COLUMNS]; panels];
        padded.as_flattened_mut()[..outputs].copy_from_slice(bias);
        Self { kernel, blocks, weights, bias: padded, outputs }
    }

    /// Inputs it takes.
    pub(super) fn inputs(&self) -> usize {
        self.blocks * BLOCK
    }

    /// `out` becomes `input`, whose number of rows is a multiple of [`GROUP`], times the weights
    /// plus the bias. `after` is called with the rows of `out` that are done.
    #[inline(always)]
    pub(super) fn apply(
        &self,
        input: &[f32],
        packed: &mut Packed,
        out: &mut [f32],
        mut after: impl FnMut(&mut [f32]),
    ) {
        let group_bytes = self.blocks * size_of::<Activations>();
        let rows = (PACKED_BYTES / group_bytes.max(1)).max(1) * GROUP;
        let out = &mut out[..input.len() / self.inputs() * self.outputs];
        let strips = input.chunks(rows * self.inputs()).zip(out.chunks_mut(rows * self.outputs));
        for (input, out) in strips {
            match self.kernel {
                // SAFETY: `Kernel::all` is the only maker of this variant, and it saw the features.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => unsafe { self.apply_avx2(input, packed, out) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512 => unsafe { self.apply_avx512(input, packed, out) },
            }
            after(out);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn apply_avx2(&self, input: &[f32], packed: &mut Packed, out: &mut [f32]) {
        pack(input, self.blocks, packed);
        for (panel, weights) in self.weights.chunks_exact(self.blocks).enumerate() {
            for (at, group) in packed.0.chunks_exact(self.blocks).enumerate() {
                let (row, column) = (at * GROUP, panel * COLUMNS);
                let place = Place { out, row, column, outputs: self.outputs };
                tile_avx2(group, weights, &self.bias[panel], place);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn apply_avx512(&self, input: &[f32], packed: &mut Packed, out: &mut [f32]) {
        pack(input, self.blocks, packed);
        for (panel, weights) in self.weights.chunks_exact(self.blocks).enumerate() {
            for (at, group) in packed.0.chunks_exact(self.blocks).enumerate() {
                let (row, column) = (at * GROUP, panel * COLUMNS);
                let place = Place { out, row, column, outputs: self.outputs };
                tile_avx512(group, weights, &self.bias[panel], place);
            }
        }
    }
}

impl Weights {
    fn put(&mut self, column: usize, bytes: &[u8], factor: f32) {
        let (scale, codes) = bytes.split_at(2);
        self.scales[column] = half::f16::from_le_bytes([scale[0], scale[1]]).to_f32() * factor;
        // A byte of Q4_0 has one of the first sixteen weights and one of the last sixteen, as ours.
        for (quad, codes) in self.codes.iter_mut().zip(codes.chunks_exact(QUAD)) {
            quad[column * QUAD..][..QUAD].copy_from_slice(codes);
        }
    }
}

/// Brings rows to 8 bits, group by group.
#[inline(always)]
fn pack(input: &[f32], blocks: usize, packed: &mut Packed) {
    let inputs = blocks * BLOCK;
    packed.0.resize(input.len() / inputs * blocks / GROUP, Activations::default());
    let groups = input.chunks_exact(GROUP * inputs).zip(packed.0.chunks_exact_mut(blocks));
    for (rows, group) in groups {
        for (row, values) in rows.chunks_exact(inputs).enumerate() {
            let (values, _) = values.as_chunks::<BLOCK>();
            for (values, block) in values.iter().zip(&mut *group) {
                block.put(row, values);
            }
        }
    }
}

impl Activations {
    #[inline(always)]
    fn put(&mut self, row: usize, values: &[f32; BLOCK]) {
        // As whole numbers: sizes of floats have the same order, and these are compared at once.
        // What is no number is the greatest, and makes the sums none either.
        let mut greatest = 0u32;
        for value in values {
            greatest = greatest.max(value.abs().to_bits());
        }
        let greatest = f32::from_bits(greatest);
        let inverse = if greatest > 0.0 { 127.0 / greatest } else { 0.0 };
        let (mut codes, mut sum) = ([0u32; BLOCK], 0u32);
        for (code, value) in codes.iter_mut().zip(values) {
            // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
            *code = (value * inverse + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits());
            sum = sum.wrapping_add(*code);
        }
        let mut bytes = [0u8; BLOCK];
        for (byte, code) in bytes.iter_mut().zip(codes) {
            *byte = code as u8;
        }
        for (quads, bytes) in self.quads.iter_mut().zip(bytes.as_chunks::<QUAD>().0) {
            quads[row] = i32::from_le_bytes(*bytes);
        }
        self.starts[row] = (sum as i32).wrapping_mul(-ZERO);
        self.scales[row] = greatest / 127.0;
    }
}

/// Where the sums of some rows go: a part of a matrix.
struct Place<'a> {
    out: &'a mut [f32],
    row: usize,
    column: usize,
    /// Columns of the whole matrix.
    outputs: usize,
}

impl Place<'_> {
    /// `count` numbers of the `at`th row from its column `from` on, or fewer at the matrix's edge.
    #[inline(always)]
    fn row(&mut self, at: usize, from: usize, count: usize) -> &mut [f32] {
        let first = (self.column + from).min(self.outputs);
        let count = count.min(self.outputs - first);
        &mut self.out[(self.row + at) * self.outputs + first..][..count]
    }
}

/// Products of codes are at most 15 * 127 and 16 of them fit i16, so a block is added up in i16
/// without loss.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn tile_avx2(
    group: &[Activations],
    weights: &[Weights],
    bias: &[f32; COLUMNS],
    mut place: Place<'_>,
) {
    const LANES: usize = 8;
    let (low_half, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    for first in (0..COLUMNS).step_by(LANES) {
        // SAFETY: eight numbers from `first` on lie within all columns.
        let mut sums = [unsafe { _mm256_loadu_ps(bias[first..].as_ptr()) }; GROUP];
        for (activations, weights) in group.iter().zip(weights) {
            let mut pairs = [_mm256_setzero_si256(); GROUP];
            for (quad, codes) in weights.codes.iter().enumerate() {
                // SAFETY: 32 bytes from `first * 4` on are the codes of these columns.
                let codes = unsafe { _mm256_loadu_si256(codes[first * QUAD..].as_ptr().cast()) };
                let low = _mm256_and_si256(codes, low_half);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low_half);
                for (row, pairs) in pairs.iter_mut().enumerate() {
                    let first = _mm256_set1_epi32(activations.quads[quad][row]);
                    let second = _mm256_set1_epi32(activations.quads[quad + QUADS / 2][row]);
                    *pairs = _mm256_add_epi16(*pairs, _mm256_maddubs_epi16(low, first));
                    *pairs = _mm256_add_epi16(*pairs, _mm256_maddubs_epi16(high, second));
                }
            }
            // SAFETY: as for the bias.
            let scales = unsafe { _mm256_loadu_ps(weights.scales[first..].as_ptr()) };
            for row in 0..GROUP {
                let whole = _mm256_madd_epi16(pairs[row], ones);
                let whole = _mm256_add_epi32(whole, _mm256_set1_epi32(activations.starts[row]));
                let scale = _mm256_mul_ps(scales, _mm256_set1_ps(activations.scales[row]));
                sums[row] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, sums[row]);
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let mut values = [0.0; LANES];
            // SAFETY: it has eight numbers.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), sums) };
            let out = place.row(row, first, LANES);
            out.copy_from_slice(&values[..out.len()]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn tile_avx512(
    group: &[Activations],
    weights: &[Weights],
    bias: &[f32; COLUMNS],
    mut place: Place<'_>,
) {
    let low_half = _mm512_set1_epi8(15);
    let mut sums = [numbers(bias); GROUP];
    // A number that the compiler does not know keeps it from doing all quads at once, for which
    // there are not enough registers: a third of the time.
    let quads = std::hint::black_box(QUADS / 2);
    for (activations, weights) in group.iter().zip(weights) {
        // Loops, no closures: a closure is not always compiled for the processor around it.
        let mut whole = [[_mm512_setzero_si512(); 2]; GROUP];
        for row in 0..GROUP {
            whole[row] = [_mm512_set1_epi32(activations.starts[row]); 2];
        }
        for (quad, codes) in weights.codes.iter().enumerate().take(quads) {
            // SAFETY: both are 128 bytes, of which every value is one.
            let [first, second]: [__m512i; 2] = unsafe { transmute(*codes) };
            let low = [_mm512_and_si512(first, low_half), _mm512_and_si512(second, low_half)];
            let high = [_mm512_srli_epi16::<4>(first), _mm512_srli_epi16::<4>(second)];
            let high = [_mm512_and_si512(high[0], low_half), _mm512_and_si512(high[1], low_half)];
            for row in 0..GROUP {
                let four = _mm512_set1_epi32(activations.quads[quad][row]);
                whole[row][0] = _mm512_dpbusd_epi32(whole[row][0], low[0], four);
                whole[row][1] = _mm512_dpbusd_epi32(whole[row][1], low[1], four);
            }
            for row in 0..GROUP {
                let four = _mm512_set1_epi32(activations.quads[quad + QUADS / 2][row]);
                whole[row][0] = _mm512_dpbusd_epi32(whole[row][0], high[0], four);
                whole[row][1] = _mm512_dpbusd_epi32(whole[row][1], high[1], four);
            }
        }
        let scales = numbers(&weights.scales);
        for row in 0..GROUP {
            let scale = _mm512_set1_ps(activations.scales[row]);
            for half in 0..2 {
                let scale = _mm512_mul_ps(scales[half], scale);
                let whole = _mm512_cvtepi32_ps(whole[row][half]);
                sums[row][half] = _mm512_fmadd_ps(whole, scale, sums[row][half]);
            }
        }
    }
    for row in 0..GROUP {
        for half in 0..2 {
            let out = place.row(row, half * LANES, LANES);
            let present = ((1u32 << out.len()) - 1) as u16;
            // SAFETY: the mask has as many ones as `out` has numbers.
            unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), present, sums[row][half]) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn numbers(columns: &[f32; COLUMNS]) -> [__m512; 2] {
    // SAFETY: both are 32 numbers, of which every value is one.
    unsafe { transmute(*columns) }
}
