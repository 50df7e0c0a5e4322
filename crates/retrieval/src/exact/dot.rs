//! The inner loops: how alike are two vectors of bytes, of bits, of half-precision numbers.
//!
//! The loops are plain Rust that LLVM vectorises; what this file adds is that they are compiled
//! several times, for newer processors too, and the best is chosen at run time. Bytes and bits are
//! whole numbers, so every version gives the same result; the half-precision sum is kept in sixteen
//! lanes that are added in a fixed order, so it does too.

#![expect(unsafe_code, reason = "calling a function compiled for a processor that was detected")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Which version of the loops this processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The fastest here. Detection is cached by the standard library.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vpopcntdq")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// The dot product of `query` with each row of `codes`.
    pub(crate) fn dots(self, query: &[i8], codes: &[i8], out: &mut Vec<i32>) {
        match self {
            Self::Portable => dots(query, codes, out),
            // SAFETY: `detect` is the only maker of this variant, and it saw the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dots_avx2(query, codes, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dots_avx512(query, codes, out) },
        }
    }

    /// The dot product of `query` with the rows of `codes` that `rows` numbers.
    pub(crate) fn dots_of(self, query: &[i8], codes: &[i8], rows: &[u32], out: &mut Vec<i32>) {
        match self {
            Self::Portable => dots_of(query, codes, rows, out),
            // SAFETY: `detect` is the only maker of this variant, and it saw the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dots_of_avx2(query, codes, rows, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dots_of_avx512(query, codes, rows, out) },
        }
    }

    /// The dot product of two rows.
    pub(crate) fn dot(self, a: &[i8], b: &[i8]) -> i32 {
        match self {
            Self::Portable => dot(a, b),
            // SAFETY: `detect` is the only maker of this variant, and it saw the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dot_avx2(a, b) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dot_avx512(a, b) },
        }
    }

    /// In how many bits `query` differs from each row of `bits`.
    pub(crate) fn distances(self, query: &[u64], bits: &[u64], out: &mut Vec<u16>) {
        match self {
            Self::Portable => distances(query, bits, out),
            // SAFETY: `detect` is the only maker of this variant, and it saw the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { distances_avx2(query, bits, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { distances_avx512(query, bits, out) },
        }
    }
}

// No closures from here to the versions below: a closure is compiled for the plain processor even
// inside a function that is not, and an iterator's adapter around one is a call for each row.

#[inline(always)]
fn dots(query: &[i8], codes: &[i8], out: &mut Vec<i32>) {
    out.clear();
    out.reserve(codes.len() / query.len());
    for row in codes.chunks_exact(query.len()) {
        out.push(dot(query, row));
    }
}

#[inline(always)]
fn dots_of(query: &[i8], codes: &[i8], rows: &[u32], out: &mut Vec<i32>) {
    out.clear();
    out.reserve(rows.len());
    for row in rows {
        let start = *row as usize * query.len();
        out.push(dot(query, &codes[start..start + query.len()]));
    }
}

#[inline(always)]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let mut sum = 0;
    for (&a, &b) in std::iter::zip(a, b) {
        sum += i32::from(i16::from(a) * i16::from(b));
    }
    sum
}

#[inline(always)]
fn distances(query: &[u64], bits: &[u64], out: &mut Vec<u16>) {
    out.clear();
    out.reserve(bits.len() / query.len());
    for row in bits.chunks_exact(query.len()) {
        let mut differ = 0;
        for (a, b) in std::iter::zip(query, row) {
            differ += (a ^ b).count_ones();
        }
        // A vector has fewer than 65,536 dimensions (checked when a shape is opened).
        out.push(differ as u16);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dots_avx2(query: &[i8], codes: &[i8], out: &mut Vec<i32>) {
    dots(query, codes, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn dots_avx512(query: &[i8], codes: &[i8], out: &mut Vec<i32>) {
    dots(query, codes, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dots_of_avx2(query: &[i8], codes: &[i8], rows: &[u32], out: &mut Vec<i32>) {
    dots_of(query, codes, rows, out);
}

/// Rows far apart in memory, so those to come are asked for before they are needed.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn dots_of_avx512(query: &[i8], codes: &[i8], rows: &[u32], out: &mut Vec<i32>) {
    const AHEAD: usize = 8;
    out.clear();
    out.reserve(rows.len());
    for (at, row) in rows.iter().enumerate() {
        if let Some(next) = rows.get(at + AHEAD) {
            let next = &codes[*next as usize * query.len()..];
            for line in next[..query.len()].as_chunks::<64>().0 {
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr());
            }
        }
        let start = *row as usize * query.len();
        out.push(dot(query, &codes[start..start + query.len()]));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[i8], b: &[i8]) -> i32 {
    dot(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn dot_avx512(a: &[i8], b: &[i8]) -> i32 {
    dot(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn distances_avx2(query: &[u64], bits: &[u64], out: &mut Vec<u16>) {
    distances(query, bits, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
fn distances_avx512(query: &[u64], bits: &[u64], out: &mut Vec<u16>) {
    distances(query, bits, out);
}

/// The dot product of `query` and the half-precision `row`, by way of `scratch`.
pub(crate) fn exact(query: &[f32], row: &[f16], scratch: &mut [f32]) -> f32 {
    row.convert_to_f32_slice(scratch);
    let mut lanes = [0.0f32; 16];
    let (queries, rest) = query.as_chunks::<16>();
    let (values, rest_of_row) = scratch.as_chunks::<16>();
    for (query, values) in queries.iter().zip(values) {
        for lane in 0..16 {
            lanes[lane] += query[lane] * values[lane];
        }
    }
    let tail: f32 = rest.iter().zip(rest_of_row).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_version_gives_the_same(
            query in prop::collection::vec(-127i8..=127, 128),
            codes in prop::collection::vec(-127i8..=127, 128 * 9),
            query_bits in prop::collection::vec(any::<u64>(), 6),
            bits in prop::collection::vec(any::<u64>(), 6 * 9),
        ) {
            let (mut plain, mut fast) = (vec![], vec![]);
            dots(&query, &codes, &mut plain);
            Kernel::detect().dots(&query, &codes, &mut fast);
            prop_assert_eq!(&plain, &fast);
            let rows = [8, 0, 3, 3, 7, 1, 2, 5, 4, 8, 0, 6];
            let some: Vec<i32> = rows.iter().map(|&row| plain[row as usize]).collect();
            Kernel::detect().dots_of(&query, &codes, &rows, &mut fast);
            prop_assert_eq!(some, fast);
            let (mut plain, mut fast) = (vec![], vec![]);
            distances(&query_bits, &bits, &mut plain);
            Kernel::detect().distances(&query_bits, &bits, &mut fast);
            prop_assert_eq!(plain, fast);
        }
    }
}
