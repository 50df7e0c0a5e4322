//! Weights in the order in which products read them: panels of [`COLUMNS`] outputs.

use candle_core::quantized::GgmlDType;
use half::{bf16, f16};

use super::codes::{self, BLOCK, Block, Form};

/// Outputs side by side in a panel: two of AVX-512's vectors, so that what is read of a row serves
/// two.
pub(super) const COLUMNS: usize = 32;
/// Codes of one column that lie together.
const QUAD: usize = 4;

/// Numbers of all columns, from a cache line's beginning.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Lanes([f32; COLUMNS]);

/// Codes of all columns, four each: `[column][code]`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; COLUMNS * QUAD]);

/// Quantised weights.
///
/// Of 4 bits, a byte's low half is an input of the block's first half, its high half the one
/// sixteen later.
#[derive(Debug)]
pub(super) struct Codes {
    form: Form,
    /// Blocks an output has.
    blocks: usize,
    outputs: usize,
    /// `[panel][block][quad]`
    lines: Vec<Line>,
    /// `[panel][block][half]`, one half where both share a scale.
    scales: Vec<Lanes>,
    /// `[panel][block]`, empty without minima.
    minima: Vec<Lanes>,
    /// `[panel]`
    bias: Vec<Lanes>,
}

/// What a panel has of one block of inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct PanelBlock<'a> {
    pub(super) codes: &'a [Line],
    scales: &'a [Lanes],
    pub(super) minima: &'a [f32; COLUMNS],
}

impl PanelBlock<'_> {
    #[inline(always)]
    pub(super) fn scales(&self, half: usize) -> &[f32; COLUMNS] {
        &self.scales[half.min(self.scales.len() - 1)].0
    }
}

impl Codes {
    /// Packs `rows` in the format `dtype`, one row an output.
    pub(super) fn new(form: Form, dtype: GgmlDType, rows: &[u8], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let row_bytes = rows.len() / outputs.max(1);
        let blocks = row_bytes / dtype.type_size() * dtype.block_size() / BLOCK;
        let panels = outputs.div_ceil(COLUMNS);
        let count = panels * blocks;
        let minima = if form.minima { count } else { 0 };
        let nothing = Lanes([0.0; COLUMNS]);
        let mut packed = Self {
            form,
            blocks,
            outputs,
            lines: vec![Line([0; COLUMNS * QUAD]); count * form.bits],
            scales: vec![nothing; count * form.scales()],
            minima: vec![nothing; minima],
            bias: vec![nothing; panels],
        };
        for (output, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
            let (panel, column) = (output / COLUMNS, output % COLUMNS);
            packed.bias[panel].0[column] = bias[output];
            let mut at = panel * blocks;
            codes::read(dtype, row, &mut |block| {
                packed.put(at, column, &block);
                at += 1;
            });
        }
        packed
    }

    fn put(&mut self, at: usize, column: usize, block: &Block) {
        let scales = self.form.scales();
        for half in 0..scales {
            self.scales[at * scales + half].0[column] = block.scales[half];
        }
        if let Some(minima) = self.minima.get_mut(at) {
            minima.0[column] = block.minimum;
        }
        let lines = &mut self.lines[at * self.form.bits..][..self.form.bits];
        for (input, code) in block.codes.iter().enumerate() {
            let (quad, shift) = match self.form.bits {
                4 => (input % (BLOCK / 2) / QUAD, input / (BLOCK / 2) * 4),
                _ => (input / QUAD, 0),
            };
            lines[quad].0[column * QUAD + input % QUAD] |= code << shift;
        }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    #[inline(always)]
    pub(super) fn block(&self, panel: usize, block: usize) -> PanelBlock<'_> {
        const NONE: &[f32; COLUMNS] = &[0.0; COLUMNS];
        let at = panel * self.blocks + block;
        let (bits, scales) = (self.form.bits, self.form.scales());
        PanelBlock {
            codes: &self.lines[at * bits..][..bits],
            scales: &self.scales[at * scales..][..scales],
            minima: self.minima.get(at).map_or(NONE, |lanes| &lanes.0),
        }
    }

    pub(super) fn bias(&self, panel: usize) -> &[f32; COLUMNS] {
        &self.bias[panel].0
    }

    /// How many columns of the panel are outputs.
    pub(super) fn columns(&self, panel: usize) -> usize {
        COLUMNS.min(self.outputs - panel * COLUMNS)
    }

    /// Writes `width` columns of a panel's block, from the panel's column `first` on, to `out`:
    /// `[input][column]`.
    ///
    /// Plain loops: inlined where the vector unit is known, they are compiled for it.
    #[inline(always)]
    fn unpack(&self, panel: usize, block: usize, first: usize, width: usize, out: &mut [f32]) {
        let zero = i32::from(self.form.zero);
        let weights = self.block(panel, block);
        let minima = &weights.minima[first..][..width];
        for (input, out) in out.chunks_exact_mut(width).enumerate() {
            let scales = &weights.scales(input / (BLOCK / 2))[first..][..width];
            let (quad, shift, mask) = match self.form.bits {
                4 => (input % (BLOCK / 2) / QUAD, input / (BLOCK / 2) * 4, 15),
                _ => (input / QUAD, 0, 255),
            };
            let (codes, _) = weights.codes[quad].0[first * QUAD..].as_chunks::<QUAD>();
            let (codes, shift) = (&codes[..width], 8 * (input % QUAD) + shift);
            for column in 0..width {
                let code = ((u32::from_le_bytes(codes[column]) >> shift) & mask) as i32;
                out[column] = scales[column] * (code - zero) as f32 + minima[column];
            }
        }
    }

    /// The weights of one output.
    pub(super) fn row(&self, output: usize, out: &mut [f32]) {
        let (panel, column) = (output / COLUMNS, output % COLUMNS);
        let zero = i32::from(self.form.zero);
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let weights = self.block(panel, block);
            for (input, out) in out.iter_mut().enumerate() {
                let (quad, shift, mask) = match self.form.bits {
                    4 => (input % (BLOCK / 2) / QUAD, input / (BLOCK / 2) * 4, 15),
                    _ => (input / QUAD, 0, 255),
                };
                let byte = weights.codes[quad].0[column * QUAD + input % QUAD];
                let code = i32::from(byte >> shift & mask);
                let scale = weights.scales(input / (BLOCK / 2))[column];
                *out = scale * (code - zero) as f32 + weights.minima[column];
            }
        }
    }
}

/// Weights that are numbers already, as wide as the file has them.
#[derive(Debug)]
pub(super) struct Numbers {
    inputs: usize,
    outputs: usize,
    /// `[panel][input][column]`
    values: Values,
    /// `[panel]`
    bias: Vec<Lanes>,
}

#[derive(Debug)]
enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Numbers {
    /// Packs `rows`, one row an output; none for formats that are no such numbers.
    pub(super) fn new(dtype: GgmlDType, rows: &[u8], bias: &[f32]) -> Option<Self> {
        let outputs = bias.len();
        let inputs = rows.len() / dtype.type_size() / outputs.max(1);
        let two = |bytes: &[u8]| [bytes[0], bytes[1]];
        let values = match dtype {
            GgmlDType::F32 => Values::F32(panels(outputs, inputs, rows, 4, |bytes| {
                f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
            })),
            GgmlDType::F16 => Values::F16(panels(outputs, inputs, rows, 2, |bytes| {
                f16::from_le_bytes(two(bytes))
            })),
            GgmlDType::BF16 => Values::Bf16(panels(outputs, inputs, rows, 2, |bytes| {
                bf16::from_le_bytes(two(bytes))
            })),
            _ => return None,
        };
        let mut lanes = vec![Lanes([0.0; COLUMNS]); outputs.div_ceil(COLUMNS)];
        for (output, &value) in bias.iter().enumerate() {
            lanes[output / COLUMNS].0[output % COLUMNS] = value;
        }
        Some(Self { inputs, outputs, values, bias: lanes })
    }

    #[inline(always)]
    fn unpack(&self, panel: usize, block: usize, first: usize, width: usize, out: &mut [f32]) {
        let from = (panel * self.inputs + block * BLOCK) * COLUMNS;
        let rows = out.chunks_exact_mut(width).enumerate();
        let at = |input: usize| from + input * COLUMNS + first;
        match &self.values {
            Values::F32(values) => {
                rows.for_each(|(input, out)| out.copy_from_slice(&values[at(input)..][..width]));
            }
            Values::F16(values) => {
                rows.for_each(|(input, out)| widen(&values[at(input)..][..width], out));
            }
            Values::Bf16(values) => rows.for_each(|(input, out)| {
                for (out, value) in out.iter_mut().zip(&values[at(input)..][..width]) {
                    *out = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }),
        }
    }

    fn row(&self, output: usize, out: &mut [f32]) {
        let from = output / COLUMNS * self.inputs * COLUMNS + output % COLUMNS;
        for (input, out) in out.iter_mut().enumerate().take(self.inputs) {
            let at = from + input * COLUMNS;
            *out = match &self.values {
                Values::F32(values) => values[at],
                Values::F16(values) => values[at].to_f32(),
                Values::Bf16(values) => values[at].to_f32(),
            };
        }
    }
}

/// Finite numbers to f32, exactly.
///
/// By whole numbers and one product, which is compiled for whatever vector unit is known around it:
/// a library call for each few numbers took most of the time of a long conversation's next token.
#[inline(always)]
pub(super) fn widen(values: &[f16], out: &mut [f32]) {
    // Exponents of f32 begin 112 lower; the product also makes small numbers of f16 normal.
    let lift = f32::from_bits((127 + 112) << 23);
    for (out, value) in out.iter_mut().zip(values) {
        let bits = u32::from(value.to_bits());
        let size = f32::from_bits((bits & 0x7fff) << 13) * lift;
        *out = f32::from_bits(size.to_bits() | (bits & 0x8000) << 16);
    }
}

fn panels<T: Copy + Default>(
    outputs: usize,
    inputs: usize,
    rows: &[u8],
    size: usize,
    read: impl Fn(&[u8]) -> T,
) -> Vec<T> {
    let mut values = vec![T::default(); outputs.next_multiple_of(COLUMNS) * inputs];
    for (output, row) in rows.chunks_exact((inputs * size).max(1)).enumerate() {
        let panel = &mut values[output / COLUMNS * COLUMNS * inputs..][..COLUMNS * inputs];
        for (step, bytes) in panel.chunks_exact_mut(COLUMNS).zip(row.chunks_exact(size)) {
            step[output % COLUMNS] = read(bytes);
        }
    }
    values
}

/// The weights of a linear layer.
#[derive(Debug)]
pub(super) enum Weights {
    Codes(Codes),
    Numbers(Numbers),
}

impl Weights {
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Codes(codes) => codes.outputs,
            Self::Numbers(numbers) => numbers.outputs,
        }
    }

    pub(super) fn panels(&self) -> usize {
        self.outputs().div_ceil(COLUMNS)
    }

    pub(super) fn columns(&self, panel: usize) -> usize {
        COLUMNS.min(self.outputs() - panel * COLUMNS)
    }

    pub(super) fn bias(&self, panel: usize) -> &[f32; COLUMNS] {
        match self {
            Self::Codes(codes) => codes.bias(panel),
            Self::Numbers(numbers) => &numbers.bias[panel].0,
        }
    }

    /// `width` columns of a panel as f32, `[input][column]`: as many of the inputs of its block as
    /// `out` has room for.
    #[inline(always)]
    pub(super) fn unpack(
        &self,
        panel: usize,
        block: usize,
        first: usize,
        width: usize,
        out: &mut [f32],
    ) {
        match self {
            Self::Codes(codes) => codes.unpack(panel, block, first, width, out),
            Self::Numbers(numbers) => numbers.unpack(panel, block, first, width, out),
        }
    }

    /// The weights of one output.
    pub(super) fn row(&self, output: usize, out: &mut [f32]) {
        match self {
            Self::Codes(codes) => codes.row(output, out),
            Self::Numbers(numbers) => numbers.row(output, out),
        }
    }

    /// Memory it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Codes(codes) => {
                let lanes = codes.scales.len() + codes.minima.len() + codes.bias.len();
                size_of_val(&*codes.lines) + lanes * size_of::<Lanes>()
            }
            Self::Numbers(numbers) => match &numbers.values {
                Values::F32(values) => size_of_val(&**values),
                Values::F16(values) => size_of_val(&**values),
                Values::Bf16(values) => size_of_val(&**values),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_number_of_f16_is_widened_exactly() {
        let finite = (0..=u16::MAX).map(f16::from_bits).filter(|value| value.is_finite());
        let values: Vec<f16> = finite.collect();
        let mut out = vec![0.0; values.len()];
        widen(&values, &mut out);
        for (value, out) in values.iter().zip(out) {
            assert_eq!(value.to_f32().to_bits(), out.to_bits());
        }
    }
}
