//! What people want to know of a model file.

use std::collections::BTreeMap;

use docent_core::{Error, Result};
use serde::Serialize;

use super::{GgufHeader, GgufValue, Tensor, TensorType};

/// What a GGUF file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GgufInfo {
    /// The family: `llama`, `qwen2`, `gemma3`, …
    pub architecture: String,
    /// What its makers call it.
    pub name: Option<String>,
    /// How many numbers its tensors have.
    pub parameters: u64,
    /// How long the file is.
    pub file_bytes: u64,
    /// How its numbers are written, most first.
    pub quantization: Vec<QuantizationShare>,
    /// How many tokens it was trained to take at once.
    pub context_tokens: Option<u64>,
    /// Its layers.
    pub layers: Option<u64>,
    /// The heads of each, for queries.
    pub heads: Option<u64>,
    /// The heads for keys and values; fewer where several queries share them.
    pub kv_heads: Option<u64>,
    /// How many numbers stand for a token between layers.
    pub embedding_length: Option<u64>,
    /// How many tokens it knows.
    pub vocabulary: Option<u64>,
    /// How it cuts texts into tokens: `gpt2` is byte pairs, `llama` SentencePiece.
    pub tokenizer: Option<String>,
    /// How texts are split before that.
    pub pre_tokenizer: Option<String>,
    /// Its chat template, if it has one.
    pub chat_template: Option<ChatTemplate>,
    /// Its licence, as the file says.
    pub license: Option<String>,
    /// What it needs in memory.
    pub memory: KeptMemory,
}

/// How much of a model is written in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuantizationShare {
    /// The way, in ggml's name.
    pub kind: String,
    /// So many tensors.
    pub tensors: u64,
    /// They have so many numbers.
    pub parameters: u64,
    /// In so many bytes; none for a type that is not known.
    pub bytes: Option<u64>,
}

/// What can be told of a chat template by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChatTemplate {
    /// Whether it has a place for instructions.
    pub system_role: bool,
    /// Whether it has a place for tools.
    pub tools: bool,
}

/// What a model needs in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeptMemory {
    /// The weights as they are kept, which is not as the file has them.
    pub weights_bytes: u64,
    /// The keys and values of each token of a conversation.
    pub cache_bytes_per_token: u64,
}

impl KeptMemory {
    /// All that is needed for a conversation of so many tokens.
    pub fn bytes_for(self, context_tokens: u64) -> u64 {
        self.weights_bytes.saturating_add(self.cache_bytes_per_token.saturating_mul(context_tokens))
    }
}

impl GgufInfo {
    /// What `header` says.
    pub fn of(header: &GgufHeader) -> Self {
        let architecture = header.text("general.architecture").unwrap_or("unknown").to_owned();
        let own = |key: &str| header.number(&format!("{architecture}.{key}"));
        Self {
            name: header.text("general.name").map(str::to_owned),
            parameters: sum(header.tensors.iter().map(|tensor| tensor.numbers())),
            file_bytes: header.file_bytes,
            quantization: shares(header),
            context_tokens: own("context_length"),
            layers: own("block_count"),
            heads: own("attention.head_count"),
            kv_heads: own("attention.head_count_kv").or_else(|| own("attention.head_count")),
            embedding_length: own("embedding_length"),
            vocabulary: header.length("tokenizer.ggml.tokens").or_else(|| own("vocab_size")),
            tokenizer: header.text("tokenizer.ggml.model").map(str::to_owned),
            pre_tokenizer: header.text("tokenizer.ggml.pre").map(str::to_owned),
            chat_template: header.text("tokenizer.chat_template").map(ChatTemplate::of),
            license: header.text("general.license").map(str::to_owned),
            memory: memory(header, &architecture),
            architecture,
        }
    }

    /// The way most of its numbers are written.
    pub fn main_quantization(&self) -> &str {
        self.quantization.first().map_or("unknown", |share| &share.kind)
    }

    /// Whether it has fewer than a billion parameters: then it answers, but does not choose tools
    /// sensibly. Asked 20 questions that need a tool or none, a model of 135 M was right 6 times by
    /// its own template, one of 0.5 B 6 times too.
    pub fn is_too_small_for_tools(&self) -> bool {
        self.parameters < 1_000_000_000
    }
}

impl ChatTemplate {
    /// By what it names, as a template is a program: most that refuse a system message say so.
    fn of(text: &str) -> Self {
        let refuses = ["System role not supported", "system role is not supported"];
        let refuses = refuses.iter().any(|words| text.contains(words));
        // What writes every role as it comes takes this one too.
        let writes_any = ["message['role']", "message.role", "message[\"role\"]"];
        let takes = text.contains("system") || writes_any.iter().any(|words| text.contains(words));
        Self { system_role: takes && !refuses, tools: text.contains("tools") }
    }
}

impl GgufHeader {
    /// Whether this may be a chat model that runs here, as far as a header tells.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) with the reason and the way out.
    pub fn check_chat_model(&self) -> Result<()> {
        let architecture = self.text("general.architecture").unwrap_or_default();
        if architecture.is_empty() {
            return Err(Error::invalid("it does not say its architecture, so it is no model"));
        }
        if architecture.contains("bert") || architecture.contains("embed") {
            return Err(Error::invalid(format!(
                "its architecture is {architecture:?}: it is an embedder and cannot chat; \
                 docs/models.md says how to use one"
            )));
        }
        if let Some(parts @ 2..) = self.number("split.count") {
            let part = self.number("split.no").unwrap_or(0) + 1;
            return Err(Error::invalid(format!(
                "it is part {part} of {parts}; join them first with \"llama-gguf-split --merge\""
            )));
        }
        if self.length("tokenizer.ggml.tokens").unwrap_or(0) == 0 {
            return Err(Error::invalid(
                "it has no tokenizer (an adapter or an image encoder?), so it cannot chat",
            ));
        }
        self.check_types()
    }

    fn check_types(&self) -> Result<()> {
        let refused = self.tensors.iter().find(|tensor| !tensor.kind.runs());
        match refused {
            None if self.tensors.is_empty() => Err(Error::invalid("it has no weights")),
            None => Ok(()),
            Some(tensor) => Err(Error::invalid(format!(
                "its tensor {:?} is written as {}, which does not run here; take a file in Q4_0, \
                 Q4_K_M, Q5_K_M, Q6_K or Q8_0",
                tensor.name, tensor.kind
            ))),
        }
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn shares(header: &GgufHeader) -> Vec<QuantizationShare> {
    let mut by_kind: BTreeMap<TensorType, (u64, u64)> = BTreeMap::new();
    for tensor in &header.tensors {
        let (tensors, parameters) = by_kind.entry(tensor.kind).or_default();
        *tensors += 1;
        *parameters = parameters.saturating_add(tensor.numbers());
    }
    let share = |(kind, (tensors, parameters)): (TensorType, (u64, u64))| QuantizationShare {
        kind: kind.to_string(),
        tensors,
        parameters,
        bytes: kind.bytes_of(parameters),
    };
    let mut shares: Vec<_> = by_kind.into_iter().map(share).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.parameters));
    shares
}

/// How many bytes a tensor's numbers are kept in: blocks of 32 with codes of 4 or 8 bits, a scale
/// in f32 and for some formats a minimum or a second scale; what is no such block as it is, and
/// everything else in f32.
fn kept_bytes(tensor: &Tensor) -> u64 {
    let block = |bytes: u64| tensor.numbers().div_ceil(32).saturating_mul(bytes);
    let each = |bytes: u64| tensor.numbers().saturating_mul(bytes);
    match tensor.kind.0 {
        // Norms and biases.
        _ if tensor.sizes.len() < 2 => each(4),
        2 => block(16 + 4),
        3 | 12 => block(16 + 8),
        6 | 8 => block(32 + 4),
        7 | 13 | 14 => block(32 + 8),
        1 | 30 => each(2),
        _ => each(4),
    }
}

fn memory(header: &GgufHeader, architecture: &str) -> KeptMemory {
    /// Keys and values are kept in f16.
    const NUMBER_BYTES: u64 = 2;
    let kept = header.tensors.iter().map(kept_bytes);
    let own = |key: &str| header.number(&format!("{architecture}.{key}"));
    let heads = own("attention.head_count").unwrap_or(0);
    let size = own("embedding_length").unwrap_or(0).checked_div(heads).unwrap_or(0);
    let numbers = own("attention.key_length")
        .unwrap_or(size)
        .saturating_add(own("attention.value_length").unwrap_or(size));
    let layers = own("block_count").unwrap_or(0);
    let cached = kv_heads_of_all_layers(header, architecture, layers, heads);
    KeptMemory {
        weights_bytes: sum(kept),
        cache_bytes_per_token: cached.saturating_mul(numbers).saturating_mul(NUMBER_BYTES),
    }
}

/// The heads for keys and values of all layers together: some files name them layer by layer.
fn kv_heads_of_all_layers(header: &GgufHeader, architecture: &str, layers: u64, heads: u64) -> u64 {
    match header.metadata.get(&format!("{architecture}.attention.head_count_kv")) {
        Some(GgufValue::Array { first, .. }) => sum(first.iter().map(|value| match value {
            GgufValue::Integer(heads) => u64::try_from(*heads).unwrap_or(0),
            _ => 0,
        })),
        Some(GgufValue::Integer(heads)) => {
            layers.saturating_mul(u64::try_from(*heads).unwrap_or(0))
        }
        _ => layers.saturating_mul(heads),
    }
}
