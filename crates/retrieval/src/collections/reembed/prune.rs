//! Dropping the vectors that no vector store is searched by, goes back to, or is being given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::PoisonError;

use docent_core::{Fingerprint, Key, Read, Result, Scan, TextHash, VectorStoreId, crash_point};

use super::Collections;
use crate::tables::{self, EMBEDDINGS, REEMBEDS, VECTOR_STORES};

/// Rows deleted in one transaction: what others wait for at most.
const ROWS: usize = 1_000;

/// What was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Embeddings of texts.
    pub embeddings: u64,
    /// What they took up in the store, which is room for new rows now, and in index files.
    pub bytes: u64,
    /// Embedders of these stores' earlier vectors that stay, because other stores have vectors of
    /// theirs.
    pub in_use: Vec<String>,
}

impl Collections {
    /// Gives up the earlier and the unfinished vectors of `stores`; going back is not possible
    /// then. Vectors go by the embedder: those of one that another store has stay.
    ///
    /// Killed, it goes on with the next call.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when a store is not there.
    pub fn prune_vectors(&self, stores: &[VectorStoreId]) -> Result<Pruned> {
        let mut given_up = BTreeSet::new();
        let mut write = self.store.write()?;
        for store in stores {
            tables::vector_store(&*write, *store)?;
            let kept = REEMBEDS.get(&*write, store)?.unwrap_or_default();
            given_up.extend(kept.next.into_iter().chain(kept.previous));
            REEMBEDS.delete(&mut *write, store)?;
        }
        write.commit()?;
        crash_point("reembed.after-give-up");
        let mut pruned = Pruned::default();
        let used = used(&*self.store.read()?)?;
        given_up.retain(|fingerprint| used.values().any(|set| set.contains(fingerprint)));
        pruned.in_use = given_up.iter().map(|it| self.embedder_name(it)).collect();
        for store in stores {
            let used = used.get(store);
            pruned.bytes += self.prune_indexes(*store, used.unwrap_or(&BTreeSet::new()))?;
        }
        let used = used.into_values().flatten().collect();
        self.prune_embeddings(&used, &mut pruned)?;
        Ok(pruned)
    }

    /// Index files of vectors that are not `used`; their bytes.
    fn prune_indexes(&self, store: VectorStoreId, used: &BTreeSet<Fingerprint>) -> Result<u64> {
        let _no_opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.indexes.join(store.to_string());
        let mut bytes = 0;
        if !path.exists() {
            return Ok(0);
        }
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(of) = name.to_str().and_then(|name| name.strip_prefix("vector-")) else {
                continue;
            };
            if !used.iter().any(|fingerprint| fingerprint.as_str() == of) {
                bytes += size(&entry.path())?;
                fs_err::remove_dir_all(entry.path())?;
            }
        }
        Ok(bytes)
    }

    fn prune_embeddings(&self, used: &BTreeSet<Fingerprint>, pruned: &mut Pruned) -> Result<()> {
        let mut after = String::new();
        while let Some(of) = next_fingerprint(&*self.store.read()?, &after)? {
            let prefix = format!("{of}/");
            while !used.contains(&of) {
                let mut write = self.store.write()?;
                let scan = Scan { prefix: &prefix, limit: ROWS, ..Scan::default() };
                let rows = write.scan(EMBEDDINGS, scan)?;
                for (key, value) in &rows {
                    write.delete(EMBEDDINGS, key)?;
                    pruned.embeddings += 1;
                    pruned.bytes += (key.len() + value.len()) as u64;
                }
                write.commit()?;
                crash_point("reembed.after-prune");
                if rows.len() < ROWS {
                    break;
                }
            }
            // `0` follows `/`: beyond every key of this fingerprint.
            after = format!("{of}0");
        }
        Ok(())
    }
}

/// The embedders whose vectors each vector store is searched by, goes back to, or is being given.
fn used(read: &dyn Read) -> Result<BTreeMap<VectorStoreId, BTreeSet<Fingerprint>>> {
    let mut used: BTreeMap<VectorStoreId, BTreeSet<Fingerprint>> = BTreeMap::new();
    for (id, vector_store) in VECTOR_STORES.all(read, "")? {
        let kept = REEMBEDS.get(read, &id)?.unwrap_or_default();
        let all = vector_store.embedder.into_iter().chain(kept.next).chain(kept.previous);
        used.insert(id, all.collect());
    }
    Ok(used)
}

/// The first embedder after `after` that there are embeddings of.
fn next_fingerprint(read: &dyn Read, after: &str) -> Result<Option<Fingerprint>> {
    let scan = Scan { after: Some(after), limit: 1, ..Scan::default() };
    let Some((key, _)) = read.scan(EMBEDDINGS, scan)?.pop() else { return Ok(None) };
    let (fingerprint, _) = <(Fingerprint, TextHash)>::from_text(&key)?;
    Ok(Some(fingerprint))
}

fn size(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs_err::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
