//! llama.cpp's form: one GGUF file of architecture `bert`, which says its sizes itself.

use std::collections::HashMap;
use std::io::BufReader;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use docent_core::{Error, Result};
use fs_err as fs;

use super::checkpoint::{Checkpoint, Stored};
use super::names::{GGUF, Names};
use crate::bert::BertConfig;

pub(super) const MAGIC: [u8; 4] = *b"GGUF";

pub(super) struct Gguf {
    file: BufReader<fs::File>,
    content: Content,
}

pub(super) fn open(path: &Path) -> Result<(BertConfig, Box<dyn Checkpoint>)> {
    let mut file = BufReader::new(fs::File::open(path)?);
    let content = guarded("is no GGUF file", || Content::read(&mut file))?;
    let config = config(&content)?;
    Ok((config, Box::new(Gguf { file, content })))
}

/// candle divides by an alignment of 0 and multiplies lengths that overflow: a broken file must
/// give an error all the same.
fn guarded<T>(what: &str, read: impl FnOnce() -> candle_core::Result<T>) -> Result<T> {
    match panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|source| Error::corrupt(what).with_source(source)),
        Err(_) => Err(Error::corrupt(what)),
    }
}

fn config(content: &Content) -> Result<BertConfig> {
    let metadata = &content.metadata;
    let text = |key: &str| metadata.get(key).and_then(|value| value.to_string().ok());
    let architecture = text("general.architecture").map_or("", String::as_str);
    if architecture != "bert" {
        return Err(Error::invalid(format!(
            "its architecture is '{architecture}'; only 'bert' embedders run here"
        )));
    }
    let shape = |name: &str| content.tensor_infos.get(name).map(|info| info.shape.dims());
    let rows = |name: &str| match shape(name) {
        Some(&[rows, _]) => Ok(rows),
        _ => Err(Error::invalid(format!("there is no tensor {name} of rows"))),
    };
    Ok(BertConfig {
        hidden_size: number(metadata, "bert.embedding_length")?,
        intermediate_size: number(metadata, "bert.feed_forward_length")?,
        num_attention_heads: number(metadata, "bert.attention.head_count")?,
        num_hidden_layers: number(metadata, "bert.block_count")?,
        // The converter has cut off the rows that XLM-RoBERTa does not use.
        max_position_embeddings: rows(GGUF.positions)?,
        type_vocab_size: rows(GGUF.token_types)?,
        vocab_size: rows(GGUF.words)?,
        layer_norm_eps: metadata
            .get("bert.attention.layer_norm_epsilon")
            .and_then(|value| value.to_f32().ok())
            .ok_or_else(|| Error::invalid("it has no bert.attention.layer_norm_epsilon"))?,
        ..BertConfig::default()
    })
}

fn number(metadata: &HashMap<String, Value>, key: &str) -> Result<usize> {
    let number = metadata.get(key).and_then(|value| value.to_u32().ok());
    number.map(|number| number as usize).ok_or_else(|| Error::invalid(format!("it has no {key}")))
}

impl Checkpoint for Gguf {
    fn names(&self) -> &'static Names {
        &GGUF
    }

    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn tensor(&mut self, name: &str, _: &[usize]) -> Result<Stored> {
        if !self.has(name) {
            return Err(Error::invalid(format!("there is no tensor {name}")));
        }
        let Self { file, content } = self;
        let read = || -> candle_core::Result<QTensor> { content.tensor(file, name, &Device::Cpu) };
        guarded(&format!("tensor {name} cannot be read"), read).map(Stored::Blocks)
    }
}
