//! A directory of documents that answers questions.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_core::{Error, FileId, Metadata, Result, VectorStoreId};
use docent_engine::Engine;
use docent_retrieval::{
    Collections, Finding, IngestProgress, ProcessOutcome, Repair, SearchOptions, SearchResult,
};
use docent_store::{CheckDepth, KeyFile, LibraryDir};

use crate::LibraryBuilder;

/// Marks what the library made for itself, in its metadata.
pub(crate) const OWN: (&str, &str) = ("docent", "library");

/// A directory of documents that answers questions about them, with citations.
///
/// It has one vector store of its own, where [`add`](Self::add) puts documents, and everything of
/// the Assistants API behind [`engine`](Self::engine). One process has it open at a time; within
/// it, every method may be called from any thread.
#[derive(Debug)]
pub struct Library {
    // Dropped first: its threads use what the directory holds.
    engine: Engine,
    vector_store: VectorStoreId,
    dir: LibraryDir,
}

impl Library {
    /// Opens the library at `path` as it is by default, creating it if there is none.
    ///
    /// # Errors
    /// Those of [`LibraryBuilder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Chooses how the library at `path` is opened.
    pub fn builder(path: impl Into<PathBuf>) -> LibraryBuilder {
        LibraryBuilder::new(path.into())
    }

    pub(crate) fn new(dir: LibraryDir, engine: Engine) -> Result<Self> {
        let vector_store = own_vector_store(engine.collections())?;
        Ok(Self { engine, vector_store, dir })
    }

    /// Assistants, threads and runs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Files and vector stores.
    pub fn collections(&self) -> &Arc<Collections> {
        self.engine.collections()
    }

    /// The vector store that documents are added to.
    pub fn vector_store(&self) -> VectorStoreId {
        self.vector_store
    }

    pub(crate) fn set_vector_store(&mut self, id: VectorStoreId) {
        self.vector_store = id;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn dir(&self) -> &LibraryDir {
        &self.dir
    }

    /// Reads, cuts, indexes and embeds what was added, until nothing waits or `on_progress` breaks
    /// off; then versions of documents that were replaced leave.
    ///
    /// A process that dies meanwhile loses nothing: the next call goes on where it stopped.
    pub fn process(
        &self,
        on_progress: &mut dyn FnMut(IngestProgress) -> ControlFlow<()>,
    ) -> Result<ProcessOutcome> {
        let outcome = self.collections().process(on_progress)?;
        self.retire_replaced()?;
        Ok(outcome)
    }

    /// Finds passages in the library's documents, best first.
    pub fn search(&self, query: &str, options: &SearchOptions) -> Result<SearchResult> {
        self.collections().search(&[self.vector_store], query, options)
    }

    /// Checks every promise about what is stored, and mends what can be mended if `repair` says so.
    pub fn check(&self, repair: Repair) -> Result<Vec<Finding>> {
        let damaged = self.dir.store().check(CheckDepth::Full)?;
        let finding =
            |problem| Finding { subject: "state.sqlite".to_owned(), problem, repaired: false };
        let mut findings: Vec<Finding> = damaged.into_iter().map(finding).collect();
        findings.extend(self.collections().check(repair)?);
        findings.extend(docent_engine::check(&**self.dir.store(), repair)?);
        let keys = KeyFile::of(self.path()).check(repair == Repair::Yes)?;
        findings.extend(keys.into_iter().map(|(problem, repaired)| Finding {
            subject: "keys.json".to_owned(),
            problem,
            repaired,
        }));
        Ok(findings)
    }

    /// Takes `file` out of the library; says whether it was there.
    pub fn remove(&self, file: FileId) -> Result<bool> {
        // In this order a crash in between leaves a path without a file, which `add` sees; the
        // other way round it would leave a file that no path leads to.
        let was_there = self.collections().delete_file(file)?;
        self.forget_document(file)?;
        Ok(was_there)
    }
}

/// The library's own vector store, made when it is first opened.
fn own_vector_store(collections: &Collections) -> Result<VectorStoreId> {
    let (key, value) = OWN;
    let stores = collections.vector_stores()?;
    let own = stores.iter().find(|store| store.metadata.get(key).is_some_and(|it| it == value));
    if let Some(store) = own {
        return Ok(store.id);
    }
    let metadata = Metadata::from([(key.to_owned(), value.to_owned())]);
    let made = collections.create_vector_store(Some("library"), metadata);
    made.map(|store| store.id).map_err(|error: Error| error.context("the library cannot begin"))
}
