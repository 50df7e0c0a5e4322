//! Vector stores: made, read, changed, deleted, and left to expire.

use std::time::Duration;

use docent_core::{
    ChunkingStrategy, Error, FileCounts, FileId, Key, Metadata, Page, PageRequest, Read, Result,
    VectorStore, VectorStoreId, VectorStoreStatus, Write, check_metadata,
};

use super::attach::Attached;
use super::entries::{StoreTotals, totals};
use super::{AttachOptions, Collections};
use crate::tables::{
    BATCH_FILES, BATCHES, CHUNKS, ENTRY_VERSIONS, JOBS, LOG, LOG_ENDS, REEMBEDS, STORE_FILES,
    TOTALS, VECTOR_STORES, batch_prefix, vector_store, within,
};

/// How long a search may leave a store's `last_active_at` behind, so that not each is a write.
const ACTIVE: Duration = Duration::from_secs(60);

/// What a vector store is made from.
#[derive(Clone, Debug, Default)]
pub struct NewVectorStore {
    /// Its name.
    pub name: Option<String>,
    /// What it is for, for people.
    pub description: Option<String>,
    /// Its first files.
    pub files: Vec<FileId>,
    /// How these are cut.
    pub chunking: ChunkingStrategy,
    /// After how many days without use it expires, 1 to 365; none is never.
    pub expires_after_days: Option<u32>,
    /// The application's pairs.
    pub metadata: Metadata,
}

/// A vector store and what its files come to.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorStoreSummary {
    /// The vector store.
    pub vector_store: VectorStore,
    /// How many of its files are in which state.
    pub files: FileCounts,
    /// What their text takes up.
    pub usage_bytes: u64,
    /// What that comes to.
    pub status: VectorStoreStatus,
}

impl Collections {
    /// A new vector store without files.
    ///
    /// # Errors
    /// As [`create_vector_store_with`](Self::create_vector_store_with).
    pub fn create_vector_store(
        &self,
        name: Option<&str>,
        metadata: Metadata,
    ) -> Result<VectorStore> {
        let name = name.map(str::to_owned);
        self.create_vector_store_with(NewVectorStore { name, metadata, ..Default::default() })
    }

    /// A new vector store, with its first files attached in the same transaction.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) beyond the limits,
    /// [`NotFound`](docent_core::ErrorKind::NotFound) for a file.
    pub fn create_vector_store_with(&self, new: NewVectorStore) -> Result<VectorStore> {
        let mut write = self.store.write()?;
        let (vector_store, attached) = self.create_vector_store_within(&mut *write, new)?;
        write.commit()?;
        self.begin(attached);
        Ok(vector_store)
    }

    /// The rows of [`create_vector_store_with`](Self::create_vector_store_with), as part of the
    /// caller's transaction. [`begin`](Self::begin) the files once it is committed.
    ///
    /// # Errors
    /// The same.
    pub fn create_vector_store_within(
        &self,
        write: &mut dyn Write,
        new: NewVectorStore,
    ) -> Result<(VectorStore, Attached)> {
        let now = self.clock.now();
        let vector_store = VectorStore {
            id: VectorStoreId::new(self.ids.next_id()),
            name: new.name,
            description: new.description,
            created_at: now,
            last_active_at: now,
            expires_after_days: new.expires_after_days,
            embedder: None,
            metadata: new.metadata,
        };
        check_vector_store(&vector_store)?;
        VECTOR_STORES.put(write, &vector_store.id, &vector_store)?;
        TOTALS.put(write, &vector_store.id, &StoreTotals::default())?;
        let options = AttachOptions { chunking: new.chunking, ..AttachOptions::default() };
        let files: Vec<_> = new.files.into_iter().map(|file| (file, options.clone())).collect();
        let attached = self.attach_within(write, vector_store.id, &files)?;
        Ok((vector_store, attached))
    }

    /// The vector store `id`.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is none.
    pub fn vector_store(&self, id: VectorStoreId) -> Result<VectorStore> {
        self.read_vector_store(id)
    }

    /// Every vector store, oldest first.
    pub fn vector_stores(&self) -> Result<Vec<VectorStore>> {
        let stores = VECTOR_STORES.all(&*self.store.read()?, "")?;
        Ok(stores.into_iter().map(|(_, store)| store).collect())
    }

    /// The vector store `id` and what its files come to.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is none.
    pub fn vector_store_summary(&self, id: VectorStoreId) -> Result<VectorStoreSummary> {
        let read = self.store.read()?;
        self.summary(&*read, vector_store(&*read, id)?)
    }

    /// Vector stores, a page at a time, in the order they were made.
    pub fn vector_store_summaries(
        &self,
        request: &PageRequest<VectorStoreId>,
    ) -> Result<Page<VectorStoreSummary>> {
        let read = self.store.read()?;
        let page = VECTOR_STORES.page(&*read, &request.window("", Key::to_text), |_, _| true)?;
        let stores = page.data.into_iter().map(|(_, store)| self.summary(&*read, store));
        Ok(Page { data: stores.collect::<Result<_>>()?, has_more: page.has_more })
    }

    fn summary(
        &self,
        read: &(impl Read + ?Sized),
        vector_store: VectorStore,
    ) -> Result<VectorStoreSummary> {
        let StoreTotals { files, usage_bytes } = totals(read, vector_store.id)?;
        let status = match files.in_progress {
            _ if vector_store.is_expired(self.clock.now()) => VectorStoreStatus::Expired,
            0 => VectorStoreStatus::Completed,
            _ => VectorStoreStatus::InProgress,
        };
        Ok(VectorStoreSummary { vector_store, files, usage_bytes, status })
    }

    /// Changes a vector store's name, description, expiry or metadata. That is a use of it: one
    /// that had expired is searched again.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) when there is none,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) beyond the limits.
    pub fn update_vector_store(
        &self,
        id: VectorStoreId,
        change: impl FnOnce(&mut VectorStore),
    ) -> Result<VectorStoreSummary> {
        let mut write = self.store.write()?;
        let before = vector_store(&*write, id)?;
        let mut changed = before.clone();
        change(&mut changed);
        let changed = VectorStore {
            id,
            created_at: before.created_at,
            last_active_at: self.clock.now(),
            embedder: before.embedder,
            ..changed
        };
        check_vector_store(&changed)?;
        VECTOR_STORES.put(&mut *write, &id, &changed)?;
        let summary = self.summary(&*write, changed)?;
        write.commit()?;
        Ok(summary)
    }

    /// Notes that stores were searched. A search that could not be noted is a search all the same.
    pub(super) fn note_use(&self, stores: &[VectorStore]) {
        let now = self.clock.now();
        let stale = |store: &&VectorStore| now.since(store.last_active_at) >= ACTIVE;
        let stale: Vec<VectorStoreId> = stores.iter().filter(stale).map(|store| store.id).collect();
        if stale.is_empty() {
            return;
        }
        let noted = self.store.write().and_then(|mut write| {
            for id in stale {
                if let Some(mut store) = VECTOR_STORES.get(&*write, &id)? {
                    store.last_active_at = store.last_active_at.max(now);
                    VECTOR_STORES.put(&mut *write, &id, &store)?;
                }
            }
            write.commit()
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "a search was not noted");
        }
    }

    /// Forgets the vector store `id`; its files stay. Says whether there was such a store.
    pub fn delete_vector_store(&self, id: VectorStoreId) -> Result<bool> {
        // No thread may open its indexes while they go.
        let _no_opening = self.opening.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut write = self.store.write()?;
        if !VECTOR_STORES.delete(&mut *write, &id)? {
            return Ok(false);
        }
        let prefix = within(id);
        for table in [STORE_FILES.spec(), CHUNKS.spec(), LOG.spec(), JOBS.spec()] {
            let scan = docent_core::Scan { prefix: &prefix, ..docent_core::Scan::default() };
            for (key, _) in write.scan(table, scan)? {
                write.delete(table, &key)?;
            }
        }
        LOG_ENDS.delete(&mut *write, &id)?;
        TOTALS.delete(&mut *write, &id)?;
        REEMBEDS.delete(&mut *write, &id)?;
        ENTRY_VERSIONS.delete(&mut *write, &id)?;
        delete_batches(&mut *write, id)?;
        write.commit()?;
        self.queue.remove_store(id);
        self.open.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&id);
        let path = self.indexes.join(id.to_string());
        // A search under way may hold them; what is left now, `check` finds.
        if path.exists()
            && let Err(error) = fs_err::remove_dir_all(path)
        {
            tracing::warn!(%error, "indexes of a deleted vector store are left");
        }
        Ok(true)
    }
}

fn delete_batches(write: &mut dyn Write, store: VectorStoreId) -> Result<()> {
    for (id, batch) in BATCHES.all(&*write, "")? {
        if batch.vector_store != store {
            continue;
        }
        BATCHES.delete(write, &id)?;
        for (key, ()) in BATCH_FILES.all(&*write, &batch_prefix(id))? {
            BATCH_FILES.delete(write, &key)?;
        }
    }
    Ok(())
}

pub(super) fn check_vector_store(vector_store: &VectorStore) -> Result<()> {
    check_metadata(&vector_store.metadata, "metadata")?;
    let days = vector_store.expires_after_days.unwrap_or(1);
    let (bound, code) = match days {
        1..=365 => return Ok(()),
        0 => ("below minimum value. Expected a value >= 1", "integer_below_min_value"),
        _ => ("above maximum value. Expected a value <= 365", "integer_above_max_value"),
    };
    let message = format!("Invalid 'expires_after.days': integer {bound}, but got {days} instead.");
    Err(Error::invalid(message).about("expires_after.days", code))
}
