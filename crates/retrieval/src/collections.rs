//! All vector stores of one library: what is in them, how it gets there, how it is found.

mod attach;
mod batches;
mod check;
mod collection;
mod embedders;
mod entries;
mod files;
mod ingest;
mod queue;
mod reembed;
mod search;
mod stores;
mod sweep;
mod transfer;
mod waiting;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use docent_core::{
    BlobHash, Blobs, Clock, Embedder, Embedders, IdSource, Reranker, Result, Store, VectorStore,
    VectorStoreId,
};
use docent_ingest::Ingestor;

pub use attach::{AttachOptions, Attached};
pub use batches::BatchSummary;
pub use check::{Finding, Repair};
pub use embedders::{Remembered, StoreEmbedders, remembered_embedders};
pub use entries::StoreTotals;
pub use files::{FileDescription, NewFile};
pub use ingest::{IngestProgress, IngestStage, ProcessOutcome};
pub use reembed::{
    Comparison, Found, Pruned, Question, ReembedProgress, Reembedding, RolledBack, StoreVectors,
    Wanted,
};
pub use search::{
    CandidateTrace, LateInteraction, ListPlace, SearchHit, SearchMode, SearchOptions, SearchResult,
    StageTime, Trace,
};
pub use stores::{NewVectorStore, VectorStoreSummary};
pub use transfer::export;

use crate::keyword::Bm25;
use crate::tables::{JOBS, vector_store};
use collection::Collection;
pub(crate) use collection::{KEYWORD, VECTOR};
use embedders::OtherEmbedders;
use queue::Queue;

/// The points at which a test may cut the power while files come in; see
/// [`crash_point`](docent_core::crash_point).
pub const CRASH_POINTS: &[&str] = &[
    "ingest.after-blob",
    "ingest.after-file",
    "ingest.after-attach",
    "ingest.after-cancel",
    "ingest.before-chunks",
    "ingest.after-chunks",
    "ingest.after-embed-batch",
    "ingest.before-completed",
    "index.before-commit",
    "index.after-commit",
    "index.before-head",
];

/// The same while a vector store gets vectors of another embedder.
pub const REEMBED_CRASH_POINTS: &[&str] = &[
    "reembed.after-begin",
    "reembed.after-batch",
    "reembed.before-flip",
    "reembed.after-flip",
    "reembed.after-rollback",
    "reembed.after-give-up",
    "reembed.after-prune",
];

/// What [`Collections`] is made of.
#[derive(Debug)]
pub struct CollectionsParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The original bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Reads and cuts files.
    pub ingestor: Ingestor,
    /// Makes vectors for stores that have none yet. Without one these are found by words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Finds the embedders of stores that were built with another.
    pub embedders: Option<Arc<dyn Embedders>>,
    /// Looks again at the best candidates.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// Where indexes are kept; everything below may be deleted while nothing runs.
    pub indexes: PathBuf,
    /// The rest.
    pub options: CollectionsOptions,
}

/// How a library indexes and searches.
#[derive(Clone, Debug, Default)]
pub struct CollectionsOptions {
    /// Which index holds the vectors.
    pub vector_index: VectorIndexKind,
    /// How words are scored.
    pub bm25: Bm25,
    /// Whether candidates are compared with the query token by token, where a search does not say.
    pub late_interaction: LateInteraction,
}

/// Which index holds the vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorIndexKind {
    /// The one that is faster at equal recall for a vector store of its size.
    #[default]
    Auto,
    /// Every vector is looked at.
    Exact,
    /// A graph; for large stores searched without filters.
    Hnsw,
}

/// All vector stores of one library. Several threads may use it at once.
pub struct Collections {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    ingestor: Ingestor,
    embedder: Option<Arc<dyn Embedder>>,
    others: OtherEmbedders,
    reranker: Option<Arc<dyn Reranker>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    indexes: PathBuf,
    options: CollectionsOptions,
    /// Vector stores whose indexes were opened: at their first use, not before.
    open: RwLock<HashMap<VectorStoreId, Arc<Collection>>>,
    /// One opening at a time; held while indexes catch up.
    opening: Mutex<()>,
    queue: Queue,
    /// Vector stores whose embedder is being changed.
    changing: Mutex<BTreeSet<VectorStoreId>>,
    /// Held shared while a blob is put and its file written, so that no blob is collected between.
    uploads: RwLock<()>,
    /// Bytes that no file seems to mention and that are not collected yet.
    orphans: Mutex<BTreeSet<BlobHash>>,
}

impl Collections {
    /// Opens the vector stores of a library and takes up the files that wait.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(parts: CollectionsParts) -> Result<Self> {
        let collections = Self {
            store: parts.store,
            blobs: parts.blobs,
            ingestor: parts.ingestor,
            embedder: parts.embedder,
            others: OtherEmbedders::new(parts.embedders),
            reranker: parts.reranker,
            clock: parts.clock,
            ids: parts.ids,
            indexes: parts.indexes,
            options: parts.options,
            open: RwLock::default(),
            opening: Mutex::default(),
            queue: Queue::default(),
            changing: Mutex::default(),
            uploads: RwLock::default(),
            orphans: Mutex::default(),
        };
        collections.take_up()?;
        Ok(collections)
    }

    /// How many files wait for [`process`](Self::process).
    pub fn pending(&self) -> Result<usize> {
        Ok(JOBS.all(&*self.store.read()?, "")?.len())
    }

    /// What makes the vectors of new vector stores, if anything does.
    pub fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.embedder.as_ref()
    }

    /// Makes every index as durable as the store, so that the next opening has nothing to repeat.
    pub fn flush(&self) -> Result<()> {
        let open: Vec<Arc<Collection>> =
            self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        open.iter().try_for_each(|collection| collection.flush(&*self.store))
    }

    /// What looks again at the best candidates, if anything does.
    pub fn reranker(&self) -> Option<&Arc<dyn Reranker>> {
        self.reranker.as_ref()
    }

    /// The indexes of `id`, opened and level with the log.
    fn collection(&self, id: VectorStoreId) -> Result<Arc<Collection>> {
        if let Some(collection) = self.opened(id) {
            return Ok(collection);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = self.opened(id) {
            return Ok(collection);
        }
        let vector_store = vector_store(&*self.store.read()?, id)?;
        let embedder = self.embedder_for(&vector_store);
        let path = self.indexes.join(id.to_string());
        let collection = Collection::open(id, path, &*self.store, embedder, &self.options)?;
        let collection = Arc::new(collection);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(id, Arc::clone(&collection));
        Ok(collection)
    }

    fn opened(&self, id: VectorStoreId) -> Option<Arc<Collection>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Brings the indexes of `id` level, if they are open; others catch up when they are opened.
    fn catch_up(&self, id: VectorStoreId) -> Result<()> {
        self.opened(id).map_or(Ok(()), |collection| collection.catch_up(&*self.store))
    }

    /// Reads `id`'s row in a snapshot of its own.
    fn read_vector_store(&self, id: VectorStoreId) -> Result<VectorStore> {
        vector_store(&*self.store.read()?, id)
    }
}

impl fmt::Debug for Collections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |embedder: &Arc<dyn Embedder>| embedder.spec().name.clone();
        f.debug_struct("Collections")
            .field("indexes", &self.indexes)
            .field("embedder", &self.embedder.as_ref().map(name))
            .finish_non_exhaustive()
    }
}

/// Tells `on_progress` and says whether to stop.
fn stops(
    on_progress: &mut dyn FnMut(IngestProgress) -> ControlFlow<()>,
    progress: IngestProgress,
) -> bool {
    on_progress(progress).is_break()
}
