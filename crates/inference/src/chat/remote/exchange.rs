//! One HTTP exchange on a thread of its own.
//!
//! Reading from a socket cannot be interrupted from outside, but the caller wants to break off,
//! and wants to know of silence, at any moment. So a thread reads, the caller waits on a channel
//! with a timeout, and dropping the [`Exchange`] closes the connection under the thread.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use docent_core::{Error, Result};
use ureq::Agent;
use ureq::http::{HeaderMap, Request, Response};

/// What comes back, in order: one head, bytes, an end.
#[derive(Debug)]
pub(super) enum Arrival {
    Head(u16, HeaderMap),
    Bytes(Vec<u8>),
    End,
    Failed(ureq::Error),
}

/// How many pieces may wait for a slow caller before the thread stops reading.
const PIECES_AHEAD: usize = 64;

/// How long the end of an answer may be in coming after its last word, so that the connection can
/// be used again. Nobody waits longer for that.
const POLITE_END: Duration = Duration::from_millis(5);

pub(super) struct Exchange {
    arrivals: Receiver<Arrival>,
    agent: Option<Agent>,
}

impl Exchange {
    /// Sends `request`.
    pub(super) fn start(agent: Agent, request: Request<Vec<u8>>) -> Result<Self> {
        let (sender, arrivals) = sync_channel(PIECES_AHEAD);
        let reader = agent.clone();
        std::thread::Builder::new()
            .name("docent-chat".to_owned())
            .spawn(move || run(&reader, request, &sender))
            .map_err(|error| Error::unavailable("no thread for a call").with_source(error))?;
        Ok(Self { arrivals, agent: Some(agent) })
    }

    /// What arrives within `patience`, if anything does.
    pub(super) fn wait(&self, patience: Duration) -> Option<Arrival> {
        match self.arrivals.recv_timeout(patience) {
            Ok(arrival) => Some(arrival),
            Err(RecvTimeoutError::Timeout) => None,
            // Only after the last arrival was taken, or if the thread panicked.
            Err(RecvTimeoutError::Disconnected) => Some(Arrival::End),
        }
    }

    /// Gives the agent back, if its connection can be used again.
    pub(super) fn finish(mut self) -> Option<Agent> {
        let deadline = Instant::now() + POLITE_END;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.arrivals.recv_timeout(left) {
                Ok(Arrival::End) => return self.agent.take(),
                Ok(Arrival::Bytes(_)) => {}
                // Dropped with us, which closes it.
                _ => return None,
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

/// Errors of sending mean that the caller has gone.
fn run(agent: &Agent, request: Request<Vec<u8>>, arrivals: &SyncSender<Arrival>) {
    let last = match agent.run(request) {
        Ok(response) => read(response, arrivals),
        Err(error) => Arrival::Failed(error),
    };
    let _ = arrivals.send(last);
}

fn read(response: Response<ureq::Body>, arrivals: &SyncSender<Arrival>) -> Arrival {
    let (head, body) = response.into_parts();
    let head = Arrival::Head(head.status.as_u16(), head.headers);
    if arrivals.send(head).is_err() {
        return Arrival::End;
    }
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Arrival::End,
            Ok(length) => {
                if arrivals.send(Arrival::Bytes(buffer[..length].to_vec())).is_err() {
                    return Arrival::End;
                }
            }
            Err(error) => return Arrival::Failed(error.into()),
        }
    }
}
