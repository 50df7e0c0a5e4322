//! One short call of the run's chat model beside its turns: for what helps, and may fail.
//!
//! It is bounded in time and length, and whatever goes wrong is a reason to do without, never for
//! the run to fail.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::{
    ChatDelta, ChatMessage, ChatModel, ChatReply, ChatRequest, ResponseFormat, Sampling, ToolChoice,
};

use super::work::{Halt, Worker};

/// How often a wait for the model looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(25);

/// What the model is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) messages: Vec<ChatMessage>,
    pub(super) response_format: ResponseFormat,
    /// How long its reply may be. The bytes bind models that count tokens otherwise.
    pub(super) most_tokens: usize,
    pub(super) most_bytes: usize,
    /// How long it may take.
    pub(super) time: Duration,
}

/// The model's reply, or why there is none. The call has a thread of its own, so that a model that
/// hangs costs no more than the time it was given: it is told to stop, and left to itself.
pub(super) fn ask(worker: &Worker, question: Question) -> Result<Result<ChatReply, String>, Halt> {
    let model = worker.inner.models.chat_model(&worker.run.model)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, name, limit) = (stop.clone(), worker.run.model.clone(), question.time);
    let asked = thread::Builder::new().name("docent-asking".into()).spawn(move || {
        let called = AssertUnwindSafe(|| chat(model.as_ref(), &name, &question, &stopped));
        let reply = catch_unwind(called).unwrap_or_else(|_| Err("the chat model panicked".into()));
        // Nobody listens any more if it came too late.
        let _ = sender.send(reply);
    });
    if let Err(error) = asked {
        return Ok(Err(format!("no thread to ask the chat model in: {error}")));
    }
    let begun = Instant::now();
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(reply) => return Ok(reply),
            Err(RecvTimeoutError::Disconnected) => return Ok(Err("the chat model is gone".into())),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(halt) = worker.check_stopped() {
            stop.store(true, Ordering::Relaxed);
            return Err(halt);
        }
        if begun.elapsed() >= limit {
            stop.store(true, Ordering::Relaxed);
            return Ok(Err(format!("the chat model gave no answer within {limit:?}")));
        }
    }
}

fn chat(
    model: &dyn ChatModel,
    name: &str,
    question: &Question,
    stop: &AtomicBool,
) -> Result<ChatReply, String> {
    let request = ChatRequest {
        model: name,
        messages: &question.messages,
        tool_choice: ToolChoice::None,
        sampling: Sampling {
            temperature: Some(0.0),
            max_tokens: Some(question.most_tokens),
            ..Sampling::default()
        },
        response_format: question.response_format.clone(),
        ..ChatRequest::default()
    };
    let mut bytes = 0;
    let mut on_delta = |delta| {
        bytes += match delta {
            ChatDelta::Text(text) => text.len(),
            _ => 0,
        };
        match bytes > question.most_bytes || stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    model.chat(&request, &mut on_delta).map_err(|error| format!("the chat model failed: {error}"))
}
