use docent_core::ErrorKind;
use proptest::prelude::*;

use super::aligned::AlignedBuffer;
use super::*;

/// Every vector unit this machine has, and none.
fn archs() -> Vec<Arch> {
    #[allow(unused_mut)]
    let mut archs = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
    archs
}

/// Numbers between -1 and 1 that look random.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Applies a function of vectors to one number.
struct Each<'a, F> {
    values: &'a [f32],
    function: F,
}

trait Function {
    fn of<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s;
}

struct Exp;
impl Function for Exp {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s {
        math::exp(simd, x)
    }
}

struct Gelu;
impl Function for Gelu {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s {
        math::gelu(simd, x)
    }
}

impl<F: Function> WithSimd for Each<'_, F> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let one = |&x: &f32| simd.reduce_max_f32s(self.function.of(simd, simd.splat_f32s(x)));
        self.values.iter().map(one).collect()
    }
}

#[test]
fn exp_is_exp_to_two_units_in_the_last_place() {
    let values: Vec<f32> = (-8700..=8800).map(|step| step as f32 * 0.01).collect();
    for arch in archs() {
        for (x, ours) in values.iter().zip(arch.dispatch(Each { values: &values, function: Exp })) {
            let exact = f64::from(*x).exp();
            let error = (f64::from(ours) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}) is {ours} on {arch:?}, off by {error:e}");
        }
    }
}

/// `erf` by its series, in f64.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.5 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn gelu_is_the_exact_gelu_within_a_millionth() {
    let values: Vec<f32> = (-1000..=1000).map(|step| step as f32 * 0.01).collect();
    for arch in archs() {
        let gelus = arch.dispatch(Each { values: &values, function: Gelu });
        for (&x, ours) in values.iter().zip(gelus) {
            let x = f64::from(x);
            let exact = x / 2.0 * (1.0 + erf(x / std::f64::consts::SQRT_2));
            let error = (f64::from(ours) - exact).abs();
            assert!(error < 1e-6, "gelu({x}) is {ours} on {arch:?}, off by {error:e}");
        }
    }
}

struct Product<'a> {
    linear: &'a Linear,
    input: Rows<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.linear.apply(simd, self.input, &mut Packing::default(), self.out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_linear_layer_is_its_definition(
        rows in 1usize..30, inputs in 1usize..70, outputs in 1usize..70, seed in any::<u64>()
    ) {
        let (weight, bias) = (noise(seed, inputs * outputs), noise(seed ^ 1, outputs));
        let padded = rows.next_multiple_of(ROW_MULTIPLE);
        let input = noise(seed ^ 2, padded * inputs);
        for arch in archs() {
            let linear = Linear::new(arch, &weight, &bias);
            let mut out = vec![0.0; padded * outputs];
            arch.dispatch(Product { linear: &linear, input: Rows::new(&input, inputs, padded), out: &mut out });
            for row in 0..rows {
                for output in 0..outputs {
                    let exact: f64 = (0..inputs)
                        .map(|i| f64::from(input[row * inputs + i]) * f64::from(weight[output * inputs + i]))
                        .sum::<f64>() + f64::from(bias[output]);
                    let ours = f64::from(out[row * outputs + output]);
                    prop_assert!((ours - exact).abs() < 1e-4, "{ours} is not {exact} on {arch:?}");
                }
            }
        }
    }

    #[test]
    fn weights_in_4_bits_give_the_same_bits_as_unpacked(
        rows in 1usize..30, blocks in 1usize..4, outputs in 1usize..70, seed in any::<u64>()
    ) {
        let inputs = blocks * 32;
        let (bias, factors) = (noise(seed, outputs), noise(seed ^ 1, outputs));
        let scales = noise(seed ^ 2, outputs * blocks);
        let (mut packed, mut weight) = (Vec::new(), Vec::new());
        for (block, scale) in scales.iter().enumerate() {
            let scale = half::f16::from_f32(*scale);
            let halves: Vec<u8> =
                noise(seed ^ 3 ^ block as u64, 32).iter().map(|x| ((x + 1.0) * 7.99) as u8).collect();
            packed.extend(scale.to_le_bytes());
            packed.extend((0..16).map(|index| halves[index] | halves[index + 16] << 4));
            let factor = factors[block / blocks];
            let unpacked = halves.iter().map(|&half| (f32::from(half) - 8.0) * scale.to_f32() * factor);
            weight.extend(unpacked);
        }
        let padded = rows.next_multiple_of(ROW_MULTIPLE);
        let input = noise(seed ^ 4, padded * inputs);
        for arch in archs() {
            let run = |linear: &Linear| {
                let mut out = vec![0.0; padded * outputs];
                arch.dispatch(Product { linear, input: Rows::new(&input, inputs, padded), out: &mut out });
                out
            };
            let plain = run(&Linear::new(arch, &weight, &bias));
            let quarter = run(&Linear::from_q4(arch, inputs, &packed, &factors, &bias));
            prop_assert!(plain == quarter, "on {arch:?}");
        }
    }

    #[test]
    fn attention_is_its_definition(tokens in 1usize..80, seed in any::<u64>()) {
        let heads = attention::Heads { count: 2, dims: 16 };
        let qkv = noise(seed, tokens * 3 * 32).iter().map(|value| value * 1.5).collect::<Vec<_>>();
        for arch in archs() {
            let mut context = vec![0.0; tokens * 32];
            arch.dispatch(Attend { heads, qkv: &qkv, context: &mut context });
            let exact = attention_by_definition(heads, &qkv, tokens);
            for (ours, exact) in context.iter().zip(exact) {
                prop_assert!((f64::from(*ours) - exact).abs() < 2e-5, "{ours} is not {exact}");
            }
        }
    }
}

struct Attend<'a> {
    heads: attention::Heads,
    qkv: &'a [f32],
    context: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.heads.attend(simd, self.qkv, self.context, &mut AttentionScratch::default());
    }
}

fn attention_by_definition(heads: attention::Heads, qkv: &[f32], tokens: usize) -> Vec<f64> {
    let hidden = heads.count * heads.dims;
    let at =
        |token: usize, part: usize, dim: usize| f64::from(qkv[(token * 3 + part) * hidden + dim]);
    let mut context = vec![0.0; tokens * hidden];
    for query in 0..tokens {
        for head in 0..heads.count {
            let dims = head * heads.dims..(head + 1) * heads.dims;
            let score = |key| dims.clone().map(|d| at(query, 0, d) * at(key, 1, d)).sum::<f64>();
            let weights: Vec<f64> = (0..tokens).map(|key| score(key).exp()).collect();
            let all: f64 = weights.iter().sum();
            for dim in dims.clone() {
                let mixed = weights.iter().enumerate().map(|(key, w)| w * at(key, 2, dim));
                context[query * hidden + dim] = mixed.sum::<f64>() / all;
            }
        }
    }
    context
}

#[test]
fn layer_norm_centers_and_scales() {
    struct Norm<'a>(&'a mut [f32]);
    impl WithSimd for Norm<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let count = self.0.len();
            math::layer_norm(simd, self.0, &vec![2.0; count], &vec![1.0; count], 1e-12);
        }
    }
    for arch in archs() {
        for count in [3, 16, 37, 384] {
            let mut row: Vec<f32> =
                noise(count as u64, count).iter().map(|x| x * 9.0 + 100.0).collect();
            arch.dispatch(Norm(&mut row));
            let mean = row.iter().sum::<f32>() / count as f32;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count as f32;
            assert!((mean - 1.0).abs() < 1e-4, "mean {mean} of {count}");
            assert!((variance - 4.0).abs() < 1e-3, "variance {variance} of {count}");
        }
    }
}

#[test]
fn a_buffer_begins_at_a_cache_line_and_keeps_its_memory() {
    let mut buffer = AlignedBuffer::zeros(100);
    let place = buffer.as_ptr();
    assert_eq!(place.align_offset(64), 0);
    buffer.resize(10);
    buffer.resize(100);
    assert_eq!(buffer.as_ptr(), place);
}

#[test]
fn a_configuration_we_would_compute_wrongly_is_refused() {
    let good = r#"{"hidden_size":32,"intermediate_size":64,"num_attention_heads":2,
        "num_hidden_layers":1,"max_position_embeddings":8,"vocab_size":9,"layer_norm_eps":1e-12,
        "hidden_act":"gelu"}"#;
    let check = |text: &str| serde_json::from_str::<BertConfig>(text).unwrap().check();
    check(good).unwrap();
    for (from, to) in [
        ("\"gelu\"", "\"relu\""),
        ("\"gelu\"", "\"gelu\",\"position_embedding_type\":\"relative_key\""),
        ("heads\":2", "heads\":3"),
        ("heads\":2", "heads\":0"),
        ("heads\":2", "heads\":8"),
    ] {
        assert_eq!(check(&good.replace(from, to)).unwrap_err().kind(), ErrorKind::Invalid, "{to}");
    }
}
