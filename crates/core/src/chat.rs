//! The chat model socket: messages in, deltas pushed out, the caller may break off.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CallId, FileId, Result, ToolSpec};

/// What a chat model is.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatSpec {
    /// The name it is configured under.
    pub name: String,
    /// What it can be trusted with.
    pub profile: Profile,
    /// How many tokens of prompt and answer it takes together.
    pub context_tokens: usize,
    /// How many tokens an answer may have when the request does not say.
    pub max_output_tokens: usize,
}

/// What a chat model can be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Profile {
    /// The engine retrieves with the user's question, hands over the passages and makes the
    /// citations; the model answers, and is asked at most once whether to call a function.
    Basic,
    /// The model decides when to call which tool, and cites by itself.
    Tools,
}

/// What is asked of a chat model.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest<'a> {
    /// The name the user asked for, which a remote endpoint is told; empty means the model's own.
    pub model: &'a str,
    /// The conversation, oldest first, already cut to the model's budget.
    pub messages: &'a [ChatMessage],
    /// The tools it may call. For [`Profile::Basic`] only functions, and only once in a run: such
    /// a model decides before it answers whether one is needed, or leaves them be.
    pub tools: &'a [ToolSpec],
    /// Whether it must.
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once; none leaves it to the model.
    pub parallel_tool_calls: Option<bool>,
    /// For [`Profile::Basic`]: what was retrieved, best first. The text of `messages` holds it
    /// too; a model that reads text need not look here.
    pub passages: &'a [Passage],
    /// How to choose the next token.
    pub sampling: Sampling,
    /// What form the answer takes.
    pub response_format: ResponseFormat,
    /// How hard a reasoning model should think, in the endpoint's own words. Other models have
    /// nothing to do with it.
    pub reasoning_effort: Option<&'a str>,
}

/// A message as a chat model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// For [`Role::Assistant`]: the tools it called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// For [`Role::Tool`]: the call this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<CallId>,
}

impl ChatMessage {
    /// A message of plain text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's output.
    Tool,
}

/// A call of a tool, with the id the engine gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Its id.
    pub id: CallId,
    /// The tool.
    pub name: String,
    /// Its arguments, as the model wrote them: not always JSON.
    pub arguments: String,
}

/// A passage the engine retrieved for a [`Profile::Basic`] model.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Its number in the prompt, from 1; the model cites it as `[1]`.
    pub number: usize,
    /// Where it is from.
    pub file: FileId,
    /// That file's name.
    pub filename: String,
    /// The page it begins on.
    pub page: u32,
    /// Its text.
    pub text: String,
    /// How well it fits, 0 to 1.
    pub score: f32,
}

/// How to choose the next token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest; none leaves it to the model.
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that together reach this share.
    pub top_p: Option<f32>,
    /// At most this many tokens of answer.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The same seed gives the same answer, where the model can promise it.
    pub seed: Option<u64>,
}

/// Whether a model must call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// No tool.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What form an answer takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// What it is for, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The schema.
        schema: serde_json::Value,
        /// Whether it must be met to the letter.
        strict: bool,
    },
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChatDelta {
    /// More text.
    Text(String),
    /// The model begins to call the tool `name`; calls are numbered from 0.
    ToolCall {
        /// Its number.
        index: usize,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolArguments {
        /// The call's number.
        index: usize,
        /// The next piece.
        fragment: String,
    },
}

/// A whole answer; the deltas together say the same.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatReply {
    /// The text.
    pub text: String,
    /// The tools it asks for, in order.
    pub tool_calls: Vec<ToolRequest>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it cost.
    pub usage: Usage,
}

/// A tool a model asks for. The engine gives it an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// The tool.
    pub name: String,
    /// Its arguments, as the model wrote them: not always JSON.
    pub arguments: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It reached a limit of tokens.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// The endpoint held it back.
    ContentFilter,
    /// The caller broke off.
    Cancelled,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of prompt.
    pub prompt_tokens: u64,
    /// Tokens of answer.
    pub completion_tokens: u64,
}

impl Usage {
    /// Both together.
    pub fn total_tokens(self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
    }
}

/// Answers in a conversation.
pub trait ChatModel: Send + Sync + fmt::Debug {
    /// What it is.
    fn spec(&self) -> &ChatSpec;

    /// The length of `text` in this model's tokens; an estimate where its tokenizer is elsewhere.
    fn count_tokens(&self, text: &str) -> usize;

    /// Answers, pushing each piece to `on_delta` as it comes. When that returns
    /// [`ControlFlow::Break`] the model stops soon and returns what it has with
    /// [`FinishReason::Cancelled`].
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a request that can never work (a prompt longer
    /// than the context), [`Overloaded`](crate::ErrorKind::Overloaded) and
    /// [`Unavailable`](crate::ErrorKind::Unavailable) once the model has retried what is worth
    /// retrying. After the first delta nothing is retried.
    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply>;
}

/// Finds the chat model behind a name.
pub trait ChatModels: Send + Sync + fmt::Debug {
    /// The model for `name`, loaded if need be.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) names the models there are.
    fn chat_model(&self, name: &str) -> Result<Arc<dyn ChatModel>>;

    /// The names there are, sorted.
    fn names(&self) -> Vec<String>;

    /// The models to ask instead of `name`, in order, when it cannot answer now; none unless
    /// somebody chose some.
    fn fallbacks(&self, name: &str) -> Vec<String> {
        let _ = name;
        Vec::new()
    }
}
