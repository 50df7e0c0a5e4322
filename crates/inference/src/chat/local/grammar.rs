//! Grammars: which tokens may follow, so that what comes out is JSON of a schema.
//!
//! llguidance walks a trie of the vocabulary's bytes beside a parser, and says by a mask which
//! tokens keep the text inside the grammar. Control tokens have no place in that trie, so a grammar
//! never writes one. JSON comes without spaces between its parts: a small model that may write a
//! space may write spaces for ever.

mod formats;
mod numbers;
mod schema;

use std::fmt;
use std::sync::Arc;

use docent_core::{Error, Result};
use llguidance::api::{GrammarWithLexer, StopReason, TopLevelGrammar};
use llguidance::toktrie::{
    INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use self::numbers::Numbers;
pub(super) use self::schema::Strictness;

/// llguidance's trie takes no longer tokens, and no more of them.
const LONGEST_TOKEN: usize = 1000;
const MOST_TOKENS: usize = 1 << 20;

/// A model's tokens, as the answering loop and grammars see them.
pub(super) trait Vocabulary: fmt::Debug + Send + Sync {
    /// How many there are.
    fn size(&self) -> usize;

    /// The bytes a token stands for. Nothing for control tokens.
    fn bytes(&self, token: u32) -> &[u8];

    /// The tokens that end an answer.
    fn ends(&self) -> &[u32];

    /// The tokens of plain text, as the model was trained to see it.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// The control token written like this.
    fn control(&self, text: &str) -> Option<u32>;
}

/// What makes constraints for one vocabulary. Dear to make, cheap to use; shared by all answers.
pub(super) struct Grammars {
    factory: ParserFactory,
    vocabulary: Arc<dyn Vocabulary>,
}

impl Grammars {
    pub(super) fn new(vocabulary: Arc<dyn Vocabulary>) -> Result<Self> {
        let tokens: TokEnv = Arc::new(Tokens::new(vocabulary.clone())?);
        let able = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&tokens, able, &slices)
            .map_err(|error| unusable_vocabulary(&error.to_string()))?;
        factory.quiet();
        // Its errors would otherwise tell the whole grammar and what was said so far.
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, vocabulary })
    }

    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names what the grammar's schemas have that
    /// cannot be promised.
    pub(super) fn constraint(&self, grammar: Grammar) -> Result<Constraint> {
        let parser = self.factory.create_parser(grammar.0).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            Error::invalid(format!("the JSON schema cannot be promised: {}", schema::plain(reason)))
        })?;
        let vocabulary = self.vocabulary.clone();
        Ok(Constraint {
            matcher: Matcher::new(Ok(parser)),
            vocabulary,
            numbers: Numbers::default(),
        })
    }
}

impl fmt::Debug for Grammars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammars").field("vocabulary", &self.vocabulary).finish_non_exhaustive()
    }
}

/// What an answer, or a part of it, has to look like.
#[derive(Clone, Debug)]
pub(super) struct Grammar(TopLevelGrammar);

impl Grammar {
    /// Any JSON object.
    pub(super) fn json_object() -> Self {
        let object = serde_json::json!({ "type": "object" });
        Self(TopLevelGrammar::from_json_schema(schema::compact(object, Strictness::Strict)))
    }

    /// JSON of `schema`.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) names a keyword that cannot be promised; one
    /// that is lax leaves it out instead.
    pub(super) fn json(schema: &Value, strictness: Strictness) -> Result<Self> {
        schema::check(schema, strictness)?;
        Ok(Self(TopLevelGrammar::from_json_schema(schema::compact(schema.clone(), strictness))))
    }

    /// Text of a grammar in Lark's notation that refers to JSON of `schemas` by name, as `@name`.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub(super) fn lark(rules: String, schemas: Vec<(String, Value)>) -> Result<Self> {
        let mut grammars = vec![GrammarWithLexer::from_lark(rules)];
        for (name, schema) in schemas {
            schema::check(&schema, Strictness::Lax)?;
            let schema = schema::compact(schema, Strictness::Lax);
            let grammar = GrammarWithLexer::from_json_schema(schema);
            grammars.push(GrammarWithLexer { name: Some(name), ..grammar });
        }
        Ok(Self(TopLevelGrammar { grammars, max_tokens: None }))
    }
}

/// One answer's way through a grammar.
pub(super) struct Constraint {
    matcher: Matcher,
    vocabulary: Arc<dyn Vocabulary>,
    numbers: Numbers,
}

impl Constraint {
    /// Rules out what must not follow.
    pub(super) fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let mask = self.matcher.compute_mask_or_eos();
        let mask = mask.map_err(|error| self.failed(&error.to_string()))?;
        let words = mask.as_slice();
        let known = logits.len().min(words.len() * 32);
        let (known, padding) = logits.split_at_mut(known);
        padding.fill(f32::NEG_INFINITY);
        for (scores, allowed) in known.chunks_mut(32).zip(words) {
            match *allowed {
                0 => scores.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                allowed => rule_out(scores, allowed),
            }
        }
        self.end_numbers(logits);
        Ok(())
    }

    /// Goes on by `token`, which the mask allowed.
    pub(super) fn take(&mut self, token: u32) -> Result<()> {
        self.numbers.push(self.vocabulary.bytes(token));
        let taken = self.matcher.consume_token(token);
        taken.map_err(|error| self.failed(&error.to_string()))
    }

    /// The tokens that must follow now, already taken.
    pub(super) fn take_forced(&mut self) -> Result<Vec<u32>> {
        if self.is_done() {
            return Ok(Vec::new());
        }
        let forced = self.matcher.consume_ff_tokens();
        if let Some(reason) = self.matcher.get_error() {
            return Err(self.failed(&reason));
        }
        for token in &forced {
            self.numbers.push(self.vocabulary.bytes(*token));
        }
        Ok(forced)
    }

    /// Goes on by `text`, whoever wrote it in whichever tokens; whether the grammar takes it.
    pub(super) fn take_text(&mut self, text: &str) -> bool {
        if text.is_empty() {
            return true;
        }
        let Ok(tokens) = self.matcher.tok_env().map(|env| env.tokenize_bytes(text.as_bytes()))
        else {
            return false;
        };
        self.numbers.push(text.as_bytes());
        self.matcher.try_consume_tokens(&tokens).is_ok_and(|taken| taken == tokens.len())
    }

    /// Whether the text is whole and nothing but the end may follow.
    pub(super) fn is_done(&self) -> bool {
        self.matcher.is_stopped() && self.matcher.stop_reason().is_ok()
    }

    /// Whether the text so far is whole.
    pub(super) fn may_end(&mut self) -> bool {
        self.is_done() || self.matcher.is_accepting().unwrap_or(false)
    }

    /// A grammar's numbers may have digits without end; beyond what a reader can tell apart only
    /// what ends one is left, if anything is.
    fn end_numbers(&self, logits: &mut [f32]) {
        if !self.numbers.is_inside() {
            return;
        }
        let fits = |token: usize| {
            let token = u32::try_from(token).unwrap_or(u32::MAX);
            self.numbers.fits(self.vocabulary.bytes(token))
        };
        let open = |(_, score): &(usize, &mut f32)| **score > f32::NEG_INFINITY;
        let any = logits.iter_mut().enumerate().filter(open).any(|(token, _)| fits(token));
        if any {
            for (token, score) in logits.iter_mut().enumerate().filter(open) {
                if !fits(token) {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
    }

    fn failed(&self, reason: &str) -> Error {
        match self.matcher.stop_reason() {
            StopReason::LexerTooComplex | StopReason::ParserTooComplex => Error::invalid(
                "the JSON schema is too large to be held to; make it smaller, or shorten its \
                 longest enum, pattern or list of properties",
            ),
            _ => {
                let reason = reason.lines().next().unwrap_or_default();
                Error::internal(format!("the grammar of the answer failed: {reason}"))
            }
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

fn rule_out(scores: &mut [f32], allowed: u32) {
    for (bit, score) in scores.iter_mut().enumerate() {
        if allowed >> bit & 1 == 0 {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// The vocabulary as llguidance wants it.
struct Tokens {
    trie: TokTrie,
    vocabulary: Arc<dyn Vocabulary>,
}

impl Tokens {
    fn new(vocabulary: Arc<dyn Vocabulary>) -> Result<Self> {
        let size = vocabulary.size();
        let count = u32::try_from(size).ok().filter(|_| (1..=MOST_TOKENS).contains(&size));
        let Some(count) = count else {
            return Err(unusable_vocabulary(&format!("it has {size} tokens")));
        };
        let words: Vec<Vec<u8>> = (0..count).map(|token| word(vocabulary.bytes(token))).collect();
        let ends: Vec<u32> = vocabulary.ends().iter().copied().filter(|end| *end < count).collect();
        let end = ends.first().copied().unwrap_or(INVALID_TOKEN);
        let mut trie = TokTrie::from(&TokRxInfo::new(count, end), &words);
        if !ends.is_empty() {
            trie = trie.with_eos_tokens(&ends);
        }
        Ok(Self { trie, vocabulary })
    }

    /// As the model was trained to see it, as long as that spells the text.
    fn encode(&self, text: &str) -> Vec<TokenId> {
        let tokens = self.vocabulary.encode(text);
        let spelled = tokens.iter().flat_map(|token| self.vocabulary.bytes(*token));
        match spelled.eq(text.as_bytes()) {
            true => tokens,
            false => self.trie.greedy_tokenize(text.as_bytes()),
        }
    }
}

/// What a token is in the trie. Control tokens have no bytes and so no place in it.
fn word(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() > LONGEST_TOKEN { Vec::new() } else { bytes.to_vec() }
}

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.encode(text))
    }
}

fn unusable_vocabulary(reason: &str) -> Error {
    Error::invalid(format!("the model's vocabulary cannot be held to a grammar: {reason}"))
}

#[cfg(test)]
mod tests;
