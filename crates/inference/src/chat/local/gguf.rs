//! Reading a GGUF file, and making its weights fit candle's fast paths.

use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use docent_core::{Error, Result};

pub(super) type Metadata = HashMap<String, Value>;

/// How weights are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Weights {
    /// As the file has them.
    AsShipped,
    /// Formats without a vector kernel in candle become Q8_0.
    Q8,
    /// Everything becomes f32.
    F32,
}

/// What the file says about itself, and the weights.
pub(super) fn read(path: &Path, weights: Weights) -> Result<(Metadata, ModelWeights)> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    let content = Content::read(&mut file).map_err(|error| corrupt("is no GGUF file", error))?;
    let architecture = text(&content.metadata, "general.architecture").unwrap_or_default();
    if architecture != "llama" {
        return Err(Error::invalid(format!(
            "its architecture is {architecture:?}; only \"llama\" is supported"
        )));
    }
    if content.tensor_infos.contains_key("rope_freqs.weight") {
        // candle ignores these and would answer with subtly wrong positions.
        return Err(Error::invalid("it scales its positions (rope_freqs), which is not supported"));
    }
    let metadata = content.metadata.clone();
    let model = match weights {
        Weights::AsShipped => ModelWeights::from_gguf(content, &mut file, &Device::Cpu),
        Weights::Q8 | Weights::F32 => {
            let mut converted = convert(&content, &mut file, weights)?;
            Content::read(&mut converted)
                .and_then(|content| ModelWeights::from_gguf(content, &mut converted, &Device::Cpu))
        }
    };
    Ok((metadata, model.map_err(|error| corrupt("has unusable weights", error))?))
}

/// The same file in memory, its tensors in another format.
///
/// candle's model is made from a file only, so we write one; it is gone when loading ends.
fn convert(
    content: &Content,
    file: &mut (impl Read + Seek),
    weights: Weights,
) -> Result<Cursor<Vec<u8>>> {
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort_unstable();
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let tensor = content
            .tensor(file, name, &Device::Cpu)
            .and_then(|tensor| convert_tensor(tensor, weights))
            .map_err(|error| corrupt(format!("has an unusable tensor {name}"), error))?;
        tensors.push((name.as_str(), tensor));
    }
    // Only what the model reads: the vocabulary stays with the caller.
    let keys = content.metadata.iter().filter(|(key, _)| !key.starts_with("tokenizer."));
    let keys: Vec<(&str, &Value)> = keys.map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut converted = Cursor::new(Vec::new());
    write(&mut converted, &keys, &tensors)
        .map_err(|error| Error::internal("weights cannot be converted").with_source(error))?;
    converted.set_position(0);
    Ok(converted)
}

fn convert_tensor(tensor: QTensor, weights: Weights) -> candle_core::Result<QTensor> {
    use GgmlDType::{F16, F32, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1};
    let wanted = match (weights, tensor.dtype()) {
        (Weights::AsShipped, dtype) | (_, dtype @ F32) => dtype,
        (Weights::F32, _) => F32,
        (Weights::Q8, Q4_1 | Q5_0 | Q5_1 | Q8_1 | F16) => Q8_0,
        (Weights::Q8, dtype) => dtype,
    };
    if wanted == tensor.dtype() {
        return Ok(tensor);
    }
    QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, wanted)
}

pub(super) fn text<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a str> {
    metadata.get(key)?.to_string().ok().map(String::as_str)
}

pub(super) fn strings(metadata: &Metadata, key: &str) -> Result<Vec<String>> {
    let values = metadata.get(key).and_then(|value| value.to_vec().ok());
    let texts = values.and_then(|values| {
        values.iter().map(|value| value.to_string().ok().cloned()).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| Error::corrupt(format!("it has no {key}")))
}

fn corrupt(what: impl Into<String>, error: candle_core::Error) -> Error {
    Error::corrupt(what).with_source(error)
}
