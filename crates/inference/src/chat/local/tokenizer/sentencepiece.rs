//! BPE as SentencePiece does it: Llama 2, Phi-3, Gemma.
//!
//! Its vocabulary has scores instead of merges: of all neighbors that make a token, those that
//! make the one with the best score are merged first. That is a list of merges like any other,
//! so the same engine runs it.

use candle_core::quantized::gguf_file::Value;
use docent_core::{Error, Result};
use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::Replace;

use super::{Built, Kind, Vocabulary, normalize, plain_spaces};
use crate::chat::local::gguf::Metadata;

pub(super) fn build(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Built> {
    let scores = scores(metadata, vocabulary.tokens.len())?;
    let ids: Vocab = vocabulary.iter().map(|(token, id, kind)| (key(token, kind), id)).collect();
    let merges = merges(vocabulary, &scores, &ids);
    let mut bpe = BPE::builder().vocab_and_merges(ids, merges).byte_fallback(true).fuse_unk(true);
    let unknown = metadata.get("tokenizer.ggml.unknown_token_id").and_then(|v| v.to_u32().ok());
    let unknown = unknown.and_then(|id| vocabulary.tokens.get(id as usize));
    if let Some(unknown) = unknown {
        bpe = bpe.unk_token(unknown.clone());
    }
    let bpe = bpe.build().map_err(|error| {
        Error::corrupt("its tokenizer's vocabulary cannot be used").with_source(error)
    })?;
    let mut inner = Tokenizer::new(bpe);
    let spaces = Replace::new(" ", "▁")
        .map_err(|error| Error::internal("no pattern for spaces").with_source(error))?;
    normalize(&mut inner, spaces)?;
    let adds_space =
        metadata.get("tokenizer.ggml.add_space_prefix").and_then(|value| value.to_bool().ok());
    let bytes = vocabulary.iter().map(|(token, _, kind)| token_bytes(token, kind)).collect();
    Ok(Built { inner, adds_space: adds_space.unwrap_or(true), adds_bos: true, bytes })
}

fn scores(metadata: &Metadata, tokens: usize) -> Result<Vec<f32>> {
    let values = metadata.get("tokenizer.ggml.scores").and_then(|value| value.to_vec().ok());
    let scores = values.and_then(|values| {
        values.iter().map(|value: &Value| value.to_f32().ok()).collect::<Option<Vec<_>>>()
    });
    scores
        .filter(|scores| scores.len() == tokens)
        .ok_or_else(|| Error::corrupt("it has no score for each token of its tokenizer"))
}

fn key(token: &str, kind: Kind) -> String {
    if kind == Kind::UserDefined { plain_spaces(token) } else { token.to_owned() }
}

/// Every pair of tokens that makes a token, the best score first; pairs that make the same token
/// in the order of their ids, which only keeps the list the same from run to run.
fn merges(vocabulary: &Vocabulary, scores: &[f32], ids: &Vocab) -> Vec<(String, String)> {
    let mut merges = Vec::new();
    for (token, id, _) in vocabulary.iter().filter(|(_, _, kind)| *kind == Kind::Normal) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                merges.push((scores[id as usize], *left_id, *right_id, left, right));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let texts = merges.into_iter().map(|(.., left, right)| (left.to_owned(), right.to_owned()));
    texts.collect()
}

fn token_bytes(token: &str, kind: Kind) -> Option<Vec<u8>> {
    match kind {
        Kind::Control | Kind::Silent => None,
        Kind::Byte => byte(token).map(|byte| vec![byte]),
        Kind::UserDefined => Some(plain_spaces(token).into_bytes()),
        Kind::Normal => Some(token.replace('▁', " ").into_bytes()),
    }
}

/// `<0x0A>` is a line break.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}
