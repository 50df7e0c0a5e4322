//! Counting what programs write.

use super::{Quota, Result};
use crate::wasm::errno::Errno;

/// What one part of the tree holds, and may hold.
#[derive(Debug)]
pub(super) struct Volume {
    quota: Quota,
    bytes: u64,
    files: u64,
}

impl Volume {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, bytes: 0, files: 0 }
    }

    pub(super) fn add_file(&mut self) -> Result<()> {
        if self.files >= self.quota.files {
            return Err(Errno::NoSpace);
        }
        self.files += 1;
        Ok(())
    }

    pub(super) fn remove_file(&mut self, bytes: u64) {
        self.files = self.files.saturating_sub(1);
        self.shrink(bytes);
    }

    /// How many bytes more it may hold.
    pub(super) fn room(&self) -> u64 {
        self.quota.bytes.saturating_sub(self.bytes)
    }

    pub(super) fn grow(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(super) fn shrink(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
