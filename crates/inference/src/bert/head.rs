//! What a cross-encoder has on top of BERT: one more layer over the first token's vector, and one
//! number out of it.

/// The layer and its output.
#[derive(Debug)]
pub(crate) struct Head {
    /// Row-major, one row an output.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) output: Vec<f32>,
    pub(super) output_bias: f32,
}

impl Head {
    /// What it says of the first token's vector.
    pub(crate) fn logit(&self, first: &[f32]) -> f32 {
        let rows = self.weight.chunks_exact(first.len()).zip(&self.bias);
        let layer = rows.map(|(row, bias)| (dot(row, first) + bias).tanh());
        layer.zip(&self.output).map(|(value, weight)| value * weight).sum::<f32>()
            + self.output_bias
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
