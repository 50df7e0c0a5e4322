//! Byte-level BPE, as GPT-2 began it: Llama 3, Qwen, Phi-4, SmolLM2.

use std::collections::HashMap;

use docent_core::{Error, Result};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::{Built, Kind, Vocabulary, normalize};
use crate::chat::local::gguf::{Metadata, strings, text};

/// How text is split into words, as the models' own tokenizer.json have it.
pub(super) struct Words {
    /// The names GGUF files use.
    pub(super) names: &'static [&'static str],
    how: How,
    /// Text is composed (NFC) first.
    composed: bool,
    /// A word that is a token is not put together from smaller ones. Unlike the other flags it
    /// shows: some tokens cannot be reached by merges.
    ignore_merges: bool,
    adds_bos: bool,
}

enum How {
    /// GPT-2's pattern.
    Gpt2,
    /// Each digit stands alone, then GPT-2's pattern.
    Gpt2Digits,
    Pattern(&'static str),
    /// One after the other, each within the pieces of the one before.
    Patterns(&'static [&'static str]),
}

const PLAIN: Words =
    Words { names: &[], how: How::Gpt2, composed: false, ignore_merges: false, adds_bos: false };

/// cl100k's words; Llama 3 took them over.
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What llama.cpp takes for files that name no other.
const DEFAULT: &[&str] = &[
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

pub(super) const WORDS: &[Words] = &[
    Words { names: &["gpt-2", "mpt", "olmo"], ..PLAIN },
    // granite converts as "refact".
    Words { names: &["smollm", "refact", "starcoder"], how: How::Gpt2Digits, ..PLAIN },
    Words {
        names: &["llama-bpe", "llama3", "llama-v3"],
        how: How::Pattern(CL100K),
        ignore_merges: true,
        adds_bos: true,
        ..PLAIN
    },
    // Phi-4 converts as "dbrx".
    Words { names: &["dbrx", "smaug-bpe"], how: How::Pattern(CL100K), ..PLAIN },
    Words {
        names: &["qwen2", "deepseek-r1-qwen"],
        how: How::Pattern(QWEN2),
        composed: true,
        ..PLAIN
    },
    // Phi-4-mini converts as "gpt-4o".
    Words { names: &["gpt-4o"], how: How::Pattern(O200K), ..PLAIN },
    Words {
        names: &["tekken"],
        how: How::Pattern(TEKKEN),
        ignore_merges: true,
        adds_bos: true,
        ..PLAIN
    },
    Words { names: &["default"], how: How::Patterns(DEFAULT), ..PLAIN },
];

pub(super) fn build(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Built> {
    let words = Words::named(text(metadata, "tokenizer.ggml.pre").unwrap_or_default())?;
    let ids: Vocab = vocabulary.iter().map(|(token, id, _)| (token.to_owned(), id)).collect();
    let merges: Option<Vec<_>> = strings(metadata, "tokenizer.ggml.merges")?
        .into_iter()
        .map(|merge| pair(&merge).filter(|(a, b)| ids.contains_key(&format!("{a}{b}"))))
        .collect();
    let merges = merges
        .ok_or_else(|| Error::corrupt("a merge of its tokenizer is no pair, or makes no token"))?;
    let bpe = BPE::builder().vocab_and_merges(ids, merges).ignore_merges(words.ignore_merges);
    let bpe = bpe.build().map_err(|error| {
        Error::corrupt("its tokenizer's merges do not fit its vocabulary").with_source(error)
    })?;
    let mut inner = Tokenizer::new(bpe);
    inner.with_pre_tokenizer(Some(words.pre_tokenizer()?));
    if words.composed {
        normalize(&mut inner, NFC)?;
    }
    let letters = byte_letters();
    let bytes = vocabulary.iter().map(|(token, _, kind)| token_bytes(token, kind, &letters));
    Ok(Built { inner, adds_space: false, adds_bos: words.adds_bos, bytes: bytes.collect() })
}

fn pair(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    Some((left.to_owned(), right.to_owned()))
}

impl Words {
    fn named(name: &str) -> Result<&'static Self> {
        WORDS.iter().find(|words| words.names.contains(&name)).ok_or_else(|| {
            let names: Vec<&str> = WORDS.iter().flat_map(|words| words.names).copied().collect();
            Error::invalid(format!(
                "its pre-tokenizer {name:?} is not supported ({} are)",
                names.join(", ")
            ))
        })
    }

    pub(super) fn pre_tokenizer(&self) -> Result<PreTokenizerWrapper> {
        let gpt2 = ByteLevel::new(false, true, true);
        let letters = || ByteLevel::new(false, true, false).into();
        let steps = match &self.how {
            How::Gpt2 => return Ok(gpt2.into()),
            How::Gpt2Digits => vec![Digits::new(true).into(), gpt2.into()],
            How::Pattern(pattern) => vec![split(pattern)?, letters()],
            How::Patterns(patterns) => {
                let splits = patterns.iter().map(|pattern| split(pattern));
                splits.chain([Ok(letters())]).collect::<Result<_>>()?
            }
        };
        Ok(Sequence::new(steps).into())
    }
}

fn split(pattern: &str) -> Result<PreTokenizerWrapper> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map(PreTokenizerWrapper::from)
        .map_err(|error| Error::internal("a pre-tokenizer's pattern is wrong").with_source(error))
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

fn token_bytes(token: &str, kind: Kind, letters: &HashMap<char, u8>) -> Option<Vec<u8>> {
    match kind {
        Kind::Control | Kind::Silent => None,
        // Written as they are.
        Kind::UserDefined => Some(token.as_bytes().to_vec()),
        Kind::Normal | Kind::Byte => Some(spelled_bytes(token, letters)),
    }
}

fn spelled_bytes(token: &str, letters: &HashMap<char, u8>) -> Vec<u8> {
    let mut buffer = [0; 4];
    let mut bytes = Vec::with_capacity(token.len());
    for letter in token.chars() {
        match letters.get(&letter) {
            Some(byte) => bytes.push(*byte),
            None => bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    bytes
}
