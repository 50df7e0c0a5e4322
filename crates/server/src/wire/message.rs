//! Messages.

use docent_core::{
    Annotation, AnnotationTarget, Attachment, AttachmentTool, Citation, Content, FileId, Message,
    MessageIncomplete, MessageRole, MessageStatus, Metadata,
};
use docent_engine::NewMessage;
use serde_json::{Value, json};

use super::fields::{Field, Given, Object, check_length};
use super::metadata;
use crate::error::ApiError;
use crate::ids;

const LONGEST_TEXT: usize = 256_000;

/// A message as answers show it.
pub(crate) fn message(message: &Message) -> Value {
    json!({
        "id": message.id,
        "object": "thread.message",
        "created_at": message.created_at.seconds(),
        "thread_id": message.thread,
        "status": status(message.status),
        "incomplete_details": message.incomplete_reason.map(|it| json!({ "reason": reason(it) })),
        "completed_at": message.completed_at.map(|at| at.seconds()),
        "incomplete_at": message.incomplete_at.map(|at| at.seconds()),
        "role": match message.role {
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
        },
        "content": message.content.iter().map(content).collect::<Vec<_>>(),
        "assistant_id": message.assistant,
        "run_id": message.run,
        "attachments": message.attachments.iter().map(attachment).collect::<Vec<_>>(),
        "metadata": message.metadata,
    })
}

fn status(status: MessageStatus) -> &'static str {
    match status {
        MessageStatus::InProgress => "in_progress",
        MessageStatus::Incomplete => "incomplete",
        MessageStatus::Completed => "completed",
    }
}

fn reason(reason: MessageIncomplete) -> &'static str {
    match reason {
        MessageIncomplete::ContentFilter => "content_filter",
        MessageIncomplete::MaxTokens => "max_tokens",
        MessageIncomplete::RunCancelled => "run_cancelled",
        MessageIncomplete::RunExpired => "run_expired",
        MessageIncomplete::RunFailed => "run_failed",
    }
}

fn content(part: &Content) -> Value {
    match part {
        Content::Text { text, annotations } => json!({
            "type": "text",
            "text": {
                "value": text,
                "annotations": annotations.iter().map(annotation).collect::<Vec<_>>(),
            },
        }),
        Content::ImageFile { file, detail } => json!({
            "type": "image_file",
            "image_file": { "file_id": file, "detail": detail.as_deref().unwrap_or("auto") },
        }),
        Content::ImageUrl { url, detail } => json!({
            "type": "image_url",
            "image_url": { "url": url, "detail": detail.as_deref().unwrap_or("auto") },
        }),
        Content::Refusal { refusal } => json!({ "type": "refusal", "refusal": refusal }),
        // A kind of content that came after this server has no form in the API.
        _ => json!({ "type": "text", "text": { "value": "", "annotations": [] } }),
    }
}

/// An annotation as messages show it.
pub(super) fn annotation(annotation: &Annotation) -> Value {
    let (kind, target) = match &annotation.target {
        AnnotationTarget::FileCitation(citation) => ("file_citation", file_citation(citation)),
        AnnotationTarget::ForeignCitation { file, quote: None } => {
            ("file_citation", json!({ "file_id": file }))
        }
        AnnotationTarget::ForeignCitation { file, quote } => {
            ("file_citation", json!({ "file_id": file, "quote": quote }))
        }
        AnnotationTarget::FilePath { file } => ("file_path", json!({ "file_id": file })),
        _ => ("file_path", Value::Null),
    };
    json!({
        "type": kind,
        "text": annotation.text,
        "start_index": annotation.start,
        "end_index": annotation.end,
        kind: target,
    })
}

/// The API names the file alone; where in it, and in which words, is an extension.
fn file_citation(citation: &Citation) -> Value {
    json!({ "file_id": citation.file, "page": citation.page_start, "quote": citation.quote })
}

fn attachment(attachment: &Attachment) -> Value {
    let tools = attachment.tools.iter().map(|tool| match tool {
        AttachmentTool::CodeInterpreter => json!({ "type": "code_interpreter" }),
        AttachmentTool::FileSearch => json!({ "type": "file_search" }),
    });
    json!({ "file_id": attachment.file, "tools": tools.collect::<Vec<_>>() })
}

/// Reads what a message is to be made from.
pub(crate) fn read_message(mut body: Object) -> Result<NewMessage, ApiError> {
    let role = match body.required("role", |field| field.word(&["user", "assistant"]))? {
        "user" => MessageRole::User,
        _ => MessageRole::Assistant,
    };
    let content = body.required("content", read_content)?;
    let metadata = body.optional("metadata", metadata::read)?.unwrap_or_default();
    let attachments = body.optional("attachments", read_attachments)?.unwrap_or_default();
    body.finish()?;
    Ok(NewMessage { role, content, attachments, metadata })
}

fn read_attachments(field: Field) -> Result<Vec<Attachment>, ApiError> {
    field.array()?.into_iter().map(read_attachment).collect()
}

fn read_attachment(field: Field) -> Result<Attachment, ApiError> {
    let mut object = field.object()?;
    let file = object.required("file_id", ids::field::<FileId>)?;
    let tools = object.required("tools", |field| {
        field.nonempty_array_up_to(2)?.into_iter().map(read_attachment_tool).collect()
    })?;
    object.finish()?;
    Ok(Attachment { file, tools })
}

fn read_attachment_tool(field: Field) -> Result<AttachmentTool, ApiError> {
    let mut object = field.object()?;
    let known = ["code_interpreter", "file_search"];
    let tool = match object.required("type", |field| field.word(&known))? {
        "file_search" => AttachmentTool::FileSearch,
        _ => AttachmentTool::CodeInterpreter,
    };
    object.finish()?;
    Ok(tool)
}

fn read_content(field: Field) -> Result<Vec<Content>, ApiError> {
    let path = field.path().to_owned();
    if field.as_word().is_some() {
        let text = field.string()?;
        check_length(&path, &text, LONGEST_TEXT)?;
        if text.is_empty() {
            return Err(ApiError::invalid(format!(
                "Invalid '{path}': empty string. Expected a string with minimum length 1, but got \
                 an empty string instead."
            ))
            .at(path)
            .code("string_below_min_length"));
        }
        return Ok(vec![Content::text(text)]);
    }
    field.nonempty_array_up_to(usize::MAX)?.into_iter().map(read_part).collect()
}

fn read_part(field: Field) -> Result<Content, ApiError> {
    let mut object = field.object()?;
    let known = ["text", "image_file", "image_url"];
    let kind = object.required("type", |field| field.word(&known))?;
    let part = match kind {
        "image_file" => object.required("image_file", read_image_file)?,
        "image_url" => object.required("image_url", read_image_url)?,
        _ => Content::text(object.required("text", |field| field.string_up_to(LONGEST_TEXT))?),
    };
    object.finish()?;
    Ok(part)
}

fn read_image_file(field: Field) -> Result<Content, ApiError> {
    let mut object = field.object()?;
    let file = object.required("file_id", ids::field::<FileId>)?;
    let detail = object.optional("detail", read_detail)?;
    object.finish()?;
    Ok(Content::ImageFile { file, detail })
}

fn read_image_url(field: Field) -> Result<Content, ApiError> {
    let mut object = field.object()?;
    let url = object.required("url", read_url)?;
    let detail = object.optional("detail", read_detail)?;
    object.finish()?;
    Ok(Content::ImageUrl { url, detail })
}

/// The address of an image. Answers promise a URI, so what is none is not kept.
fn read_url(field: Field) -> Result<String, ApiError> {
    let refusal = field.refuse(
        "it is not the address of an image. Expected a URL that begins with 'https://', 'http://' \
         or 'data:', in ASCII with other characters percent-encoded.",
    );
    let url = field.string_up_to(LONGEST_TEXT)?;
    let known = ["https://", "http://", "data:"].iter().find_map(|it| url.strip_prefix(it));
    let fits = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    match known {
        Some(rest) if !rest.is_empty() && rest.chars().all(fits) => Ok(url),
        _ => Err(refusal),
    }
}

fn read_detail(field: Field) -> Result<String, ApiError> {
    field.word(&["auto", "low", "high"]).map(str::to_owned)
}

/// Reads what is to change about a message or a run: its metadata, if anything.
pub(crate) fn read_attached_metadata(mut body: Object) -> Result<Option<Metadata>, ApiError> {
    let metadata = body.given_as("metadata", metadata::read)?;
    body.finish()?;
    Ok(match metadata {
        Given::Absent => None,
        Given::Null => Some(Metadata::new()),
        Given::Value(metadata) => Some(metadata),
    })
}
