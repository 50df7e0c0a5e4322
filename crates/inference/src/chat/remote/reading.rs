//! Making an answer of what arrives.

use std::ops::ControlFlow;

use docent_core::{ChatDelta, ErrorKind};
use ureq::http::HeaderMap;

use super::exchange::Arrival;
use super::failure::{Failure, Retry};
use super::sse::EventStream;
use super::wire::{Answer, Completion};

/// An error's body is read up to here; a whole answer up to a thousand times as much.
const MAX_ERROR_BYTES: usize = 64 << 10;
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How far reading has come.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    Complete,
    /// The caller broke off.
    Cancelled,
}

pub(super) struct Reading<'a> {
    /// Names the endpoint in errors.
    endpoint: &'a str,
    head: Option<(u16, HeaderMap)>,
    events: EventStream,
    /// The body, where it is no stream.
    body: Vec<u8>,
    answer: Answer,
}

impl<'a> Reading<'a> {
    pub(super) fn new(endpoint: &'a str) -> Self {
        let (events, answer) = (EventStream::default(), Answer::default());
        Self { endpoint, head: None, events, body: Vec::new(), answer }
    }

    pub(super) fn into_answer(self) -> Answer {
        self.answer
    }

    /// Whether the endpoint has said anything at all.
    pub(super) fn is_answered(&self) -> bool {
        self.head.is_some()
    }

    /// Whether anything was pushed to the caller: from then on nothing is tried again.
    pub(super) fn has_begun(&self) -> bool {
        self.answer.has_begun()
    }

    pub(super) fn arrive(
        &mut self,
        arrival: Arrival,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        let progress = match arrival {
            Arrival::Head(status, headers) => {
                self.head = Some((status, headers));
                Ok(Progress::Going)
            }
            Arrival::Bytes(bytes) if self.is_stream() => self.stream(&bytes, on_delta),
            Arrival::Bytes(bytes) => self.collect(&bytes),
            Arrival::End => self.end(on_delta),
            // What an error says is worth more than that its last byte is missing.
            Arrival::Failed(_) if self.refused() => Err(self.refusal()),
            // So is an answer that is whole but for the connection's polite end.
            Arrival::Failed(_) if self.answer.is_finished() => Ok(Progress::Complete),
            Arrival::Failed(error) => Err(Failure::of_call(error, self.endpoint)),
        };
        progress.map_err(|failure| {
            let retry = if self.has_begun() { Retry::Never } else { failure.retry };
            Failure { retry, ..failure }
        })
    }

    fn refused(&self) -> bool {
        self.head.as_ref().is_some_and(|(status, _)| !(200..300).contains(status))
    }

    fn is_stream(&self) -> bool {
        let kind = self.head.as_ref().and_then(|(_, headers)| headers.get("content-type"));
        let json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        !json && !self.refused()
    }

    fn stream(
        &mut self,
        bytes: &[u8],
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        let events = self.events.push(bytes).map_err(|_| {
            let endpoint = self.endpoint;
            Failure::last(ErrorKind::Unavailable, format!("{endpoint} sent a line without an end"))
        })?;
        for event in events {
            match self.event(&event, on_delta)? {
                Progress::Going => {}
                progress => return Ok(progress),
            }
        }
        Ok(Progress::Going)
    }

    fn event(
        &mut self,
        event: &str,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        match event.trim() {
            "" => return Ok(Progress::Going),
            "[DONE]" => return Ok(Progress::Complete),
            _ => {}
        }
        let completion: Completion = serde_json::from_str(event).map_err(|error| {
            // The message has a place, not the text: that may be somebody's.
            Failure::passing(format!("{} sent what is no JSON: {error}", self.endpoint))
        })?;
        if let Some(error) = completion.error.as_ref().filter(|error| !error.is_null()) {
            return Err(Failure::of_event(error, self.endpoint));
        }
        match self.answer.add(completion, on_delta) {
            ControlFlow::Continue(()) => Ok(Progress::Going),
            ControlFlow::Break(()) => Ok(Progress::Cancelled),
        }
    }

    fn collect(&mut self, bytes: &[u8]) -> Result<Progress, Failure> {
        let room = if self.refused() { MAX_ERROR_BYTES } else { MAX_ANSWER_BYTES };
        if self.body.len() + bytes.len() <= room {
            self.body.extend_from_slice(bytes);
            return Ok(Progress::Going);
        }
        if self.refused() {
            return Err(self.refusal());
        }
        let message = format!("{} sent more than {MAX_ANSWER_BYTES} bytes", self.endpoint);
        Err(Failure::last(ErrorKind::Unavailable, message))
    }

    fn refusal(&self) -> Failure {
        let Some((status, headers)) = &self.head else {
            return Failure::passing(format!("{} closed the connection", self.endpoint));
        };
        Failure::of_status(*status, headers, &self.body, self.endpoint)
    }

    fn end(
        &mut self,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        if self.head.is_none() || self.refused() {
            return Err(self.refusal());
        }
        let last = if self.is_stream() {
            self.events.finish()
        } else {
            Some(String::from_utf8_lossy(&std::mem::take(&mut self.body)).into_owned())
        };
        if let Some(last) = last {
            match self.event(&last, on_delta)? {
                Progress::Going => {}
                progress => return Ok(progress),
            }
        }
        if self.answer.is_finished() {
            return Ok(Progress::Complete);
        }
        let endpoint = self.endpoint;
        Err(Failure::passing(format!("{endpoint} ended the stream before the answer was complete")))
    }
}
