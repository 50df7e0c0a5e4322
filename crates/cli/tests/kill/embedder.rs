//! Embedders without weights, so that vectors are written and killed too.

use std::sync::Arc;

use docent::{
    Embedder, EmbedderSpec, Embedders, Embedding, Error, Fingerprint, InputRole, Result, TextHash,
};

/// Counts words by their hash.
#[derive(Debug)]
pub(crate) struct Tiny(EmbedderSpec);

impl Tiny {
    pub(crate) const DIMS: [usize; 2] = [16, 24];

    pub(crate) fn new(dims: usize) -> Self {
        Self(EmbedderSpec {
            name: format!("tiny-{dims}"),
            fingerprint: format!("tiny-{dims}").parse().unwrap(),
            dims,
            window_tokens: 256,
            languages: vec![],
            cosines: Default::default(),
        })
    }
}

/// Both sizes.
#[derive(Debug)]
pub(crate) struct Sizes;

impl Embedders for Sizes {
    fn find(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>> {
        let sizes = Tiny::DIMS.map(Tiny::new).into_iter();
        let mut found = sizes.filter(|it| it.spec().fingerprint == *fingerprint);
        let found = found.next().ok_or_else(|| Error::not_found("there are two sizes"))?;
        Ok(Arc::new(found))
    }
}

impl Embedder for Tiny {
    fn spec(&self) -> &EmbedderSpec {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: InputRole) -> Result<Vec<Embedding>> {
        texts.iter().map(|text| Embedding::new(self.0.dims, self.direction(text))).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

impl Tiny {
    fn direction(&self, text: &str) -> Vec<f32> {
        let mut counts = vec![0.1f32; self.0.dims];
        for word in text.split_whitespace() {
            let hash = TextHash::of(word).to_string();
            let digits = usize::from_str_radix(&hash[..2], 16).unwrap();
            counts[digits % self.0.dims] += 1.0;
        }
        let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
        counts.iter().map(|count| count / length).collect()
    }
}
