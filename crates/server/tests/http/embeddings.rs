//! `/v1/embeddings`.

use std::sync::Arc;

use docent_core::{Embedder, EmbedderSpec, Embedding, InputRole, Result};
use docent_inference::chat::Scripted;
use serde_json::{Value, json};

use crate::support::{Api, MODEL, Setup};

const PATH: &str = "/v1/embeddings";

/// A vector of two numbers: how many words and how many not.
#[derive(Debug)]
struct Words(EmbedderSpec);

impl Embedder for Words {
    fn spec(&self) -> &EmbedderSpec {
        &self.0
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        assert_eq!(role, InputRole::Passage);
        texts.iter().map(|text| Embedding::new(2, vec![text.len() as f32 / 8.0, 0.1])).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

fn api() -> Api {
    let spec = EmbedderSpec {
        name: "words".into(),
        fingerprint: "words-1".parse().unwrap(),
        dims: 2,
        window_tokens: 4,
        languages: vec![],
        cosines: Default::default(),
    };
    let setup = Setup { embedder: Some(Arc::new(Words(spec))), ..Setup::default() };
    Api::with(Arc::new(Scripted::new([])), setup)
}

#[test]
fn texts_become_vectors_in_either_encoding() {
    let api = api();
    let one = api.made(PATH, &json!({ "model": "words", "input": "ab", "dimensions": 2 }));
    let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.25, 0.1] }]);
    let wanted = json!({
        "object": "list", "data": data, "model": "words",
        "usage": { "prompt_tokens": 1, "total_tokens": 1 },
    });
    assert_eq!(one, wanted);
    let body = json!({
        "model": "words", "input": ["one two", "three"], "encoding_format": "base64",
        "user": "anna",
    });
    let two = api.made(PATH, &body);
    assert_eq!(two["usage"]["prompt_tokens"], 3);
    assert_eq!(two["data"][1]["index"], 1);
    // 0.625 and 0.1 as 32-bit floats, little-endian.
    assert_eq!(two["data"][1]["embedding"], "AAAgP83MzD0=");
    let listed = api.get("/v1/models").ok();
    let names: Vec<&Value> =
        listed["data"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(names, [MODEL, "words"]);
    api.get("/v1/models/words").ok();
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let api = api();
    let long = "This model's maximum context length is 4 tokens, however you requested 5 tokens (5 \
                in your prompt; 0 for the completion). Please reduce your prompt; or completion \
                length.";
    for (more, message, param, code) in [
        (json!({ "input": "a b c d e" }), long, "input", "context_length_exceeded"),
        (
            json!({ "input": [1, 2] }),
            "Invalid 'input[0]': tokens are not supported, they are of another model; send text.",
            "input[0]",
            "invalid_value",
        ),
        (
            json!({ "input": "a", "dimensions": 3 }),
            "Invalid 'dimensions': vectors of words have 2 dimensions; leave it out.",
            "dimensions",
            "invalid_value",
        ),
        (
            json!({ "input": "a", "colour": 3 }),
            "Unknown parameter: 'colour'.",
            "colour",
            "unknown_parameter",
        ),
    ] {
        let mut body = json!({ "model": "words" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = api.post(PATH, &body);
        assert_eq!(refused.refused(400), (message, Some(param), Some(code)));
    }
    let refused = api.post(PATH, &json!({ "model": "text-embedding-3-small", "input": "a" }));
    let message = "The model `text-embedding-3-small` does not exist or you do not have access to \
                   it. Embeddings are made by 'words'.";
    assert_eq!(refused.refused(404), (message, Some("model"), Some("model_not_found")));
}

#[test]
fn without_an_embedder_the_refusal_says_what_to_do() {
    let refused = Api::new([]).post(PATH, &json!({ "model": "words", "input": "a" }));
    assert!(refused.refused(400).0.contains("docent.toml"), "{}", refused.body);
}
