//! What files call the parts of one and the same network.

/// One file format's names. Those of a layer follow the layer's own and a dot; those of
/// linear layers and norms are followed by a dot and `weight` or `bias`.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) words: &'static str,
    pub(super) positions: &'static str,
    pub(super) token_types: &'static str,
    pub(super) embedding_norm: &'static str,
    /// `{}` stands for its number.
    pub(super) layer: &'static str,
    pub(super) query_key_value: [&'static str; 3],
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) intermediate: &'static str,
    pub(super) output: &'static str,
    pub(super) output_norm: &'static str,
    /// What a cross-encoder has on top, in the ways it may be named: a layer, and the output.
    pub(super) heads: &'static [(&'static str, &'static str)],
    pub(super) weight: &'static str,
    pub(super) bias: &'static str,
}

/// Hugging Face's, less the `bert.` or `roberta.` that a head on top brings.
pub(super) const HUGGING_FACE: Names = Names {
    words: "embeddings.word_embeddings.weight",
    positions: "embeddings.position_embeddings.weight",
    token_types: "embeddings.token_type_embeddings.weight",
    embedding_norm: "embeddings.LayerNorm",
    layer: "encoder.layer.{}",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
    heads: &[("classifier.dense", "classifier.out_proj"), ("pooler.dense", "classifier")],
    weight: "weight",
    bias: "bias",
};

/// llama.cpp's.
pub(super) const GGUF: Names = Names {
    words: "token_embd.weight",
    positions: "position_embd.weight",
    token_types: "token_types.weight",
    embedding_norm: "token_embd_norm",
    layer: "blk.{}",
    query_key_value: ["attn_q", "attn_k", "attn_v"],
    attention_output: "attn_output",
    attention_norm: "attn_output_norm",
    intermediate: "ffn_up",
    output: "ffn_down",
    output_norm: "layer_output_norm",
    heads: &[("cls", "cls.output")],
    weight: "weight",
    bias: "bias",
};

/// Those of [`crate::e5s1`].
pub(super) const E5S1: Names = Names {
    words: "emb.word",
    positions: "emb.pos",
    token_types: "emb.type",
    embedding_norm: "emb.ln",
    layer: "l{}",
    query_key_value: ["q", "k", "v"],
    attention_output: "ao",
    attention_norm: "aln",
    intermediate: "fi",
    output: "fo",
    output_norm: "oln",
    heads: &[],
    weight: "w",
    bias: "b",
};
