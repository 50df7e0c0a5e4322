//! The vectors of words, as the file has them.
//!
//! A multilingual vocabulary has 250,000 words: 384 MB of f32, five times the rest of the
//! network, of which a text reads a few rows. So rows of compact files are unpacked when they are
//! asked for.

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};
use docent_core::{Error, Result};

/// One row a word of the vocabulary.
#[derive(Debug)]
pub(super) enum Words {
    /// Row-major.
    Plain(Vec<f32>),
    /// In ggml's blocks.
    Blocks(QTensor),
}

impl Words {
    /// Writes the rows of `tokens` to `out`, one after another.
    pub(super) fn read(&self, tokens: &[u32], dims: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Self::Plain(values) => {
                for (&token, row) in tokens.iter().zip(out.chunks_exact_mut(dims)) {
                    row.copy_from_slice(&values[token as usize * dims..][..dims]);
                }
            }
            Self::Blocks(blocks) => {
                let rows = unpack(blocks, tokens).map_err(|source| {
                    Error::internal("the vectors of words cannot be read").with_source(source)
                })?;
                out[..rows.len()].copy_from_slice(&rows);
            }
        }
        Ok(())
    }
}

fn unpack(blocks: &QTensor, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
    let tokens = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
    blocks.embedding(&tokens)?.flatten_all()?.to_vec1()
}
