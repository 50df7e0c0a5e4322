//! From a GGUF file to weights in the order in which they are read.
//!
//! Every tensor of the file is used or the file is refused: one that is left out would answer
//! subtly wrong.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::ops::Range;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QTensor};
use docent_core::{Error, Result};

use super::codes::Form;
use super::linear::Machine;
use super::math::Gate;
use super::packed::{Codes, Numbers, Weights};
use super::rope::Rope;
use super::shape::{Family, Shape};
use super::{Decoder, Layer, Precision};

/// More numbers than any tensor has.
const MOST_NUMBERS: usize = 1 << 40;

/// Reads the weights of `content`, which was read from `file`, for contexts of up to `context`
/// tokens.
///
/// # Errors
/// [`Corrupt`](docent_core::ErrorKind::Corrupt) for tensors that are missing or do not fit,
/// [`Invalid`](docent_core::ErrorKind::Invalid) for some that the family does not have.
pub(super) fn load<R: Read + Seek>(
    content: &Content,
    file: &mut R,
    context: usize,
    precision: Precision,
) -> Result<Decoder> {
    let shape = Shape::read(content)?;
    let mut machine = Machine::detect();
    machine.int8 = machine.int8.filter(|_| precision == Precision::Fast);
    let left = content.tensor_infos.keys().map(String::as_str).collect();
    let mut tensors = Tensors { content, file, left, precision };
    let words = tensors.rows_of("token_embd.weight")?;
    let embedding = tensors.linear("token_embd.weight", words, 0..words, None, shape.dims)?;
    let output = match tensors.has("output.weight") {
        true => Some(tensors.linear("output.weight", words, 0..words, None, shape.dims)?),
        false => None,
    };
    let ropes = tensors.ropes(&shape, context)?;
    let output_norm = tensors.numbers("output_norm.weight", shape.dims)?;
    let layers = (0..shape.layers).map(|layer| tensors.layer(&shape, layer));
    let layers = layers.collect::<Result<Vec<_>>>()?;
    tensors.refuse_what_is_left()?;
    Ok(Decoder { machine, shape, embedding, output, output_norm, layers, ropes })
}

struct Tensors<'a, R> {
    content: &'a Content,
    file: &'a mut R,
    /// Those nobody asked for yet.
    left: BTreeSet<&'a str>,
    precision: Precision,
}

impl<R: Read + Seek> Tensors<'_, R> {
    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn tensor(&mut self, name: &str) -> Result<QTensor> {
        self.left.remove(name);
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(Error::corrupt(format!("it has no tensor {name}")));
        };
        // candle relies on there being some numbers, and on their count being a number itself.
        let count = info.shape.dims().iter().try_fold(1usize, |all, dim| all.checked_mul(*dim));
        if count.is_none_or(|count| count == 0 || count > MOST_NUMBERS) {
            return Err(Error::corrupt(format!("tensor {name} has an impossible shape")));
        }
        self.content.tensor(self.file, name, &Device::Cpu).map_err(|error| unusable(name, error))
    }

    /// A tensor that is kept as f32.
    fn numbers(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let tensor = self.tensor(name)?;
        let values = tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.flatten_all());
        let values: Vec<f32> =
            values.and_then(|values| values.to_vec1()).map_err(|error| unusable(name, error))?;
        if values.len() != len {
            return Err(Error::corrupt(format!("{name} has {} numbers, not {len}", values.len())));
        }
        Ok(values)
    }

    fn optional(&mut self, name: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.has(name).then(|| self.numbers(name, len)).transpose()
    }

    /// How many rows a matrix has.
    fn rows_of(&self, name: &str) -> Result<usize> {
        match self.content.tensor_infos.get(name).map(|info| info.shape.dims()) {
            Some(&[rows, _]) => Ok(rows),
            Some(_) => Err(Error::corrupt(format!("{name} is no matrix"))),
            None => Err(Error::corrupt(format!("it has no tensor {name}"))),
        }
    }

    /// The weights of a layer of `inputs`: `part` of the tensor's `outputs`, with the bias if there
    /// is one.
    fn linear(
        &mut self,
        name: &str,
        outputs: usize,
        part: Range<usize>,
        bias: Option<&[f32]>,
        inputs: usize,
    ) -> Result<Weights> {
        let tensor = self.tensor(name)?;
        if tensor.shape().dims() != [outputs, inputs] {
            return Err(Error::corrupt(format!(
                "{name} is {:?}, not {outputs} x {inputs}",
                tensor.shape().dims()
            )));
        }
        let nothing = vec![0.0; part.len()];
        let bias = bias.unwrap_or(&nothing);
        let (dtype, rows) = self.rows(name, &tensor)?;
        let row_bytes = rows.len() / outputs;
        let rows = &rows[part.start * row_bytes..part.end * row_bytes];
        let weights = match Form::of(dtype) {
            Some(form) => Some(Weights::Codes(Codes::new(form, dtype, rows, bias))),
            None => Numbers::new(dtype, rows, bias).map(Weights::Numbers),
        };
        weights.ok_or_else(|| Error::internal(format!("{name} has no form")))
    }

    /// A tensor's bytes, row by row; in f32 where its format is none that is kept, or when nothing
    /// is to be rounded.
    fn rows(&self, name: &str, tensor: &QTensor) -> Result<(GgmlDType, Vec<u8>)> {
        use GgmlDType::{BF16, F16, F32};
        let dtype = tensor.dtype();
        let inputs = tensor.shape().dims().last().copied().unwrap_or(0);
        let kept = Form::of(dtype).is_some() || matches!(dtype, F16 | BF16 | F32);
        // Rows begin with a block.
        let whole = inputs.is_multiple_of(dtype.block_size());
        let read = || -> candle_core::Result<(GgmlDType, Vec<u8>)> {
            if kept && whole && self.precision == Precision::Fast {
                return Ok((dtype, tensor.data()?.into_owned()));
            }
            let values = tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
            Ok((F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        };
        read().map_err(|error| unusable(name, error))
    }

    fn layer(&mut self, shape: &Shape, layer: usize) -> Result<Layer> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (dims, head) = (shape.dims, shape.head_dims);
        let sizes = [shape.heads * head, shape.kv_heads * head, shape.kv_heads * head];
        let norms = |tensors: &mut Self, part: &str, len| tensors.optional(&name(part), len);
        Ok(Layer {
            attention_norm: self.numbers(&name("attn_norm.weight"), dims)?,
            qkv: self.qkv(&name(""), dims, sizes)?,
            query_norm: norms(self, "attn_q_norm.weight", head)?,
            key_norm: norms(self, "attn_k_norm.weight", head)?,
            attention_output: self.linear(
                &name("attn_output.weight"),
                dims,
                0..dims,
                None,
                sizes[0],
            )?,
            after_attention: norms(self, "post_attention_norm.weight", dims)?,
            feed_norm: self.numbers(&name("ffn_norm.weight"), dims)?,
            gate_up: self.gate_up(shape, &name(""))?,
            down: self.linear(&name("ffn_down.weight"), dims, 0..dims, None, shape.wide)?,
            after_feed: norms(self, "post_ffw_norm.weight", dims)?,
            gate: if shape.family == Family::Gemma3 { Gate::GeluTanh } else { Gate::Silu },
        })
    }

    fn qkv(&mut self, prefix: &str, dims: usize, sizes: [usize; 3]) -> Result<[Weights; 3]> {
        let joint = format!("{prefix}attn_qkv.weight");
        let [q, k, v] = sizes;
        if self.has(&joint) {
            let bias = self.optional(&format!("{prefix}attn_qkv.bias"), q + k + v)?;
            let parts = [0..q, q..q + k, q + k..q + k + v].map(|part| {
                let bias = bias.as_ref().map(|bias| &bias[part.clone()]);
                self.linear(&joint, q + k + v, part, bias, dims)
            });
            let [q, k, v] = parts;
            return Ok([q?, k?, v?]);
        }
        let [q, k, v] = [("attn_q", q), ("attn_k", k), ("attn_v", v)].map(|(part, outputs)| {
            let bias = self.optional(&format!("{prefix}{part}.bias"), outputs)?;
            let name = format!("{prefix}{part}.weight");
            self.linear(&name, outputs, 0..outputs, bias.as_deref(), dims)
        });
        Ok([q?, k?, v?])
    }

    fn gate_up(&mut self, shape: &Shape, prefix: &str) -> Result<[Weights; 2]> {
        let (gate, up) = (format!("{prefix}ffn_gate.weight"), format!("{prefix}ffn_up.weight"));
        let (dims, wide) = (shape.dims, shape.wide);
        if self.has(&gate) {
            let gate = self.linear(&gate, wide, 0..wide, None, dims)?;
            return Ok([gate, self.linear(&up, wide, 0..wide, None, dims)?]);
        }
        let gate = self.linear(&up, 2 * wide, 0..wide, None, dims)?;
        Ok([gate, self.linear(&up, 2 * wide, wide..2 * wide, None, dims)?])
    }

    /// How positions turn in layers that see all, and in those that see a window.
    fn ropes(&mut self, shape: &Shape, context: usize) -> Result<[Rope; 2]> {
        let pairs = shape.turning / 2;
        let all = self.optional("rope_freqs.weight", pairs)?;
        let long = self.optional("rope_factors_long.weight", pairs)?;
        let short = self.optional("rope_factors_short.weight", pairs)?;
        let by_length = if context > shape.original_context { long } else { short };
        let slower = all.or(by_length);
        let factor = shape.rope_factor;
        let whole =
            Rope::new(shape, shape.rope_base, shape.rope_stretch, slower.as_deref(), factor)?;
        let base = shape.sliding.map_or(shape.rope_base, |sliding| sliding.rope_base);
        Ok([whole, Rope::new(shape, base, 1.0, None, factor)?])
    }

    fn refuse_what_is_left(&self) -> Result<()> {
        match self.left.first() {
            Some(name) => Err(Error::invalid(format!(
                "it has a tensor {name}, which networks of its family have not; \
                 its answers would be wrong"
            ))),
            None => Ok(()),
        }
    }
}

fn unusable(name: &str, error: candle_core::Error) -> Error {
    Error::corrupt(format!("tensor {name} is unusable")).with_source(error)
}
