//! What a GGUF file says of its network: family, sizes, positions.
//!
//! Keys are those of the GGUF specification, defaults those of llama.cpp, which defines what the
//! files mean.

use candle_core::quantized::gguf_file::{Content, Value};
use docent_core::{Error, Result};

/// The networks that can be run, by `general.architecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Llama 2 and 3, SmolLM2, Mistral.
    Llama,
    /// Qwen 2 and 2.5: biases on query, key and value.
    Qwen2,
    /// Qwen 3: a norm over each head's query and key.
    Qwen3,
    /// Gemma 3: norms around each part, most layers with a sliding window.
    Gemma3,
    /// Phi 3 and 4: query, key and value in one matrix, gate and up in another.
    Phi3,
}

/// Every family with its name in files.
const FAMILIES: [(&str, Family); 5] = [
    ("llama", Family::Llama),
    ("qwen2", Family::Qwen2),
    ("qwen3", Family::Qwen3),
    ("gemma3", Family::Gemma3),
    ("phi3", Family::Phi3),
];

/// The network's sizes and constants.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) family: Family,
    pub(crate) layers: usize,
    pub(crate) dims: usize,
    pub(crate) wide: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dims: usize,
    /// How many tokens it was trained to take.
    pub(crate) context: usize,
    pub(super) eps: f32,
    /// How many of a head's dimensions turn with the position.
    pub(super) turning: usize,
    pub(super) rope_base: f32,
    /// How much slower positions turn than they were trained to.
    pub(super) rope_stretch: f32,
    /// What sine and cosine are multiplied by.
    pub(super) rope_factor: f32,
    /// The context before it was stretched.
    pub(crate) original_context: usize,
    pub(super) sliding: Option<Sliding>,
}

/// Layers that see only the newest tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sliding {
    /// How many tokens they see, their own included.
    pub(super) window: usize,
    /// Every so many layers one sees all.
    every: usize,
    pub(super) rope_base: f32,
}

impl Shape {
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for what cannot be computed rightly.
    pub(crate) fn read(content: &Content) -> Result<Self> {
        let keys = Keys::new(content)?;
        let family = keys.family;
        let (dims, heads) = (keys.size("embedding_length")?, keys.size("attention.head_count")?);
        let head_dims = keys.optional("attention.key_length").unwrap_or(dims / heads);
        let context = keys.size("context_length")?;
        let shape = Self {
            family,
            layers: keys.size("block_count")?,
            dims,
            wide: keys.size("feed_forward_length")?,
            heads,
            kv_heads: keys.optional("attention.head_count_kv").unwrap_or(heads),
            head_dims,
            context,
            eps: keys.number("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
            turning: keys.optional("rope.dimension_count").unwrap_or(head_dims),
            rope_base: keys.number("rope.freq_base").unwrap_or(10_000.0),
            rope_stretch: keys.stretch()?,
            rope_factor: keys.number("rope.scaling.attn_factor").unwrap_or(1.0),
            original_context: keys
                .optional("rope.scaling.original_context_length")
                .unwrap_or(context),
            sliding: if family == Family::Gemma3 { keys.sliding() } else { None },
        };
        keys.refuse_what_is_not_computed()?;
        shape.checked()
    }

    fn checked(self) -> Result<Self> {
        let sizes = [self.layers, self.wide, self.kv_heads, self.head_dims, self.turning];
        let heads_fit = self.heads.is_multiple_of(self.kv_heads.max(1));
        let turns = self.turning <= self.head_dims && self.turning.is_multiple_of(2);
        // Far beyond any network there is, and small enough that no product overflows.
        let bounded = sizes.iter().chain([&self.dims, &self.heads]).all(|&size| size < 1 << 20);
        if sizes.contains(&0) || !heads_fit || !turns || !bounded {
            return Err(Error::corrupt("its sizes do not fit together"));
        }
        Ok(self)
    }

    /// What the word vectors are multiplied by.
    pub(super) fn embedding_scale(&self) -> f32 {
        if self.family == Family::Gemma3 { (self.dims as f32).sqrt() } else { 1.0 }
    }

    /// What products of query and key are multiplied by.
    pub(super) fn attention_scale(&self) -> f32 {
        /// Gemma 3's largest, with 27 B parameters, scales by another size than the others.
        const LAYERS_OF_LARGEST_GEMMA: usize = 62;
        let largest = self.family == Family::Gemma3 && self.layers == LAYERS_OF_LARGEST_GEMMA;
        let size = if largest { self.dims / self.heads } else { self.head_dims };
        1.0 / (size as f32).sqrt()
    }

    /// Whether a head's dimensions turn in neighboring pairs; else the first half turns with the
    /// second. Converters reorder Llama's weights, the others' stay as they were trained.
    pub(super) fn turns_in_pairs(&self) -> bool {
        self.family == Family::Llama
    }

    /// How many tokens the layer sees, if not all.
    pub(super) fn window(&self, layer: usize) -> Option<Sliding> {
        self.sliding.filter(|sliding| layer % sliding.every < sliding.every - 1)
    }
}

/// The metadata of one architecture.
struct Keys<'a> {
    content: &'a Content,
    family: Family,
    name: &'static str,
}

impl<'a> Keys<'a> {
    fn new(content: &'a Content) -> Result<Self> {
        let value = content.metadata.get("general.architecture");
        let found = value.and_then(|value| value.to_string().ok()).map_or("", String::as_str);
        let known = FAMILIES.iter().find(|(name, _)| *name == found);
        let Some(&(name, family)) = known else {
            let names: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
            return Err(Error::invalid(format!(
                "its architecture is {found:?}; those that run here are {}",
                names.join(", ")
            )));
        };
        Ok(Self { content, family, name })
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.content.metadata.get(&format!("{}.{key}", self.name))
    }

    fn optional(&self, key: &str) -> Option<usize> {
        self.value(key).and_then(|value| value.to_u64().ok()).map(|size| size as usize)
    }

    fn size(&self, key: &str) -> Result<usize> {
        let size = self.optional(key).filter(|size| *size > 0);
        size.ok_or_else(|| Error::corrupt(format!("it has no {}.{key}", self.name)))
    }

    fn number(&self, key: &str) -> Option<f32> {
        self.value(key).and_then(|value| value.to_f32().ok())
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.value(key).and_then(|value| value.to_string().ok()).map(String::as_str)
    }

    /// How much slower positions turn.
    fn stretch(&self) -> Result<f32> {
        match self.text("rope.scaling.type") {
            Some("none" | "longrope") => Ok(1.0),
            // Without a type it is linear; older files have another key.
            None | Some("linear") => {
                let factor = self.number("rope.scaling.factor");
                let factor = factor.or_else(|| self.number("rope.scale_linear"));
                Ok(factor.filter(|factor| *factor != 0.0).unwrap_or(1.0))
            }
            Some(other) => Err(Error::invalid(format!(
                "it scales its positions by {other:?}, which is not supported; take the file \
                 without a stretched context"
            ))),
        }
    }

    fn sliding(&self) -> Option<Sliding> {
        Some(Sliding {
            window: self.optional("attention.sliding_window").filter(|window| *window > 0)?,
            every: self.optional("attention.sliding_window_pattern").unwrap_or(6).max(1),
            rope_base: self.number("rope.freq_base_swa").unwrap_or(10_000.0),
        })
    }

    fn refuse_what_is_not_computed(&self) -> Result<()> {
        let refused = |what: &str| Err(Error::invalid(format!("it has {what}, not supported")));
        if self.optional("expert_count").is_some_and(|experts| experts > 0) {
            return refused("experts (a mixture of networks)");
        }
        for key in ["final_logit_softcapping", "attn_logit_softcapping"] {
            if self.number(key).is_some_and(|cap| cap != 0.0) {
                return refused(key);
            }
        }
        let same = self.optional("attention.value_length");
        if same.is_some() && same != self.optional("attention.key_length") {
            return refused("values of another length than keys");
        }
        Ok(())
    }
}
