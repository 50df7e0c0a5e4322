//! Texts to token ids: by a `tokenizer.json`, or by the vocabulary in an E5S1 file.

mod unigram;

use docent_core::{Error, Result};
use fs_err as fs;

use self::unigram::Unigram;
use crate::catalog::ModelFiles;
use crate::e5s1::E5s1;
use crate::manifest::FileRole;

/// An embedder's tokenizer.
#[derive(Debug)]
pub(super) enum Tokenizer {
    Json(Box<tokenizers::Tokenizer>),
    Unigram(Unigram),
}

/// The tokens around a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

impl Tokenizer {
    /// Reads the tokenizer file if the model has one, else the weights must hold one.
    pub(super) fn load(files: &ModelFiles) -> Result<Self> {
        if files.manifest().file(FileRole::Tokenizer).is_none() {
            let vocabulary = E5s1::open(files.path(FileRole::Weights)?).map_err(|error| {
                error.context("no tokenizer is named, and the weights are no E5S1 file with one")
            })?;
            return Ok(Self::Unigram(Unigram::new(vocabulary.vocabulary)));
        }
        let path = files.path(FileRole::Tokenizer)?;
        let broken = |source| {
            Error::invalid(format!("{} is no tokenizer", path.display())).with_source(source)
        };
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(fs::read(path)?).map_err(broken)?;
        // Files come with the limits of whoever saved them: MiniLM's cuts at 128 tokens and pads
        // to 128, which would lose text without a word.
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        Ok(Self::Json(Box::new(tokenizer)))
    }

    /// The tokens of `text` alone.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Json(tokenizer) => encode(tokenizer, text, false),
            Self::Unigram(unigram) => Ok(unigram.encode(text)),
        }
    }

    /// What the model wants before and after a text: `[CLS]` and `[SEP]`, or their like.
    pub(super) fn specials(&self) -> Result<Frame> {
        match self {
            Self::Json(tokenizer) => {
                specials(&encode(tokenizer, "a", false)?, &encode(tokenizer, "a", true)?)
            }
            Self::Unigram(unigram) => Ok(unigram.specials()),
        }
    }
}

fn specials(bare: &[u32], dressed: &[u32]) -> Result<Frame> {
    let place = dressed.windows(bare.len().max(1)).position(|ids| ids == bare);
    let place = place.ok_or_else(|| Error::invalid("the tokenizer knows no letter"))?;
    Ok(Frame { before: dressed[..place].to_vec(), after: dressed[place + bare.len()..].to_vec() })
}

fn encode(
    tokenizer: &tokenizers::Tokenizer,
    text: &str,
    add_special_tokens: bool,
) -> Result<Vec<u32>> {
    let encoding = tokenizer.encode_fast(text, add_special_tokens);
    let encoding = encoding.map_err(|source| {
        Error::internal("a text cannot be cut into tokens").with_source(source)
    })?;
    Ok(encoding.get_ids().to_vec())
}
