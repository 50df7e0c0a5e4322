//! A chat model that says what a test tells it to.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docent_core::{
    ChatDelta, ChatMessage, ChatModel, ChatReply, ChatRequest, ChatSpec, Error, ErrorKind,
    FinishReason, Passage, Profile, ResponseFormat, Result, Sampling, ToolChoice, ToolRequest,
    ToolSpec, Usage,
};

/// Answers from a script and remembers what it was asked.
///
/// A reply made by [`when`](Self::when) answers every request it fits; the others answer one
/// request each, in order. One token is one word, so that budgets are easy to reckon with.
///
/// ```
/// use std::ops::ControlFlow;
/// use docent_core::{ChatMessage, ChatModel, ChatRequest, Role};
/// use docent_inference::chat::{Scripted, ScriptedReply};
///
/// let model = Scripted::new([ScriptedReply::text("It is 42 [1].").in_pieces_of(3)]);
/// let messages = [ChatMessage::new(Role::User, "What is it?")];
/// let request = ChatRequest { messages: &messages, ..ChatRequest::default() };
/// let reply = model.chat(&request, &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(reply.text, "It is 42 [1].");
/// assert_eq!(model.requests()[0].messages, messages);
/// # Ok::<(), docent_core::Error>(())
/// ```
pub struct Scripted {
    spec: ChatSpec,
    rules: Vec<(Predicate, ScriptedReply)>,
    script: Mutex<VecDeque<ScriptedReply>>,
    requests: Mutex<Vec<SeenRequest>>,
}

type Predicate = Box<dyn Fn(&SeenRequest) -> bool + Send + Sync>;
type Hook = Arc<dyn Fn() + Send + Sync>;

impl Scripted {
    /// A model named `scripted`, of [`Profile::Tools`], that gives these replies in order.
    pub fn new(script: impl IntoIterator<Item = ScriptedReply>) -> Self {
        let spec = ChatSpec {
            name: "scripted".to_owned(),
            profile: Profile::Tools,
            context_tokens: 8_192,
            max_output_tokens: 1_024,
        };
        let script = Mutex::new(script.into_iter().collect());
        Self { spec, rules: Vec::new(), script, requests: Mutex::default() }
    }

    /// The same model with this spec.
    #[must_use]
    pub fn with_spec(mut self, spec: ChatSpec) -> Self {
        self.spec = spec;
        self
    }

    /// The same model with this profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.spec.profile = profile;
        self
    }

    /// The same model, answering every request that `fits` with `reply`, whatever the order.
    #[must_use]
    pub fn when(
        mut self,
        fits: impl Fn(&SeenRequest) -> bool + Send + Sync + 'static,
        reply: ScriptedReply,
    ) -> Self {
        self.rules.push((Box::new(fits), reply));
        self
    }

    /// Adds a reply to the end of the script.
    pub fn push(&self, reply: ScriptedReply) {
        lock(&self.script).push_back(reply);
    }

    /// What it was asked so far, in order.
    pub fn requests(&self) -> Vec<SeenRequest> {
        lock(&self.requests).clone()
    }

    /// How many replies of the script were not asked for.
    pub fn remaining(&self) -> usize {
        lock(&self.script).len()
    }

    fn reply_to(&self, request: &SeenRequest) -> Result<ScriptedReply> {
        if let Some((_, reply)) = self.rules.iter().find(|(fits, _)| fits(request)) {
            return Ok(reply.clone());
        }
        lock(&self.script).pop_front().ok_or_else(|| {
            let count = lock(&self.requests).len();
            Error::internal(format!("the script has no reply for request {count}"))
        })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("spec", &self.spec)
            .field("rules", &self.rules.len())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

impl ChatModel for Scripted {
    fn spec(&self) -> &ChatSpec {
        &self.spec
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        let seen = SeenRequest::of(request);
        lock(&self.requests).push(seen.clone());
        let reply = self.reply_to(&seen)?;
        let prompt =
            seen.messages.iter().map(|message| self.count_tokens(&message.content)).sum::<usize>();
        reply.play(prompt as u64, on_delta)
    }
}

/// What a [`Scripted`] model was asked: a [`ChatRequest`] that owns its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRequest {
    /// The name the user asked for.
    pub model: String,
    /// The conversation.
    pub messages: Vec<ChatMessage>,
    /// The tools offered.
    pub tools: Vec<ToolSpec>,
    /// Whether one had to be called.
    pub tool_choice: ToolChoice,
    /// What was retrieved.
    pub passages: Vec<Passage>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// What form the answer had to take.
    pub response_format: ResponseFormat,
    /// Whether several tools could be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// How hard it had to think.
    pub reasoning_effort: Option<String>,
}

impl SeenRequest {
    fn of(request: &ChatRequest<'_>) -> Self {
        Self {
            model: request.model.to_owned(),
            messages: request.messages.to_vec(),
            tools: request.tools.to_vec(),
            tool_choice: request.tool_choice.clone(),
            passages: request.passages.to_vec(),
            sampling: request.sampling.clone(),
            response_format: request.response_format.clone(),
            parallel_tool_calls: request.parallel_tool_calls,
            reasoning_effort: request.reasoning_effort.map(str::to_owned),
        }
    }

    /// The text of the last message; empty if there is none.
    pub fn last_text(&self) -> &str {
        self.messages.last().map_or("", |message| &message.content)
    }
}

/// One reply of a script: pieces of text, then tool calls, then an end.
#[derive(Clone)]
pub struct ScriptedReply {
    pieces: Vec<String>,
    calls: Vec<ToolRequest>,
    finish: Option<FinishReason>,
    failure: Option<(ErrorKind, String)>,
    /// Run before the piece of that number; the number of pieces means after the last.
    hooks: Vec<(usize, Hook)>,
}

impl ScriptedReply {
    /// Text, pushed in one piece.
    pub fn text(text: impl Into<String>) -> Self {
        Self::pieces([text])
    }

    /// Text, pushed in these pieces.
    pub fn pieces(pieces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let pieces = pieces.into_iter().map(Into::into).collect();
        Self { pieces, calls: Vec::new(), finish: None, failure: None, hooks: Vec::new() }
    }

    /// No text but a tool call.
    pub fn call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::pieces([""; 0]).and_call(name, arguments)
    }

    /// An error before the first piece.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::pieces([""; 0]).then_error(kind, message)
    }

    /// The same reply with one more tool call.
    #[must_use]
    pub fn and_call(mut self, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        self.calls.push(ToolRequest { name: name.into(), arguments: arguments.into() });
        self
    }

    /// The same reply, but after its text (and before its calls) it fails.
    #[must_use]
    pub fn then_error(mut self, kind: ErrorKind, message: impl Into<String>) -> Self {
        self.failure = Some((kind, message.into()));
        self
    }

    /// The same reply, ending for this reason instead of by itself.
    #[must_use]
    pub fn finish(mut self, finish: FinishReason) -> Self {
        self.finish = Some(finish);
        self
    }

    /// The same text in pieces of `chars` characters.
    #[must_use]
    pub fn in_pieces_of(mut self, chars: usize) -> Self {
        let text: Vec<char> = self.pieces.concat().chars().collect();
        self.pieces = text.chunks(chars.max(1)).map(|piece| piece.iter().collect()).collect();
        self
    }

    /// The same reply, calling `hook` before its piece number `piece` (from 0): to wait for
    /// another thread, to move a clock, to panic.
    #[must_use]
    pub fn before_piece(mut self, piece: usize, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.push((piece, Arc::new(hook)));
        self
    }

    fn play(
        self,
        prompt_tokens: u64,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        let mut text = String::new();
        let mut flow = ControlFlow::Continue(());
        for (number, piece) in self.pieces.iter().enumerate() {
            self.run_hooks(|at| at == number);
            text.push_str(piece);
            flow = on_delta(ChatDelta::Text(piece.clone()));
            if flow.is_break() {
                break;
            }
        }
        if flow.is_continue() {
            self.run_hooks(|at| at >= self.pieces.len());
            if let Some((kind, message)) = self.failure {
                return Err(Error::new(kind, message));
            }
            flow = push_calls(&self.calls, on_delta);
        }
        let by_itself =
            if self.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        let finish = if flow.is_break() {
            FinishReason::Cancelled
        } else {
            self.finish.unwrap_or(by_itself)
        };
        let completion_tokens = text.split_whitespace().count() + self.calls.len();
        let usage = Usage { prompt_tokens, completion_tokens: completion_tokens as u64 };
        let tool_calls = if flow.is_break() { Vec::new() } else { self.calls };
        Ok(ChatReply { text, tool_calls, finish, usage })
    }

    fn run_hooks(&self, fits: impl Fn(usize) -> bool) {
        self.hooks.iter().filter(|(at, _)| fits(*at)).for_each(|(_, hook)| hook());
    }
}

impl fmt::Debug for ScriptedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedReply")
            .field("pieces", &self.pieces)
            .field("calls", &self.calls)
            .field("finish", &self.finish)
            .field("failure", &self.failure)
            .field("hooks", &self.hooks.len())
            .finish()
    }
}

fn push_calls(
    calls: &[ToolRequest],
    on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for (index, call) in calls.iter().enumerate() {
        on_delta(ChatDelta::ToolCall { index, name: call.name.clone() })?;
        on_delta(ChatDelta::ToolArguments { index, fragment: call.arguments.clone() })?;
    }
    ControlFlow::Continue(())
}

/// A test's hook may panic while a lock is held elsewhere; what it guards stays whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(model: &Scripted, text: &str) -> (Result<ChatReply>, Vec<ChatDelta>) {
        let messages = [ChatMessage::new(docent_core::Role::User, text)];
        let request = ChatRequest { messages: &messages, ..ChatRequest::default() };
        let mut deltas = Vec::new();
        let reply = model.chat(&request, &mut |delta| {
            deltas.push(delta);
            ControlFlow::Continue(())
        });
        (reply, deltas)
    }

    #[test]
    fn rules_go_before_the_script() {
        let model = Scripted::new([ScriptedReply::text("first"), ScriptedReply::text("second")])
            .when(|seen| seen.last_text() == "tool?", ScriptedReply::call("look", "{}"));
        assert_eq!(ask(&model, "a").0.unwrap().text, "first");
        let (reply, deltas) = ask(&model, "tool?");
        assert_eq!(reply.unwrap().finish, FinishReason::ToolCalls);
        assert_eq!(deltas.len(), 2);
        assert_eq!(ask(&model, "b").0.unwrap().text, "second");
        assert_eq!(ask(&model, "c").0.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(model.requests().len(), 4);
    }

    #[test]
    fn a_failure_comes_after_the_pieces_before_it() {
        let failing =
            ScriptedReply::pieces(["half ", "an "]).then_error(ErrorKind::Overloaded, "busy");
        let (reply, deltas) = ask(&Scripted::new([failing]), "?");
        assert_eq!(reply.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(deltas.len(), 2);
    }

    #[test]
    fn breaking_off_keeps_what_was_said() {
        let model = Scripted::new([ScriptedReply::text("abcdef").in_pieces_of(2)]);
        let mut count = 0;
        let reply = model.chat(&ChatRequest::default(), &mut |_| {
            count += 1;
            if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let reply = reply.unwrap();
        assert_eq!((reply.text.as_str(), reply.finish), ("abcd", FinishReason::Cancelled));
    }
}
