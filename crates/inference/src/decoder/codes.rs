//! ggml's block formats as one: whole numbers ("codes") of 4 or 8 bits, 32 to a block, each block
//! with scales and, in some formats, minima.
//!
//! A weight is `scale * (code - zero) + minimum`. Nothing is lost: every weight is what the format
//! says it is. Formats of 5 and 6 bits are kept in 8, which costs memory and saves their
//! unpacking.

use candle_core::quantized::GgmlDType;
use half::f16;

/// Weights a block has.
pub(super) const BLOCK: usize = 32;

/// How a format's blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// 4 or 8.
    pub(super) bits: usize,
    /// What is stored for a weight of 0, where there is no minimum.
    pub(super) zero: u8,
    /// Whether blocks have minima.
    pub(super) minima: bool,
    /// Whether each half of a block has a scale of its own.
    pub(super) halves: bool,
}

impl Form {
    /// None for formats that are not made of such blocks.
    pub(super) fn of(dtype: GgmlDType) -> Option<Self> {
        use GgmlDType::{Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
        let form = |bits, zero| Self { bits, zero, minima: zero == 0, halves: false };
        Some(match dtype {
            Q4_0 => form(4, 8),
            Q4_1 | Q4K => form(4, 0),
            Q5_0 => form(8, 16),
            Q5_1 | Q5K => form(8, 0),
            Q6K => Self { halves: true, ..form(8, 32) },
            Q8_0 => form(8, 128),
            _ => return None,
        })
    }

    /// How many scales a block has.
    #[inline(always)]
    pub(super) fn scales(self) -> usize {
        if self.halves { 2 } else { 1 }
    }
}

/// Some weights of a row that follow one another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    pub(super) codes: [u8; BLOCK],
    /// Of the first and the second half.
    pub(super) scales: [f32; 2],
    pub(super) minimum: f32,
}

/// The blocks of a row in the format `dtype`, in order. The row's length is a whole number of the
/// format's own blocks.
pub(super) fn read(dtype: GgmlDType, row: &[u8], take: &mut dyn FnMut(Block)) {
    for bytes in row.chunks_exact(dtype.type_size()) {
        match dtype {
            GgmlDType::Q4_0 => take(nibbles(bytes, 2, None)),
            GgmlDType::Q4_1 => take(nibbles(bytes, 4, None)),
            GgmlDType::Q5_0 => take(nibbles(bytes, 6, Some(2))),
            GgmlDType::Q5_1 => take(nibbles(bytes, 8, Some(4))),
            GgmlDType::Q8_0 => take(bytes_of_eight(bytes)),
            GgmlDType::Q4K => superblock(bytes, None, take),
            GgmlDType::Q5K => superblock(bytes, Some(16), take),
            GgmlDType::Q6K => six_bits(bytes, take),
            // `Form::of` knows no others.
            _ => {}
        }
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// A scale, perhaps a minimum, perhaps fifth bits at `fifths`, then two codes a byte at `codes`:
/// the low halves are the first sixteen.
fn nibbles(bytes: &[u8], codes: usize, fifths: Option<usize>) -> Block {
    let fifths = fifths.map_or(0, |at| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    });
    let fifth = |index: usize| ((fifths >> index & 1) << 4) as u8;
    let mut block = Block { scales: [half(bytes, 0); 2], ..Block::default() };
    let has_minimum = matches!(codes, 4 | 8);
    block.minimum = if has_minimum { half(bytes, 2) } else { 0.0 };
    for (index, byte) in bytes[codes..].iter().enumerate() {
        block.codes[index] = byte & 15 | fifth(index);
        block.codes[index + BLOCK / 2] = byte >> 4 | fifth(index + BLOCK / 2);
    }
    block
}

fn bytes_of_eight(bytes: &[u8]) -> Block {
    let mut block = Block { scales: [half(bytes, 0); 2], ..Block::default() };
    for (code, byte) in block.codes.iter_mut().zip(&bytes[2..]) {
        *code = byte.wrapping_add(128);
    }
    block
}

/// Eight blocks whose scales and minima have six bits, and the fifth bits of all at `fifths`.
fn superblock(bytes: &[u8], fifths: Option<usize>, take: &mut dyn FnMut(Block)) {
    let (scale, minimum) = (half(bytes, 0), half(bytes, 2));
    let codes = &bytes[fifths.map_or(16, |at| at + BLOCK)..];
    for index in 0..8 {
        let (sixth, low) = six_bit_pair(&bytes[4..16], index);
        let mut block = Block {
            codes: [0; BLOCK],
            scales: [scale * f32::from(sixth); 2],
            minimum: -minimum * f32::from(low),
        };
        // Two blocks share 32 bytes: the first has the low halves.
        for (at, code) in block.codes.iter_mut().enumerate() {
            *code = codes[index / 2 * BLOCK + at] >> (index % 2 * 4) & 15;
            if let Some(fifths) = fifths {
                *code |= (bytes[fifths + at] >> index & 1) << 4;
            }
        }
        take(block);
    }
}

/// The scale and the minimum of a superblock's block: four in six bits each, four more whose
/// upper bits are in what the first left over.
fn six_bit_pair(packed: &[u8], index: usize) -> (u8, u8) {
    if index < 4 {
        return (packed[index] & 63, packed[index + 4] & 63);
    }
    let rest = packed[index + 4];
    (rest & 15 | packed[index - 4] >> 6 << 4, rest >> 4 | packed[index] >> 6 << 4)
}

/// Q6_K: 256 codes of six bits, a scale for each sixteen.
fn six_bits(bytes: &[u8], take: &mut dyn FnMut(Block)) {
    let (low, rest) = bytes.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, whole) = rest.split_at(16);
    let whole = half(whole, 0);
    for index in 0..8 {
        // Each half of the superblock has four blocks.
        let (part, quarter) = (index / 4, index % 4);
        let scale = |at: usize| whole * f32::from(scales[2 * index + at] as i8);
        let mut block = Block { codes: [0; BLOCK], scales: [scale(0), scale(1)], minimum: 0.0 };
        for (at, code) in block.codes.iter_mut().enumerate() {
            let low = low[part * 64 + quarter % 2 * BLOCK + at] >> (quarter / 2 * 4) & 15;
            let high = high[part * BLOCK + at] >> (2 * quarter) & 3;
            *code = low | high << 4;
        }
        take(block);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::QTensor;
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn weights_are_what_candle_reads_in_every_format() {
        use GgmlDType::{Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
        let values: Vec<f32> = (0..1024).map(|n| ((n * 37 % 101) as f32 - 47.0) / 9.0).collect();
        let values = Tensor::from_vec(values, (2, 512), &Device::Cpu).unwrap();
        for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4K, Q5K, Q6K] {
            let packed = QTensor::quantize(&values, dtype).unwrap();
            let expected = packed.dequantize(&Device::Cpu).unwrap();
            let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
            let form = Form::of(dtype).unwrap();
            let mut found = Vec::new();
            read(dtype, &packed.data().unwrap(), &mut |block| {
                for (at, code) in block.codes.iter().enumerate() {
                    let code = f32::from(*code) - f32::from(form.zero);
                    found.push(block.scales[at / 16] * code + block.minimum);
                }
                assert!(form.minima || block.minimum == 0.0);
                assert!(form.halves || block.scales[0] == block.scales[1]);
            });
            assert_eq!(found, expected, "{dtype:?}");
        }
    }
}
