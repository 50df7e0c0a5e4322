//! Conversations that read at the same time read together: one pass over the weights serves all.
//!
//! Whoever finds nobody at work takes everything that waits, reads it, and hands the results out;
//! no thread of its own is needed. What a conversation reads in company is to the last bit what it
//! would read alone. A prompt is read in pieces, so those who write wait for a piece at most.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docent_core::{Error, Result};

use crate::decoder::{Cache, Decoder, Reading, Scratch};

/// How long who is about to read waits for the others to come along: this part of the last pass's
/// time, and never longer than [`LONGEST_WAIT`]. Choosing a token takes far less.
const WAIT_SHARE: u32 = 8;
const LONGEST_WAIT: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Batch {
    decoder: Decoder,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Conversations in progress.
    members: usize,
    waiting: Vec<Arc<Slot>>,
    /// Absent while somebody is at work with it.
    scratch: Option<Box<Scratch>>,
    last_pass: Duration,
}

/// What one conversation asks for, then what it gets.
#[derive(Debug)]
struct Slot(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    Asked {
        tokens: Vec<u32>,
        cache: Cache,
    },
    Done {
        cache: Cache,
        logits: Result<Vec<f32>>,
    },
    /// Taken by whoever is at work.
    Gone,
}

impl Slot {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of it, if it is done. What is still asked for stays in its place all the while:
    /// whoever is at work may be taking it.
    fn take_done(&self) -> Option<(Cache, Result<Vec<f32>>)> {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Done { .. }) {
            return None;
        }
        match mem::replace(&mut *stage, Stage::Gone) {
            Stage::Done { cache, logits } => Some((cache, logits)),
            _ => None,
        }
    }
}

impl Batch {
    pub(super) fn new(decoder: Decoder) -> Self {
        let state = State { scratch: Some(Box::default()), ..State::default() };
        Self { decoder, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The cache of a conversation that has not begun.
    pub(super) fn cache(&self) -> Cache {
        self.decoder.cache()
    }

    /// A conversation begins, and lasts until [`leave`](Self::leave).
    pub(super) fn join(&self) {
        self.lock().members += 1;
    }

    pub(super) fn leave(&self) {
        self.lock().members -= 1;
        self.changed.notify_all();
    }

    /// Reads `tokens` after those in `cache`: the scores of the next one.
    pub(super) fn read(&self, tokens: &[u32], cache: Cache) -> (Cache, Result<Vec<f32>>) {
        if let Err(error) = self.decoder.check(tokens) {
            return (cache, Err(error));
        }
        let slot = Arc::new(Slot(Mutex::new(Stage::Asked { tokens: tokens.to_vec(), cache })));
        let mut state = self.lock();
        state.waiting.push(Arc::clone(&slot));
        self.changed.notify_all();
        loop {
            if let Some(done) = slot.take_done() {
                return done;
            }
            state = match state.scratch.take() {
                Some(scratch) => self.work(state, scratch),
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Reads what waits, and what comes along in time.
    fn work<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        scratch: Box<Scratch>,
    ) -> MutexGuard<'a, State> {
        let until = Instant::now() + (state.last_pass / WAIT_SHARE).min(LONGEST_WAIT);
        while state.waiting.len() < state.members {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let slots = mem::take(&mut state.waiting);
        drop(state);
        let started = Instant::now();
        let mut at_work = AtWork { batch: self, slots, scratch: Some(scratch) };
        at_work.run();
        drop(at_work);
        let mut state = self.lock();
        state.last_pass = started.elapsed();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One pass. However it ends, nobody waits for ever.
struct AtWork<'a> {
    batch: &'a Batch,
    slots: Vec<Arc<Slot>>,
    scratch: Option<Box<Scratch>>,
}

impl AtWork<'_> {
    fn run(&mut self) {
        let Some(scratch) = &mut self.scratch else { return };
        let taken = self.slots.iter().map(|slot| mem::replace(&mut *slot.stage(), Stage::Gone));
        let mut taken: Vec<(Vec<u32>, Cache)> = taken
            .filter_map(|stage| match stage {
                Stage::Asked { tokens, cache } => Some((tokens, cache)),
                _ => None,
            })
            .collect();
        let readings = taken.iter_mut().map(|(tokens, cache)| Reading { tokens, cache });
        let mut readings: Vec<Reading<'_>> = readings.collect();
        // Each was checked when it was asked for.
        let scores = self.batch.decoder.forward(&mut readings, scratch);
        let logits: Vec<Result<Vec<f32>>> = match scores {
            Ok(scores) => {
                let rows = scores.chunks_exact(self.batch.decoder.words());
                rows.map(|row| Ok(row.to_vec())).collect()
            }
            Err(error) => taken.iter().map(|_| Err(Error::internal(error.to_string()))).collect(),
        };
        for ((slot, (_, cache)), logits) in self.slots.iter().zip(taken).zip(logits) {
            *slot.stage() = Stage::Done { cache, logits };
        }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        for slot in &self.slots {
            let mut stage = slot.stage();
            if !matches!(*stage, Stage::Done { .. }) {
                let logits = Err(Error::internal("the model failed while it read"));
                *stage = Stage::Done { cache: self.batch.cache(), logits };
            }
        }
        self.batch.lock().scratch = Some(self.scratch.take().unwrap_or_default());
        self.batch.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::path::Path;
    use std::thread;

    use candle_core::quantized::gguf_file::Content;

    use super::*;
    use crate::decoder::Precision;

    fn tiny() -> Batch {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoders/qwen2.gguf");
        let mut file = BufReader::new(fs_err::File::open(path).unwrap());
        let content = Content::read(&mut file).unwrap();
        Batch::new(Decoder::load(&content, &mut file, 512, Precision::Fast).unwrap())
    }

    /// Reads `count` tokens one by one: all scores.
    fn converse(batch: &Batch, seed: u32, count: u32) -> Vec<f32> {
        batch.join();
        let (mut cache, mut scores) = (batch.cache(), Vec::new());
        for token in 0..count {
            let (grown, logits) = batch.read(&[(seed * 31 + token * 7) % 128], cache);
            cache = grown;
            scores.extend(logits.unwrap());
        }
        batch.leave();
        scores
    }

    #[test]
    fn many_at_once_read_what_each_would_read_alone() {
        let batch = tiny();
        let alone: Vec<_> = (0..6).map(|seed| converse(&batch, seed, 200)).collect();
        let batch = &batch;
        let together: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..6).map(|seed| scope.spawn(move || converse(batch, seed, 200))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(alone == together);
    }
}
