//! Chat completions: whole, and in chunks.

use std::fmt;
use std::sync::Arc;

use docent_core::{CallId, ChatDelta, ChatReply, FinishReason, IdSource, Timestamp};
use serde_json::{Value, json};

use super::chat::Streaming;
use super::run::usage;
use super::sse::Frame;
use crate::error::ApiError;

/// What a completion and every chunk of it have in common.
pub(crate) struct Completion {
    id: String,
    created: Timestamp,
    model: String,
    ids: Arc<dyn IdSource>,
}

impl Completion {
    /// A completion by `model`, as the client calls it.
    pub(crate) fn new(model: String, created: Timestamp, ids: Arc<dyn IdSource>) -> Self {
        let id = format!("chatcmpl-{}", ids.next_id().as_str());
        Self { id, created, model, ids }
    }

    /// The whole answer.
    pub(crate) fn whole(&self, reply: &ChatReply) -> Value {
        // A call without text has none, rather than an empty one.
        let content =
            (!reply.text.is_empty() || reply.tool_calls.is_empty()).then_some(&reply.text);
        let mut message = json!({
            "role": "assistant", "content": content, "refusal": null, "annotations": [],
        });
        if !reply.tool_calls.is_empty() {
            let calls = reply.tool_calls.iter().map(|call| {
                json!({
                    "id": self.call_id(),
                    "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments },
                })
            });
            message["tool_calls"] = calls.collect();
        }
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created.seconds(),
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": finish_reason(reply.finish),
            }],
            "usage": usage(reply.usage),
        })
    }

    fn call_id(&self) -> CallId {
        CallId::new(self.ids.next_id())
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("id", &self.id).finish_non_exhaustive()
    }
}

fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}

/// Writes a completion in chunks.
#[derive(Debug)]
pub(crate) struct Chunks {
    completion: Completion,
    streaming: Streaming,
    /// Whether the first chunk, which names the role, was written.
    begun: bool,
    /// How much text was written, in bytes, and how many calls.
    text: usize,
    calls: usize,
}

impl Chunks {
    pub(crate) fn new(completion: Completion, streaming: Streaming) -> Self {
        Self { completion, streaming, begun: false, text: 0, calls: 0 }
    }

    /// What is written of `delta`; nothing if that is nothing.
    pub(crate) fn delta(&mut self, delta: ChatDelta) -> Frame {
        match delta {
            ChatDelta::Text(text) if !text.is_empty() => {
                self.text += text.len();
                let begin = self.begin(json!(""));
                begin + &self.choice(json!({ "content": text }))
            }
            ChatDelta::ToolCall { index, name } => {
                self.calls = self.calls.max(index + 1);
                let begin = self.begin(Value::Null);
                let call = json!({
                    "index": index,
                    "id": self.completion.call_id(),
                    "type": "function",
                    "function": { "name": name, "arguments": "" },
                });
                begin + &self.choice(json!({ "tool_calls": [call] }))
            }
            ChatDelta::ToolArguments { index, fragment } => {
                let call = json!({ "index": index, "function": { "arguments": fragment } });
                self.choice(json!({ "tool_calls": [call] }))
            }
            _ => Frame::new(),
        }
    }

    /// The end of the stream, and what `reply` says that no delta did.
    pub(crate) fn end(&mut self, reply: &ChatReply) -> Frame {
        let mut frames = self.begin(json!(""));
        if let Some(rest) = reply.text.get(self.text..) {
            frames.push_str(&self.delta(ChatDelta::Text(rest.to_owned())));
        }
        for (index, call) in reply.tool_calls.iter().enumerate().skip(self.calls) {
            frames.push_str(&self.delta(ChatDelta::ToolCall { index, name: call.name.clone() }));
            let fragment = call.arguments.clone();
            frames.push_str(&self.delta(ChatDelta::ToolArguments { index, fragment }));
        }
        let reason = finish_reason(reply.finish);
        frames.push_str(&self.chunk(json!([{
            "index": 0, "delta": {}, "logprobs": null, "finish_reason": reason,
        }])));
        if self.streaming.include_usage {
            let mut chunk = self.value(json!([]));
            chunk["usage"] = usage(reply.usage);
            frames.push_str(&frame(&chunk));
        }
        frames + "data: [DONE]\n\n"
    }

    /// What a stream ends with that breaks off.
    pub(crate) fn failed(error: &ApiError) -> Frame {
        frame(&json!({ "error": error.body() }))
    }

    fn begin(&mut self, content: Value) -> Frame {
        if std::mem::replace(&mut self.begun, true) {
            return Frame::new();
        }
        self.choice(json!({ "role": "assistant", "content": content, "refusal": null }))
    }

    fn choice(&self, delta: Value) -> Frame {
        self.chunk(json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": null,
        }]))
    }

    fn chunk(&self, choices: Value) -> Frame {
        let mut chunk = self.value(choices);
        if self.streaming.include_usage {
            chunk["usage"] = Value::Null;
        }
        frame(&chunk)
    }

    fn value(&self, choices: Value) -> Value {
        json!({
            "id": self.completion.id,
            "object": "chat.completion.chunk",
            "created": self.completion.created.seconds(),
            "model": self.completion.model,
            "choices": choices,
        })
    }
}

fn frame(chunk: &Value) -> Frame {
    format!("data: {chunk}\n\n")
}
