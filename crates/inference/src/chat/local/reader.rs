//! A model at work on one conversation: tokens in, scores of the next one out.

use std::mem;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use docent_core::{Error, Result};

use super::batch::Batch;
use super::prefixes::Prefixes;
use crate::decoder::{Cache, Decoder};

/// How long a piece of a prompt should take: whoever waits is asked after each whether to go on.
const PIECE_TIME: Duration = Duration::from_millis(400);
/// How many tokens the first piece has, and the least and most that others have.
const FIRST_PIECE: usize = 96;
const PIECES: (usize, usize) = (24, 512);

/// Weights, and what was read with them.
#[derive(Debug)]
pub(super) struct Engine {
    batch: Batch,
    prefixes: Prefixes,
}

impl Engine {
    /// `decoder`, keeping up to `budget_bytes` of what was read.
    pub(super) fn new(decoder: Decoder, budget_bytes: usize) -> Self {
        Self { batch: Batch::new(decoder), prefixes: Prefixes::new(budget_bytes) }
    }

    /// Begins a conversation with `prompt`, of which nothing is read yet but what was kept.
    pub(super) fn begin(&self, prompt: &[u32]) -> Reader<'_> {
        let cache = self.prefixes.find(prompt).unwrap_or_else(|| self.batch.cache());
        self.batch.join();
        Reader { engine: self, read: prompt[..cache.len()].to_vec(), cache }
    }
}

/// One conversation. What it read is kept for others when it is dropped.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    engine: &'a Engine,
    cache: Cache,
    read: Vec<u32>,
}

impl Reader<'_> {
    /// How many tokens were read, or found read.
    pub(super) fn len(&self) -> usize {
        self.read.len()
    }

    /// Scores of the token after `tokens`.
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let batch = &self.engine.batch;
        let (cache, logits) = batch.read(tokens, mem::replace(&mut self.cache, batch.cache()));
        self.cache = cache;
        if logits.is_ok() {
            self.read.extend_from_slice(tokens);
        }
        logits
    }

    /// Scores of the token after `prompt`, whose beginning was read; none if `go_on` broke off,
    /// which is asked between pieces.
    pub(super) fn read_prompt(
        &mut self,
        prompt: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
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
        let batch = &self.engine.batch;
        batch.leave();
        let mut cache = mem::replace(&mut self.cache, batch.cache());
        // A pass that failed may have lost some, or begun more than it read.
        self.read.truncate(cache.len());
        cache.truncate(self.read.len());
        self.engine.prefixes.keep(mem::take(&mut self.read), cache);
    }
}
