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
use super::int8::Kernel;
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
        // Attention divides scores by this root; dividing the query here is the same.
        let scale = (self.config.head_dims() as f32).sqrt().recip();
        let names = self.file.names();
        let parts = names.query_key_value.map(|part| format!("{layer}.{part}"));
        let mut linear = Parts::new(dims);
        for (name, factor) in parts.iter().zip([scale, 1.0, 1.0]) {
            self.add_part(&mut linear, name, dims, factor)?;
        }
        linear.pack(self.arch)
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let mut linear = Parts::new(inputs);
        self.add_part(&mut linear, name, outputs, 1.0)?;
        linear.pack(self.arch)
    }

    fn add_part(
        &mut self,
        linear: &mut Parts,
        name: &str,
        outputs: usize,
        factor: f32,
    ) -> Result<()> {
        let names = self.file.names();
        let weight = format!("{name}.{}", names.weight);
        let stored = self.stored(&weight, &[outputs, linear.inputs])?;
        let bias = self.values(&format!("{name}.{}", names.bias), &[outputs])?;
        linear.add(weight, stored, &bias, factor);
        Ok(())
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

/// Linear layers with the same input, to become one; their outputs multiplied by factors.
struct Parts {
    inputs: usize,
    weights: Vec<(String, Stored)>,
    /// One an output, as are the biases, which are multiplied already.
    factors: Vec<f32>,
    biases: Vec<f32>,
}

impl Parts {
    fn new(inputs: usize) -> Self {
        Self { inputs, weights: Vec::new(), factors: Vec::new(), biases: Vec::new() }
    }

    fn add(&mut self, name: String, weight: Stored, bias: &[f32], factor: f32) {
        self.weights.push((name, weight));
        self.factors.extend(std::iter::repeat_n(factor, bias.len()));
        self.biases.extend(bias.iter().map(|value| value * factor));
    }

    /// In 4 bits if all weights are, else in f32.
    fn pack(self, arch: Arch) -> Result<Linear> {
        let blocks: Option<Vec<_>> = self.weights.iter().map(|(_, part)| part.q4_0()).collect();
        if let Some(rows) = blocks {
            let rows = rows.concat();
            let (factors, biases) = (&self.factors, &self.biases);
            return Ok(match Kernel::detect() {
                Some(kernel) => Linear::from_q4_in_int8(kernel, &rows, factors, biases),
                None => Linear::from_q4(arch, self.inputs, &rows, factors, biases),
            });
        }
        let mut weights = Vec::new();
        for (name, part) in self.weights {
            weights.extend(values(&name, part)?);
        }
        for (row, factor) in weights.chunks_exact_mut(self.inputs).zip(&self.factors) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Ok(Linear::new(arch, &weights, &self.biases))
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
