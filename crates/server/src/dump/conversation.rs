//! Messages, runs and steps of a dump.

use docent_core::{
    Annotation, AnnotationTarget, Attachment, AttachmentTool, Call, CodeOutput, Content, Message,
    MessageIncomplete, MessageRole, MessageStatus, Result, Run, RunError, RunErrorCode,
    RunIncomplete, RunStatus, RunStep, StepCall, StepDetails, StepStatus, Timestamp, ToolCall,
    ToolChoice, Truncation, Usage,
};
use serde_json::Value;

use super::assets::{response_format, tools};
use super::fields::Fields;
use super::ids::Ids;

/// How long a run lived on the service.
const RUN_LIFETIME: std::time::Duration = std::time::Duration::from_secs(600);

pub(super) fn message(fields: &Fields<'_>, ids: &mut Ids) -> Result<Message> {
    let created_at = fields.required_time("created_at")?;
    let incomplete = fields.object("incomplete_details")?;
    // The service left the status of stored messages out; they were whole.
    let status = fields.word("status", MessageStatus::Completed);
    let whole = (status == MessageStatus::Completed).then_some(created_at);
    let content = fields.objects("content")?;
    let content: Result<Vec<Content>> =
        content.iter().map(|part| self::content(part, ids)).collect();
    let attachments = fields.objects("attachments")?;
    let attachments: Result<Vec<Attachment>> =
        attachments.iter().map(|it| attachment(it, ids)).collect();
    Ok(Message {
        id: fields.id(ids, "id")?,
        thread: fields.id(ids, "thread_id")?,
        created_at,
        status,
        incomplete_reason: incomplete.map(|it| it.word("reason", MessageIncomplete::RunFailed)),
        completed_at: fields.time("completed_at")?.or(whole),
        incomplete_at: fields.time("incomplete_at")?,
        role: role(fields)?,
        content: content?,
        assistant: fields.optional_id(ids, "assistant_id")?,
        run: fields.optional_id(ids, "run_id")?,
        attachments: attachments?,
        metadata: fields.metadata()?,
    })
}

fn role(fields: &Fields<'_>) -> Result<MessageRole> {
    match &*fields.required_text("role")? {
        "user" => Ok(MessageRole::User),
        "assistant" => Ok(MessageRole::Assistant),
        _ => Err(fields.wrong("role", "'user' or 'assistant'")),
    }
}

fn content(part: &Fields<'_>, ids: &mut Ids) -> Result<Content> {
    let kind = part.required_text("type")?;
    let inner = || part.object(&kind)?.ok_or_else(|| part.wrong(&kind, "there"));
    match &*kind {
        "text" => {
            // As answers have it, or as requests do.
            if let Ok(Some(text)) = part.text("text") {
                return Ok(Content::text(text));
            }
            let text = inner()?;
            let annotations = text.objects("annotations")?;
            let annotations = annotations.iter().map(|it| annotation(it, ids));
            let annotations = annotations.collect::<Result<_>>()?;
            Ok(Content::Text { text: text.required_text("value")?, annotations })
        }
        "image_file" => {
            let image = inner()?;
            Ok(Content::ImageFile {
                file: image.id(ids, "file_id")?,
                detail: image.text("detail")?,
            })
        }
        "image_url" => {
            let image = inner()?;
            Ok(Content::ImageUrl {
                url: image.required_text("url")?,
                detail: image.text("detail")?,
            })
        }
        "refusal" => Ok(Content::Refusal { refusal: part.required_text("refusal")? }),
        _ => Err(part.wrong("type", "'text', 'image_file', 'image_url' or 'refusal'")),
    }
}

fn annotation(fields: &Fields<'_>, ids: &mut Ids) -> Result<Annotation> {
    let kind = fields.required_text("type")?;
    let inner = fields.object(&kind)?.ok_or_else(|| fields.wrong(&kind, "there"))?;
    let file = inner.id(ids, "file_id")?;
    let target = match &*kind {
        "file_path" => AnnotationTarget::FilePath { file },
        _ => {
            let quote = inner.text("quote")?.filter(|quote| !quote.is_empty());
            AnnotationTarget::ForeignCitation { file, quote }
        }
    };
    Ok(Annotation {
        text: fields.text("text")?.unwrap_or_default(),
        start: fields.number("start_index")?.unwrap_or_default(),
        end: fields.number("end_index")?.unwrap_or_default(),
        target,
    })
}

fn attachment(fields: &Fields<'_>, ids: &mut Ids) -> Result<Attachment> {
    let tool = |tool: &Fields<'_>| tool.word("type", AttachmentTool::FileSearch);
    let tools = fields.objects("tools")?.iter().map(tool).collect();
    Ok(Attachment { file: fields.id(ids, "file_id")?, tools })
}

pub(super) fn run(fields: &Fields<'_>, ids: &mut Ids) -> Result<Run> {
    let created_at = fields.required_time("created_at")?;
    let incomplete = fields.object("incomplete_details")?;
    let status = fields.word("status", RunStatus::Completed);
    Ok(Run {
        id: fields.id(ids, "id")?,
        thread: fields.id(ids, "thread_id")?,
        assistant: fields.id(ids, "assistant_id")?,
        created_at,
        status,
        required_calls: required_calls(fields, ids)?,
        last_error: last_error(fields)?,
        incomplete_reason: incomplete.map(|it| it.word("reason", RunIncomplete::MaxPromptTokens)),
        expires_at: fields.time("expires_at")?.unwrap_or(created_at.plus(RUN_LIFETIME)),
        started_at: fields.time("started_at")?,
        ended_at: ended_at(fields)?.or(status.is_terminal().then_some(created_at)),
        model: fields.text("model")?.unwrap_or_default(),
        instructions: fields.text("instructions")?.filter(|text| !text.is_empty()),
        tools: tools(fields)?,
        tool_resources: Default::default(),
        temperature: fields.decimal("temperature")?,
        top_p: fields.decimal("top_p")?,
        max_prompt_tokens: fields.number("max_prompt_tokens")?,
        max_completion_tokens: fields.number("max_completion_tokens")?,
        truncation: truncation(fields)?,
        tool_choice: tool_choice(fields)?,
        parallel_tool_calls: fields.boolean("parallel_tool_calls").unwrap_or(true),
        response_format: response_format(fields)?,
        reasoning_effort: fields.text("reasoning_effort")?,
        usage: usage(fields)?,
        metadata: fields.metadata()?,
    })
}

fn required_calls(fields: &Fields<'_>, ids: &mut Ids) -> Result<Vec<ToolCall>> {
    let Some(action) = fields.object("required_action")? else { return Ok(Vec::new()) };
    let Some(submit) = action.object("submit_tool_outputs")? else { return Ok(Vec::new()) };
    let calls = submit.objects("tool_calls")?;
    let calls = calls.iter().map(|call| {
        let function = call.object("function")?;
        let function = function.ok_or_else(|| call.wrong("function", "there"))?;
        Ok(ToolCall {
            id: call.id(ids, "id")?,
            name: function.required_text("name")?,
            arguments: function.text("arguments")?.unwrap_or_default(),
        })
    });
    calls.collect()
}

fn last_error(fields: &Fields<'_>) -> Result<Option<RunError>> {
    let Some(error) = fields.object("last_error")? else { return Ok(None) };
    let code = error.word("code", RunErrorCode::ServerError);
    Ok(Some(RunError { code, message: error.text("message")?.unwrap_or_default() }))
}

/// When a run or a step ended, however it did.
fn ended_at(fields: &Fields<'_>) -> Result<Option<Timestamp>> {
    for key in ["completed_at", "failed_at", "cancelled_at", "expired_at"] {
        if let Some(at) = fields.time(key)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn truncation(fields: &Fields<'_>) -> Result<Truncation> {
    let Some(strategy) = fields.object("truncation_strategy")? else {
        return Ok(Truncation::Auto);
    };
    let most = strategy.number("last_messages")?.and_then(|most| u32::try_from(most).ok());
    Ok(most.map_or(Truncation::Auto, Truncation::LastMessages))
}

fn tool_choice(fields: &Fields<'_>) -> Result<ToolChoice> {
    match fields.value("tool_choice") {
        Some(Value::String(word)) if word == "none" => Ok(ToolChoice::None),
        Some(Value::String(word)) if word == "required" => Ok(ToolChoice::Required),
        Some(Value::Object(_)) => {
            let Some(choice) = fields.object("tool_choice")? else { return Ok(ToolChoice::Auto) };
            let function = choice.object("function")?;
            let name = function.map(|function| function.required_text("name")).transpose()?;
            name.map_or_else(|| choice.required_text("type"), Ok).map(ToolChoice::Named)
        }
        _ => Ok(ToolChoice::Auto),
    }
}

fn usage(fields: &Fields<'_>) -> Result<Option<Usage>> {
    let Some(usage) = fields.object("usage")? else { return Ok(None) };
    Ok(Some(Usage {
        prompt_tokens: usage.number("prompt_tokens")?.unwrap_or_default(),
        completion_tokens: usage.number("completion_tokens")?.unwrap_or_default(),
    }))
}

pub(super) fn step(fields: &Fields<'_>, ids: &mut Ids) -> Result<RunStep> {
    let created_at = fields.required_time("created_at")?;
    let status = fields.word("status", StepStatus::Completed);
    let details = fields.object("step_details")?;
    let details = details.ok_or_else(|| fields.wrong("step_details", "there"))?;
    let ended = (status != StepStatus::InProgress).then_some(created_at);
    Ok(RunStep {
        id: fields.id(ids, "id")?,
        run: fields.id(ids, "run_id")?,
        thread: fields.id(ids, "thread_id")?,
        assistant: fields.id(ids, "assistant_id")?,
        created_at,
        status,
        details: step_details(&details, ids)?,
        last_error: last_error(fields)?,
        ended_at: ended_at(fields)?.or(ended),
        usage: usage(fields)?,
        context: None,
        metadata: fields.metadata()?,
    })
}

fn step_details(fields: &Fields<'_>, ids: &mut Ids) -> Result<StepDetails> {
    if let Some(made) = fields.object("message_creation")? {
        return Ok(StepDetails::MessageCreation { message: made.id(ids, "message_id")? });
    }
    let calls = fields.objects("tool_calls")?;
    let calls = calls.iter().map(|call| step_call(call, ids)).collect::<Result<_>>()?;
    Ok(StepDetails::ToolCalls { calls })
}

fn step_call(fields: &Fields<'_>, ids: &mut Ids) -> Result<StepCall> {
    let kind = fields.required_text("type")?;
    let inner = fields.object(&kind)?.ok_or_else(|| fields.wrong(&kind, "there"));
    let call = match &*kind {
        // What was found is told without the passages; the citations of the answer stay.
        "file_search" | "retrieval" => {
            let (arguments, results) = ("{}".to_owned(), Some(Vec::new()));
            Call::FileSearch { arguments, results, report: None }
        }
        "code_interpreter" => {
            let program = inner?;
            let outputs = program.objects("outputs")?;
            let outputs = outputs.iter().map(|it| code_output(it, ids)).collect::<Result<_>>()?;
            Call::CodeInterpreter {
                input: program.text("input")?.unwrap_or_default(),
                outputs: Some(outputs),
            }
        }
        "function" => {
            let function = inner?;
            Call::Function {
                name: function.required_text("name")?,
                arguments: function.text("arguments")?.unwrap_or_default(),
                output: function.text("output")?,
            }
        }
        _ => return Err(fields.wrong("type", "'code_interpreter', 'file_search' or 'function'")),
    };
    Ok(StepCall { id: fields.id(ids, "id")?, call })
}

fn code_output(fields: &Fields<'_>, ids: &mut Ids) -> Result<CodeOutput> {
    match fields.object("image")? {
        Some(image) => Ok(CodeOutput::Image { file: image.id(ids, "file_id")? }),
        None => Ok(CodeOutput::Logs { logs: fields.text("logs")?.unwrap_or_default() }),
    }
}
