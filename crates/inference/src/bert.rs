//! BERT's encoder on a CPU, written for it: no padding, no allocation, no pass over memory that
//! another pass could have done.
//!
//! Windows of any lengths lie one after another as rows of one matrix. Linear layers see only the
//! rows; attention alone knows where a window ends. Each row's result depends on its own window
//! and on nothing else in the batch, to the last bit, because every number is a sum in one fixed
//! order.
//!
//! What candle's stock path loses (page faults on large temporaries, copies and transposes in
//! attention, scalar `erf` and `exp`) is won here by [`Scratch`] kept between batches, weights
//! packed once ([`matmul`]), attention by tiles ([`attention`]) and vector functions ([`math`]).
//! candle reads the weights and is the reference in tests.

pub(crate) mod aligned;
mod attention;
mod head;
mod int8;
pub(crate) mod math;
pub(crate) mod matmul;
mod q4;
mod weights;
mod words;

use docent_core::{Error, Result};
use pulp::{Arch, Simd, WithSimd};
use serde::Deserialize;

use self::aligned::AlignedBuffer;
use self::attention::AttentionScratch;
pub(crate) use self::head::Head;
use self::matmul::{Linear, Packing, Rows};
pub(crate) use self::weights::{load, load_with_head};
use self::words::Words;
use crate::network::{Network, Window};

/// The network's sizes, as in Hugging Face's `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct BertConfig {
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) num_hidden_layers: usize,
    /// How many tokens a window may have.
    pub(crate) max_position_embeddings: usize,
    #[serde(default = "two")]
    pub(crate) type_vocab_size: usize,
    pub(crate) vocab_size: usize,
    pub(crate) layer_norm_eps: f32,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    pad_token_id: Option<usize>,
    /// The row of the position embeddings that a window's first token takes.
    #[serde(skip)]
    first_position: usize,
}

fn two() -> usize {
    2
}

impl Default for BertConfig {
    /// A BERT of no size.
    fn default() -> Self {
        Self {
            hidden_size: 0,
            intermediate_size: 0,
            num_attention_heads: 0,
            num_hidden_layers: 0,
            max_position_embeddings: 0,
            type_vocab_size: 0,
            vocab_size: 0,
            layer_norm_eps: 0.0,
            hidden_act: "gelu".to_owned(),
            position_embedding_type: None,
            model_type: None,
            pad_token_id: None,
            first_position: 0,
        }
    }
}

impl BertConfig {
    /// RoBERTa and XLM-RoBERTa are BERT whose positions are counted from one after the padding
    /// token's id: with 514 rows, a window has 512 tokens.
    fn with_positions_of_its_family(mut self) -> Result<Self> {
        match self.model_type.as_deref() {
            None | Some("bert") => {}
            Some("roberta" | "xlm-roberta") => {
                self.first_position = self.pad_token_id.unwrap_or(1) + 1;
                let left = self.max_position_embeddings.checked_sub(self.first_position);
                self.max_position_embeddings =
                    left.ok_or_else(|| Error::invalid("it has fewer positions than it skips"))?;
            }
            Some(other) => {
                return Err(Error::invalid(format!(
                    "model type '{other}' is not of BERT's family"
                )));
            }
        }
        Ok(self)
    }

    /// Refuses what [`Bert`] would compute wrongly.
    fn check(&self) -> Result<()> {
        if self.hidden_act != "gelu" {
            return Err(Error::invalid(format!(
                "activation '{}' is not supported, only gelu",
                self.hidden_act
            )));
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(Error::invalid("only absolute position embeddings are supported"));
        }
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        if hidden == 0 || heads == 0 || self.intermediate_size == 0 || !hidden.is_multiple_of(heads)
        {
            return Err(Error::invalid(format!(
                "{hidden} dimensions do not split into {heads} heads"
            )));
        }
        if !self.head_dims().is_multiple_of(attention::TILE) {
            return Err(Error::invalid(format!(
                "a head has {} dimensions, which is no multiple of {}",
                self.head_dims(),
                attention::TILE
            )));
        }
        Ok(())
    }

    fn head_dims(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// Scale and shift after a layer.
#[derive(Debug)]
struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value in one product, the query already divided by the root of the head's
    /// dimensions.
    qkv: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// The encoder with its weights.
pub(crate) struct Bert {
    config: BertConfig,
    arch: Arch,
    words: Words,
    /// One row a position; the embedding of token type 0 is added already.
    positions: Vec<f32>,
    /// What to add where the second of two texts stands: type 1 less type 0. Empty for networks
    /// that know one type.
    second_type: Vec<f32>,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
}

impl std::fmt::Debug for Bert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bert").field("config", &self.config).field("arch", &self.arch).finish()
    }
}

/// Memory for one batch, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    hidden: AlignedBuffer,
    qkv: AlignedBuffer,
    context: AlignedBuffer,
    wide: AlignedBuffer,
    packing: Packing,
    attention: AttentionScratch,
}

impl Scratch {
    /// Keeps rows that were made elsewhere.
    pub(crate) fn keep(&mut self, rows: &[f32]) -> &[f32] {
        self.hidden.resize(rows.len());
        self.hidden.copy_from_slice(rows);
        &self.hidden
    }
}

impl Network for Bert {
    fn dims(&self) -> usize {
        self.config.hidden_size
    }

    fn max_window(&self) -> usize {
        self.config.max_position_embeddings
    }

    fn forward<'s>(&self, windows: &[Window<'_>], scratch: &'s mut Scratch) -> Result<&'s [f32]> {
        for window in windows {
            self.check(window.ids)?;
        }
        let tokens: Vec<u32> = windows.iter().flat_map(|window| window.ids).copied().collect();
        let dims = self.config.hidden_size;
        // Tiles of rows are always whole; the rows beyond the last are computed and ignored.
        let rows = tokens.len().next_multiple_of(self.row_multiple());
        scratch.hidden.resize(rows * dims);
        self.words.read(&tokens, dims, &mut scratch.hidden)?;
        self.arch.dispatch(Forward { bert: self, windows, rows, scratch });
        Ok(&scratch.hidden[..tokens.len() * dims])
    }
}

/// The mean over `query`'s rows of `dims` numbers of the greatest product with a row of
/// `passage`; 0 if either has no rows.
pub(crate) fn max_sim(query: &[f32], passage: &[f32], dims: usize) -> f32 {
    Arch::new().dispatch(MaxSim { query, passage, dims })
}

impl Bert {
    /// What the number of rows is to be a multiple of, for every layer.
    fn row_multiple(&self) -> usize {
        let linears = self.layers.iter().flat_map(Layer::linears);
        linears.map(Linear::row_multiple).max().unwrap_or(1)
    }

    fn check(&self, window: &[u32]) -> Result<()> {
        if window.is_empty() || window.len() > self.config.max_position_embeddings {
            return Err(Error::invalid(format!(
                "a window of {} tokens; the model takes 1 to {}",
                window.len(),
                self.config.max_position_embeddings
            )));
        }
        match window.iter().find(|&&token| token as usize >= self.config.vocab_size) {
            Some(token) => Err(Error::invalid(format!(
                "token {token} is beyond the model's {} words; do tokenizer and weights belong together?",
                self.config.vocab_size
            ))),
            None => Ok(()),
        }
    }
}

/// One batch, for whatever vector unit this machine has.
struct Forward<'a> {
    bert: &'a Bert,
    windows: &'a [Window<'a>],
    /// As many as all windows have tokens, and those that fill the last tile.
    rows: usize,
    scratch: &'a mut Scratch,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { bert, windows, rows, scratch } = self;
        let config = &bert.config;
        scratch.context.resize(rows * config.hidden_size);
        scratch.qkv.resize(rows * 3 * config.hidden_size);
        scratch.wide.resize(rows * config.intermediate_size);
        bert.embed(simd, windows, &mut scratch.hidden);
        for layer in &bert.layers {
            layer.forward(simd, config, windows, rows, scratch);
        }
    }
}

struct MaxSim<'a> {
    query: &'a [f32],
    passage: &'a [f32],
    dims: usize,
}

impl WithSimd for MaxSim<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        if self.query.is_empty() || self.passage.is_empty() {
            return 0.0;
        }
        let rows = self.query.chunks_exact(self.dims);
        let count = rows.len() as f32;
        let best = |query: &[f32]| {
            let passage = self.passage.chunks_exact(self.dims);
            passage.map(|row| math::dot(simd, query, row)).fold(f32::NEG_INFINITY, f32::max)
        };
        rows.map(best).sum::<f32>() / count
    }
}

impl Bert {
    /// `hidden` has the words' vectors already.
    #[inline(always)]
    fn embed<S: Simd>(&self, simd: S, windows: &[Window<'_>], hidden: &mut [f32]) {
        let dims = self.config.hidden_size;
        let places = windows.iter().flat_map(|window| {
            (0..window.ids.len()).map(|position| (position, position >= window.second))
        });
        for ((position, second), row) in places.zip(hidden.chunks_exact_mut(dims)) {
            let position = &self.positions[position * dims..][..dims];
            for (sum, position) in row.iter_mut().zip(position) {
                *sum += position;
            }
            if second {
                row.iter_mut().zip(&self.second_type).for_each(|(sum, value)| *sum += value);
            }
            let norm = &self.embedding_norm;
            math::layer_norm(simd, row, &norm.weight, &norm.bias, self.config.layer_norm_eps);
        }
    }
}

impl Layer {
    fn linears(&self) -> [&Linear; 4] {
        [&self.qkv, &self.attention_output, &self.intermediate, &self.output]
    }

    #[inline(always)]
    fn forward<S: Simd>(
        &self,
        simd: S,
        config: &BertConfig,
        windows: &[Window<'_>],
        rows: usize,
        scratch: &mut Scratch,
    ) {
        let Scratch { hidden, qkv, context, wide, packing, attention } = scratch;
        let dims = config.hidden_size;
        let eps = config.layer_norm_eps;
        self.qkv.apply(simd, Rows::new(hidden, dims, rows), packing, qkv);
        let heads =
            attention::Heads { count: config.num_attention_heads, dims: config.head_dims() };
        let mut start = 0;
        for window in windows {
            let span = start..start + window.ids.len();
            heads.attend(
                simd,
                &qkv[span.start * 3 * dims..span.end * 3 * dims],
                &mut context[span.start * dims..span.end * dims],
                attention,
            );
            start = span.end;
        }
        self.attention_output.apply(simd, Rows::new(context, dims, rows), packing, wide);
        self.attention_norm.add_and_norm(simd, hidden, wide, dims, eps);
        self.intermediate.apply_gelu(simd, Rows::new(hidden, dims, rows), packing, wide);
        self.output.apply(simd, Rows::new(wide, config.intermediate_size, rows), packing, context);
        self.output_norm.add_and_norm(simd, hidden, context, dims, eps);
    }
}

impl LayerNorm {
    /// `hidden` becomes the norm of `hidden + change`, row by row.
    #[inline(always)]
    fn add_and_norm<S: Simd>(
        &self,
        simd: S,
        hidden: &mut [f32],
        change: &[f32],
        dims: usize,
        eps: f32,
    ) {
        for (row, change) in hidden.chunks_exact_mut(dims).zip(change.chunks_exact(dims)) {
            for (value, change) in row.iter_mut().zip(change) {
                *value += change;
            }
            math::layer_norm(simd, row, &self.weight, &self.bias, eps);
        }
    }
}

#[cfg(test)]
mod tests;
