//! Reads BERT's weights with candle and packs them.

use std::collections::HashMap;
use std::path::Path;

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device};
use docent_core::{Error, Result};
use fs_err as fs;
use pulp::Arch;

use super::matmul::Linear;
use super::{Bert, BertConfig, Layer, LayerNorm};

/// Loads the encoder from a safetensors file and its `config.json`.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) names the tensor that is missing or has another
/// shape than the configuration says.
pub(crate) fn load(weights: &Path, config: &Path) -> Result<Bert> {
    let text = fs::read(config)?;
    let parsed: BertConfig = serde_json::from_slice(&text).map_err(|source| {
        Error::invalid(format!("{} is no BERT configuration", config.display())).with_source(source)
    })?;
    parsed.check().map_err(|error| error.context(config.display()))?;
    // Read, not mapped: a file cut short under a mapping would kill the process, and the buffer
    // is gone once the weights are packed.
    let file = BufferedSafetensors::new(fs::read(weights)?).map_err(|source| {
        Error::invalid(format!("{} is no safetensors file", weights.display())).with_source(source)
    })?;
    let tensors = Tensors::new(&file);
    tensors.read(parsed).map_err(|error| error.context(weights.display()))
}

/// The tensors of a file, by the names BERT's checkpoints use.
struct Tensors<'a> {
    file: &'a BufferedSafetensors,
    /// Checkpoints with a head on top put `bert.` before every name.
    names: HashMap<String, String>,
}

impl<'a> Tensors<'a> {
    fn new(file: &'a BufferedSafetensors) -> Self {
        let bare = |name: &str| name.strip_prefix("bert.").unwrap_or(name).to_owned();
        let names = file.tensors().into_iter().map(|(name, _)| (bare(&name), name)).collect();
        Self { file, names }
    }

    fn read(&self, config: BertConfig) -> Result<Bert> {
        let arch = Arch::new();
        let dims = config.hidden_size;
        let words = self.get("embeddings.word_embeddings.weight", &[config.vocab_size, dims])?;
        let positions = [config.max_position_embeddings, dims];
        let mut positions = self.get("embeddings.position_embeddings.weight", &positions)?;
        // Every token is of type 0 when texts come alone.
        let kinds = self.first_row("embeddings.token_type_embeddings.weight", dims)?;
        for row in positions.chunks_exact_mut(dims) {
            row.iter_mut().zip(&kinds).for_each(|(value, kind)| *value += kind);
        }
        let embedding_norm = self.norm("embeddings.LayerNorm", dims)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| self.layer(arch, &format!("encoder.layer.{index}"), &config))
            .collect::<Result<_>>()?;
        Ok(Bert { config, arch, words, positions, embedding_norm, layers })
    }

    fn layer(&self, arch: Arch, name: &str, config: &BertConfig) -> Result<Layer> {
        let (dims, wide) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, inputs, outputs| -> Result<Linear> {
            let (weight, bias) = self.linear(&format!("{name}.{part}"), inputs, outputs)?;
            Ok(Linear::new(arch, &weight, &bias))
        };
        let norm = |part: &str| self.norm(&format!("{name}.{part}.LayerNorm"), dims);
        Ok(Layer {
            qkv: self.query_key_value(arch, name, config)?,
            attention_output: linear("attention.output.dense", dims, dims)?,
            attention_norm: norm("attention.output")?,
            intermediate: linear("intermediate.dense", dims, wide)?,
            output: linear("output.dense", wide, dims)?,
            output_norm: norm("output")?,
        })
    }

    fn query_key_value(&self, arch: Arch, name: &str, config: &BertConfig) -> Result<Linear> {
        let dims = config.hidden_size;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            let (weight, bias) =
                self.linear(&format!("{name}.attention.self.{part}"), dims, dims)?;
            // Attention divides scores by this root; dividing the query here is the same.
            let scale =
                if part == "query" { (config.head_dims() as f32).sqrt().recip() } else { 1.0 };
            weights.extend(weight.iter().map(|value| value * scale));
            biases.extend(bias.iter().map(|value| value * scale));
        }
        Ok(Linear::new(arch, &weights, &biases))
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.get(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok((weight, self.get(&format!("{name}.bias"), &[outputs])?))
    }

    fn norm(&self, name: &str, dims: usize) -> Result<LayerNorm> {
        // Checkpoints converted from TensorFlow say gamma and beta.
        let [weight, bias] = [("weight", "gamma"), ("bias", "beta")].map(|(usual, old)| {
            let usual = format!("{name}.{usual}");
            if self.names.contains_key(&usual) { usual } else { format!("{name}.{old}") }
        });
        Ok(LayerNorm { weight: self.get(&weight, &[dims])?, bias: self.get(&bias, &[dims])? })
    }

    fn first_row(&self, name: &str, dims: usize) -> Result<Vec<f32>> {
        let mut values =
            self.values(name, |shape| matches!(shape, [kinds, d] if *kinds > 0 && *d == dims))?;
        values.truncate(dims);
        Ok(values)
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.values(name, |found| found == shape)
    }

    /// A tensor as f32, row-major.
    fn values(&self, name: &str, fits: impl Fn(&[usize]) -> bool) -> Result<Vec<f32>> {
        let Some(stored) = self.names.get(name) else {
            return Err(Error::invalid(format!("there is no tensor {name}")));
        };
        let unreadable =
            |source| Error::invalid(format!("tensor {stored} cannot be read")).with_source(source);
        let tensor = self.file.load(stored, &Device::Cpu).map_err(unreadable)?;
        if !fits(tensor.dims()) {
            return Err(Error::invalid(format!(
                "tensor {stored} is {:?}, which the configuration does not fit",
                tensor.dims()
            )));
        }
        let flat = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1());
        flat.map_err(unreadable)
    }
}
