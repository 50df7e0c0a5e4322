//! The embedder that a library remembers, and the catalog as a source of others.

use std::path::Path;
use std::sync::Arc;

use docent_core::{Embedder, Embedders, Error, Fingerprint, Read, Result, Store};
use docent_inference::{Catalog, Manifest};
use docent_retrieval::{Remembered, remembered_embedders};
use docent_store::{LibraryDir, Mode};

use crate::Library;
use crate::library::OWN;

/// The embedder that a library was built with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RememberedEmbedder {
    /// Its name; none for a library from before names were kept, made with a model that is in no
    /// catalog.
    pub name: Option<String>,
    /// What its vectors depend on.
    pub fingerprint: Fingerprint,
}

impl RememberedEmbedder {
    /// Its name in `catalog`, or else the one that the library has kept.
    pub fn name_in(&self, catalog: &Catalog) -> Option<String> {
        let known = manifest_of(catalog, &self.fingerprint).map(|manifest| manifest.name.clone());
        known.or_else(|| self.name.clone())
    }

    pub(crate) fn embedder(&self, embedders: &dyn Embedders) -> Option<Arc<dyn Embedder>> {
        embedders.find(&self.fingerprint).ok()
    }
}

impl Library {
    /// The embedder that the library at `path` was built with; none where there is no library, or
    /// no vector in it. The library must not be open.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn remembered_embedder(path: impl AsRef<Path>) -> Result<Option<RememberedEmbedder>> {
        // `VERSION` is the first file a library writes.
        if !path.as_ref().join("VERSION").exists() {
            return Ok(None);
        }
        let dir = LibraryDir::open(path.as_ref(), Mode::OpenExisting)?;
        own_embedder(&*dir.store().read()?)
    }
}

/// The embedder of the library's own vector store, or else of the oldest that has one.
pub(crate) fn own_embedder(read: &dyn Read) -> Result<Option<RememberedEmbedder>> {
    let mut stores = remembered_embedders(read)?;
    let is_own = |it: &Remembered| it.vector_store.metadata.get(OWN.0).is_some_and(|v| v == OWN.1);
    let place = stores.iter().position(is_own).unwrap_or_default();
    if stores.is_empty() {
        return Ok(None);
    }
    let Remembered { vector_store, name } = stores.swap_remove(place);
    Ok(vector_store.embedder.map(|fingerprint| RememberedEmbedder { name, fingerprint }))
}

/// The catalog's embedders, each loaded when its first vector is wanted.
#[derive(Debug)]
pub(crate) struct CatalogEmbedders(Catalog);

impl CatalogEmbedders {
    pub(crate) fn of(catalog: &Catalog) -> Arc<dyn Embedders> {
        Arc::new(Self(catalog.clone()))
    }
}

impl Embedders for CatalogEmbedders {
    fn find(&self, fingerprint: &Fingerprint) -> Result<Arc<dyn Embedder>> {
        let unknown = || Error::not_found(format!("no model here is {fingerprint}"));
        let name = &manifest_of(&self.0, fingerprint).ok_or_else(unknown)?.name;
        catalog_embedder(name, &self.0)
    }
}

#[cfg(feature = "local-models")]
fn manifest_of<'a>(catalog: &'a Catalog, fingerprint: &Fingerprint) -> Option<&'a Manifest> {
    let is_it = |it: &&Manifest| it.embedder_spec().is_ok_and(|it| it.fingerprint == *fingerprint);
    catalog.list().find(is_it)
}

#[cfg(not(feature = "local-models"))]
fn manifest_of<'a>(_: &'a Catalog, _: &Fingerprint) -> Option<&'a Manifest> {
    None
}

/// The catalog's `name`, if its weights are on this machine.
///
/// # Errors
/// [`NotFound`](docent_core::ErrorKind::NotFound) for a name the catalog does not know.
#[cfg(feature = "local-models")]
pub(crate) fn named_embedder(name: &str, catalog: &Catalog) -> Result<Option<Arc<dyn Embedder>>> {
    catalog.get(name)?;
    let Some(files) = catalog.locate(name) else { return Ok(None) };
    Ok(Some(Arc::new(crate::lazy::LazyEmbedder::new(files)?)))
}

#[cfg(not(feature = "local-models"))]
pub(crate) fn named_embedder(name: &str, catalog: &Catalog) -> Result<Option<Arc<dyn Embedder>>> {
    catalog.get(name)?;
    Ok(None)
}

/// The catalog's embedder `name`, loaded when its first vector is wanted.
///
/// # Errors
/// [`NotFound`](docent_core::ErrorKind::NotFound) for a name the catalog does not know,
/// [`Unavailable`](docent_core::ErrorKind::Unavailable) while its weights are not on this machine.
pub fn catalog_embedder(name: &str, catalog: &Catalog) -> Result<Arc<dyn Embedder>> {
    named_embedder(name, catalog)?.ok_or_else(|| {
        Error::unavailable(format!(
            "the weights of {name} are not on this machine; run \"docent models pull {name}\""
        ))
    })
}
