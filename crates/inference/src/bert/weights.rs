//! Reads BERT's weights, whatever the file, and packs them.
//!
//! What differs between files is what they call things and how they store them: [`checkpoint`].

mod checkpoint;
mod gguf;
mod names;
mod safetensors;

use std::path::Path;

use docent_core::{Error, Result};
use pulp::Arch;

use self::checkpoint::{Checkpoint, Stored};
use super::matmul::Linear;
use super::words::Words;
use super::{Bert, BertConfig, Head, Layer, LayerNorm};

/// Loads the encoder from a safetensors file and its `config.json`, or from a GGUF or E5S1 file,
/// which say their sizes themselves.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) names the tensor that is missing or has another
/// shape than the sizes say; [`Corrupt`](docent_core::ErrorKind::Corrupt) a file that is not whole.
pub(crate) fn load(weights: &Path, config: Option<&Path>) -> Result<Bert> {
    let (config, mut file) = checkpoint::open(weights, config)?;
    let mut reader = Reader { file: &mut *file, config: &config, arch: Arch::new() };
    reader.read().map_err(|error| error.context(weights.display()))
}

/// Loads an encoder and the head on top of it that says how well two texts fit.
///
/// # Errors
/// As [`load`], and [`Invalid`](docent_core::ErrorKind::Invalid) if there is no such head.
pub(crate) fn load_with_head(weights: &Path, config: Option<&Path>) -> Result<(Bert, Head)> {
    let (config, mut file) = checkpoint::open(weights, config)?;
    let mut reader = Reader { file: &mut *file, config: &config, arch: Arch::new() };
    let mut both = || Ok((reader.read()?, reader.head()?));
    both().map_err(|error: Error| error.context(weights.display()))
}

/// Takes the network out of a file.
struct Reader<'a> {
    file: &'a mut dyn Checkpoint,
    config: &'a BertConfig,
    arch: Arch,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<Bert> {
        let config = self.config;
        config.check()?;
        let (dims, names) = (config.hidden_size, self.file.names());
        let words = match self.stored(names.words, &[config.vocab_size, dims])? {
            plain @ Stored::Plain(_) => Words::Plain(values(names.words, plain)?),
            Stored::Blocks(tensor) => Words::Blocks(tensor),
        };
        let mut positions = self.values(
            names.positions,
            &[config.first_position + config.max_position_embeddings, dims],
        )?;
        positions.drain(..config.first_position * dims);
        // Every token is of type 0 when texts come alone.
        let kinds = self.values(names.token_types, &[config.type_vocab_size, dims])?;
        let second = kinds.get(dims..2 * dims).unwrap_or_default();
        let second_type = second.iter().zip(&kinds).map(|(second, first)| second - first).collect();
        for row in positions.chunks_exact_mut(dims) {
            row.iter_mut().zip(&kinds).for_each(|(value, kind)| *value += kind);
        }
        let embedding_norm = self.norm(names.embedding_norm)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| self.layer(&names.layer.replace("{}", &index.to_string())))
            .collect::<Result<_>>()?;
        Ok(Bert {
            config: config.clone(),
            arch: self.arch,
            words,
            positions,
            second_type,
            embedding_norm,
            layers,
        })
    }

    fn head(&mut self) -> Result<Head> {
        let dims = self.config.hidden_size;
        let heads = self.file.names().heads;
        let found = heads.iter().find(|(_, output)| self.file.has(&format!("{output}.weight")));
        let Some((dense, output)) = found else {
            return Err(Error::invalid("there is no head on top, so this is no cross-encoder"));
        };
        let (weight, bias) = self.weight_and_bias(dense, dims, dims)?;
        let (output, output_bias) = self.weight_and_bias(output, dims, 1)?;
        Ok(Head { weight, bias, output, output_bias: output_bias[0] })
    }

    fn layer(&mut self, layer: &str) -> Result<Layer> {
        let (dims, wide) = (self.config.hidden_size, self.config.intermediate_size);
        let names = self.file.names();
        let part = |part: &str| format!("{layer}.{part}");
        Ok(Layer {
            qkv: self.query_key_value(layer)?,
            attention_output: self.linear(&part(names.attention_output), dims, dims)?,
            attention_norm: self.norm(&part(names.attention_norm))?,
            intermediate: self.linear(&part(names.intermediate), dims, wide)?,
            output: self.linear(&part(names.output), wide, dims)?,
            output_norm: self.norm(&part(names.output_norm))?,
        })
    }

    fn query_key_value(&mut self, layer: &str) -> Result<Linear> {
        let dims = self.config.hidden_size;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (index, part) in self.file.names().query_key_value.into_iter().enumerate() {
            let (weight, bias) = self.weight_and_bias(&format!("{layer}.{part}"), dims, dims)?;
            // Attention divides scores by this root; dividing the query here is the same.
            let scale =
                if index == 0 { (self.config.head_dims() as f32).sqrt().recip() } else { 1.0 };
            weights.extend(weight.iter().map(|value| value * scale));
            biases.extend(bias.iter().map(|value| value * scale));
        }
        Ok(Linear::new(self.arch, &weights, &biases))
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let (weight, bias) = self.weight_and_bias(name, inputs, outputs)?;
        Ok(Linear::new(self.arch, &weight, &bias))
    }

    fn weight_and_bias(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let names = self.file.names();
        let weight = self.values(&format!("{name}.{}", names.weight), &[outputs, inputs])?;
        Ok((weight, self.values(&format!("{name}.{}", names.bias), &[outputs])?))
    }

    fn norm(&mut self, name: &str) -> Result<LayerNorm> {
        let (names, shape) = (self.file.names(), [self.config.hidden_size]);
        Ok(LayerNorm {
            weight: self.values(&format!("{name}.{}", names.weight), &shape)?,
            bias: self.values(&format!("{name}.{}", names.bias), &shape)?,
        })
    }

    /// A tensor as f32, row-major.
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let stored = self.stored(name, shape)?;
        values(name, stored)
    }

    fn stored(&mut self, name: &str, shape: &[usize]) -> Result<Stored> {
        let stored = self.file.tensor(name, shape)?;
        if stored.shape() != shape {
            return Err(Error::invalid(format!(
                "tensor {name} is {:?}, not {shape:?} as the configuration says",
                stored.shape()
            )));
        }
        Ok(stored)
    }
}

fn values(name: &str, stored: Stored) -> Result<Vec<f32>> {
    let values = stored.into_values();
    values.map_err(|source| {
        Error::invalid(format!("tensor {name} cannot be read")).with_source(source)
    })
}

#[cfg(test)]
mod tests;
