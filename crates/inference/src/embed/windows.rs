//! A text's tokens, cut into windows.
//!
//! A text of more tokens than a window holds is cut at token borders into the fewest windows that
//! hold it, all of nearly one length: a last window of three tokens would give a vector of
//! noise that now and then comes out on top. Each window stands alone, with the model's special
//! tokens and prefix.

use docent_core::{Error, InputRole, Result};

use crate::catalog::ModelFiles;
use crate::manifest::EmbedderManifest;
use crate::tokenizer::{Frame, Tokenizer, cut};

/// Cuts texts for one embedder.
#[derive(Debug)]
pub(super) struct Windows {
    tokenizer: Tokenizer,
    window_tokens: usize,
    query: Frame,
    passage: Frame,
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
    /// Reads the model's tokenizer.
    pub(super) fn load(files: &ModelFiles, settings: &EmbedderManifest) -> Result<Self> {
        let tokenizer = Tokenizer::load(files)?;
        let specials = tokenizer.specials().map_err(|error| error.context("the tokenizer"))?;
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
        let content = match frame.spaced {
            true => self.tokenizer.encode(&format!(" {text}"))?,
            false => self.tokenizer.encode(text)?,
        };
        let room = self.window_tokens - frame.before.len() - frame.after.len();
        let parts = cut(content.len(), room);
        let capacity = content.len() + parts.len() * (self.window_tokens - room);
        let mut tokens = Tokens { ids: Vec::with_capacity(capacity), ends: vec![] };
        for part in parts {
            tokens.ids.extend_from_slice(&frame.before);
            tokens.ids.extend_from_slice(&content[part]);
            tokens.ids.extend_from_slice(&frame.after);
            tokens.ends.push(tokens.ids.len());
        }
        Ok(tokens)
    }
}

fn frame(tokenizer: &Tokenizer, specials: &Frame, prefix: &str, window: usize) -> Result<Frame> {
    let mut frame = specials.clone();
    // The space at a prefix's end belongs to the first word of the text.
    frame.before.extend(tokenizer.encode(prefix.trim_end())?);
    frame.spaced = prefix.ends_with(' ');
    if frame.before.len() + frame.after.len() >= window {
        return Err(Error::invalid(format!("a window of {window} tokens is full with its prefix")));
    }
    Ok(frame)
}
