//! `exp`, GELU and layer normalisation over vectors.

use pulp::Simd;

/// `e^x`, within two units in the last place for -87 to 88 and clamped beyond.
///
/// Cephes' `expf`: 2^n times a polynomial over half a binary order.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let constant = |value| simd.splat_f32s(value);
    let x = simd.min_f32s(simd.max_f32s(x, constant(-87.0)), constant(88.0));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    let rounder = constant(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, constant(std::f32::consts::LOG2_E), rounder);
    let n = simd.sub_f32s(shifted, rounder);
    // ln 2 in two parts, the first exact in few bits.
    let r = simd.mul_add_e_f32s(n, constant(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, constant(2.121_944_4e-4), r);
    let mut sum = constant(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = simd.mul_add_e_f32s(sum, r, constant(coefficient));
    }
    let sum = simd.mul_add_e_f32s(sum, simd.mul_f32s(r, r), simd.add_f32s(r, constant(1.0)));
    // Into the exponent: the sum is near 1, so its exponent has room for n.
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(sum), exponent))
}

/// `x / 2 * (1 + erf(x / √2))`, within 3e-7 of it.
///
/// `erf` by Abramowitz and Stegun 7.1.26, whose error is below 1.5e-7.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let constant = |value| simd.splat_f32s(value);
    let z = simd.mul_f32s(simd.abs_f32s(x), constant(std::f32::consts::FRAC_1_SQRT_2));
    let t =
        simd.div_f32s(constant(1.0), simd.mul_add_e_f32s(z, constant(0.327_591_1), constant(1.0)));
    let mut sum = constant(1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = simd.mul_add_e_f32s(sum, t, constant(coefficient));
    }
    let tail = simd.mul_f32s(sum, t);
    let tail = simd.mul_f32s(tail, exp(simd, simd.neg_f32s(simd.mul_f32s(z, z))));
    // tail = 1 - erf(|x| / √2); so x > 0 loses half of it and x < 0 keeps half of it.
    let half = simd.mul_f32s(simd.mul_f32s(simd.abs_f32s(x), constant(0.5)), tail);
    simd.sub_f32s(simd.max_f32s(x, constant(0.0)), half)
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
    let mean = sum(simd, row, |_, value| value) / count;
    let variance = sum(simd, row, |simd, value| {
        let centered = simd.sub_f32s(value, simd.splat_f32s(mean));
        simd.mul_f32s(centered, centered)
    }) / count;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *value = (*value - mean) * scale * weight + bias;
    }
}

/// The product of two rows.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let ((a_fours, a_ones), (b_fours, b_ones)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for lane in 0..4 {
            sums[lane] = simd.mul_add_e_f32s(a[lane], b[lane], sums[lane]);
        }
    }
    for (&a, &b) in a_ones.iter().zip(b_ones) {
        sums[0] = simd.mul_add_e_f32s(a, b, sums[0]);
    }
    let pairs = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    simd.reduce_sum_f32s(pairs) + rest
}

/// The sum of `of` over `row`.
#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[f32], of: impl Fn(S, S::f32s) -> S::f32s) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let (fours, ones) = vectors.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours {
        for (sum, &value) in sums.iter_mut().zip(four) {
            *sum = simd.add_f32s(*sum, of(simd, value));
        }
    }
    for &value in ones {
        sums[0] = simd.add_f32s(sums[0], of(simd, value));
    }
    let pairs = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    // A scalar, so that a rest of lanes does not enter as zeros.
    let rest: f32 =
        rest.iter().map(|&value| first_lane(simd, of(simd, simd.splat_f32s(value)))).sum();
    simd.reduce_sum_f32s(pairs) + rest
}

#[inline(always)]
fn first_lane<S: Simd>(simd: S, value: S::f32s) -> f32 {
    // All lanes are equal.
    simd.reduce_max_f32s(value)
}
