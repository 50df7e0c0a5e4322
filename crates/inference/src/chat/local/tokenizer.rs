//! The tokenizer inside a GGUF file.
//!
//! GGUF keeps the vocabulary, what is merged first and the *name* of the pre-tokenizer, which
//! every loader has to know. Treating an unknown one as GPT-2's works until somebody writes a
//! number; we refuse instead. Control tokens such as `<|im_end|>` are found only where the chat
//! template wrote them, never in what a user or a document says.

mod byte_level;
mod sentencepiece;

use std::borrow::Cow;
use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use docent_core::{Error, Result};
use regex::Regex;
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer};

use super::gguf::{Metadata, strings, text};
use super::grammar;
use super::text::TextStream;

/// Put inside control tokens in what people wrote. A noncharacter: no text holds it.
const GUARD: char = '\u{fdd0}';

/// The same for user-defined tokens, which are found in any text: what stands before and behind
/// it is read apart.
const BREAK: char = '\u{fdd1}';

/// Tokens that end an answer, whatever else the file calls the end: of a turn in ChatML, Llama 3
/// (`eom` ends a turn that calls a tool), Phi, Gemma, DeepSeek and Llama 2, and of a text.
const ENDS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
    "</s>",
];

/// `tokenizer.ggml.token_type`, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    /// Unknown and unused tokens: neither text nor a mark.
    Silent,
    Control,
    /// Found in any text before it is split into words.
    UserDefined,
    /// One byte, written `<0x0A>`.
    Byte,
}

/// What both kinds of tokenizer are made from.
struct Vocabulary {
    tokens: Vec<String>,
    kinds: Vec<Kind>,
}

/// How the two kinds differ once they are built.
struct Built {
    inner: Tokenizer,
    /// A space is put before each stretch of text, as Llama 2 was trained.
    adds_space: bool,
    /// Whether a prompt begins with the token for it when the file does not say.
    adds_bos: bool,
    bytes: Vec<Option<Vec<u8>>>,
}

#[derive(Debug)]
pub(super) struct GgufTokenizer {
    inner: Tokenizer,
    /// The bytes each token stands for; none for what has no text.
    bytes: Vec<Option<Vec<u8>>>,
    names: HashMap<u32, String>,
    control: HashMap<String, u32>,
    any_control: Regex,
    /// User-defined tokens, which the template may use as marks.
    user_defined: Vec<String>,
    adds_space: bool,
    /// Phi-3 was trained without the white space behind its marks, though its template writes it.
    eats_space: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    unk: Option<u32>,
    adds_bos: bool,
    /// Tokens that end an answer.
    ends: Vec<u32>,
}

impl GgufTokenizer {
    pub(super) fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let vocabulary = Vocabulary::from_metadata(metadata)?;
        let model = text(metadata, "tokenizer.ggml.model").unwrap_or_default();
        let mut built = match model {
            "gpt2" => byte_level::build(metadata, &vocabulary)?,
            "llama" => sentencepiece::build(metadata, &vocabulary)?,
            other => {
                return Err(Error::invalid(format!(
                    "its tokenizer is of kind {other:?}; byte-level BPE (\"gpt2\") and \
                     SentencePiece BPE (\"llama\") are supported"
                )));
            }
        };
        let user_defined = vocabulary.of_kind(Kind::UserDefined);
        add_user_defined(&mut built.inner, &user_defined)?;
        let control: HashMap<String, u32> = vocabulary.of_kind(Kind::Control).into_iter().collect();
        let id = |key: &str| metadata.get(key).and_then(|value| value.to_u32().ok());
        let eos = id("tokenizer.ggml.eos_token_id");
        let adds_bos = metadata.get("tokenizer.ggml.add_bos_token").and_then(|v| v.to_bool().ok());
        Ok(Self {
            any_control: any_of(control.keys().map(String::as_str))?,
            names: built.silent_names(vocabulary.tokens),
            ends: ends(eos, &control, id),
            inner: built.inner,
            bytes: built.bytes,
            control,
            user_defined: user_defined.into_iter().map(|(token, _)| token).collect(),
            adds_space: built.adds_space,
            eats_space: model == "llama" && text(metadata, "general.architecture") == Some("phi3"),
            bos: id("tokenizer.ggml.bos_token_id"),
            eos,
            unk: id("tokenizer.ggml.unknown_token_id"),
            adds_bos: adds_bos.unwrap_or(built.adds_bos),
        })
    }

    /// The tokens of plain text.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let spaced = self.adds_space && !text.is_empty();
        self.encode_bare(if spaced { Cow::Owned(format!(" {text}")) } else { text.into() })
    }

    fn encode_bare(&self, text: Cow<'_, str>) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| Error::internal("the tokenizer failed").with_source(error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of text between control tokens.
    fn encode_guarded(&self, text: &str) -> Result<Vec<u32>> {
        let text = text.replace(GUARD, "");
        let mut parts = text.split(BREAK);
        let mut ids = self.encode(parts.next().unwrap_or_default())?;
        for part in parts {
            ids.extend(self.encode_bare(part.into())?);
        }
        Ok(ids)
    }

    /// The tokens of a rendered chat template whose messages went through a [`Guard`].
    ///
    /// The file's wish for an end of text behind a prompt (`add_eos_token`) is not heard: the
    /// model is to go on.
    pub(super) fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut plain_from = 0;
        for found in self.any_control.find_iter(prompt) {
            ids.extend(self.encode_guarded(&prompt[plain_from..found.start()])?);
            ids.extend(self.control.get(found.as_str()));
            plain_from = self.next_plain(prompt, &found);
        }
        ids.extend(self.encode_guarded(&prompt[plain_from..])?);
        if let Some(bos) = self.bos.filter(|bos| self.adds_bos && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Where the text behind a control token begins.
    fn next_plain(&self, prompt: &str, mark: &regex::Match<'_>) -> usize {
        let rest = &prompt[mark.end()..];
        let keeps = !self.eats_space || matches!(mark.as_str(), "<s>" | "<unk>" | "<|endoftext|>");
        if keeps { mark.end() } else { prompt.len() - rest.trim_start().len() }
    }

    /// Makes harmless in a text what is a mark to this model: its control tokens, and those of
    /// its user-defined ones that `template` writes, such as `<tool_call>`.
    pub(super) fn guard(&self, template: &str) -> Result<Guard> {
        let written = |token: &&String| is_mark(token) && template.contains(token.as_str());
        let marks = self.user_defined.iter().filter(written).map(String::as_str);
        Ok(Guard { control: self.any_control.clone(), marks: any_of(marks)? })
    }

    /// The bytes of a token, which may end inside a character. Nothing for control tokens.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Where an answer becomes text. The space that [`encode`](Self::encode) puts before a
    /// stretch of text was learned, so the model writes it before its answer, too.
    pub(super) fn answer(&self, stops: &[String]) -> TextStream {
        let stream = TextStream::new(stops);
        if self.adds_space { stream.without_first_space() } else { stream }
    }

    /// The token a prompt begins with, as text for templates that name it.
    pub(super) fn bos(&self) -> &str {
        self.name(self.bos)
    }

    /// The token a text ends with.
    pub(super) fn eos(&self) -> &str {
        self.name(self.eos)
    }

    /// The token for what the vocabulary lacks.
    pub(super) fn unk(&self) -> &str {
        self.name(self.unk)
    }

    fn name(&self, id: Option<u32>) -> &str {
        id.and_then(|id| self.names.get(&id)).map_or("", String::as_str)
    }

    pub(super) fn knows(&self, control: &str) -> bool {
        self.control.contains_key(control)
    }
}

impl grammar::Vocabulary for GgufTokenizer {
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

/// Makes texts harmless before a template sees them.
#[derive(Debug)]
pub(super) struct Guard {
    control: Regex,
    marks: Regex,
}

impl Guard {
    /// `text` of a user, a document or a tool: nothing in it is a mark.
    pub(super) fn foreign(&self, text: &str) -> String {
        broken(&self.marks, BREAK, &self.own(text))
    }

    /// `text` the model wrote, whose thoughts and calls the template may look for: only control
    /// tokens are harmless.
    pub(super) fn own(&self, text: &str) -> String {
        broken(&self.control, GUARD, &unguarded(text))
    }
}

fn broken(tokens: &Regex, with: char, text: &str) -> String {
    let broken = |found: &regex::Captures<'_>| {
        let mut chars = found[0].chars();
        let first = chars.next().map(String::from).unwrap_or_default();
        format!("{first}{with}{}", chars.as_str())
    };
    tokens.replace_all(text, broken).into_owned()
}

/// A text as it was before a [`Guard`] saw it.
pub(super) fn unguarded(text: &str) -> String {
    text.replace([GUARD, BREAK], "")
}

/// User-defined tokens are marks or stretches of white space and the like.
fn is_mark(token: &str) -> bool {
    token.len() > 2 && token.starts_with(['<', '[']) && token.ends_with(['>', ']'])
}

impl Vocabulary {
    fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let tokens = strings(metadata, "tokenizer.ggml.tokens")?;
        let given = metadata.get("tokenizer.ggml.token_type").and_then(|value| value.to_vec().ok());
        let mut kinds: Vec<Kind> = given.into_iter().flatten().map(kind).collect();
        kinds.resize(tokens.len(), Kind::Normal);
        for (token, kind) in tokens.iter().zip(&mut kinds) {
            // Some files call these user-defined or even normal.
            if ENDS.contains(&token.as_str()) {
                *kind = Kind::Control;
            }
            // What converters fill a vocabulary up with was never seen by the model.
            if *kind == Kind::UserDefined && token.starts_with("[PAD") {
                *kind = Kind::Silent;
            }
        }
        Ok(Self { tokens, kinds })
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u32, Kind)> {
        let with_ids = self.tokens.iter().zip(0u32..).zip(&self.kinds);
        with_ids.map(|((token, id), kind)| (token.as_str(), id, *kind))
    }

    fn of_kind(&self, wanted: Kind) -> Vec<(String, u32)> {
        let found = self.iter().filter(|(token, _, kind)| *kind == wanted && !token.is_empty());
        found.map(|(token, id, _)| (token.to_owned(), id)).collect()
    }
}

impl Built {
    /// Names of the tokens that have no text.
    fn silent_names(&self, tokens: Vec<String>) -> HashMap<u32, String> {
        let named = (0u32..).zip(tokens).zip(&self.bytes);
        named.filter(|(_, bytes)| bytes.is_none()).map(|(named, _)| named).collect()
    }
}

fn kind(value: &Value) -> Kind {
    let number = match value {
        Value::I32(kind) => u32::try_from(*kind).unwrap_or_default(),
        value => value.to_u32().unwrap_or_default(),
    };
    match number {
        3 => Kind::Control,
        4 => Kind::UserDefined,
        2 | 5 => Kind::Silent,
        6 => Kind::Byte,
        _ => Kind::Normal,
    }
}

fn add_user_defined(tokenizer: &mut Tokenizer, tokens: &[(String, u32)]) -> Result<()> {
    let added = tokens.iter().map(|(token, _)| AddedToken::from(plain_spaces(token), false));
    let added: Vec<AddedToken> = added.map(|token| token.normalized(false)).collect();
    tokenizer.add_tokens(added).map(drop).map_err(|error| {
        Error::corrupt("its tokenizer's user-defined tokens are unusable").with_source(error)
    })
}

fn normalize(tokenizer: &mut Tokenizer, how: impl Into<NormalizerWrapper>) -> Result<()> {
    tokenizer
        .with_normalizer(Some(how))
        .map(drop)
        .map_err(|error| Error::internal("the tokenizer takes no normalizer").with_source(error))
}

/// SentencePiece writes spaces as U+2581; older files keep that in user-defined tokens, which are
/// looked for in the text as it is.
fn plain_spaces(token: &str) -> String {
    if token.chars().all(|char| char == '▁') {
        token.replace('▁', " ")
    } else {
        token.to_owned()
    }
}

fn ends(
    eos: Option<u32>,
    control: &HashMap<String, u32>,
    id: impl Fn(&str) -> Option<u32>,
) -> Vec<u32> {
    let keys = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
    let named = ENDS.iter().filter_map(|name| control.get(*name).copied());
    let mut ends = Vec::new();
    for id in eos.into_iter().chain(keys.iter().filter_map(|key| id(key))).chain(named) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    ends
}

fn any_of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Regex> {
    let mut texts: Vec<&str> = texts.collect();
    // The longest first: alternation takes what matches first.
    texts.sort_unstable_by_key(|text| (std::cmp::Reverse(text.len()), *text));
    let escaped: Vec<String> = texts.into_iter().map(regex::escape).collect();
    // Without control tokens: a pattern that matches nothing.
    let pattern = if escaped.is_empty() { "[^\\s\\S]".to_owned() } else { escaped.join("|") };
    Regex::new(&pattern).map_err(|error| {
        Error::corrupt("its tokenizer has too many control tokens").with_source(error)
    })
}

#[cfg(test)]
mod tests;
