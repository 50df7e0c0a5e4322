//! Networks that write: Llama's, Qwen's, Gemma's and Phi's, on a CPU.
//!
//! What candle's stock path loses on a CPU (kernels that fall back to scalars, weights unpacked
//! again for each product, copies of the cache) is won here: weights are packed once in the order
//! in which products read them and stay in the bits of the file ([`packed`]), activations are
//! brought to 8 bits where the processor multiplies those ([`int8`]), keys and values lie in pages
//! that are shared between conversations and never copied ([`cache`]). candle reads the file.
//!
//! A token's result depends on the tokens before it and on nothing else, to the last bit: not on
//! how the prompt was cut, what was cached, or how many cores there are. So the likeliest answer
//! is the same from run to run.

mod attention;
mod cache;
mod codes;
#[cfg_attr(not(target_arch = "x86_64"), path = "decoder/no_int8.rs")]
mod int8;
mod linear;
mod load;
mod math;
mod packed;
mod rope;
mod shape;

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file::Content;
use docent_core::{Error, Result};
use rayon::prelude::*;

use self::attention::{Attention, HeadSpace, attend};
pub(crate) use self::cache::Cache;
use self::cache::Layout;
use self::linear::{Machine, Product, Workspace, multiply};
use self::math::{Gate, Gated};
use self::packed::Weights;
use self::rope::{Rope, Turns};
pub(crate) use self::shape::Shape;

/// How exactly products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Weights as the file has them, activations in 8 bits where that is faster.
    Fast,
    /// Everything in f32, which takes several times the memory and the time.
    F32,
}

/// Below so many rows, what is done row by row is done by one core.
const ROWS_TO_DIVIDE: usize = 16;

/// A network with its weights.
pub(crate) struct Decoder {
    machine: Machine,
    shape: Shape,
    embedding: Weights,
    /// None where the words' vectors serve.
    output: Option<Weights>,
    output_norm: Vec<f32>,
    layers: Vec<Layer>,
    /// Of layers that see all, and of those that see a window.
    ropes: [Rope; 2],
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    qkv: [Weights; 3],
    query_norm: Option<Vec<f32>>,
    key_norm: Option<Vec<f32>>,
    attention_output: Weights,
    after_attention: Option<Vec<f32>>,
    feed_norm: Vec<f32>,
    gate_up: [Weights; 2],
    down: Weights,
    after_feed: Option<Vec<f32>>,
    gate: Gate,
}

/// What one conversation reads next.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) tokens: &'a [u32],
    pub(crate) cache: &'a mut Cache,
}

/// Memory for one pass, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    hidden: Vec<f32>,
    normed: Vec<f32>,
    change: Vec<f32>,
    qkv: [Vec<f32>; 3],
    found: Vec<f32>,
    gate_up: [Vec<f32>; 2],
    logits: Vec<f32>,
    turns: [Turns; 2],
    heads: Vec<HeadSpace>,
    workspace: Workspace,
}

impl Decoder {
    /// Reads the weights of `content`, which was read from `file`, for contexts of up to `context`
    /// tokens.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) or
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for a file that is broken or of a network that
    /// cannot be run.
    pub(crate) fn load<R: Read + Seek>(
        content: &Content,
        file: &mut R,
        context: usize,
        precision: Precision,
    ) -> Result<Self> {
        load::load(content, file, context, precision)
    }

    /// The cache of a conversation that has not begun.
    pub(crate) fn cache(&self) -> Cache {
        Cache::new(Layout::new(&self.shape))
    }

    /// Memory that the weights take.
    #[cfg(test)]
    fn weight_bytes(&self) -> usize {
        let layers = self.layers.iter().flat_map(|layer| {
            layer.qkv.iter().chain(&layer.gate_up).chain([&layer.attention_output, &layer.down])
        });
        layers.chain([&self.embedding]).chain(&self.output).map(Weights::bytes).sum()
    }

    /// Reads each conversation's tokens after those in its cache, all in one pass over the weights,
    /// and tells for each every word's score to be the next: `[conversation][word]`.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for no tokens or one that the model has not;
    /// then nothing is read.
    pub(crate) fn forward<'s>(
        &self,
        readings: &mut [Reading<'_>],
        scratch: &'s mut Scratch,
    ) -> Result<&'s mut [f32]> {
        readings.iter().try_for_each(|reading| self.check(reading.tokens))?;
        // Inside the pool, so that each of the many products need not be handed over to it.
        rayon::scope(|_| self.pass(readings, scratch));
        Ok(&mut scratch.logits)
    }

    /// Whether the model can read `tokens`.
    pub(crate) fn check(&self, tokens: &[u32]) -> Result<()> {
        let words = self.embedding.outputs();
        if tokens.is_empty() {
            return Err(Error::invalid("there is no token to read"));
        }
        match tokens.iter().find(|token| **token as usize >= words) {
            Some(token) => {
                Err(Error::invalid(format!("token {token} is beyond the model's {words}")))
            }
            None => Ok(()),
        }
    }

    /// How many words it knows.
    pub(crate) fn words(&self) -> usize {
        self.embedding.outputs()
    }

    fn pass(&self, readings: &mut [Reading<'_>], scratch: &mut Scratch) {
        let tokens: Vec<u32> =
            readings.iter().flat_map(|reading| reading.tokens).copied().collect();
        let places = readings.iter().flat_map(|reading| {
            let first = reading.cache.len();
            first..first + reading.tokens.len()
        });
        for (rope, turns) in self.ropes.iter().zip(&mut scratch.turns) {
            rope.turns(places.clone(), turns);
        }
        for reading in &mut *readings {
            reading.cache.grow(reading.tokens.len());
        }
        self.embed(&tokens, &mut scratch.hidden);
        for at in 0..self.layers.len() {
            self.attend(at, readings, scratch);
            self.feed(&self.layers[at], scratch);
        }
        self.score(readings, scratch);
    }

    /// Scores the words after each conversation's last token.
    fn score(&self, readings: &[Reading<'_>], scratch: &mut Scratch) {
        let Scratch { hidden, normed, logits, workspace, .. } = scratch;
        let (dims, mut rows) = (self.shape.dims, 0);
        normed.resize(readings.len() * dims, 0.0);
        for (reading, out) in readings.iter().zip(normed.chunks_exact_mut(dims)) {
            rows += reading.tokens.len();
            let last = &hidden[(rows - 1) * dims..][..dims];
            math::rms_norm(self.machine.arch, last, &self.output_norm, self.shape.eps, out);
        }
        let weights = self.output.as_ref().unwrap_or(&self.embedding);
        logits.resize(readings.len() * weights.outputs(), 0.0);
        multiply(self.machine, normed, dims, &mut [Product { weights, out: logits }], workspace);
    }

    fn embed(&self, tokens: &[u32], hidden: &mut Vec<f32>) {
        let (dims, scale) = (self.shape.dims, self.shape.embedding_scale());
        hidden.resize(tokens.len() * dims, 0.0);
        for (token, row) in tokens.iter().zip(hidden.chunks_exact_mut(dims)) {
            self.embedding.row(*token as usize, row);
            row.iter_mut().for_each(|value| *value *= scale);
        }
    }

    /// Adds to each row what its token finds among those before it.
    fn attend(&self, at: usize, readings: &mut [Reading<'_>], scratch: &mut Scratch) {
        let (layer, shape) = (&self.layers[at], &self.shape);
        self.norm(&layer.attention_norm, scratch);
        let rows = scratch.hidden.len() / shape.dims;
        let mut products = Vec::with_capacity(3);
        for (weights, out) in layer.qkv.iter().zip(&mut scratch.qkv) {
            out.resize(rows * weights.outputs(), 0.0);
            products.push(Product { weights, out });
        }
        let Scratch { normed, workspace, .. } = scratch;
        multiply(self.machine, normed, shape.dims, &mut products, workspace);
        let sliding = shape.window(at);
        let local = usize::from(sliding.is_some());
        let [queries, keys, values] = &mut scratch.qkv;
        let turn = Turn { decoder: self, rope: &self.ropes[local], turns: &scratch.turns[local] };
        turn.rows(queries, shape.heads, layer.query_norm.as_deref());
        turn.rows(keys, shape.kv_heads, layer.key_norm.as_deref());
        let (width, kv_width) = (shape.heads * shape.head_dims, shape.kv_heads * shape.head_dims);
        let mut conversations = Vec::with_capacity(readings.len());
        let mut row = 0;
        for reading in readings {
            let count = reading.tokens.len();
            let first = reading.cache.len() - count;
            let part = row * kv_width..(row + count) * kv_width;
            reading.cache.put(at, first, &keys[part.clone()], &values[part]);
            conversations.push(Attention {
                cache: reading.cache,
                queries: &queries[row * width..][..count * width],
                layout: Layout::new(shape),
                layer: at,
                heads: shape.heads,
                kv_heads: shape.kv_heads,
                first,
                window: sliding.map(|sliding| sliding.window),
                scale: shape.attention_scale(),
            });
            row += count;
        }
        scratch.found.resize(queries.len(), 0.0);
        attend(self.machine.arch, &conversations, &mut scratch.heads, &mut scratch.found);
        scratch.change.resize(scratch.hidden.len(), 0.0);
        let mut products = [Product { weights: &layer.attention_output, out: &mut scratch.change }];
        let Scratch { found, workspace, .. } = scratch;
        multiply(self.machine, found, width, &mut products, workspace);
        self.add_change(layer.after_attention.as_deref(), scratch);
    }

    /// Adds to each row what the layer makes of it alone.
    fn feed(&self, layer: &Layer, scratch: &mut Scratch) {
        let shape = &self.shape;
        self.norm(&layer.feed_norm, scratch);
        let rows = scratch.hidden.len() / shape.dims;
        let Scratch { normed, gate_up, workspace, change, .. } = scratch;
        let mut products = Vec::with_capacity(2);
        for (weights, out) in layer.gate_up.iter().zip(&mut *gate_up) {
            out.resize(rows * shape.wide, 0.0);
            products.push(Product { weights, out });
        }
        multiply(self.machine, normed, shape.dims, &mut products, workspace);
        let [gates, values] = gate_up;
        let arch = self.machine.arch;
        each_row(rows, gates, shape.wide, |row, gates| {
            let values = &values[row * shape.wide..][..shape.wide];
            arch.dispatch(Gated { gate: layer.gate, gates, values });
        });
        let mut products = [Product { weights: &layer.down, out: change }];
        multiply(self.machine, gates, shape.wide, &mut products, workspace);
        self.add_change(layer.after_feed.as_deref(), scratch);
    }

    fn norm(&self, weight: &[f32], scratch: &mut Scratch) {
        let dims = self.shape.dims;
        let Scratch { hidden, normed, .. } = scratch;
        normed.resize(hidden.len(), 0.0);
        each_row(hidden.len() / dims, normed, dims, |row, out| {
            let row = &hidden[row * dims..][..dims];
            math::rms_norm(self.machine.arch, row, weight, self.shape.eps, out);
        });
    }

    /// Adds the change to each row, by some families after a norm.
    fn add_change(&self, norm: Option<&[f32]>, scratch: &mut Scratch) {
        let dims = self.shape.dims;
        let rows = scratch.hidden.chunks_exact_mut(dims);
        for (row, change) in rows.zip(scratch.change.chunks_exact_mut(dims)) {
            if let Some(weight) = norm {
                math::rms_norm_here(self.machine.arch, change, weight, self.shape.eps);
            }
            row.iter_mut().zip(change).for_each(|(value, change)| *value += *change);
        }
    }
}

/// Turns heads to their places.
struct Turn<'a> {
    decoder: &'a Decoder,
    rope: &'a Rope,
    turns: &'a Turns,
}

impl Turn<'_> {
    fn rows(&self, rows: &mut [f32], heads: usize, norm: Option<&[f32]>) {
        let Shape { head_dims, eps, .. } = self.decoder.shape;
        let width = heads * head_dims;
        each_row(rows.len() / width, rows, width, |row, values| {
            for head in values.chunks_exact_mut(head_dims) {
                if let Some(norm) = norm {
                    math::rms_norm_here(self.decoder.machine.arch, head, norm, eps);
                }
                self.rope.turn(self.turns, row, head);
            }
        });
    }
}

/// Calls `work` with each row of `values` and its number, on all cores if there are many.
fn each_row(
    rows: usize,
    values: &mut [f32],
    width: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if rows < ROWS_TO_DIVIDE {
        values.chunks_exact_mut(width).enumerate().for_each(|(row, values)| work(row, values));
    } else {
        let rows = values.par_chunks_exact_mut(width).with_min_len(ROWS_TO_DIVIDE / 2);
        rows.enumerate().for_each(|(row, values)| work(row, values));
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("shape", &self.shape).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
