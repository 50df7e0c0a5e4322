//! `exp`, GELU and layer normalisation over vectors.
//!
//! Loops instead of closures: a closure that is not inlined is compiled without the vector unit,
//! and then every operation in it is a call (it cost 40 % of the forward pass).

use pulp::{Simd, WithSimd};

/// `e^x`, within two units in the last place for -87 to 88 and clamped beyond.
///
/// Cephes' `expf`: 2^n times a polynomial over half a binary order.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(-87.0));
    let x = simd.min_f32s(x, simd.splat_f32s(88.0));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    let rounder = simd.splat_f32s(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), rounder);
    let n = simd.sub_f32s(shifted, rounder);
    // ln 2 in two parts, the first exact in few bits.
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    let mut sum = simd.splat_f32s(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = simd.mul_add_e_f32s(sum, r, simd.splat_f32s(coefficient));
    }
    let linear = simd.add_f32s(r, simd.splat_f32s(1.0));
    let sum = simd.mul_add_e_f32s(sum, simd.mul_f32s(r, r), linear);
    // Into the exponent: the sum is near 1, so its exponent has room for n.
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(sum), exponent))
}

/// `x / 2 * (1 + erf(x / √2))`, within 3e-7 of it.
///
/// `erf` by Abramowitz and Stegun 7.1.26, whose error is below 1.5e-7.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    // Not `abs` and `neg`, for which pulp goes through integers.
    let positive = simd.max_f32s(x, zero);
    let size = simd.sub_f32s(simd.add_f32s(positive, positive), x);
    let z = simd.mul_f32s(size, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.mul_add_e_f32s(z, simd.splat_f32s(0.327_591_1), one);
    let t = simd.div_f32s(one, t);
    let mut sum = simd.splat_f32s(1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = simd.mul_add_e_f32s(sum, t, simd.splat_f32s(coefficient));
    }
    let square = simd.mul_f32s(z, simd.sub_f32s(zero, z));
    let tail = simd.mul_f32s(simd.mul_f32s(sum, t), exp(simd, square));
    // tail = 1 - erf(|x| / √2); so x > 0 loses half of it and x < 0 keeps half of it.
    let half = simd.mul_f32s(simd.mul_f32s(size, simd.splat_f32s(0.5)), tail);
    simd.sub_f32s(positive, half)
}

/// [`gelu`] over many numbers.
pub(super) struct GeluRows<'a>(pub(super) &'a mut [f32]);

impl WithSimd for GeluRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (whole, rest) = S::as_mut_simd_f32s(self.0);
        for values in whole {
            *values = gelu(simd, *values);
        }
        let last = gelu(simd, simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, last);
    }
}

/// Scales `row` to mean 0 and variance 1, then by `weight`, and adds `bias`.
#[inline(always)]
pub(super) fn layer_norm<S: Simd>(
    simd: S,
    row: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) {
    let count = row.len() as f32;
    let mean = sum(simd, row) / count;
    let variance = squares(simd, row, mean) / count;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *value = (*value - mean) * scale * weight + bias;
    }
}

/// The product of two rows.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = [simd.splat_f32s(0.0); LANES];
    for (step, (&a, &b)) in a.iter().zip(b).enumerate() {
        sums[step % LANES] = simd.mul_add_e_f32s(a, b, sums[step % LANES]);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    total(simd, sums) + rest
}

/// Sums run in this many vectors, so that one need not wait for another.
const LANES: usize = 4;

#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let mut sums = [simd.splat_f32s(0.0); LANES];
    for (step, &value) in vectors.iter().enumerate() {
        sums[step % LANES] = simd.add_f32s(sums[step % LANES], value);
    }
    total(simd, sums) + rest.iter().sum::<f32>()
}

/// The sum of the squares of what `row` is off `mean`.
#[inline(always)]
fn squares<S: Simd>(simd: S, row: &[f32], mean: f32) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let mut sums = [simd.splat_f32s(0.0); LANES];
    for (step, &value) in vectors.iter().enumerate() {
        let off = simd.sub_f32s(value, simd.splat_f32s(mean));
        sums[step % LANES] = simd.mul_add_e_f32s(off, off, sums[step % LANES]);
    }
    total(simd, sums) + rest.iter().map(|value| (value - mean).powi(2)).sum::<f32>()
}

#[inline(always)]
fn total<S: Simd>(simd: S, sums: [S::f32s; LANES]) -> f32 {
    let pairs = [simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])];
    simd.reduce_sum_f32s(simd.add_f32s(pairs[0], pairs[1]))
}
