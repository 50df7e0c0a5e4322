//! Hugging Face's own form: `model.safetensors` beside a `config.json`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Device;
use candle_core::safetensors::BufferedSafetensors;
use docent_core::{Error, Result};
use fs_err as fs;

use super::checkpoint::{Checkpoint, Stored};
use super::names::{HUGGING_FACE, Names};
use crate::bert::BertConfig;

pub(super) struct Safetensors {
    file: BufferedSafetensors,
    /// By the names that [`HUGGING_FACE`] has, the names in the file.
    names: HashMap<String, String>,
}

/// Reads a `config.json`.
pub(super) fn config(path: &Path) -> Result<BertConfig> {
    let text = fs::read(path)?;
    let config: BertConfig = serde_json::from_slice(&text).map_err(|source| {
        Error::invalid(format!("{} is no BERT configuration", path.display())).with_source(source)
    })?;
    config.with_positions_of_its_family().map_err(|error| error.context(path.display()))
}

pub(super) fn open(path: &Path) -> Result<Safetensors> {
    // Read, not mapped: a file cut short under a mapping would kill the process, and the buffer
    // is gone once the weights are packed.
    let file = BufferedSafetensors::new(fs::read(path)?).map_err(|source| {
        Error::invalid(format!("{} is no safetensors file", path.display())).with_source(source)
    })?;
    let names = file.tensors().into_iter().map(|(name, _)| (usual(&name), name)).collect();
    Ok(Safetensors { file, names })
}

/// The usual name: checkpoints with a head on top put the network's name first, and those
/// converted from TensorFlow say gamma and beta.
fn usual(name: &str) -> String {
    let bare = ["bert.", "roberta."].iter().find_map(|prefix| name.strip_prefix(prefix));
    let bare = bare.unwrap_or(name);
    let renamed = |old: &str, new: &str| Some(format!("{}{new}", bare.strip_suffix(old)?));
    renamed("LayerNorm.gamma", "LayerNorm.weight")
        .or_else(|| renamed("LayerNorm.beta", "LayerNorm.bias"))
        .unwrap_or_else(|| bare.to_owned())
}

impl Checkpoint for Safetensors {
    fn names(&self) -> &'static Names {
        &HUGGING_FACE
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    fn tensor(&mut self, name: &str, _: &[usize]) -> Result<Stored> {
        let Some(stored) = self.names.get(name) else {
            return Err(Error::invalid(format!("there is no tensor {name}")));
        };
        let tensor = self.file.load(stored, &Device::Cpu);
        tensor.map(Stored::Plain).map_err(|source| {
            Error::invalid(format!("tensor {stored} cannot be read")).with_source(source)
        })
    }
}
