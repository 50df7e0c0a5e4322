//! What a chat completion is asked for.

use std::collections::HashMap;

use docent_core::{
    CallId, ChatMessage, IdSource, ResponseFormat, Role, Sampling, ToolCall, ToolChoice, ToolSpec,
};
use serde_json::Value;

use super::assistant::read_effort;
use super::fields::{Field, Object, shown};
use super::format::read_response_format;
use super::run::read_tool_choice;
use super::tools::read_function;
use crate::error::ApiError;

const MOST_TOOLS: usize = 128;

/// A conversation to be gone on with.
#[derive(Debug)]
pub(crate) struct NewChat {
    pub(crate) model: String,
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) parallel_tool_calls: Option<bool>,
    pub(crate) response_format: ResponseFormat,
    pub(crate) sampling: Sampling,
    pub(crate) reasoning_effort: Option<String>,
    pub(crate) streamed: Option<Streaming>,
}

/// How an answer is streamed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streaming {
    /// Whether the last chunk says what it cost.
    pub(crate) include_usage: bool,
}

/// Parameters that may only say what goes without saying, and what that is.
const ONLY_DEFAULTS: &[(&str, &[&str])] = &[
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("frequency_penalty", &["0", "0.0"]),
    ("presence_penalty", &["0", "0.0"]),
    ("logit_bias", &["{}"]),
    ("store", &["false"]),
    ("modalities", &["[\"text\"]"]),
    ("service_tier", &["\"auto\"", "\"default\""]),
    ("verbosity", &["\"medium\""]),
];

/// Parameters of the API that nothing here can do.
const UNSUPPORTED: &[&str] = &[
    "top_logprobs",
    "metadata",
    "audio",
    "prediction",
    "web_search_options",
    "functions",
    "function_call",
    "moderation",
];

/// Parts of a message likewise.
const UNSUPPORTED_IN_MESSAGES: &[&str] = &["name", "audio", "function_call"];

/// Parameters that tell the hosted service who asks; here nobody is told.
const OF_THE_ASKER: &[&str] = &["user", "safety_identifier", "prompt_cache_key"];

/// Reads a chat completion. Ids of tool calls may be of any other server; each gets one of `ids`
/// for the model, the same wherever it stands.
pub(crate) fn read_chat(mut body: Object, ids: &dyn IdSource) -> Result<NewChat, ApiError> {
    let model = body.required("model", Field::string)?;
    let mut calls = Calls { ids, known: HashMap::new() };
    let messages = body.required("messages", |field| {
        let items = field.nonempty_array_up_to(usize::MAX)?.into_iter();
        items.map(|item| calls.read_message(item)).collect::<Result<Vec<_>, _>>()
    })?;
    let tools = body.optional("tools", |field| {
        field.array_up_to(MOST_TOOLS)?.into_iter().map(read_tool).collect::<Result<Vec<_>, _>>()
    })?;
    let tools = tools.unwrap_or_default();
    let tool_choice = body.optional("tool_choice", |field| choice(field, &tools))?;
    let parallel_tool_calls = body.optional("parallel_tool_calls", |field| {
        needs_tools(&field, &tools)?;
        field.boolean()
    })?;
    let response_format = body.optional("response_format", read_format)?;
    let sampling = read_sampling(&mut body)?;
    let reasoning_effort = body.optional("reasoning_effort", read_effort)?;
    let streamed = read_streaming(&mut body)?;
    refuse_what_is_not_there(&mut body)?;
    body.finish()?;
    Ok(NewChat {
        model,
        messages,
        tools,
        tool_choice: tool_choice.unwrap_or_default(),
        parallel_tool_calls,
        response_format: response_format.flatten().unwrap_or_default(),
        sampling,
        reasoning_effort,
        streamed,
    })
}

fn refuse_what_is_not_there(body: &mut Object) -> Result<(), ApiError> {
    for name in OF_THE_ASKER {
        body.optional(name, Field::string)?;
    }
    for (name, defaults) in ONLY_DEFAULTS {
        body.optional(name, |field| {
            let path = field.path().to_owned();
            let value = field.into_value().to_string();
            if defaults.contains(&value.as_str()) {
                return Ok(());
            }
            Err(ApiError::invalid(format!(
                "Unsupported value: '{path}' does not support {} with this server. Only the \
                 default ({}) value is supported.",
                shown(&value),
                defaults[0]
            ))
            .at(path)
            .code("unsupported_value"))
        })?;
    }
    refuse(body, UNSUPPORTED)
}

/// Refuses `names`, which the API knows; null is nothing, and clients send it.
fn refuse(object: &mut Object, names: &[&str]) -> Result<(), ApiError> {
    let given = names.iter().find_map(|name| object.take(name));
    let Some(field) = given else { return Ok(()) };
    let path = field.path();
    let message = format!("Unsupported parameter: '{path}' is not supported with this server.");
    Err(ApiError::invalid(message).at(path).code("unsupported_parameter"))
}

fn read_sampling(body: &mut Object) -> Result<Sampling, ApiError> {
    let tokens = |field: Field| field.integer(1, u64::from(u32::MAX));
    let old_name = body.optional("max_tokens", tokens)?;
    let max_tokens = body.optional("max_completion_tokens", tokens)?;
    if old_name.is_some() && max_tokens.is_some() {
        return Err(ApiError::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        )
        .at("max_tokens")
        .code("invalid_parameter_combination"));
    }
    Ok(Sampling {
        temperature: body.optional("temperature", |field| field.decimal(0.0, 2.0))?,
        top_p: body.optional("top_p", |field| field.decimal(0.0, 1.0))?,
        max_tokens: max_tokens.or(old_name).map(|most| most as usize),
        stop: body.optional("stop", read_stop)?.unwrap_or_default(),
        seed: body.optional("seed", |field| field.integer(0, u64::MAX))?,
    })
}

fn read_stop(field: Field) -> Result<Vec<String>, ApiError> {
    match field.as_word() {
        Some(_) => Ok(vec![field.string()?]),
        None => field.array_up_to(4)?.into_iter().map(Field::string).collect(),
    }
}

fn read_streaming(body: &mut Object) -> Result<Option<Streaming>, ApiError> {
    let streamed = body.optional("stream", Field::boolean)?.unwrap_or(false);
    let streaming = body.optional("stream_options", |field| {
        if !streamed {
            return Err(field.refuse("it is only allowed when 'stream' is true."));
        }
        let mut object = field.object()?;
        let usage = object.optional("include_usage", Field::boolean)?;
        object.optional("include_obfuscation", |field| {
            let refusal = field.refuse("nothing is obfuscated here; leave it out or send false.");
            if field.boolean()? { Err(refusal) } else { Ok(()) }
        })?;
        object.finish()?;
        Ok(Streaming { include_usage: usage.unwrap_or(false) })
    })?;
    Ok(streamed.then(|| streaming.unwrap_or_default()))
}

/// Unlike a run, a completion has no `auto` format.
fn read_format(field: Field) -> Result<Option<ResponseFormat>, ApiError> {
    match field.as_word() {
        Some(_) => field.object().map(|_| None),
        None => read_response_format(field),
    }
}

fn read_tool(field: Field) -> Result<ToolSpec, ApiError> {
    let mut object = field.object()?;
    object.required("type", |field| field.word(&["function"]))?;
    let function = object.required("function", read_function)?;
    object.finish()?;
    Ok(function.spec)
}

fn needs_tools(field: &Field, tools: &[ToolSpec]) -> Result<(), ApiError> {
    if tools.is_empty() {
        return Err(field.refuse("it is only allowed when 'tools' are specified."));
    }
    Ok(())
}

fn choice(field: Field, tools: &[ToolSpec]) -> Result<ToolChoice, ApiError> {
    let path = field.path().to_owned();
    if field.as_word() != Some("none") && field.as_word() != Some("auto") {
        needs_tools(&field, tools)?;
    }
    let choice = read_tool_choice(field, &["function"])?;
    if let ToolChoice::Named(name) = &choice
        && !tools.iter().any(|tool| tool.name == *name)
    {
        let message = format!("Tool choice '{}' not found in 'tools' parameter.", shown(name));
        return Err(ApiError::invalid(message).at(path).code("invalid_value"));
    }
    Ok(choice)
}

/// The calls of a conversation, by the ids it has for them.
struct Calls<'a> {
    ids: &'a dyn IdSource,
    known: HashMap<String, CallId>,
}

impl Calls<'_> {
    fn read_message(&mut self, field: Field) -> Result<ChatMessage, ApiError> {
        let path = field.path().to_owned();
        let mut object = field.object()?;
        let known = ["developer", "system", "user", "assistant", "tool"];
        let role = object.required("role", |field| field.word(&known))?;
        let message = match role {
            "assistant" => self.read_answer(&mut object)?,
            "tool" => self.read_output(&mut object, &path)?,
            role => {
                let role = if role == "user" { Role::User } else { Role::System };
                ChatMessage::new(role, object.required("content", read_text)?)
            }
        };
        refuse(&mut object, UNSUPPORTED_IN_MESSAGES)?;
        object.finish()?;
        Ok(message)
    }

    /// What a model said, as its answer showed it: clients send that back whole.
    fn read_answer(&mut self, object: &mut Object) -> Result<ChatMessage, ApiError> {
        let refusal = object.optional("refusal", Field::string)?;
        object.optional("annotations", Field::array)?;
        let calls = object.optional("tool_calls", |field| {
            field.array()?.into_iter().map(|item| self.read_call(item)).collect()
        })?;
        let calls: Vec<ToolCall> = calls.unwrap_or_default();
        let content = match calls.is_empty() && refusal.is_none() {
            true => Some(object.required("content", read_text)?),
            false => object.optional("content", read_text)?,
        };
        let text = content.or(refusal).unwrap_or_default();
        Ok(ChatMessage { tool_calls: calls, ..ChatMessage::new(Role::Assistant, text) })
    }

    fn read_call(&mut self, field: Field) -> Result<ToolCall, ApiError> {
        let mut object = field.object()?;
        let told = object.required("id", Field::string)?;
        object.required("type", |field| field.word(&["function"]))?;
        let (name, arguments) = object.required("function", |field| {
            let mut object = field.object()?;
            let name = object.required("name", Field::string)?;
            let arguments = object.required("arguments", Field::string)?;
            object.finish()?;
            Ok((name, arguments))
        })?;
        object.finish()?;
        let id = told.parse().unwrap_or_else(|_| CallId::new(self.ids.next_id()));
        self.known.insert(told, id);
        Ok(ToolCall { id, name, arguments })
    }

    fn read_output(&mut self, object: &mut Object, path: &str) -> Result<ChatMessage, ApiError> {
        let told = object.required("tool_call_id", Field::string)?;
        let Some(id) = self.known.get(&told).copied() else {
            return Err(ApiError::invalid(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
                 message with 'tool_calls'.",
            )
            .at(format!("{path}.tool_call_id")));
        };
        let text = object.required("content", read_text)?;
        Ok(ChatMessage { tool_call_id: Some(id), ..ChatMessage::new(Role::Tool, text) })
    }
}

/// Text, or parts that all are.
fn read_text(field: Field) -> Result<String, ApiError> {
    if !matches!(field.value(), Value::Array(_)) {
        return field.string();
    }
    let parts = field.nonempty_array_up_to(usize::MAX)?.into_iter().map(|field| {
        let path = field.path().to_owned();
        let mut object = field.object()?;
        let known = ["text", "refusal", "image_url", "input_audio", "file"];
        let kind = object.required("type", |field| field.word(&known))?;
        if kind != "text" && kind != "refusal" {
            return Err(ApiError::invalid(format!(
                "Invalid '{path}': parts of type '{kind}' are not supported, models here read text \
                 only."
            ))
            .at(path)
            .code("invalid_value"));
        }
        let text = object.required(kind, Field::string)?;
        object.finish()?;
        Ok(text)
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}
