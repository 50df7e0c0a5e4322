//! Which embedder each vector store has: the one its first vectors were made by.
//!
//! New stores get the one that is set up. A store that has vectors goes on with its own, whichever
//! is set up later, because vectors of two embedders cannot be compared; while its own is not on
//! this machine it is searched by words, and [`Collections::no_vectors`] says why and what to do.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use docent_core::{
    Embedder, Embedders, Error, ErrorKind, Fingerprint, Read, Result, VectorStore, VectorStoreId,
    Write,
};

use super::Collections;
use crate::tables::{EMBEDDERS, KnownEmbedder, VECTOR_STORES};

/// Embedders of stores that have another than the usual one.
pub(super) struct OtherEmbedders {
    source: Option<Arc<dyn Embedders>>,
    found: Mutex<HashMap<Fingerprint, Arc<dyn Embedder>>>,
}

impl OtherEmbedders {
    pub(super) fn new(source: Option<Arc<dyn Embedders>>) -> Self {
        Self { source, found: Mutex::default() }
    }

    /// From now on stores may be built with `embedder`.
    pub(super) fn insert(&self, embedder: Arc<dyn Embedder>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(embedder.spec().fingerprint.clone(), embedder);
    }

    fn find(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>> {
        let found =
            self.found.lock().unwrap_or_else(PoisonError::into_inner).get(fingerprint).cloned();
        if let Some(embedder) = found {
            return Ok(embedder);
        }
        let absent = || Error::not_found("it is not one of the embedders that are set up");
        let embedder = self.source.as_ref().ok_or_else(absent)?.find(fingerprint)?;
        if embedder.spec().fingerprint != *fingerprint {
            return Err(absent());
        }
        self.insert(Arc::clone(&embedder));
        Ok(embedder)
    }
}

impl fmt::Debug for OtherEmbedders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtherEmbedders").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The embedders of a library's vector stores, to share with another library.
#[derive(Clone, Debug, Default)]
pub struct StoreEmbedders {
    /// Embeds new vector stores.
    pub usual: Option<Arc<dyn Embedder>>,
    /// Finds those of stores that were built with another.
    pub others: Option<Arc<dyn Embedders>>,
}

/// A vector store that has vectors, and the name of the embedder that made them.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The vector store; its `embedder` is there.
    pub vector_store: VectorStore,
    /// The embedder's name; none where the vectors are from before names were kept.
    pub name: Option<String>,
}

/// The vector stores that are bound to an embedder, oldest first.
///
/// # Errors
/// When a row cannot be read.
pub fn remembered_embedders(read: &(impl Read + ?Sized)) -> Result<Vec<Remembered>> {
    let mut remembered = vec![];
    for (_, vector_store) in VECTOR_STORES.all(read, "")? {
        let Some(pinned) = &vector_store.embedder else { continue };
        let name = EMBEDDERS.get(read, pinned)?.map(|known| known.name);
        remembered.push(Remembered { vector_store, name });
    }
    Ok(remembered)
}

/// Keeps what `embedder` is called.
pub(super) fn remember(write: &mut dyn Write, embedder: &dyn Embedder) -> Result<()> {
    let spec = embedder.spec();
    let known = KnownEmbedder { name: spec.name.clone(), dims: spec.dims };
    EMBEDDERS.put(write, &spec.fingerprint, &known)
}

impl Collections {
    /// Why the vectors of `store` are not searched although it has some: its embedder is not on
    /// this machine, or not known. Says which, and what to do.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such store.
    pub fn no_vectors(&self, store: VectorStoreId) -> Result<Option<String>> {
        let vector_store = self.read_vector_store(store)?;
        // Who set up no embedder at all chose words.
        if vector_store.embedder.is_none() || !self.embeds() {
            return Ok(None);
        }
        Ok(self.embedder_for(&vector_store).err())
    }

    /// What vector stores are embedded by.
    pub fn embedders(&self) -> StoreEmbedders {
        StoreEmbedders { usual: self.embedder.clone(), others: self.others.source.clone() }
    }

    fn embeds(&self) -> bool {
        self.embedder.is_some() || self.others.source.is_some()
    }

    /// The embedder that `vector_store` is embedded and searched by; else why there is none.
    pub(super) fn embedder_for(
        &self,
        vector_store: &VectorStore,
    ) -> Result<Arc<dyn Embedder>, String> {
        let usual = self.embedder.as_ref();
        let usual_one = || usual.map(Arc::clone).ok_or_else(|| "no embedder is set up".to_owned());
        match &vector_store.embedder {
            None => usual_one(),
            Some(pinned) if usual.is_some_and(|it| it.spec().fingerprint == *pinned) => usual_one(),
            Some(_) if !self.embeds() => usual_one(),
            Some(pinned) => self
                .others
                .find(pinned)
                .map_err(|error| self.why_not(vector_store.id, pinned, &error)),
        }
    }

    /// The embedder whose vectors `fingerprint` names, set up or found.
    pub(super) fn embedder_of(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>> {
        match &self.embedder {
            Some(usual) if usual.spec().fingerprint == *fingerprint => Ok(Arc::clone(usual)),
            _ => self.others.find(fingerprint),
        }
    }

    fn why_not(&self, store: VectorStoreId, pinned: &Fingerprint, error: &Error) -> String {
        let name = self.embedder_name(pinned);
        let reason = match error.kind() {
            ErrorKind::NotFound => "which is not among the models here".to_owned(),
            _ => error.message().to_owned(),
        };
        let other = self.embedder.as_ref().map_or("NAME", |usual| &usual.spec().name);
        format!(
            "{store} was built with {name}: {reason}; or run \"docent reembed {store} --embedder \
             {other}\""
        )
    }

    /// What the embedder is called, as far as it is known.
    pub(super) fn embedder_name(&self, fingerprint: &Fingerprint) -> String {
        let known = self.store.read().and_then(|read| EMBEDDERS.get(&*read, fingerprint));
        known.ok().flatten().map_or_else(|| fingerprint.to_string(), |known| known.name)
    }
}
