//! Which files wait, and that each has a job, and nothing else has.
//!
//! Whether a file waits follows from its row and from whether its vector store has an embedder.
//! Whoever changes either gives or takes the job in the same transaction. A job that is given
//! later, for what a snapshot said, may be given to a file that is done or gone by then; it would
//! be left until the library is opened again.

use std::collections::BTreeSet;

use docent_core::{
    ChunkRange, FileStatus, Result, VectorStore, VectorStoreFile, VectorStoreId, Write,
};

use super::Collections;
use super::queue::JobKey;
use crate::tables::{JOBS, Job, STORE_FILES, VECTOR_STORES, within};

/// Files that have a job, to be [queued](Collections::queue_all) once their transaction is
/// committed; and whether each is still to be read.
#[derive(Debug, Default)]
#[must_use = "queue the files once their transaction is committed"]
pub(super) struct Waiting {
    files: Vec<(JobKey, bool)>,
    /// Whether a job was given or taken.
    changed: bool,
}

impl Collections {
    /// Queues what a former process left, and chunks that had no embedder to be embedded by.
    pub(super) fn take_up(&self) -> Result<()> {
        let stores = VECTOR_STORES.all(&*self.store.read()?, "")?;
        stores.iter().try_for_each(|(_, vector_store)| self.take_up_store(vector_store))
    }

    fn take_up_store(&self, vector_store: &VectorStore) -> Result<()> {
        // Looking for it may load a model, which is not for a transaction.
        let embeds = self.embedder_for(vector_store).is_ok();
        let mut write = self.store.write()?;
        let waiting = self.settle_jobs(&mut *write, vector_store.id, embeds)?;
        if waiting.changed {
            write.commit()?;
        }
        self.queue_all(waiting);
        Ok(())
    }

    /// Sees to it that the files of `store` that wait have a job, and no others. `embeds` says
    /// whether there is an embedder for those that are read.
    pub(super) fn settle_jobs(
        &self,
        write: &mut dyn Write,
        store: VectorStoreId,
        embeds: bool,
    ) -> Result<Waiting> {
        let mut waiting = Waiting::default();
        let jobs = JOBS.all(&*write, &within(store))?;
        let mut jobs: BTreeSet<JobKey> = jobs.into_iter().map(|(key, _)| key).collect();
        for (key, file) in STORE_FILES.all(&*write, &within(store))? {
            let has_job = jobs.contains(&key);
            if !needs_work(&file, embeds || has_job) {
                continue;
            }
            if !jobs.remove(&key) {
                JOBS.put(write, &key, &Job { queued_at: self.clock.now() })?;
                waiting.changed = true;
            }
            waiting.files.push((key, !is_read(&file)));
        }
        // Versions that gave jobs later, for what a snapshot had said, may have left some.
        for key in jobs {
            JOBS.delete(write, &key)?;
            waiting.changed = true;
        }
        Ok(waiting)
    }

    /// Hands files whose jobs are committed to [`process`](Self::process).
    pub(super) fn queue_all(&self, waiting: Waiting) {
        waiting.files.into_iter().for_each(|(key, to_read)| self.queue.push(key, to_read));
    }

    /// Takes a file out of the queue whose leaving is committed, unless it has come back by now:
    /// its place in the queue is then that of the new job.
    pub(super) fn unqueue(&self, key: JobKey) {
        self.queue.remove(key);
        let has_job = self.store.read().and_then(|read| JOBS.get(&*read, &key));
        // What cannot be known is looked at again by whoever takes it.
        if !matches!(has_job, Ok(None)) {
            self.queue.push(key, true);
        }
    }
}

/// Whether there is something to do about `file`. For vectors alone there is only if there is an
/// embedder, or one was found before: then it is to be said that there is none.
pub(super) fn needs_work(file: &VectorStoreFile, embeds_or_tried: bool) -> bool {
    file.status == FileStatus::InProgress || (embeds_or_tried && awaits_vectors(file))
}

/// Whether chunks of `file` have no vectors although it counts as done.
fn awaits_vectors(file: &VectorStoreFile) -> bool {
    file.status == FileStatus::Completed && file.embedded < file.chunks.len()
}

/// Whether its chunks are committed, if only none: numbers of chunks begin at 1.
pub(super) fn is_read(file: &VectorStoreFile) -> bool {
    file.chunks != ChunkRange::default()
}
