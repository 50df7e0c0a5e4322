//! Embeddings in the store: kept by (fingerprint, text hash), so no text is embedded twice.
//!
//! ```text
//! "DE" 1u8 0u8   dims u32   then dims numbers for each window, all f16, little-endian
//! ```
//!
//! Half precision costs a vector of length 1 a cosine of 0.9999999 (measured by the test below) and
//! halves the largest table.

use std::collections::BTreeMap;

use docent_core::{Embedding, Error, Fingerprint, IndexedChunk, Read, Result, TextHash, Write};
use half::f16;

use crate::tables::{EMBEDDINGS, embedding_key};

const MAGIC: [u8; 4] = *b"DE\x01\x00";

pub(crate) fn put(
    write: &mut dyn Write,
    fingerprint: &Fingerprint,
    text: TextHash,
    embedding: &Embedding,
) -> Result<()> {
    write.put(EMBEDDINGS, &embedding_key(fingerprint, text), &encode(embedding))
}

pub(crate) fn get(
    read: &dyn Read,
    fingerprint: &Fingerprint,
    text: TextHash,
) -> Result<Option<Embedding>> {
    let key = embedding_key(fingerprint, text);
    let bytes = read.get(EMBEDDINGS, &key)?;
    bytes.map(|bytes| decode(&bytes).map_err(|error| error.context(key))).transpose()
}

/// The texts of `chunks` that have no embedding yet, each once.
pub(crate) fn missing<'a>(
    read: &dyn Read,
    fingerprint: &Fingerprint,
    chunks: impl IntoIterator<Item = &'a IndexedChunk>,
) -> BTreeMap<TextHash, &'a str> {
    let mut missing = BTreeMap::new();
    for chunk in chunks {
        let hash = chunk.chunk.text_hash();
        // What is damaged is made again.
        if !matches!(get(read, fingerprint, hash), Ok(Some(_))) {
            missing.insert(hash, chunk.chunk.text.as_str());
        }
    }
    missing
}

fn encode(embedding: &Embedding) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + embedding.values().len() * 2);
    bytes.extend(MAGIC);
    bytes.extend((embedding.dims() as u32).to_le_bytes());
    bytes.extend(embedding.values().iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()));
    bytes
}

fn decode(bytes: &[u8]) -> Result<Embedding> {
    let damaged = || Error::corrupt("an embedding cannot be read; run \"docent doctor --repair\"");
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (dims, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (pairs, odd) = rest.as_chunks::<2>();
    if *magic != MAGIC || !odd.is_empty() {
        return Err(damaged());
    }
    let values = pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect();
    Embedding::new(u32::from_le_bytes(*dims) as usize, values)
        .map_err(|source| damaged().with_source(source))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = encode(&Embedding::new(2, vec![0.6, 0.8]).unwrap());
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_direction_survives_half_precision(values in prop::collection::vec(-1.0f32..1.0, 384)) {
            let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
            prop_assume!(length > 0.1);
            let values: Vec<f32> = values.iter().map(|value| value / length).collect();
            let embedding = Embedding::new(384, values).unwrap();
            let back = decode(&encode(&embedding)).unwrap();
            let dot = |a: &Embedding, b: &Embedding| -> f64 {
                a.values().iter().zip(b.values()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let lengths = (dot(&embedding, &embedding) * dot(&back, &back)).sqrt();
            prop_assert!(dot(&embedding, &back) / lengths > 0.999_999_8);
        }
    }
}
