//! Texts to token ids: by a `tokenizer.json`, or by the vocabulary in an E5S1 file. What the model
//! wants around them comes from the same place.

mod unigram;

use std::ops::Range;

use docent_core::{Error, Result};
use fs_err as fs;

use self::unigram::Unigram;
use crate::catalog::ModelFiles;
use crate::e5s1::E5s1;
use crate::manifest::FileRole;

/// A model's tokenizer.
#[derive(Debug)]
pub(crate) enum Tokenizer {
    Json(Box<tokenizers::Tokenizer>),
    Unigram(Unigram),
}

/// The tokens around a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) before: Vec<u32>,
    pub(crate) after: Vec<u32>,
    /// Whether a space comes between the first of them and the text.
    pub(crate) spaced: bool,
}

/// The tokens around and between two texts.
#[derive(Clone, Debug)]
pub(crate) struct PairFrame {
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
    /// Whether the model is told which tokens are the second text's.
    typed: bool,
}

impl PairFrame {
    /// How many tokens it adds.
    pub(crate) fn tokens(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }

    /// Both texts in their frame, and where the model is told that the second begins.
    pub(crate) fn join(&self, first: &[u32], second: &[u32]) -> (Vec<u32>, usize) {
        let ids = [&self.before, first, &self.between, second, &self.after].concat();
        let place = self.before.len() + first.len() + self.between.len();
        let place = if self.typed { place } else { ids.len() };
        (ids, place)
    }
}

/// The fewest parts of at most `room` tokens that hold `tokens`, all of nearly one length; at
/// least one.
pub(crate) fn cut(tokens: usize, room: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    let count = tokens.div_ceil(room.max(1)).max(1);
    (0..count).map(move |part| tokens * part / count..tokens * (part + 1) / count)
}

impl Tokenizer {
    /// Reads the tokenizer file if the model has one, else the weights must hold one.
    pub(crate) fn load(files: &ModelFiles) -> Result<Self> {
        if !files.manifest().has(FileRole::Tokenizer) {
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
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Json(tokenizer) => encode(tokenizer, text, false),
            Self::Unigram(unigram) => Ok(unigram.encode(text)),
        }
    }

    /// What the model wants before and after a text: `[CLS]` and `[SEP]`, or their like.
    pub(crate) fn specials(&self) -> Result<Frame> {
        match self {
            Self::Json(tokenizer) => {
                specials(&encode(tokenizer, "a", false)?, &encode(tokenizer, "a", true)?)
            }
            Self::Unigram(unigram) => Ok(unigram.specials()),
        }
    }
}

impl Tokenizer {
    /// What the model wants around and between two texts.
    pub(crate) fn pair_frame(&self) -> Result<PairFrame> {
        match self {
            Self::Json(tokenizer) => pair_frame(tokenizer),
            // As XLM-RoBERTa has it, whose vocabulary this is.
            Self::Unigram(unigram) => {
                let Frame { before, after, .. } = unigram.specials();
                let between = after.repeat(2);
                Ok(PairFrame { before, between, after, typed: false })
            }
        }
    }
}

fn pair_frame(tokenizer: &tokenizers::Tokenizer) -> Result<PairFrame> {
    let failed = |source| Error::invalid("the tokenizer takes no pairs").with_source(source);
    let bare = encode(tokenizer, "a", false)?;
    let pair = tokenizer.encode(("a", "a"), true).map_err(failed)?;
    let ids = pair.get_ids();
    let places: Vec<usize> = ids
        .windows(bare.len().max(1))
        .enumerate()
        .filter_map(|(place, found)| (found == bare).then_some(place))
        .collect();
    let &[first, second] = &places[..] else {
        return Err(Error::invalid("the tokenizer takes no pairs"));
    };
    Ok(PairFrame {
        before: ids[..first].to_vec(),
        between: ids[first + bare.len()..second].to_vec(),
        after: ids[second + bare.len()..].to_vec(),
        typed: pair.get_type_ids().contains(&1),
    })
}

fn specials(bare: &[u32], dressed: &[u32]) -> Result<Frame> {
    let place = dressed.windows(bare.len().max(1)).position(|ids| ids == bare);
    let place = place.ok_or_else(|| Error::invalid("the tokenizer knows no letter"))?;
    let (before, after) = (dressed[..place].to_vec(), dressed[place + bare.len()..].to_vec());
    Ok(Frame { before, after, spaced: false })
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
