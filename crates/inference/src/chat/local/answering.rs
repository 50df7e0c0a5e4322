//! The answering loop: tokens in, scores out, one token chosen, and again.
//!
//! It knows no engine and no file. What it needs of a model is a [`Network`] and a [`Vocabulary`];
//! where a grammar holds the answer, tokens that must follow are not chosen but fed together as one
//! piece.

use std::ops::ControlFlow;

use docent_core::{ChatDelta, FinishReason, Result, ToolRequest};

use super::calls::{CallEvent, CallReader, Heard, Listener};
use super::grammar::{Constraint, Vocabulary};
use super::sampler::Sampler;
use super::text::TextStream;

/// A model that reads tokens and scores what may follow.
pub(super) trait Network {
    /// Reads a prompt; a score for each token of the vocabulary to be the next. None if `go_on`
    /// broke off, which is asked between pieces.
    fn read_prompt(
        &mut self,
        prompt: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>>;

    /// Reads `tokens` behind what was read before, and scores likewise.
    fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>>;
}

/// What the caller gets to see, and what it said.
pub(super) struct Reply<'a> {
    pub(super) text: String,
    pub(super) calls: Vec<ToolRequest>,
    /// Tokens of answer, those included that had to follow.
    pub(super) tokens: usize,
    on_delta: &'a mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
}

impl<'a> Reply<'a> {
    pub(super) fn new(on_delta: &'a mut dyn FnMut(ChatDelta) -> ControlFlow<()>) -> Self {
        Self { text: String::new(), calls: Vec::new(), tokens: 0, on_delta }
    }

    /// Pushes every token's text, empty while nothing can be shown: the caller may break off at
    /// each.
    pub(super) fn say(&mut self, text: String) -> ControlFlow<()> {
        self.text.push_str(&text);
        (self.on_delta)(ChatDelta::Text(text))
    }

    fn tell(&mut self, events: Vec<CallEvent>) -> ControlFlow<()> {
        if events.is_empty() {
            return self.say(String::new());
        }
        events.into_iter().try_for_each(|event| match event {
            CallEvent::Begin(name) => {
                let index = self.calls.len();
                self.calls.push(ToolRequest { name: name.clone(), arguments: String::new() });
                (self.on_delta)(ChatDelta::ToolCall { index, name })
            }
            CallEvent::Arguments(fragment) => {
                let Some(call) = self.calls.last_mut() else { return ControlFlow::Continue(()) };
                call.arguments.push_str(&fragment);
                let index = self.calls.len() - 1;
                (self.on_delta)(ChatDelta::ToolArguments { index, fragment })
            }
        })
    }

    /// Adds a call that is known as a whole.
    pub(super) fn call(&mut self, call: ToolRequest) -> ControlFlow<()> {
        self.tell(vec![CallEvent::Begin(call.name), CallEvent::Arguments(call.arguments)])
    }
}

/// What the tokens of an answer are read as.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    /// Text.
    Text,
    /// Text, until a call begins.
    Listening(Listener<'a>),
    /// Calls.
    Calls(CallReader),
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) finish: FinishReason,
    /// What looked like a call of a form that no grammar held, and was not shown.
    pub(super) held: Option<String>,
}

/// One answer on its way.
pub(super) struct Answering<'a, 'r> {
    pub(super) network: &'a mut dyn Network,
    pub(super) vocabulary: &'a dyn Vocabulary,
    pub(super) sampler: Sampler,
    /// What the answer is held to from now on.
    pub(super) constraint: Option<Constraint>,
    pub(super) reading: Reading<'a>,
    pub(super) stream: TextStream,
    pub(super) reply: &'a mut Reply<'r>,
    /// At most so many tokens of the reply.
    pub(super) limit: usize,
}

impl Answering<'_, '_> {
    /// Reads the prompt and answers.
    pub(super) fn run(&mut self, prompt: &[u32]) -> Result<Ended> {
        let reply = &mut *self.reply;
        let mut go_on = || reply.say(String::new());
        let finish = match self.network.read_prompt(prompt, &mut go_on)? {
            Some(logits) => self.write(logits)?,
            None => FinishReason::Cancelled,
        };
        self.end(finish)
    }

    fn write(&mut self, mut logits: Vec<f32>) -> Result<FinishReason> {
        // A chosen token is read together with those that must follow it.
        let mut unread = Vec::new();
        loop {
            let forced = self.take_forced()?;
            if let Some(finish) = self.tell(&forced)? {
                return Ok(finish);
            }
            unread.extend(forced);
            if !unread.is_empty() {
                logits = self.network.forward(&unread)?;
                unread.clear();
            }
            let token = self.choose(&mut logits)?;
            if self.vocabulary.ends().contains(&token) {
                self.reply.tokens += 1;
                return Ok(FinishReason::Stop);
            }
            if let Some(constraint) = &mut self.constraint {
                constraint.take(token)?;
            }
            if let Some(finish) = self.tell(&[token])? {
                return Ok(finish);
            }
            unread.push(token);
        }
    }

    fn take_forced(&mut self) -> Result<Vec<u32>> {
        self.constraint.as_mut().map_or_else(|| Ok(Vec::new()), Constraint::take_forced)
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<u32> {
        match &mut self.constraint {
            Some(constraint) => constraint.mask(logits)?,
            // Not under a grammar: JSON repeats its quotes and keys by right.
            None => self.sampler.penalize(logits),
        }
        let token = self.sampler.choose(logits)?;
        self.sampler.said(token);
        Ok(token)
    }

    /// Shows `tokens`, as far as the limit allows; how the answer ends, if it does here.
    fn tell(&mut self, tokens: &[u32]) -> Result<Option<FinishReason>> {
        let room = self.limit.saturating_sub(self.reply.tokens);
        for token in tokens.iter().take(room) {
            self.reply.tokens += 1;
            if let Some(finish) = self.tell_token(*token)? {
                return Ok(Some(finish));
            }
        }
        let done = self.constraint.as_ref().is_some_and(Constraint::is_done);
        Ok(match done && tokens.len() <= room {
            true => Some(FinishReason::Stop),
            false if self.reply.tokens >= self.limit => Some(FinishReason::Length),
            false => None,
        })
    }

    fn tell_token(&mut self, token: u32) -> Result<Option<FinishReason>> {
        let bytes = self.vocabulary.bytes(token);
        if let Reading::Calls(reader) = &mut self.reading {
            let flow = self.reply.tell(reader.push(bytes));
            return Ok(flow.is_break().then_some(FinishReason::Cancelled));
        }
        let (text, stopped) = self.stream.push(bytes);
        let flow = match &mut self.reading {
            Reading::Listening(listener) => {
                let heard = listener.token(token).unwrap_or_else(|| listener.push(&text));
                self.hear(heard)?
            }
            _ => self.reply.say(text),
        };
        if stopped {
            self.stream = TextStream::default();
        }
        Ok(match stopped {
            _ if flow.is_break() => Some(FinishReason::Cancelled),
            true => Some(FinishReason::Stop),
            false => None,
        })
    }

    /// From the marker of a call on nothing but a call may follow. What the marker's token said
    /// beyond it may not fit; then the call is read when it is whole.
    fn hear(&mut self, heard: Heard) -> Result<ControlFlow<()>> {
        let (shown, begun) = match heard {
            Heard::Text(shown) => (shown, None),
            Heard::Call { before, begun } => (before, Some(begun)),
        };
        let flow = self.reply.say(shown);
        let (Some(begun), Reading::Listening(listener)) = (begun, &mut self.reading) else {
            return Ok(flow);
        };
        let mut constraint = listener.constraint(&begun)?;
        if !constraint.take_text(&begun.rest) {
            listener.hold(&begun);
            return Ok(flow);
        }
        let mut reader = CallReader::default();
        let events = reader.push(begun.read_as().as_bytes());
        self.constraint = Some(constraint);
        self.reading = Reading::Calls(reader);
        Ok(match events.is_empty() || flow.is_break() {
            true => flow,
            false => self.reply.tell(events),
        })
    }

    /// What was held back, now that nothing follows.
    fn end(&mut self, finish: FinishReason) -> Result<Ended> {
        let mut rest = std::mem::take(&mut self.stream).finish();
        let mut held = None;
        match &mut self.reading {
            Reading::Text => {}
            Reading::Listening(listener) => (rest, held) = listener.finish(&rest),
            // Text before a call that might have begun a stop text; no text follows a call.
            Reading::Calls(_) => rest.clear(),
        }
        let broke_off = !rest.is_empty()
            && finish != FinishReason::Cancelled
            && self.reply.say(rest).is_break();
        Ok(Ended { finish: if broke_off { FinishReason::Cancelled } else { finish }, held })
    }
}

#[cfg(test)]
mod tests;
