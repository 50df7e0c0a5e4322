//! A file of tensors, in one of the forms that embedders are handed around in.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use docent_core::{Error, Result};
use fs_err as fs;

use super::names::{E5S1, Names};
use super::{gguf, safetensors};
use crate::bert::BertConfig;
use crate::e5s1::{self, E5s1};

/// A tensor as its file has it.
#[derive(Debug)]
pub(super) enum Stored {
    Plain(Tensor),
    Blocks(QTensor),
}

impl Stored {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Plain(tensor) => tensor.dims(),
            Self::Blocks(tensor) => tensor.shape().dims(),
        }
    }

    /// Its bytes, if they are blocks of ggml's Q4_0.
    pub(super) fn q4_0(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Blocks(tensor) if tensor.dtype() == GgmlDType::Q4_0 => tensor.data().ok(),
            _ => None,
        }
    }

    pub(super) fn into_values(self) -> candle_core::Result<Vec<f32>> {
        let plain = match self {
            Self::Plain(tensor) => tensor,
            Self::Blocks(tensor) => tensor.dequantize(&Device::Cpu)?,
        };
        plain.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}

/// An open file of tensors.
pub(super) trait Checkpoint {
    /// What it calls the parts of the network.
    fn names(&self) -> &'static Names;

    /// Whether there is a tensor called `name`.
    fn has(&self, name: &str) -> bool;

    /// The tensor called `name`. `shape` is what the network's sizes say, for files that keep no
    /// shapes; the caller compares.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Stored>;
}

/// Opens `weights` by what it begins with. Only safetensors needs a `config`.
pub(super) fn open(
    weights: &Path,
    config: Option<&Path>,
) -> Result<(BertConfig, Box<dyn Checkpoint>)> {
    let mut magic = Vec::new();
    fs::File::open(weights)?.take(4).read_to_end(&mut magic)?;
    if magic == e5s1::MAGIC {
        let file = E5s1::open(weights)?;
        return Ok((config_of(&file), Box::new(file)));
    }
    if magic == gguf::MAGIC {
        return gguf::open(weights).map_err(|error| error.context(weights.display()));
    }
    let config = config.ok_or_else(|| {
        Error::invalid(format!(
            "{} is neither GGUF nor E5S1, so the manifest must name a config",
            weights.display()
        ))
    })?;
    Ok((safetensors::config(config)?, Box::new(safetensors::open(weights)?)))
}

fn config_of(file: &E5s1) -> BertConfig {
    let sizes = file.sizes;
    BertConfig {
        hidden_size: sizes.hidden,
        intermediate_size: sizes.feed_forward,
        num_attention_heads: sizes.heads,
        num_hidden_layers: sizes.layers,
        max_position_embeddings: sizes.positions,
        type_vocab_size: sizes.token_types,
        vocab_size: sizes.words,
        layer_norm_eps: sizes.layer_norm_eps,
        ..BertConfig::default()
    }
}

impl Checkpoint for E5s1 {
    fn names(&self) -> &'static Names {
        &E5S1
    }

    fn has(&self, name: &str) -> bool {
        E5s1::has(self, name)
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Stored> {
        E5s1::tensor(self, name, shape).map(Stored::Blocks)
    }
}
