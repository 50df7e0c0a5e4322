//! Families that run on candle's own models, one window at a time: ModernBERT, Nomic, Qwen3.
//!
//! Weights are kept in f32 whatever the file has: candle is slower in half precision on a
//! processor.

use std::fmt;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{modernbert, nomic_bert, qwen3};
use docent_core::{Error, Result};
use fs_err as fs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Network, Window};
use crate::bert::Scratch;

pub(super) struct Stock {
    model: Model,
    sizes: Sizes,
}

enum Model {
    ModernBert(modernbert::ModernBert),
    Nomic(nomic_bert::NomicBertModel),
    Qwen3(qwen3::Model),
}

/// What each family's `config.json` says under names of its own.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Sizes {
    vocab_size: usize,
    #[serde(alias = "n_embd")]
    hidden_size: usize,
    #[serde(alias = "n_head")]
    num_attention_heads: usize,
    #[serde(alias = "n_positions")]
    max_position_embeddings: usize,
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

/// Loads a safetensors file and its `config.json`.
pub(super) fn load(architecture: &str, weights: &Path, config: &Path) -> Result<Stock> {
    let text = with_usual_keys(parse(&fs::read(config)?, config)?).to_string().into_bytes();
    let sizes: Sizes = parse(&text, config)?;
    let (dims, heads) = (sizes.hidden_size, sizes.num_attention_heads);
    if heads == 0 || !dims.is_multiple_of(heads) {
        return Err(Error::invalid(format!(
            "{}: {dims} dimensions do not split into {heads} heads",
            config.display()
        )));
    }
    let unreadable = |source| {
        let message = format!("{} does not fit {}", weights.display(), config.display());
        Error::invalid(message).with_source(source)
    };
    let tensors =
        VarBuilder::from_buffered_safetensors(fs::read(weights)?, DType::F32, &Device::Cpu)
            .map_err(unreadable)?;
    let model = match architecture {
        "modernbert" => {
            let tensors = under_model(tensors, "model.embeddings.tok_embeddings.weight");
            modernbert::ModernBert::load(tensors, &parse(&text, config)?).map(Model::ModernBert)
        }
        "nomic-bert" => {
            let parsed: nomic_bert::Config = parse(&text, config)?;
            nomic_bert::NomicBertModel::load(tensors, &parsed).map(Model::Nomic)
        }
        _ => {
            let tensors = under_model(tensors, "model.embed_tokens.weight");
            qwen3::Model::new(&parse(&text, config)?, tensors).map(Model::Qwen3)
        }
    };
    Ok(Stock { model: model.map_err(unreadable)?, sizes })
}

fn parse<T: DeserializeOwned>(text: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(text).map_err(|source| {
        Error::invalid(format!("{} is no configuration of this family", path.display()))
            .with_source(source)
    })
}

/// What candle wants to be told, from where transformers 5 writes it.
fn with_usual_keys(mut config: Value) -> Value {
    for (usual, place) in [
        ("layer_norm_eps", "/norm_eps"),
        ("rope_theta", "/rope_parameters/rope_theta"),
        ("global_rope_theta", "/rope_parameters/full_attention/rope_theta"),
        ("local_rope_theta", "/rope_parameters/sliding_attention/rope_theta"),
    ] {
        let found = config.pointer(place).cloned();
        if let (Some(object), Some(value)) = (config.as_object_mut(), found) {
            object.entry(usual).or_insert(value);
        }
    }
    config
}

/// candle looks for `model.` before every name, which checkpoints without a head do not have.
fn under_model<'a>(tensors: VarBuilder<'a>, known: &str) -> VarBuilder<'a> {
    if tensors.contains_tensor(known) {
        return tensors;
    }
    tensors.rename_f(|name| name.strip_prefix("model.").unwrap_or(name).to_owned())
}

impl Stock {
    fn forward_one(&self, ids: &[u32]) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu)?;
        let rows = match &self.model {
            Model::ModernBert(model) => model.forward(&ids, &ids.ones_like()?)?,
            Model::Nomic(model) => model.forward(&ids, None, None)?,
            // Its memory of earlier tokens must not outlive the window; a clone shares the weights.
            Model::Qwen3(model) => model.clone().forward(&ids, 0)?,
        };
        rows.flatten_all()?.to_vec1()
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        let Sizes { vocab_size, max_position_embeddings, .. } = self.sizes;
        if ids.is_empty() || ids.len() > max_position_embeddings {
            return Err(Error::invalid(format!(
                "a window of {} tokens; the model takes 1 to {max_position_embeddings}",
                ids.len()
            )));
        }
        match ids.iter().find(|&&id| id as usize >= vocab_size) {
            Some(id) => Err(Error::invalid(format!(
                "token {id} is beyond the model's {vocab_size} words; do tokenizer and weights belong together?"
            ))),
            None => Ok(()),
        }
    }
}

impl Network for Stock {
    fn dims(&self) -> usize {
        self.sizes.hidden_size
    }

    fn max_window(&self) -> usize {
        self.sizes.max_position_embeddings
    }

    fn forward<'s>(&self, windows: &[Window<'_>], scratch: &'s mut Scratch) -> Result<&'s [f32]> {
        let mut rows = Vec::new();
        for window in windows {
            self.check(window.ids)?;
            let own = self.forward_one(window.ids).map_err(|source| {
                Error::internal("the network cannot take a window").with_source(source)
            })?;
            rows.extend(own);
        }
        Ok(scratch.keep(&rows))
    }
}
