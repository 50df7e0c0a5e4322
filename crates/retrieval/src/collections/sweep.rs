//! What nothing mentions any more is cleared away: bytes of deleted files, and what a crash left
//! between two steps of one request.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use docent_core::{BlobHash, Result};

use super::Collections;
use super::check::Findings;
use crate::tables::{BLOB_FILES, VECTOR_STORES};

impl Collections {
    /// Clears away what a process has left that died in the middle: bytes that it kept and did not
    /// live to mention, indexes of vector stores that it deleted. Looks at names alone, so it is
    /// soon done, and all else may go on meanwhile.
    ///
    /// # Errors
    /// When something cannot be listed or deleted.
    pub fn sweep(&self) -> Result<()> {
        self.sweep_blobs()?;
        // No thread may open indexes while it is looked whose they are.
        let _no_opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let stores = VECTOR_STORES.all(&*self.store.read()?, "")?;
        self.check_directories(&stores, true, &mut Findings::default())
    }

    fn sweep_blobs(&self) -> Result<()> {
        let files = BLOB_FILES.all(&*self.store.read()?, "")?;
        let mentioned: BTreeSet<String> = files.into_iter().map(|(key, _)| key).collect();
        let is_mentioned = |hash: &BlobHash| {
            let prefix = format!("{hash}/");
            mentioned.range(prefix.clone()..).next().is_some_and(|key| key.starts_with(&prefix))
        };
        let kept = self.blobs.list()?.into_iter().map(|blob| blob.hash);
        self.orphans().extend(kept.filter(|hash| !is_mentioned(hash)));
        self.collect_orphans()
    }

    /// Deletes a blob if no file mentions it.
    pub(super) fn collect_blob(&self, hash: BlobHash) -> Result<()> {
        self.orphans().insert(hash);
        self.collect_orphans()
    }

    /// Has a blob deleted at the end of the upload that is under way, if no file mentions it.
    pub(super) fn collect_later(&self, hash: BlobHash) {
        self.orphans().insert(hash);
    }

    /// Deletes what seemed to be mentioned by no file and is not. While an upload is under way,
    /// which may be of these very bytes, it waits for that one's end.
    pub(super) fn collect_orphans(&self) -> Result<()> {
        let Ok(_no_upload) = self.uploads.try_write() else { return Ok(()) };
        loop {
            let Some(hash) = self.orphans().pop_first() else { return Ok(()) };
            if self.files_with(hash)?.is_empty() {
                self.blobs.delete(hash)?;
            }
        }
    }

    fn orphans(&self) -> MutexGuard<'_, BTreeSet<BlobHash>> {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
