//! Embeddings.

use docent_core::EmbedderSpec;
use serde_json::{Value, json};

use super::fields::{Field, Object};
use super::format::number;
use crate::error::ApiError;

/// The API's limit of texts at a time.
const MOST_INPUTS: usize = 2_048;

/// Texts to be embedded.
#[derive(Debug)]
pub(crate) struct NewEmbeddings {
    pub(crate) model: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) encoding: VectorEncoding,
    dimensions: Option<u64>,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VectorEncoding {
    /// As numbers.
    Float,
    /// As the base64 of their 32-bit floats, little-endian: what the official clients ask for.
    Base64,
}

/// Reads what is to be embedded.
pub(crate) fn read_embeddings(mut body: Object) -> Result<NewEmbeddings, ApiError> {
    let model = body.required("model", Field::string)?;
    let inputs = body.required("input", read_inputs)?;
    let encoding = body.optional("encoding_format", |field| field.word(&["float", "base64"]))?;
    let dimensions = body.optional("dimensions", |field| field.integer(1, u64::MAX))?;
    // It tells the hosted service who asks; here nobody is told.
    body.optional("user", Field::string)?;
    body.finish()?;
    let encoding = match encoding {
        Some("base64") => VectorEncoding::Base64,
        _ => VectorEncoding::Float,
    };
    Ok(NewEmbeddings { model, inputs, encoding, dimensions })
}

fn read_inputs(field: Field) -> Result<Vec<String>, ApiError> {
    if !matches!(field.value(), Value::Array(_)) {
        return Ok(vec![read_input(field)?]);
    }
    field.nonempty_array_up_to(MOST_INPUTS)?.into_iter().map(read_input).collect()
}

fn read_input(field: Field) -> Result<String, ApiError> {
    if matches!(field.value(), Value::Number(_) | Value::Array(_)) {
        return Err(field.refuse("tokens are not supported, they are of another model; send text."));
    }
    if field.as_word() == Some("") {
        return Err(field.refuse("input cannot be an empty string."));
    }
    field.string()
}

impl NewEmbeddings {
    /// Refuses vectors of another length, and texts of more tokens than one vector can stand for.
    pub(crate) fn check(&self, spec: &EmbedderSpec, tokens: &[usize]) -> Result<(), ApiError> {
        if self.dimensions.is_some_and(|wanted| wanted != spec.dims as u64) {
            return Err(ApiError::invalid(format!(
                "Invalid 'dimensions': vectors of {} have {} dimensions; leave it out.",
                spec.name, spec.dims
            ))
            .at("dimensions")
            .code("invalid_value"));
        }
        let most = spec.window_tokens;
        let Some(longest) = tokens.iter().copied().find(|tokens| *tokens > most) else {
            return Ok(());
        };
        Err(ApiError::invalid(format!(
            "This model's maximum context length is {most} tokens, however you requested {longest} \
             tokens ({longest} in your prompt; 0 for the completion). Please reduce your prompt; \
             or completion length."
        ))
        .at("input")
        .code("context_length_exceeded"))
    }
}

/// Embeddings as answers show them.
pub(crate) fn embeddings(
    model: &str,
    vectors: &[Vec<f32>],
    encoding: VectorEncoding,
    tokens: u64,
) -> Value {
    let data = vectors.iter().enumerate().map(|(index, vector)| {
        let vector: Value = match encoding {
            VectorEncoding::Float => vector.iter().map(|value| number(*value)).collect(),
            VectorEncoding::Base64 => base64(vector).into(),
        };
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

/// Fifteen lines, so no dependency.
fn base64(vector: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let shown = digit <= three.len();
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if shown { DIGITS[index] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_as_the_clients_read_them() {
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(base64(&[0.0, 0.5, 3.0]), "AAAAAAAAAD8AAEBA");
        assert_eq!(base64(&[]), "");
    }
}
