//! Chat models on this machine: GGUF weights, run by a decoder of our own.
//!
//! Weights are loaded once and shared. What a conversation has read is kept, so that the next run
//! of its thread, and others that begin the same way, read only what is new. The prompt is read in
//! pieces so that a caller can break off before the first word.

mod batch;
mod gguf;
mod prefixes;
mod reader;
mod template;
mod text;
mod tokenizer;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as CandleSampling};
use docent_core::{
    ChatDelta, ChatModel, ChatReply, ChatRequest, ChatSpec, Error, FinishReason, Profile,
    ResponseFormat, Result, Sampling, ToolChoice, Usage,
};
use tracing::{debug, info_span};

pub use self::gguf::Weights;
use self::reader::{Engine, Reader};
use self::template::Template;
use self::text::TextStream;
use self::tokenizer::GgufTokenizer;
use super::tokens::estimate;
use crate::LocalConfig;

/// Contexts are no longer than these without being asked to: their keys and values take memory.
const DEFAULT_CONTEXT_TOKENS: usize = 8192;
const DEFAULT_OUTPUT_TOKENS: usize = 512;
const DEFAULT_PREFIX_CACHE_MB: usize = 512;

/// A chat model on this machine.
///
/// It knows no tools and no grammar: requests for a tool call or for JSON are refused. Without a
/// temperature it always takes the likeliest token. While it reads a long prompt it pushes an
/// empty [`ChatDelta::Text`] now and then, so that the caller can break off.
pub struct Local {
    spec: ChatSpec,
    engine: Engine,
    tokenizer: GgufTokenizer,
    template: Template,
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
        let tokenizer = GgufTokenizer::from_metadata(file.metadata())?;
        let source = gguf::text(file.metadata(), "tokenizer.chat_template");
        let template = Template::new(source, &tokenizer)?;
        let shape = file.shape()?;
        let wanted = config.context_tokens;
        let usual = DEFAULT_CONTEXT_TOKENS.min(shape.original_context);
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
        Ok(Self { spec, engine: Engine::new(decoder, budget_bytes), tokenizer, template })
    }

    fn refuse_what_needs_a_grammar(&self, request: &ChatRequest<'_>) -> Result<()> {
        let name = &self.spec.name;
        let must_call = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        if must_call && !request.tools.is_empty() {
            return Err(Error::invalid(format!("{name} runs on this machine and calls no tools")));
        }
        if request.response_format != ResponseFormat::Text {
            return Err(Error::invalid(format!(
                "{name} runs on this machine and cannot promise JSON"
            )));
        }
        Ok(())
    }

    fn prompt(&self, request: &ChatRequest<'_>) -> Result<Vec<u32>> {
        let text = self.template.render(request.messages, &self.tokenizer)?;
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
        self.refuse_what_needs_a_grammar(request)?;
        let prompt = self.prompt(request)?;
        span.record("prompt_tokens", prompt.len());
        let room = self.spec.context_tokens - prompt.len();
        let limit = request.sampling.max_tokens.unwrap_or(self.spec.max_output_tokens).min(room);
        let mut answer = Answering {
            model: self,
            reader: self.engine.begin(&prompt),
            chooser: chooser(&request.sampling),
            stream: TextStream::new(&request.sampling.stop),
            text: String::new(),
            tokens: 0,
            on_delta,
        };
        let finish = answer.run(&prompt, limit)?;
        debug!(tokens = answer.tokens, ?finish, "answered");
        let usage =
            Usage { prompt_tokens: prompt.len() as u64, completion_tokens: answer.tokens as u64 };
        Ok(ChatReply { text: answer.text, tool_calls: Vec::new(), finish, usage })
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// One call: the shared weights with a cache of their own, and the answer so far.
struct Answering<'a> {
    model: &'a Local,
    reader: Reader<'a>,
    chooser: LogitsProcessor,
    stream: TextStream,
    text: String,
    tokens: usize,
    on_delta: &'a mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
}

impl Answering<'_> {
    fn run(&mut self, prompt: &[u32], limit: usize) -> Result<FinishReason> {
        let on_delta = &mut *self.on_delta;
        let mut go_on = || on_delta(ChatDelta::Text(String::new()));
        let Some(logits) = self.reader.read_prompt(prompt, &mut go_on)? else {
            return Ok(FinishReason::Cancelled);
        };
        let mut logits = tensor(&logits)?;
        let mut finish = FinishReason::Length;
        while self.tokens < limit {
            let token = self.chooser.sample(&logits).map_err(failed)?;
            self.tokens += 1;
            if self.model.tokenizer.ends_answer(token) {
                finish = FinishReason::Stop;
                break;
            }
            let (text, stopped) = self.stream.push(self.model.tokenizer.bytes(token));
            if self.push(text).is_break() {
                return Ok(FinishReason::Cancelled);
            }
            if stopped {
                return Ok(FinishReason::Stop);
            }
            if self.tokens < limit {
                logits = tensor(&self.reader.forward(&[token])?)?;
            }
        }
        let rest = std::mem::take(&mut self.stream).finish();
        let flow = self.push_unless_empty(rest);
        Ok(if flow.is_break() { FinishReason::Cancelled } else { finish })
    }

    /// Pushes every token's text, empty while a character is not whole: the caller may break off
    /// at each.
    fn push(&mut self, text: String) -> ControlFlow<()> {
        self.text.push_str(&text);
        (self.on_delta)(ChatDelta::Text(text))
    }

    fn push_unless_empty(&mut self, text: String) -> ControlFlow<()> {
        if text.is_empty() { ControlFlow::Continue(()) } else { self.push(text) }
    }
}

fn chooser(sampling: &Sampling) -> LogitsProcessor {
    let random_seed = || {
        let mut bytes = [0; 8];
        // Without a random source the same seed every time: still a valid answer.
        let _ = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    // Small models wander when left to chance, so nothing asked means the likeliest.
    let temperature = f64::from(sampling.temperature.unwrap_or(0.0));
    let how = match sampling.top_p {
        _ if temperature < 1e-3 => CandleSampling::ArgMax,
        Some(p) if p < 1.0 => CandleSampling::TopP { p: f64::from(p), temperature },
        _ => CandleSampling::All { temperature },
    };
    LogitsProcessor::from_sampling(sampling.seed.unwrap_or_else(random_seed), how)
}

fn tensor(logits: &[f32]) -> Result<Tensor> {
    Tensor::new(logits, &Device::Cpu).map_err(failed)
}

fn failed(error: candle_core::Error) -> Error {
    Error::internal("the model could not be run").with_source(error)
}

#[cfg(test)]
mod tests;
