//! The one place where async meets the engine, whose every call may block.
//!
//! Short calls go to the runtime's own blocking threads. Whatever lasts as long as a client likes
//! (a stream, an upload) has a thread of its own: were streams on the shared threads, enough of
//! them would keep out the very request that their runs wait for.

mod chat;

use std::cell::Cell;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use docent_core::{Error, File, Purpose};
use docent_engine::retrieval::FileDescription;
use docent_engine::{Engine, RunEvent, RunStream};
use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::error::ApiError;
use crate::wire::{self, Frame, StepView};

/// How many threads streams and transfers may have together.
const MOST_THREADS: usize = 1024;

/// How many events a slow reader may be behind before its thread waits.
const EVENTS_AHEAD: usize = 64;

/// How many pieces of a file wait for the disk, or for the client.
const PIECES_AHEAD: usize = 4;

/// How much of a file is read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Stream,
    Chat,
    Download,
    Upload,
}

impl Work {
    pub(crate) const ALL: [Self; 4] = [Self::Stream, Self::Chat, Self::Download, Self::Upload];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Chat => "chat",
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }

    /// Most work is shallow: events are turned into text, bytes are copied. A model's is not.
    fn stack_bytes(self) -> usize {
        match self {
            Self::Chat => 1 << 20,
            _ => 512 << 10,
        }
    }
}

/// The threads of streams and transfers, counted by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Threads(Arc<[AtomicUsize; Work::ALL.len()]>);

/// One of the threads; given back when dropped.
#[derive(Debug)]
struct Place(Arc<[AtomicUsize; Work::ALL.len()]>, Work);

impl Drop for Place {
    fn drop(&mut self) {
        self.0[self.1 as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Threads {
    /// How many there are for `work`.
    pub(crate) fn at_work(&self, work: Work) -> usize {
        self.0[work as usize].load(Ordering::SeqCst)
    }

    fn spawn(&self, work: Work, body: impl FnOnce() + Send + 'static) -> Result<(), ApiError> {
        let taken: usize = Work::ALL.map(|work| self.at_work(work)).iter().sum();
        self.0[work as usize].fetch_add(1, Ordering::SeqCst);
        let place = Place(self.0.clone(), work);
        let name = format!("docent-{}", work.name());
        let builder = thread::Builder::new().name(name).stack_size(work.stack_bytes());
        let begun = taken < MOST_THREADS
            && builder
                .spawn(move || {
                    let _place = place;
                    body();
                })
                .is_ok();
        if begun {
            return Ok(());
        }
        Err(ApiError {
            kind: "rate_limit_exceeded",
            ..ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "Too many streams and transfers at a time; at most {MOST_THREADS} are served."
                ),
            )
        })
    }
}

impl App {
    /// Calls the engine where it may block.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = self.clone();
        let called = tokio::task::spawn_blocking(move || work(app.engine())).await;
        called.unwrap_or_else(|error| match error.is_panic() {
            true => Err(Error::internal("a request panicked").into()),
            // It had not begun when the runtime stopped.
            false => Err(ApiError::unavailable(
                "The server is stopping; ask again when it is started again.",
            )),
        })
    }

    /// Begins a run's events by `begin` and sends them as they come. A client that goes away stops
    /// its stream, not its run.
    pub(crate) async fn stream(
        &self,
        begin: impl FnOnce(&Engine) -> Result<Begun, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let begun = self.call(begin).await?;
        // Files may have come with the messages.
        self.ingest().wake();
        let (sender, frames) = mpsc::channel(EVENTS_AHEAD);
        self.threads().spawn(Work::Stream, move || follow(begun, &sender))?;
        let headers =
            [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        Ok((headers, Body::from_stream(Received(frames))).into_response())
    }

    /// Sends all that `source` yields, as fast as the client takes it.
    pub(crate) fn download(&self, source: Box<dyn Read + Send>) -> Result<Body, ApiError> {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        self.threads().spawn(Work::Download, move || read_out(source, &sender))?;
        Ok(Body::from_stream(Received(pieces)))
    }

    /// Begins to take in a file.
    pub(crate) fn upload(&self, filename: String) -> Result<Upload, ApiError> {
        let (pieces, received) = mpsc::channel(PIECES_AHEAD);
        let (answer, kept) = oneshot::channel();
        let engine = self.engine().clone();
        self.threads().spawn(Work::Upload, move || {
            // Whoever asked may be gone.
            let _ = answer.send(take_in(&engine, filename, received));
        })?;
        Ok(Upload { pieces, kept })
    }

    /// Parks every run, which ends their streams.
    pub(crate) async fn park(&self) {
        self.ingest().stop();
        let parked = self.call(|engine| {
            engine.shutdown();
            Ok(())
        });
        // It cannot fail but by a panic, which was told already.
        let _ = parked.await;
    }
}

/// What a stream sends first, how it shows steps until its run has been seen, and its events.
pub(crate) type Begun = (Vec<Frame>, StepView, RunStream);

/// Sends a run's events until they end or nobody listens.
fn follow((first, mut view, events): Begun, sender: &mpsc::Sender<Frame>) {
    for frame in first {
        if sender.blocking_send(frame).is_err() {
            return;
        }
    }
    let mut over = false;
    for event in events {
        over = RunEvent::is_last(&event);
        if let RunEvent::RunCreated(run) = &event {
            view = view.of(run);
        }
        let Some(frame) = wire::frames(&event, view) else { continue };
        if sender.blocking_send(frame).is_err() {
            return;
        }
    }
    if !over {
        let error = ApiError::unavailable(
            "The server is stopping; the run goes on when it is started again.",
        );
        let _ = sender.blocking_send(wire::error_frame(&error));
    }
}

/// Reads `source` to its end, or until nobody listens. An error breaks the answer off.
fn read_out(mut source: Box<dyn Read + Send>, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = source.read(&mut piece);
        let (piece, over) = match read {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                (Ok(Bytes::from(piece)), false)
            }
            Err(error) => (Err(error), true),
        };
        if sender.blocking_send(piece).is_err() || over {
            return;
        }
    }
}

/// What a thread sends, as a response's body.
struct Received<T>(mpsc::Receiver<T>);

impl futures_core::Stream for Received<Frame> {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|frame| frame.map(|frame| Ok(Bytes::from(frame))))
    }
}

impl futures_core::Stream for Received<io::Result<Bytes>> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A file on its way to the disk.
#[derive(Debug)]
pub(crate) struct Upload {
    pieces: mpsc::Sender<Piece>,
    kept: oneshot::Receiver<Result<File, Error>>,
}

/// What an upload is made of. Without an end it was broken off and nothing is kept.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End(UploadEnd),
}

/// What is known of an upload once its form has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UploadEnd {
    pub(crate) purpose: Purpose,
    pub(crate) expires_after: Option<Duration>,
}

impl Upload {
    /// Writes more of the file; waits while the disk is behind.
    pub(crate) async fn write(&self, bytes: Bytes) {
        // A failed writer tells why when it is finished.
        let _ = self.pieces.send(Piece::Bytes(bytes)).await;
    }

    /// Keeps the file, which is durable then.
    pub(crate) async fn finish(self, end: UploadEnd) -> Result<File, ApiError> {
        let _ = self.pieces.send(Piece::End(end)).await;
        let kept = self.kept.await;
        Ok(kept.unwrap_or_else(|_| Err(Error::internal("an upload panicked")))?)
    }
}

fn take_in(
    engine: &Engine,
    filename: String,
    pieces: mpsc::Receiver<Piece>,
) -> Result<File, Error> {
    let end = Cell::new(UploadEnd::default());
    let mut source = Incoming { pieces, piece: Bytes::new(), end: &end, ended: false };
    engine.collections().receive_file(&mut source, &mut || FileDescription {
        filename: filename.clone(),
        purpose: end.get().purpose,
        expires_after: end.get().expires_after,
    })
}

/// The pieces of an upload as something to read.
struct Incoming<'a> {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    end: &'a Cell<UploadEnd>,
    ended: bool,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.piece = bytes,
                Some(Piece::End(end)) => {
                    self.end.set(end);
                    self.ended = true;
                }
                None => return Err(io::Error::other("the upload was broken off")),
            }
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
