//! A chat model that answers one client, who may go away.
//!
//! A model pushes and a client pulls; between them is a channel. When the client goes, the channel
//! closes, and the model is told so at its next piece. Nothing of this is stored: unlike a run, a
//! completion ends with its client.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use docent_core::{ChatDelta, ChatModel, ChatReply, ChatRequest, Error};
use tokio::sync::mpsc;

use super::{EVENTS_AHEAD, Work};
use crate::app::App;
use crate::error::ApiError;
use crate::wire::{Chunks, Frame, NewChat};

/// What a model says.
#[derive(Debug)]
enum Said {
    Piece(ChatDelta),
    End(Result<ChatReply, ApiError>),
}

/// A model that answers.
#[derive(Debug)]
pub(crate) struct Talk {
    said: mpsc::Receiver<Said>,
    /// What was taken already, to see whether it begins well.
    first: Option<Said>,
}

impl App {
    /// Has `model` answer, and waits for its first piece: a request that fails before it is told so
    /// by its status.
    pub(crate) async fn talk(
        &self,
        model: Arc<dyn ChatModel>,
        asked: NewChat,
    ) -> Result<Talk, ApiError> {
        let (sender, mut said) = mpsc::channel(EVENTS_AHEAD);
        let app = self.clone();
        self.threads().spawn(Work::Chat, move || {
            let reply = answer(model.as_ref(), &asked, &sender);
            if let Ok(reply) = &reply {
                app.metrics().count_tokens(reply.usage);
            }
            let _ = sender.blocking_send(Said::End(reply.map_err(ApiError::from)));
        })?;
        match said.recv().await {
            Some(Said::End(Err(error))) => Err(error),
            Some(first) => Ok(Talk { said, first: Some(first) }),
            None => Err(panicked()),
        }
    }
}

fn answer(
    model: &dyn ChatModel,
    asked: &NewChat,
    sender: &mpsc::Sender<Said>,
) -> Result<ChatReply, Error> {
    let request = ChatRequest {
        model: &asked.model,
        messages: &asked.messages,
        tools: &asked.tools,
        tool_choice: asked.tool_choice.clone(),
        parallel_tool_calls: asked.parallel_tool_calls,
        passages: &[],
        sampling: asked.sampling.clone(),
        response_format: asked.response_format.clone(),
        reasoning_effort: asked.reasoning_effort.as_deref(),
    };
    model.chat(&request, &mut |delta| {
        // An empty piece only asks whether to go on.
        let gone = match delta {
            ChatDelta::Text(text) if text.is_empty() => sender.is_closed(),
            delta => sender.blocking_send(Said::Piece(delta)).is_err(),
        };
        if gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// Only a fault of ours ends a thread without a word.
fn panicked() -> ApiError {
    Error::internal("a chat model panicked").into()
}

impl Talk {
    /// The whole answer.
    pub(crate) async fn whole(mut self) -> Result<ChatReply, ApiError> {
        loop {
            let said = match self.first.take() {
                Some(first) => Some(first),
                None => self.said.recv().await,
            };
            match said {
                Some(Said::Piece(_)) => {}
                Some(Said::End(reply)) => return reply,
                None => return Err(panicked()),
            }
        }
    }

    /// The answer as it comes, in `chunks`.
    pub(crate) fn streamed(self, chunks: Chunks) -> Response {
        let headers =
            [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        let frames = Frames { talk: self, chunks, over: false };
        (headers, Body::from_stream(frames)).into_response()
    }
}

/// An answer as a response's body.
struct Frames {
    talk: Talk,
    chunks: Chunks,
    over: bool,
}

impl Frames {
    fn frame(&mut self, said: Option<Said>) -> Frame {
        let ended = match said {
            Some(Said::Piece(delta)) => return self.chunks.delta(delta),
            Some(Said::End(ended)) => ended,
            None => Err(panicked()),
        };
        self.over = true;
        match ended {
            Ok(reply) => self.chunks.end(&reply),
            Err(error) => Chunks::failed(&error),
        }
    }
}

impl futures_core::Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.over {
            let said = match self.talk.first.take() {
                Some(first) => Some(first),
                None => ready!(self.talk.said.poll_recv(cx)),
            };
            let frame = self.frame(said);
            if !frame.is_empty() {
                return Poll::Ready(Some(Ok(Bytes::from(frame))));
            }
        }
        Poll::Ready(None)
    }
}
