//! A GGUF file: what it says about itself, and its weights.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use docent_core::{Error, Result};

use crate::decoder::{Decoder, Precision, Shape};

pub(super) type Metadata = HashMap<String, Value>;

/// How weights are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Weights {
    /// As the file has them.
    AsShipped,
    /// Everything becomes f32, and nothing is rounded on the way.
    F32,
}

/// A file whose header is read.
pub(super) struct GgufFile {
    content: Content,
    file: BufReader<fs_err::File>,
}

/// Reads the header of the file at `path`.
pub(super) fn open(path: &Path) -> Result<GgufFile> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    let content = Content::read(&mut file)
        .map_err(|error| Error::corrupt("is no GGUF file").with_source(error))?;
    Ok(GgufFile { content, file })
}

impl GgufFile {
    pub(super) fn metadata(&self) -> &Metadata {
        &self.content.metadata
    }

    pub(super) fn shape(&self) -> Result<Shape> {
        Shape::read(&self.content)
    }

    /// Loads the weights for contexts of up to `context_tokens`.
    pub(super) fn decoder(mut self, context_tokens: usize, weights: Weights) -> Result<Decoder> {
        let precision = match weights {
            Weights::AsShipped => Precision::Fast,
            Weights::F32 => Precision::F32,
        };
        Decoder::load(&self.content, &mut self.file, context_tokens, precision)
    }
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
