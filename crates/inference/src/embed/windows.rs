//! A text's tokens, cut into windows.
//!
//! A text of more tokens than a window holds is cut at token borders into the fewest windows that
//! hold it, all of nearly one length: a last window of three tokens would give a vector of
//! noise that now and then comes out on top. Each window stands alone, with the model's special
//! tokens and prefix.

use std::path::Path;

use docent_core::{Error, InputRole, Result};
use fs_err as fs;
use tokenizers::Tokenizer;

use crate::manifest::EmbedderManifest;

/// Cuts texts for one embedder.
#[derive(Debug)]
pub(super) struct Windows {
    tokenizer: Tokenizer,
    window_tokens: usize,
    query: Frame,
    passage: Frame,
}

/// The tokens around every window.
#[derive(Clone, Debug, Default)]
struct Frame {
    before: Vec<u32>,
    after: Vec<u32>,
}

/// A text's windows, as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    ids: Vec<u32>,
    /// Where each window ends in `ids`.
    ends: Vec<usize>,
}

impl Tokens {
    /// The windows, in order; at least one.
    pub(super) fn windows(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.ends.iter().enumerate().map(|(index, &end)| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.ids[start..end]
        })
    }
}

impl Windows {
    /// Reads a `tokenizer.json`.
    pub(super) fn load(path: &Path, settings: &EmbedderManifest) -> Result<Self> {
        let bytes = fs::read(path)?;
        let broken = |source| {
            Error::invalid(format!("{} is no tokenizer", path.display())).with_source(source)
        };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(broken)?;
        // Files come with the limits of whoever saved them: MiniLM's cuts at 128 tokens and pads
        // to 128, which would lose text without a word.
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        let specials = specials(&tokenizer).map_err(|error| error.context(path.display()))?;
        let framed = |prefix| frame(&tokenizer, &specials, prefix, settings.window_tokens);
        let (query, passage) = (framed(&settings.query_prefix)?, framed(&settings.passage_prefix)?);
        Ok(Self { tokenizer, window_tokens: settings.window_tokens, query, passage })
    }

    /// How many tokens of each window are not the text's: at its start, and at its end.
    pub(super) fn around(&self, role: InputRole) -> (usize, usize) {
        let frame = self.frame(role);
        (frame.before.len(), frame.after.len())
    }

    fn frame(&self, role: InputRole) -> &Frame {
        match role {
            InputRole::Query => &self.query,
            InputRole::Passage => &self.passage,
        }
    }

    /// The windows of `text`.
    pub(super) fn split(&self, text: &str, role: InputRole) -> Result<Tokens> {
        let frame = self.frame(role);
        let content = encode(&self.tokenizer, text, false)?;
        let room = self.window_tokens - frame.before.len() - frame.after.len();
        let count = content.len().div_ceil(room).max(1);
        let mut tokens =
            Tokens { ids: Vec::with_capacity(content.len() + count * 8), ends: vec![] };
        for window in 0..count {
            let part = content.len() * window / count..content.len() * (window + 1) / count;
            tokens.ids.extend_from_slice(&frame.before);
            tokens.ids.extend_from_slice(&content[part]);
            tokens.ids.extend_from_slice(&frame.after);
            tokens.ends.push(tokens.ids.len());
        }
        Ok(tokens)
    }
}

/// What the tokenizer puts before and after a text: `[CLS]` and `[SEP]`, or their like.
fn specials(tokenizer: &Tokenizer) -> Result<Frame> {
    let bare = encode(tokenizer, "a", false)?;
    let dressed = encode(tokenizer, "a", true)?;
    let place = dressed.windows(bare.len().max(1)).position(|ids| ids == bare);
    let place = place.ok_or_else(|| Error::invalid("the tokenizer knows no letter"))?;
    Ok(Frame { before: dressed[..place].to_vec(), after: dressed[place + bare.len()..].to_vec() })
}

fn frame(tokenizer: &Tokenizer, specials: &Frame, prefix: &str, window: usize) -> Result<Frame> {
    let mut frame = specials.clone();
    // The space at a prefix's end belongs to the first word of the text.
    frame.before.extend(encode(tokenizer, prefix.trim_end(), false)?);
    if frame.before.len() + frame.after.len() >= window {
        return Err(Error::invalid(format!("a window of {window} tokens is full with its prefix")));
    }
    Ok(frame)
}

fn encode(tokenizer: &Tokenizer, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
    let encoding = tokenizer.encode_fast(text, add_special_tokens);
    let encoding = encoding.map_err(|source| {
        Error::internal("a text cannot be cut into tokens").with_source(source)
    })?;
    Ok(encoding.get_ids().to_vec())
}
