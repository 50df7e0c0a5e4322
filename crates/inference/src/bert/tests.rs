use docent_core::ErrorKind;
use proptest::prelude::*;

use super::aligned::AlignedBuffer;
use super::matmul::ROW_MULTIPLE;
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

/// A linear layer in Q4_0, and what its weights are in f32.
struct Quarter {
    packed: Vec<u8>,
    factors: Vec<f32>,
    bias: Vec<f32>,
    weight: Vec<f32>,
}

impl Quarter {
    fn new(blocks: usize, outputs: usize, seed: u64) -> Self {
        let (bias, factors) = (noise(seed, outputs), noise(seed ^ 1, outputs));
        let (mut packed, mut weight) = (Vec::new(), Vec::new());
        for (block, scale) in noise(seed ^ 2, outputs * blocks).iter().enumerate() {
            let scale = half::f16::from_f32(*scale);
            let codes = noise(seed ^ 3 ^ block as u64, 32);
            let codes: Vec<u8> = codes.iter().map(|x| ((x + 1.0) * 7.99) as u8).collect();
            packed.extend(scale.to_le_bytes());
            packed.extend((0..16).map(|index| codes[index] | codes[index + 16] << 4));
            let factor = factors[block / blocks];
            let unpacked =
                codes.iter().map(|&code| (f32::from(code) - 8.0) * scale.to_f32() * factor);
            weight.extend(unpacked);
        }
        Self { packed, factors, bias, weight }
    }

    /// The product of `input` by `kernel`, row by row.
    fn in_int8(&self, kernel: int8::Kernel, input: &[f32], inputs: usize) -> Vec<f32> {
        let linear = Linear::from_q4_in_int8(kernel, &self.packed, &self.factors, &self.bias);
        let rows = input.len() / inputs;
        let mut out = vec![0.0; rows * self.bias.len()];
        let input = Rows::new(input, inputs, rows);
        Arch::new().dispatch(Product { linear: &linear, input, out: &mut out });
        out
    }

    /// By definition, and the sum of the sizes of what was added up.
    fn exact(&self, input: &[f32], inputs: usize) -> Vec<(f64, f64)> {
        let products = |row: &[f32], output: usize| {
            let weights = &self.weight[output * inputs..][..inputs];
            let products = row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.collect::<Vec<f64>>()
        };
        let each = input.chunks(inputs).flat_map(|row| {
            (0..self.bias.len()).map(move |output| (output, products(row, output)))
        });
        each.map(|(output, products)| {
            let sum = products.iter().sum::<f64>() + f64::from(self.bias[output]);
            (sum, products.iter().map(|product| product.abs()).sum())
        })
        .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_8_bits_a_product_is_off_by_what_rounding_its_input_does(
        rows in 1usize..40, blocks in 1usize..4, outputs in 1usize..70, seed in any::<u64>()
    ) {
        let (inputs, quarter) = (blocks * 32, Quarter::new(blocks, outputs, seed));
        let input = noise(seed ^ 4, rows.next_multiple_of(int8::GROUP) * inputs);
        let exact = quarter.exact(&input, inputs);
        for kernel in int8::Kernel::all() {
            let ours = quarter.in_int8(kernel, &input, inputs);
            prop_assert_eq!(ours.len(), exact.len());
            // Half a code of 127 a number, against weights of at most 8 scales.
            let bound = 0.5 / 127.0 * 8.0 * inputs as f64;
            for (ours, (exact, _)) in ours.iter().zip(&exact) {
                prop_assert!((f64::from(*ours) - exact).abs() < bound, "{ours} is not {exact}");
            }
        }
    }

    #[test]
    fn in_8_bits_a_product_of_whole_numbers_is_exact(
        rows in 1usize..40, blocks in 1usize..4, outputs in 1usize..70, seed in any::<u64>()
    ) {
        let (inputs, quarter) = (blocks * 32, Quarter::new(blocks, outputs, seed));
        let rows = rows.next_multiple_of(int8::GROUP);
        let mut input: Vec<f32> =
            noise(seed ^ 4, rows * inputs).iter().map(|value| (value * 127.0).round()).collect();
        // The greatest of each block, so that a code of 1 stands for 1.
        input.iter_mut().step_by(32).for_each(|value| *value = value.signum() * 127.0);
        let exact = quarter.exact(&input, inputs);
        for kernel in int8::Kernel::all() {
            let ours = quarter.in_int8(kernel, &input, inputs);
            for (ours, (exact, size)) in ours.iter().zip(&exact) {
                let error = (f64::from(*ours) - exact).abs();
                prop_assert!(error <= 1e-6 * (size + 1.0), "{ours} is not {exact} by {kernel:?}");
            }
        }
    }

    #[test]
    fn in_8_bits_every_processor_gives_the_same_bits(
        rows in 1usize..40, blocks in 1usize..14, outputs in 1usize..70, seed in any::<u64>()
    ) {
        let (inputs, quarter) = (blocks * 32, Quarter::new(blocks, outputs, seed));
        let input = noise(seed ^ 4, rows.next_multiple_of(int8::GROUP) * inputs);
        let all: Vec<Vec<f32>> = int8::Kernel::all()
            .into_iter()
            .map(|kernel| quarter.in_int8(kernel, &input, inputs))
            .collect();
        prop_assert!(all.iter().all(|one| *one == all[0]));
    }

    #[test]
    fn in_8_bits_a_row_does_not_depend_on_the_others(rows in 1usize..40, seed in any::<u64>()) {
        let (inputs, quarter) = (64, Quarter::new(2, 20, seed));
        let input = noise(seed ^ 4, rows.next_multiple_of(int8::GROUP) * inputs);
        for kernel in int8::Kernel::all() {
            let together = quarter.in_int8(kernel, &input, inputs);
            for (four, together) in input.chunks(int8::GROUP * inputs).zip(together.chunks(int8::GROUP * 20)) {
                prop_assert!(quarter.in_int8(kernel, four, inputs) == together);
            }
        }
    }

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
        let Quarter { packed, factors, bias, weight } = Quarter::new(blocks, outputs, seed);
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
