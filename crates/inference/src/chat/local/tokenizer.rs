//! The tokenizer inside a GGUF file.
//!
//! GGUF keeps the vocabulary, the merges and the *name* of the pre-tokenizer, which every loader
//! has to know. Treating an unknown one as GPT-2's works until somebody writes a number; we refuse
//! instead. Control tokens such as `<|im_end|>` are found only where the chat template wrote them,
//! never in what a user or a document says.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use docent_core::{Error, Result};
use regex::Regex;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

use super::gguf::{Metadata, strings};
use super::grammar::Vocabulary;

/// Put inside control tokens in what people wrote. A noncharacter: no text holds it.
const GUARD: char = '\u{fdd0}';

/// The kind of a token in `tokenizer.ggml.token_type`.
const CONTROL: u32 = 3;

#[derive(Debug)]
pub(super) struct GgufTokenizer {
    inner: Tokenizer,
    /// The bytes each token stands for; none for control tokens.
    bytes: Vec<Option<Vec<u8>>>,
    control: HashMap<String, u32>,
    any_control: Regex,
    bos: Option<u32>,
    adds_bos: bool,
    /// Tokens that end an answer.
    ends: Vec<u32>,
}

impl GgufTokenizer {
    pub(super) fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let tokens = strings(metadata, "tokenizer.ggml.tokens")?;
        let control = control_tokens(metadata, &tokens);
        let inner = byte_level_bpe(metadata, &tokens)?;
        let letters = byte_letters();
        let bytes = tokens
            .iter()
            .map(|token| (!control.contains_key(token)).then(|| token_bytes(token, &letters)))
            .collect();
        let id = |key: &str| metadata.get(key).and_then(|value| value.to_u32().ok());
        let mut ends: Vec<u32> = id("tokenizer.ggml.eos_token_id").into_iter().collect();
        for name in ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"] {
            ends.extend(control.get(name).filter(|id| !ends.contains(id)).copied().as_slice());
        }
        let adds_bos = metadata.get("tokenizer.ggml.add_bos_token").and_then(|v| v.to_bool().ok());
        Ok(Self {
            inner,
            bytes,
            any_control: any_of(control.keys())?,
            control,
            bos: id("tokenizer.ggml.bos_token_id"),
            adds_bos: adds_bos.unwrap_or(false),
            ends,
        })
    }

    /// The tokens of plain text.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| Error::internal("the tokenizer failed").with_source(error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of a rendered chat template whose messages went through [`guard`](Self::guard).
    pub(super) fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut plain_from = 0;
        for found in self.any_control.find_iter(prompt) {
            ids.extend(self.encode(&prompt[plain_from..found.start()].replace(GUARD, ""))?);
            ids.extend(self.control.get(found.as_str()));
            plain_from = found.end();
        }
        ids.extend(self.encode(&prompt[plain_from..].replace(GUARD, ""))?);
        if let Some(bos) = self.bos.filter(|bos| self.adds_bos && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// `text` with its control tokens made harmless, to be put into a template.
    pub(super) fn guard(&self, text: &str) -> String {
        let clean = text.replace(GUARD, "");
        let broken = |found: &regex::Captures<'_>| {
            let mut chars = found[0].chars();
            let first = chars.next().map(String::from).unwrap_or_default();
            format!("{first}{GUARD}{}", chars.as_str())
        };
        self.any_control.replace_all(&clean, broken).into_owned()
    }

    /// The bytes of a token, which may end inside a character. Nothing for control tokens.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The text of the token with this key in the metadata, for templates that name it.
    pub(super) fn control_text(&self, id: Option<u32>) -> &str {
        let named = self.control.iter().find(|(_, of)| Some(**of) == id);
        named.map_or("", |(text, _)| text)
    }

    pub(super) fn bos(&self) -> Option<u32> {
        self.bos
    }

    pub(super) fn eos(&self) -> Option<u32> {
        self.ends.first().copied()
    }

    pub(super) fn knows(&self, control: &str) -> bool {
        self.control.contains_key(control)
    }
}

impl Vocabulary for GgufTokenizer {
    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn bytes(&self, id: u32) -> &[u8] {
        self.bytes(id)
    }

    fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        // Tokens that do not spell the text are replaced by the longest that do.
        self.encode(text).unwrap_or_default()
    }

    fn control(&self, text: &str) -> Option<u32> {
        self.control.get(text).copied()
    }
}

fn control_tokens(metadata: &Metadata, tokens: &[String]) -> HashMap<String, u32> {
    let kinds = metadata.get("tokenizer.ggml.token_type").and_then(|value| value.to_vec().ok());
    let kind = |value: &Value| match value {
        Value::I32(kind) => u32::try_from(*kind).unwrap_or_default(),
        value => value.to_u32().unwrap_or_default(),
    };
    let kinds = kinds.into_iter().flatten().map(kind);
    let ids = (0u32..).zip(tokens).zip(kinds);
    ids.filter(|((_, text), kind)| *kind == CONTROL && !text.is_empty())
        .map(|((id, text), _)| (text.clone(), id))
        .collect()
}

fn byte_level_bpe(metadata: &Metadata, tokens: &[String]) -> Result<Tokenizer> {
    let text = |key: &str| {
        metadata.get(key).and_then(|value| value.to_string().ok()).map_or("", String::as_str)
    };
    let model = text("tokenizer.ggml.model");
    if model != "gpt2" {
        return Err(Error::invalid(format!(
            "its tokenizer is of kind {model:?}; only byte-level BPE (\"gpt2\") is supported"
        )));
    }
    let bytes = ByteLevel::new(false, true, true);
    let split: PreTokenizerWrapper = match text("tokenizer.ggml.pre") {
        // Each digit stands alone, then GPT-2's pattern.
        "smollm" => Sequence::new(vec![Digits::new(true).into(), bytes.into()]).into(),
        "gpt-2" => bytes.into(),
        other => {
            return Err(Error::invalid(format!(
                "its pre-tokenizer {other:?} is not supported (\"smollm\" and \"gpt-2\" are)"
            )));
        }
    };
    let pair = |merge: String| {
        let (left, right) = merge.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let merges: Option<Vec<_>> =
        strings(metadata, "tokenizer.ggml.merges")?.into_iter().map(pair).collect();
    let merges = merges.ok_or_else(|| Error::corrupt("a merge of its tokenizer is no pair"))?;
    let vocabulary: Vocab = tokens.iter().cloned().zip(0u32..).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|error| {
        Error::corrupt("its tokenizer's merges do not fit its vocabulary").with_source(error)
    })?;
    let mut tokenizer = Tokenizer::new(bpe);
    tokenizer.with_pre_tokenizer(Some(split));
    Ok(tokenizer)
}

fn any_of<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Regex> {
    let mut texts: Vec<&str> = texts.map(String::as_str).collect();
    // The longest first: alternation takes what matches first.
    texts.sort_unstable_by_key(|text| (std::cmp::Reverse(text.len()), *text));
    let escaped: Vec<String> = texts.into_iter().map(regex::escape).collect();
    // Without control tokens: a pattern that matches nothing.
    let pattern = if escaped.is_empty() { "[^\\s\\S]".to_owned() } else { escaped.join("|") };
    Regex::new(&pattern).map_err(|error| {
        Error::corrupt("its tokenizer has too many control tokens").with_source(error)
    })
}

/// GPT-2 writes each byte as a letter: printable ones as themselves, the others as the letters
/// from U+0100 on.
fn byte_letters() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = 0x100u32..;
    (0..=255u8)
        .filter_map(|byte| {
            let letter = if printable(byte) { Some(u32::from(byte)) } else { others.next() };
            letter.and_then(char::from_u32).map(|letter| (letter, byte))
        })
        .collect()
}

fn token_bytes(token: &str, letters: &HashMap<char, u8>) -> Vec<u8> {
    let mut buffer = [0; 4];
    let mut bytes = Vec::with_capacity(token.len());
    for letter in token.chars() {
        match letters.get(&letter) {
            Some(byte) => bytes.push(*byte),
            // Tokens added by hand are written as they are.
            None => bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    bytes
}
