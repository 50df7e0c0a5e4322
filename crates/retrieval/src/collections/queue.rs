//! Which files wait, and which are being worked on by a thread of this process.
//!
//! The store's jobs are the truth; this is their image in memory, so that taking the next file does
//! not mean looking at all of them. One process has a library open at a time, so a claim held in
//! memory is enough.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use docent_core::{FileId, VectorStoreId};

pub(super) type JobKey = (VectorStoreId, FileId);

#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    to_read: BTreeSet<JobKey>,
    to_embed: BTreeSet<JobKey>,
}

impl Waiting {
    fn of(&mut self, to_read: bool) -> &mut BTreeSet<JobKey> {
        if to_read { &mut self.to_read } else { &mut self.to_embed }
    }
}

/// A file that no other thread works on. Dropped, it waits again.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    queue: &'a Queue,
    pub(super) key: JobKey,
    /// Whether it waits to be read, else to be embedded.
    pub(super) to_read: bool,
    done: bool,
}

impl Claim<'_> {
    /// It was read and now waits to be embedded.
    pub(super) fn was_read(mut self) {
        self.to_read = false;
    }

    /// It waits to be read, after all.
    pub(super) fn waits_to_be_read(mut self) {
        self.to_read = true;
    }

    /// It does not wait any more.
    pub(super) fn finish(mut self) {
        self.done = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.queue.push(self.key, self.to_read);
        }
    }
}

impl Queue {
    pub(super) fn push(&self, key: JobKey, to_read: bool) {
        self.lock().of(to_read).insert(key);
    }

    pub(super) fn remove(&self, key: JobKey) {
        let mut waiting = self.lock();
        waiting.to_read.remove(&key);
        waiting.to_embed.remove(&key);
    }

    pub(super) fn remove_store(&self, store: VectorStoreId) {
        let mut waiting = self.lock();
        waiting.to_read.retain(|(own, _)| *own != store);
        waiting.to_embed.retain(|(own, _)| *own != store);
    }

    pub(super) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.to_read.len() + waiting.to_embed.len()
    }

    /// This file, if it waits.
    pub(super) fn claim(&self, key: JobKey) -> Option<Claim<'_>> {
        let mut waiting = self.lock();
        let to_read = waiting.to_read.remove(&key);
        let waits = to_read || waiting.to_embed.remove(&key);
        // Not `then_some`: a claim that is made and dropped waits.
        waits.then(|| Claim { queue: self, key, to_read, done: false })
    }

    /// The oldest file that waits to be read.
    pub(super) fn next_to_read(&self) -> Option<Claim<'_>> {
        let key = self.lock().to_read.pop_first()?;
        Some(Claim { queue: self, key, to_read: true, done: false })
    }

    /// The oldest file that waits to be embedded, of `store` if one is given.
    pub(super) fn next_to_embed(&self, store: Option<VectorStoreId>) -> Option<Claim<'_>> {
        let mut waiting = self.lock();
        let key = match store {
            None => waiting.to_embed.first().copied(),
            Some(store) => waiting.to_embed.iter().find(|(own, _)| *own == store).copied(),
        }?;
        waiting.to_embed.remove(&key);
        Some(Claim { queue: self, key, to_read: false, done: false })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
