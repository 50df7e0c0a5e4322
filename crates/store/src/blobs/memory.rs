//! Blobs in memory, for tests and for short lives.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use docent_core::{BlobHash, BlobInfo, Blobs, Result};

use super::{copy_and_hash, not_kept};
use crate::turns::lock;

/// Keeps blobs in a map of this process.
#[derive(Default)]
pub struct MemoryBlobs {
    kept: Mutex<BTreeMap<BlobHash, Arc<[u8]>>>,
}

impl MemoryBlobs {
    /// Keeps nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobs").finish_non_exhaustive()
    }
}

impl Blobs for MemoryBlobs {
    fn put(&self, source: &mut dyn Read) -> Result<BlobInfo> {
        let mut bytes = Vec::new();
        let info = copy_and_hash(source, |read| {
            bytes.extend_from_slice(read);
            Ok(())
        })?;
        lock(&self.kept).entry(info.hash).or_insert_with(|| bytes.into());
        Ok(info)
    }

    fn open(&self, hash: BlobHash) -> Result<Box<dyn Read + Send>> {
        let bytes = lock(&self.kept).get(&hash).cloned().ok_or_else(|| not_kept(hash))?;
        Ok(Box::new(io::Cursor::new(bytes)))
    }

    fn delete(&self, hash: BlobHash) -> Result<bool> {
        Ok(lock(&self.kept).remove(&hash).is_some())
    }

    fn list(&self) -> Result<Vec<BlobInfo>> {
        let kept = lock(&self.kept);
        let info = |(hash, bytes): (&BlobHash, &Arc<[u8]>)| BlobInfo {
            hash: *hash,
            bytes: bytes.len() as u64,
        };
        Ok(kept.iter().map(info).collect())
    }
}
