//! An embedder without weights, so that vectors are written and killed too.

use docent::{Embedder, EmbedderSpec, Embedding, InputRole, Result, TextHash};

const DIMS: usize = 16;

/// Counts words by their hash.
#[derive(Debug)]
pub(crate) struct Tiny(EmbedderSpec);

impl Default for Tiny {
    fn default() -> Self {
        Self(EmbedderSpec {
            name: "tiny".into(),
            fingerprint: "tiny-16".parse().unwrap(),
            dims: DIMS,
            window_tokens: 256,
            languages: vec![],
        })
    }
}

impl Embedder for Tiny {
    fn spec(&self) -> &EmbedderSpec {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: InputRole) -> Result<Vec<Embedding>> {
        texts.iter().map(|text| Embedding::new(DIMS, direction(text))).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

fn direction(text: &str) -> Vec<f32> {
    let mut counts = [0.1f32; DIMS];
    for word in text.split_whitespace() {
        let hash = TextHash::of(word).to_string();
        let digit = usize::from_str_radix(&hash[..1], 16).unwrap();
        counts[digit] += 1.0;
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    counts.iter().map(|count| count / length).collect()
}
