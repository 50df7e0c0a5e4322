//! A model at work on one conversation: tokens in, scores of the next one out.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use docent_core::{Error, Result};

use super::prefixes::Prefixes;
use crate::decoder::{Cache, Decoder, Scratch};

/// How long a piece of a prompt should take: whoever waits is asked after each whether to go on.
const PIECE_TIME: Duration = Duration::from_millis(400);
/// How many tokens the first piece has, and the least and most that others have.
const FIRST_PIECE: usize = 96;
const PIECES: (usize, usize) = (24, 512);

/// Weights, what was read with them, and memory to compute in.
#[derive(Debug)]
pub(super) struct Engine {
    decoder: Decoder,
    prefixes: Prefixes,
    scratch: Mutex<Vec<Scratch>>,
}

impl Engine {
    /// `decoder`, keeping up to `budget_bytes` of what was read.
    pub(super) fn new(decoder: Decoder, budget_bytes: usize) -> Self {
        Self { decoder, prefixes: Prefixes::new(budget_bytes), scratch: Mutex::default() }
    }

    /// Begins a conversation with `prompt`, of which nothing is read yet but what was kept.
    pub(super) fn begin(&self, prompt: &[u32]) -> Reader<'_> {
        let cache = self.prefixes.find(prompt).unwrap_or_else(|| self.decoder.cache());
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let read = prompt[..cache.len()].to_vec();
        Reader { engine: self, cache, read, scratch: scratch.unwrap_or_default() }
    }
}

/// One conversation. What it read is kept for others when it is dropped.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    engine: &'a Engine,
    cache: Cache,
    read: Vec<u32>,
    scratch: Scratch,
}

impl Reader<'_> {
    /// How many tokens were read, or found read.
    pub(super) fn len(&self) -> usize {
        self.read.len()
    }

    /// Scores of the token after `tokens`.
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<&mut [f32]> {
        let logits = self.engine.decoder.forward(tokens, &mut self.cache, &mut self.scratch)?;
        self.read.extend_from_slice(tokens);
        Ok(logits)
    }

    /// Scores of the token after `prompt`, whose beginning was read; none if `go_on` broke off,
    /// which is asked between pieces.
    pub(super) fn read_prompt(
        &mut self,
        prompt: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<&mut [f32]>> {
        let mut piece = FIRST_PIECE;
        while prompt.len() - self.len() > piece {
            let started = Instant::now();
            let next = self.len() + piece;
            self.forward(&prompt[self.len()..next])?;
            if go_on().is_break() {
                return Ok(None);
            }
            piece = next_piece(piece, started.elapsed());
        }
        let rest = prompt.get(self.len()..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| Error::internal("a prompt with nothing to read"))?;
        self.forward(rest).map(Some)
    }
}

/// How many tokens to read next, when `piece` tokens took `time`.
fn next_piece(piece: usize, time: Duration) -> usize {
    let fitting = piece as f64 * PIECE_TIME.as_secs_f64() / time.as_secs_f64().max(1e-6);
    (fitting as usize / PIECES.0 * PIECES.0).clamp(PIECES.0, PIECES.1)
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut cache = std::mem::replace(&mut self.cache, self.engine.decoder.cache());
        // A pass that failed may have begun more than it read.
        cache.truncate(self.read.len());
        self.engine.prefixes.keep(std::mem::take(&mut self.read), cache);
        let mut scratch = self.engine.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        scratch.push(std::mem::take(&mut self.scratch));
    }
}
