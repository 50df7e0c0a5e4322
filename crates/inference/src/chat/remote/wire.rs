//! The bodies of `/v1/chat/completions`, in OpenAI's dialect: what we send, what comes back.
//!
//! What comes back is read leniently, because many servers speak the dialect with an accent:
//! absent and null are the same, unknown fields are ignored, a whole answer is read where a stream
//! was asked for.

use std::ops::ControlFlow;

use docent_core::{
    ChatDelta, ChatMessage, ChatReply, ChatRequest, FinishReason, ResponseFormat, Role, ToolChoice,
    ToolRequest, ToolSpec, Usage,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How an endpoint wants the longest answer called: the old name, which most servers know, or
/// the new one, which OpenAI's newer models insist on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LimitName {
    MaxTokens,
    MaxCompletionTokens,
}

/// The request body.
pub(super) fn request_body(request: &ChatRequest<'_>, model: &str, limit: LimitName) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let mut set = |key: &str, value: Value| body[key] = value;
    if !request.tools.is_empty() {
        set("tools", request.tools.iter().map(tool).collect());
        set("tool_choice", tool_choice(&request.tool_choice));
        if let Some(parallel) = request.parallel_tool_calls {
            set("parallel_tool_calls", parallel.into());
        }
    }
    let sampling = &request.sampling;
    if let Some(temperature) = sampling.temperature {
        set("temperature", decimal(temperature));
    }
    if let Some(top_p) = sampling.top_p {
        set("top_p", decimal(top_p));
    }
    if let Some(max_tokens) = sampling.max_tokens {
        let key = match limit {
            LimitName::MaxTokens => "max_tokens",
            LimitName::MaxCompletionTokens => "max_completion_tokens",
        };
        set(key, max_tokens.into());
    }
    if !sampling.stop.is_empty() {
        set("stop", sampling.stop.as_slice().into());
    }
    if let Some(seed) = sampling.seed {
        set("seed", seed.into());
    }
    if let Some(format) = response_format(&request.response_format) {
        set("response_format", format);
    }
    if let Some(effort) = request.reasoning_effort {
        set("reasoning_effort", effort.into());
    }
    body
}

/// 0.7 as a 32-bit float is 0.699999988 as a 64-bit one; endpoints echo what they get.
fn decimal(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn message(message: &ChatMessage) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut body = json!({ "role": role, "content": message.content });
    if !message.tool_calls.is_empty() {
        let call = |call: &docent_core::ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id.to_string(), "type": "function", "function": function })
        };
        body["tool_calls"] = message.tool_calls.iter().map(call).collect();
        if message.content.is_empty() {
            body["content"] = Value::Null;
        }
    }
    if let Some(id) = &message.tool_call_id {
        body["tool_call_id"] = id.to_string().into();
    }
    body
}

fn tool(spec: &ToolSpec) -> Value {
    let ToolSpec { name, description, parameters } = spec;
    let function = json!({ "name": name, "description": description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
        _ => "auto".into(),
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::JsonObject => Some(json!({ "type": "json_object" })),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut schema = json!({ "name": name, "schema": schema, "strict": strict });
            if let Some(description) = description {
                schema["description"] = description.as_str().into();
            }
            Some(json!({ "type": "json_schema", "json_schema": schema }))
        }
        _ => None,
    }
}

/// One event of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Completion {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    /// Some endpoints report an error in a stream that began well.
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Debug, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// An answer as it grows.
#[derive(Debug, Default)]
pub(super) struct Answer {
    text: String,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
    usage: Option<WireUsage>,
}

#[derive(Debug, Default)]
struct Call {
    /// The endpoint's number for it, which need not count from 0.
    wire_index: Option<usize>,
    wire_id: Option<String>,
    name: String,
    arguments: String,
}

type OnDelta<'a> = dyn FnMut(ChatDelta) -> ControlFlow<()> + 'a;

impl Answer {
    /// Adds an event, pushing what is new in it.
    pub(super) fn add(&mut self, event: Completion, on_delta: &mut OnDelta<'_>) -> ControlFlow<()> {
        self.usage = event.usage.or(self.usage);
        // We ask for one choice; a second would be another answer to the same question.
        let Some(choice) = event.choices.and_then(|choices| choices.into_iter().next()) else {
            return ControlFlow::Continue(());
        };
        if let Some(reason) = choice.finish_reason {
            self.finish = Some(finish_reason(&reason));
        }
        let Some(delta) = choice.delta else { return ControlFlow::Continue(()) };
        for text in [delta.content, delta.refusal].into_iter().flatten() {
            if !text.is_empty() {
                self.text.push_str(&text);
                on_delta(ChatDelta::Text(text))?;
            }
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.add_call(call, on_delta)?;
        }
        ControlFlow::Continue(())
    }

    fn add_call(&mut self, delta: CallDelta, on_delta: &mut OnDelta<'_>) -> ControlFlow<()> {
        let index = self.call_index(&delta);
        let call = &mut self.calls[index];
        let Some(function) = delta.function else { return ControlFlow::Continue(()) };
        if let Some(name) = function.name.filter(|name| !name.is_empty() && call.name.is_empty()) {
            call.name.clone_from(&name);
            on_delta(ChatDelta::ToolCall { index, name })?;
        }
        if let Some(fragment) = function.arguments.filter(|fragment| !fragment.is_empty()) {
            call.arguments.push_str(&fragment);
            on_delta(ChatDelta::ToolArguments { index, fragment })?;
        }
        ControlFlow::Continue(())
    }

    /// Which of our calls a piece belongs to: by the endpoint's number, or, where it gives none,
    /// by its id, or else to the last one.
    fn call_index(&mut self, delta: &CallDelta) -> usize {
        let known = match (delta.index, &delta.id) {
            (Some(index), _) => self.calls.iter().position(|call| call.wire_index == Some(index)),
            (None, Some(id)) => {
                self.calls.iter().position(|call| call.wire_id.as_ref() == Some(id))
            }
            (None, None) => self.calls.len().checked_sub(1),
        };
        known.unwrap_or_else(|| {
            let (wire_index, wire_id) = (delta.index, delta.id.clone());
            self.calls.push(Call { wire_index, wire_id, ..Call::default() });
            self.calls.len() - 1
        })
    }

    /// Whether anything of it was pushed.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty()
    }

    /// Whether the endpoint said why it ended.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The whole answer. Tokens are counted by `estimate` where the endpoint did not say.
    pub(super) fn into_reply(
        self,
        cancelled: bool,
        prompt_estimate: impl FnOnce() -> usize,
        estimate: impl Fn(&str) -> usize,
    ) -> ChatReply {
        let usage = self.usage.map_or_else(
            || {
                let calls = self.calls.iter().map(|call| estimate(&call.arguments) + 8);
                let completion = estimate(&self.text) + calls.sum::<usize>();
                Usage {
                    prompt_tokens: prompt_estimate() as u64,
                    completion_tokens: completion as u64,
                }
            },
            |usage| Usage {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            },
        );
        let finish = match self.finish {
            _ if cancelled => FinishReason::Cancelled,
            // Some servers say "stop" after tool calls.
            Some(FinishReason::Stop) | None if !self.calls.is_empty() => FinishReason::ToolCalls,
            finish => finish.unwrap_or(FinishReason::Stop),
        };
        let request = |call: Call| ToolRequest { name: call.name, arguments: call.arguments };
        // Half a call is worse than none.
        let calls = if cancelled { Vec::new() } else { self.calls };
        let tool_calls = calls.into_iter().map(request).collect();
        ChatReply { text: self.text, tool_calls, finish, usage }
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}
