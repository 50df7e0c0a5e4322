//! Runs.

use docent_core::{
    AssistantId, CallId, Run, RunError, RunErrorCode, RunIncomplete, RunStatus, Timestamp,
    ToolChoice, Truncation, Usage,
};
use docent_engine::{CODE_INTERPRETER, NewRun, NewThread, SubmittedOutput};
use serde_json::{Value, json};

use super::assistant::{DEFAULT_TEMPERATURE, read_effort};
use super::fields::{Field, Object};
use super::format::{number, read_response_format, response_format};
use super::message::read_message;
use super::metadata;
use super::thread::read_new_thread;
use super::tools::{Helper, read_resources, read_tools, tools};
use crate::error::ApiError;
use crate::ids;

const MOST_TOOLS: usize = 20;
const LEAST_TOKENS: u64 = 256;

/// A run as answers show it.
pub(crate) fn run(run: &Run) -> Value {
    let ended_as = |status| run.ended_at.filter(|_| run.status == status).map(Timestamp::seconds);
    json!({
        "id": run.id,
        "object": "thread.run",
        "created_at": run.created_at.seconds(),
        "thread_id": run.thread,
        "assistant_id": run.assistant,
        "status": run.status.as_str(),
        "required_action": required_action(run),
        "last_error": run.last_error.as_ref().map(last_error),
        "expires_at": if run.status.is_terminal() { None } else { Some(run.expires_at.seconds()) },
        "started_at": run.started_at.map(Timestamp::seconds),
        "cancelled_at": ended_as(RunStatus::Cancelled),
        "failed_at": ended_as(RunStatus::Failed),
        "completed_at": ended_as(RunStatus::Completed),
        "incomplete_details": run.incomplete_reason.map(|it| json!({ "reason": reason(it) })),
        "model": run.model,
        "instructions": run.instructions.as_deref().unwrap_or_default(),
        "tools": tools(&run.tools),
        "metadata": run.metadata,
        "usage": run.usage.map(usage),
        "temperature": number(run.temperature.unwrap_or(DEFAULT_TEMPERATURE)),
        "top_p": number(run.top_p.unwrap_or(DEFAULT_TEMPERATURE)),
        "max_prompt_tokens": run.max_prompt_tokens,
        "max_completion_tokens": run.max_completion_tokens,
        "truncation_strategy": truncation(run.truncation),
        "tool_choice": tool_choice(&run.tool_choice),
        "parallel_tool_calls": run.parallel_tool_calls,
        "response_format": response_format(run.response_format.as_ref()),
    })
}

fn required_action(run: &Run) -> Value {
    if run.status != RunStatus::RequiresAction {
        return Value::Null;
    }
    let calls = run.required_calls.iter().map(|call| {
        json!({
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": call.arguments },
        })
    });
    let calls: Vec<Value> = calls.collect();
    json!({ "type": "submit_tool_outputs", "submit_tool_outputs": { "tool_calls": calls } })
}

/// An error as runs and steps show it.
pub(super) fn last_error(error: &RunError) -> Value {
    let code = match error.code {
        RunErrorCode::ServerError => "server_error",
        RunErrorCode::RateLimitExceeded => "rate_limit_exceeded",
        RunErrorCode::InvalidPrompt => "invalid_prompt",
    };
    json!({ "code": code, "message": error.message })
}

fn reason(reason: RunIncomplete) -> &'static str {
    match reason {
        RunIncomplete::MaxCompletionTokens => "max_completion_tokens",
        RunIncomplete::MaxPromptTokens => "max_prompt_tokens",
        RunIncomplete::ContentFilter => "content_filter",
    }
}

/// Usage as runs and steps show it.
pub(super) fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens(),
    })
}

fn truncation(truncation: Truncation) -> Value {
    match truncation {
        Truncation::Auto => json!({ "type": "auto", "last_messages": null }),
        Truncation::LastMessages(most) => {
            json!({ "type": "last_messages", "last_messages": most })
        }
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) if name == FILE_SEARCH || name == CODE_INTERPRETER => {
            json!({ "type": name })
        }
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
        _ => json!("auto"),
    }
}

const FILE_SEARCH: &str = "file_search";

/// Whether an answer is to come at once or as a stream.
pub(crate) type Streamed = bool;

/// Reads what a run is to be made from, and whether it is to be streamed.
pub(crate) fn read_new_run(mut body: Object) -> Result<(NewRun, Streamed), ApiError> {
    let assistant = body.required("assistant_id", ids::field::<AssistantId>)?;
    let mut new = NewRun::new(assistant);
    new.additional_instructions = body.optional("additional_instructions", Field::string)?;
    let messages = body.optional("additional_messages", |field| {
        let items = field.array()?.into_iter();
        items.map(|item| read_message(item.object()?)).collect::<Result<Vec<_>, _>>()
    })?;
    new.additional_messages = messages.unwrap_or_default();
    let streamed = read_overrides(&mut body, &mut new)?;
    body.finish()?;
    Ok((new, streamed))
}

/// A thread and a run on it, to be made together.
#[derive(Debug)]
pub(crate) struct NewThreadAndRun {
    pub(crate) thread: NewThread,
    pub(crate) run: NewRun,
    pub(crate) streamed: Streamed,
}

/// Reads a thread and a run on it.
pub(crate) fn read_new_thread_and_run(mut body: Object) -> Result<NewThreadAndRun, ApiError> {
    let assistant = body.required("assistant_id", ids::field::<AssistantId>)?;
    let thread = body.optional("thread", |field| read_new_thread(field.object()?))?;
    let mut run = NewRun::new(assistant);
    let resources = read_resources(&mut body, Helper::Refused)?.value();
    run.tool_resources = resources.map(|resources| resources.into_new().0);
    let streamed = read_overrides(&mut body, &mut run)?;
    body.finish()?;
    Ok(NewThreadAndRun { thread: thread.unwrap_or_default(), run, streamed })
}

/// What both ways to make a run have in common.
fn read_overrides(body: &mut Object, new: &mut NewRun) -> Result<Streamed, ApiError> {
    new.model = body.optional("model", Field::string)?;
    new.instructions = body.optional("instructions", |field| field.string_up_to(256_000))?;
    new.tools = body.optional("tools", |field| read_tools(field, MOST_TOOLS))?;
    new.metadata = body.optional("metadata", metadata::read)?.unwrap_or_default();
    new.temperature = body.optional("temperature", |field| field.decimal(0.0, 2.0))?;
    new.top_p = body.optional("top_p", |field| field.decimal(0.0, 1.0))?;
    let tokens = |field: Field| field.integer(LEAST_TOKENS, u64::MAX);
    new.max_prompt_tokens = body.optional("max_prompt_tokens", tokens)?;
    new.max_completion_tokens = body.optional("max_completion_tokens", tokens)?;
    new.truncation = body.optional("truncation_strategy", read_truncation)?.unwrap_or_default();
    new.tool_choice = body.optional("tool_choice", read_choice)?.unwrap_or_default();
    new.parallel_tool_calls = body.optional("parallel_tool_calls", Field::boolean)?.unwrap_or(true);
    new.response_format = body.optional("response_format", read_response_format)?.flatten();
    new.reasoning_effort = body.optional("reasoning_effort", read_effort)?;
    read_streamed(body)
}

fn read_streamed(body: &mut Object) -> Result<Streamed, ApiError> {
    Ok(body.optional("stream", Field::boolean)?.unwrap_or(false))
}

fn read_truncation(field: Field) -> Result<Truncation, ApiError> {
    let mut object = field.object()?;
    let known = ["auto", "last_messages"];
    let truncation = match object.required("type", |field| field.word(&known))? {
        "auto" => {
            object.optional("last_messages", |field| {
                Err::<(), _>(field.refuse("it goes with the type 'last_messages' only."))
            })?;
            Truncation::Auto
        }
        _ => {
            let most = |field: Field| field.integer(1, u64::from(u32::MAX));
            Truncation::LastMessages(object.required("last_messages", most)? as u32)
        }
    };
    object.finish()?;
    Ok(truncation)
}

fn read_choice(field: Field) -> Result<ToolChoice, ApiError> {
    read_tool_choice(field, &["function", CODE_INTERPRETER, FILE_SEARCH])
}

/// Reads which tool must be called, of these types.
pub(super) fn read_tool_choice(
    field: Field,
    types: &[&'static str],
) -> Result<ToolChoice, ApiError> {
    if field.as_word().is_some() {
        return Ok(match field.word(&["none", "auto", "required"])? {
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => ToolChoice::Auto,
        });
    }
    let mut object = field.object()?;
    let name = match object.required("type", |field| field.word(types))? {
        "function" => object.required("function", |field| {
            let mut object = field.object()?;
            let name = object.required("name", Field::string)?;
            object.finish()?;
            Ok(name)
        })?,
        other => other.to_owned(),
    };
    object.finish()?;
    Ok(ToolChoice::Named(name))
}

/// Reads the outputs of the client's functions.
pub(crate) fn read_outputs(mut body: Object) -> Result<(Vec<SubmittedOutput>, Streamed), ApiError> {
    let outputs = body.required("tool_outputs", |field| {
        field.array()?.into_iter().map(read_output).collect::<Result<Vec<_>, _>>()
    })?;
    let streamed = read_streamed(&mut body)?;
    body.finish()?;
    Ok((outputs, streamed))
}

fn read_output(field: Field) -> Result<SubmittedOutput, ApiError> {
    let mut object = field.object()?;
    let call = object.required("tool_call_id", |field| {
        let refusal = field.refuse("it is not the id of a call of this run.");
        field.string()?.parse::<CallId>().map_err(|_| refusal)
    })?;
    let output = object.optional("output", Field::string)?.unwrap_or_default();
    object.finish()?;
    Ok(SubmittedOutput { call, output })
}
