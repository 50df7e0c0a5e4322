//! Vector stores: made, read, deleted.

use docent_core::{Metadata, Result, VectorStore, VectorStoreId};

use super::Collections;
use crate::tables::{CHUNKS, JOBS, LOG, LOG_ENDS, STORE_FILES, VECTOR_STORES, within};

impl Collections {
    /// A new vector store without files.
    pub fn create_vector_store(
        &self,
        name: Option<&str>,
        metadata: Metadata,
    ) -> Result<VectorStore> {
        let now = self.clock.now();
        let vector_store = VectorStore {
            id: VectorStoreId::new(self.ids.next_id()),
            name: name.map(str::to_owned),
            created_at: now,
            last_active_at: now,
            embedder: None,
            metadata,
        };
        let mut write = self.store.write()?;
        VECTOR_STORES.put(&mut *write, &vector_store.id, &vector_store)?;
        write.commit()?;
        Ok(vector_store)
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
