//! A run's events as server-sent events, in the shapes the official clients add up.
//!
//! Those clients concatenate strings and add numbers of successive deltas, so an id, a name or an
//! index into the text is sent once and never again.

use docent_core::{Call, CodeOutput, FileId, Message, RunStep, StepCall, StepDetails, Thread};
use docent_engine::{MessageDelta, RunEvent, StepDelta};
use serde_json::{Value, json};

use super::message::{annotation, message};
use super::run::run;
use super::step::{StepView, code_output, step};
use super::thread::thread;
use crate::error::ApiError;

/// One server-sent event, ready to be sent.
pub(crate) type Frame = String;

/// The stream's last event.
const DONE: &str = "event: done\ndata: [DONE]\n\n";

fn frame(name: &str, data: &Value) -> Frame {
    // JSON has no line breaks outside strings, and inside they are escaped.
    format!("event: {name}\ndata: {data}\n\n")
}

/// What the stream that makes a thread begins with.
pub(crate) fn thread_created(made: &Thread) -> Frame {
    frame("thread.created", &thread(made))
}

/// What a stream says that breaks off.
pub(crate) fn error_frame(error: &ApiError) -> Frame {
    frame("error", &json!({ "error": error.body() }))
}

/// What is sent of `event`; none for what the API does not show.
pub(crate) fn frames(event: &RunEvent, view: StepView) -> Option<Frame> {
    let data = match event {
        RunEvent::RunCreated(it) | RunEvent::Run(it) => run(it),
        RunEvent::StepCreated(it) | RunEvent::Step(it) => step(it, view),
        RunEvent::MessageCreated(it) | RunEvent::Message(it) => message(it),
        RunEvent::MessageDelta { message, delta } => message_delta(message, delta),
        RunEvent::StepDelta { step, delta } => step_delta(step, delta)?,
        _ => return None,
    };
    let mut frame = frame(event.name(), &data);
    if event.is_last() {
        frame.push_str(DONE);
    }
    Some(frame)
}

fn message_delta(message: &Message, delta: &MessageDelta) -> Value {
    let content = match delta.images.is_empty() {
        true => vec![new_text(message, delta)],
        false => delta.images.iter().enumerate().map(new_image).collect(),
    };
    json!({
        "id": message.id,
        "object": "thread.message.delta",
        "delta": { "content": content },
    })
}

/// Images come first, and all at once.
fn new_image((index, file): (usize, &FileId)) -> Value {
    let image = json!({ "file_id": file, "detail": "auto" });
    json!({ "index": index, "type": "image_file", "image_file": image })
}

/// Text is the last part of a message.
fn new_text(message: &Message, delta: &MessageDelta) -> Value {
    let mut text = json!({ "value": delta.text });
    // Only the first delta and those with citations have the list: an empty one adds nothing.
    if !delta.annotations.is_empty() || message.text().len() == delta.text.len() {
        let numbered = (delta.annotations_before..).zip(&delta.annotations).map(|(index, it)| {
            let mut shown = annotation(it);
            shown["index"] = index.into();
            shown
        });
        text["annotations"] = numbered.collect();
    }
    let index = message.content.len().saturating_sub(1);
    json!({ "index": index, "type": "text", "text": text })
}

fn step_delta(step: &RunStep, delta: &StepDelta) -> Option<Value> {
    let call = match delta {
        StepDelta::Call { index, call } => new_call(*index, call)?,
        StepDelta::Arguments { index, fragment } => more_arguments(step, *index, fragment)?,
        StepDelta::Outputs { index, outputs } => new_outputs(*index, outputs),
        _ => return None,
    };
    Some(json!({
        "id": step.id,
        "object": "thread.run.step.delta",
        "delta": { "step_details": { "type": "tool_calls", "tool_calls": [call] } },
    }))
}

fn new_call(index: usize, call: &StepCall) -> Option<Value> {
    let (kind, inner) = match &call.call {
        Call::FileSearch { .. } => ("file_search", json!({})),
        Call::Function { name, arguments, .. } => {
            ("function", json!({ "name": name, "arguments": arguments, "output": null }))
        }
        Call::CodeInterpreter { input, .. } => {
            ("code_interpreter", json!({ "input": input, "outputs": [] }))
        }
        _ => return None,
    };
    Some(json!({ "index": index, "id": call.id, "type": kind, kind: inner }))
}

fn new_outputs(index: usize, outputs: &[CodeOutput]) -> Value {
    let numbered = outputs.iter().enumerate().map(|(number, output)| {
        let mut shown = code_output(output);
        shown["index"] = number.into();
        shown
    });
    json!({
        "index": index,
        "type": "code_interpreter",
        "code_interpreter": { "outputs": numbered.collect::<Vec<_>>() },
    })
}

/// What a model writes to search is not shown: the API has no place for it.
fn more_arguments(step: &RunStep, index: usize, fragment: &str) -> Option<Value> {
    let StepDetails::ToolCalls { calls } = &step.details else { return None };
    match &calls.get(index)?.call {
        Call::Function { .. } => Some(json!({
            "index": index,
            "type": "function",
            "function": { "arguments": fragment },
        })),
        Call::CodeInterpreter { .. } => Some(json!({
            "index": index,
            "type": "code_interpreter",
            "code_interpreter": { "input": fragment },
        })),
        _ => None,
    }
}
