//! Chat models on this machine: GGUF weights, run by a decoder of our own.
//!
//! Weights are loaded once and shared. What a conversation has read is kept, so that the next run
//! of its thread, and others that begin the same way, read only what is new. The prompt is read in
//! pieces so that a caller can break off before the first word.
//!
//! JSON and tool calls are held to their schemas by a [grammar]: they are valid, which does not make
//! them sensible. An answer that ends by its limit of tokens may be cut anywhere, and says so by
//! [`FinishReason::Length`](docent_core::FinishReason::Length).

mod answering;
mod batch;
mod calls;
#[cfg(test)]
mod fakes;
mod gguf;
mod grammar;
mod plan;
mod prefixes;
mod reader;
mod sampler;
mod template;
mod text;
mod tokenizer;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use docent_core::{
    ChatDelta, ChatMessage, ChatModel, ChatReply, ChatRequest, ChatSpec, Error, Profile, Result,
    Sampling, SystemClock, ToolSpec,
};
use tracing::{debug, info_span};

use self::answering::Network;
use self::calls::Family;
pub use self::gguf::Weights;
use self::grammar::Grammars;
use self::reader::{Engine, Reader};
use self::sampler::{Choice, Sampler};
use self::template::Template;
use self::tokenizer::GgufTokenizer;
use super::tokens::estimate;
use crate::LocalConfig;

const DEFAULT_OUTPUT_TOKENS: usize = 512;
const DEFAULT_PREFIX_CACHE_MB: usize = 512;

/// A chat model on this machine.
///
/// JSON and the arguments of tool calls are held to their schemas. With [`Profile::Tools`] it calls
/// tools as it sees fit; with [`Profile::Basic`] it is asked once, before it answers, whether one
/// is needed. Without a temperature it always takes the likeliest token. While it reads a long
/// prompt it pushes an empty [`ChatDelta::Text`] now and then, so that the caller can break off.
pub struct Local {
    spec: ChatSpec,
    engine: Engine,
    tokenizer: Arc<GgufTokenizer>,
    template: Template,
    choice: Choice,
    family: Family,
    /// Made when an answer first needs one: a vocabulary takes a moment.
    grammars: OnceLock<Grammars>,
}

impl Local {
    /// Loads the GGUF file at `path` for a model configured as `name`.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for an architecture or tokenizer that is not
    /// supported, [`Corrupt`](docent_core::ErrorKind::Corrupt) for a file that is no whole GGUF;
    /// each names the file.
    pub fn load(name: impl Into<String>, path: &Path, config: &LocalConfig) -> Result<Self> {
        Self::load_as(name.into(), path, config, Weights::AsShipped)
    }

    /// For measuring: [`load`](Self::load) with another form of weights.
    #[doc(hidden)]
    pub fn load_as(
        name: String,
        path: &Path,
        config: &LocalConfig,
        weights: Weights,
    ) -> Result<Self> {
        Self::from_file(name, path, config, weights).map_err(|error| error.context(path.display()))
    }

    fn from_file(
        name: String,
        path: &Path,
        config: &LocalConfig,
        weights: Weights,
    ) -> Result<Self> {
        let file = gguf::open(path)?;
        let tokenizer = Arc::new(GgufTokenizer::from_metadata(file.metadata())?);
        let source = gguf::text(file.metadata(), "tokenizer.chat_template");
        let template = Template::new(source, &tokenizer, Arc::new(SystemClock))?;
        let family = match source.filter(|_| template.takes_tools()) {
            Some(source) => Family::of_template(source),
            None => Family::Hermes,
        };
        let shape = file.shape()?;
        let wanted = config.context_tokens;
        let usual = LocalConfig::USUAL_CONTEXT_TOKENS.min(shape.original_context);
        let context_tokens = wanted.unwrap_or(usual).min(shape.context);
        let decoder = file.decoder(context_tokens, weights)?;
        let output = config.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
        let spec = ChatSpec {
            name,
            profile: config.profile.unwrap_or(Profile::Basic),
            context_tokens,
            max_output_tokens: output.min(context_tokens / 2),
        };
        let budget_bytes = config.prefix_cache_mb.unwrap_or(DEFAULT_PREFIX_CACHE_MB) << 20;
        let choice = Choice {
            temperature: config.temperature.unwrap_or(0.0),
            top_p: config.top_p.unwrap_or(1.0),
            top_k: config.top_k.unwrap_or(0),
            min_p: config.min_p.unwrap_or(0.0),
            repetition_penalty: config.repetition_penalty.unwrap_or(1.0),
        };
        let grammars = OnceLock::new();
        let engine = Engine::new(decoder, budget_bytes);
        Ok(Self { spec, engine, tokenizer, template, choice, family, grammars })
    }

    fn grammars(&self) -> Result<&Grammars> {
        if let Some(grammars) = self.grammars.get() {
            return Ok(grammars);
        }
        // Two answers may both make one; the first is kept.
        let made = Grammars::new(self.tokenizer.clone())?;
        Ok(self.grammars.get_or_init(|| made))
    }

    /// What the request says of choosing, and else what the configuration does.
    fn sampler(&self, sampling: &Sampling) -> Sampler {
        let choice = Choice {
            temperature: sampling.temperature.unwrap_or(self.choice.temperature),
            top_p: sampling.top_p.unwrap_or(self.choice.top_p),
            ..self.choice
        };
        Sampler::new(choice, sampling.seed)
    }

    fn prompt(&self, messages: &[ChatMessage], tools: &[ToolSpec]) -> Result<Vec<u32>> {
        let text = self.template.render(messages, tools);
        let text = text.map_err(|error| error.context(&self.spec.name))?;
        let prompt = self.tokenizer.encode_prompt(&text)?;
        let context = self.spec.context_tokens;
        if prompt.is_empty() {
            return Err(Error::invalid("the conversation is empty"));
        }
        if prompt.len() >= context {
            return Err(Error::invalid(format!(
                "the prompt has {} tokens, {} takes {context} with its answer",
                prompt.len(),
                self.spec.name
            )));
        }
        Ok(prompt)
    }
}

impl ChatModel for Local {
    fn spec(&self) -> &ChatSpec {
        &self.spec
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.encode(text).map_or_else(|_| estimate(text), |tokens| tokens.len())
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        let span =
            info_span!("model.chat", model = self.spec.name, prompt_tokens = tracing::field::Empty);
        let _span = span.enter();
        let reply = plan::answer(self, request, on_delta)?;
        span.record("prompt_tokens", reply.usage.prompt_tokens);
        debug!(tokens = reply.usage.completion_tokens, finish = ?reply.finish, "answered");
        Ok(reply)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Network for Reader<'_> {
    fn read_prompt(
        &mut self,
        prompt: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        self.read_prompt(prompt, go_on)
    }

    fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.forward(tokens)
    }
}

#[cfg(test)]
mod tests;
