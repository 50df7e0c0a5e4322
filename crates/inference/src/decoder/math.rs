//! Norms and activations over rows.

use pulp::{Arch, Simd, WithSimd};

use crate::bert::math::{dot, exp};

/// What a feed-forward layer bends its gate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// x times its sigmoid.
    Silu,
    /// GELU by the hyperbolic tangent.
    GeluTanh,
}

/// `out` becomes `row` divided by the root of its squares' mean, times `weight` (Zhang and
/// Sennrich 2019).
pub(super) fn rms_norm(arch: Arch, row: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = root_mean_square(arch, row, eps);
    for ((out, value), weight) in out.iter_mut().zip(row).zip(weight) {
        *out = value * scale * weight;
    }
}

/// [`rms_norm`] in place.
pub(super) fn rms_norm_here(arch: Arch, row: &mut [f32], weight: &[f32], eps: f32) {
    let scale = root_mean_square(arch, row, eps);
    for (value, weight) in row.iter_mut().zip(weight) {
        *value = *value * scale * weight;
    }
}

fn root_mean_square(arch: Arch, row: &[f32], eps: f32) -> f32 {
    struct Squares<'a>(&'a [f32]);
    impl WithSimd for Squares<'_> {
        type Output = f32;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            dot(simd, self.0, self.0)
        }
    }
    1.0 / (arch.dispatch(Squares(row)) / row.len() as f32 + eps).sqrt()
}

/// `gates` become the bent gates times `values`.
pub(super) struct Gated<'a> {
    pub(super) gate: Gate,
    pub(super) gates: &'a mut [f32],
    pub(super) values: &'a [f32],
}

impl WithSimd for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gate, gates, values } = self;
        let (gates, gates_rest) = S::as_mut_simd_f32s(gates);
        let (values, values_rest) = S::as_simd_f32s(values);
        for (gate_vector, value) in gates.iter_mut().zip(values) {
            *gate_vector = simd.mul_f32s(bend(simd, gate, *gate_vector), *value);
        }
        let bent = bend(simd, gate, simd.partial_load_f32s(gates_rest));
        let last = simd.mul_f32s(bent, simd.partial_load_f32s(values_rest));
        simd.partial_store_f32s(gates_rest, last);
    }
}

/// Both are x times a sigmoid: `(1 + tanh y) / 2` is the sigmoid of `2y`.
#[inline(always)]
fn bend<S: Simd>(simd: S, gate: Gate, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let inside = match gate {
        Gate::Silu => x,
        Gate::GeluTanh => {
            // 2 √(2/π) (x + 0.044715 x³)
            let square = simd.mul_f32s(x, x);
            let inner = simd.mul_add_e_f32s(square, simd.splat_f32s(0.044_715), one);
            simd.mul_f32s(
                simd.mul_f32s(x, inner),
                simd.splat_f32s(
                    2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2,
                ),
            )
        }
    };
    let down = exp(simd, simd.sub_f32s(simd.splat_f32s(0.0), inside));
    simd.div_f32s(x, simd.add_f32s(one, down))
}
