//! One vector store's indexes.

use std::path::PathBuf;
use std::sync::Arc;

use docent_core::{ChunkSet, Embedder, Filter, Index, Read, Result, Seq, Store, VectorStoreId};

use super::entries::FileAttributes;
use super::{CollectionsOptions, VectorIndexKind};
use crate::exact::{ExactIndex, VectorShape};
use crate::follower::{Follower, Takes};
use crate::hnsw::{HnswIndex, HnswOptions};
use crate::keyword::KeywordIndex;
use crate::tables::{LOG, LOG_ENDS, log_ends, within};

#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) id: VectorStoreId,
    path: PathBuf,
    options: CollectionsOptions,
    keyword_index: Arc<KeywordIndex>,
    vector_index: Option<Arc<ExactIndex>>,
    followers: Vec<Arc<Follower>>,
    attributes: FileAttributes,
    /// What the vectors are made by, or why there are none. Searches embed by this and not by what
    /// the vector store's row says, which may be of another moment.
    embedder: Result<Arc<dyn Embedder>, String>,
}

/// The names of the lists a search merges.
pub(crate) const KEYWORD: &str = "keyword";
pub(crate) const VECTOR: &str = "vector";

/// From this many vectors on, `auto` puts a graph over them (`docs/benchmarks/retrieval.md`).
const GRAPH_FROM: usize = 4_000_000;

fn wants_graph(kind: VectorIndexKind, vectors: usize) -> bool {
    match kind {
        VectorIndexKind::Auto => vectors >= GRAPH_FROM,
        VectorIndexKind::Exact => false,
        VectorIndexKind::Hnsw => true,
    }
}

impl Collection {
    pub(crate) fn open(
        id: VectorStoreId,
        path: PathBuf,
        store: &dyn Store,
        embedder: Result<Arc<dyn Embedder>, String>,
        options: &CollectionsOptions,
    ) -> Result<Self> {
        let keyword_index = Arc::new(KeywordIndex::open(path.join("keyword"), options.bm25)?);
        let index = Arc::clone(&keyword_index);
        let mut collection = Self {
            id,
            path,
            options: options.clone(),
            keyword_index,
            vector_index: None,
            followers: vec![Arc::new(Follower::new(KEYWORD, index, id, Takes::Words)?)],
            attributes: FileAttributes::default(),
            embedder,
        };
        collection.open_vectors()?;
        collection.trim_log(store)?;
        collection.catch_up(store)?;
        Ok(collection)
    }

    /// The same words with the vectors of another embedder, as they were when last flushed.
    pub(crate) fn beside(&self, embedder: Arc<dyn Embedder>) -> Result<Self> {
        let mut collection = Self {
            id: self.id,
            path: self.path.clone(),
            options: self.options.clone(),
            keyword_index: Arc::clone(&self.keyword_index),
            vector_index: None,
            followers: self.followers.iter().filter(|it| it.name == KEYWORD).cloned().collect(),
            attributes: FileAttributes::default(),
            embedder: Ok(embedder),
        };
        collection.open_vectors()?;
        Ok(collection)
    }

    /// Builds the vector index from the chunks of the snapshot `read`.
    pub(crate) fn rebuild_vectors(&self, read: &dyn Read) -> Result<()> {
        self.vector_followers().try_for_each(|follower| follower.rebuild_in(read))
    }

    /// Brings the vector index level with the snapshot `read`.
    pub(crate) fn catch_up_vectors(&self, read: &dyn Read) -> Result<()> {
        self.vector_followers().try_for_each(|follower| follower.catch_up_in(read))
    }

    fn vector_followers(&self) -> impl Iterator<Item = &Arc<Follower>> {
        self.followers.iter().filter(|follower| follower.name == VECTOR)
    }

    fn open_vectors(&mut self) -> Result<()> {
        let Ok(embedder) = &self.embedder else { return Ok(()) };
        let spec = embedder.spec();
        let fingerprint = spec.fingerprint.clone();
        let path = self.path.join(format!("vector-{fingerprint}"));
        let shape = VectorShape { fingerprint: fingerprint.clone(), dims: spec.dims };
        let rows = Arc::new(ExactIndex::open(path.clone(), shape)?);
        self.vector_index = Some(Arc::clone(&rows));
        let expected = rows.len().max(self.keyword_index.len());
        let index: Arc<dyn Index> = match wants_graph(self.options.vector_index, expected) {
            true => Arc::new(HnswIndex::over(rows, path, HnswOptions::default())?),
            false => rows,
        };
        let follower = Follower::new(VECTOR, index, self.id, Takes::Vectors(fingerprint))?;
        self.followers.push(Arc::new(follower));
        Ok(())
    }

    /// Trims the log below what every index still knew when the store was last opened.
    fn trim_log(&self, store: &dyn Store) -> Result<()> {
        let ends = log_ends(&*store.read()?, self.id)?;
        let watermarks = self.followers.iter().map(|follower| follower.index.watermark());
        let durable = watermarks.collect::<Result<Vec<Seq>>>()?.into_iter().min();
        let durable = durable.unwrap_or_default().min(ends.last);
        let trim_to = ends.durable.min(durable).max(ends.trimmed);
        if (trim_to, durable) == (ends.trimmed, ends.durable) {
            return Ok(());
        }
        let mut write = store.write()?;
        let mut ends = log_ends(&*write, self.id)?;
        for ((_, seq), _) in LOG.all(&*write, &within(self.id))? {
            if seq > trim_to {
                break;
            }
            LOG.delete(&mut *write, &(self.id, seq))?;
        }
        (ends.trimmed, ends.durable) = (trim_to, durable);
        LOG_ENDS.put(&mut *write, &self.id, &ends)?;
        write.commit()
    }

    pub(crate) fn catch_up(&self, store: &dyn Store) -> Result<()> {
        self.followers.iter().try_for_each(|follower| follower.catch_up(store))
    }

    pub(crate) fn rebuild(&self, store: &dyn Store) -> Result<()> {
        self.followers.iter().try_for_each(|follower| follower.rebuild(store))
    }

    pub(crate) fn flush(&self, store: &dyn Store) -> Result<()> {
        self.followers.iter().try_for_each(|follower| follower.flush(store))
    }

    pub(crate) fn followers(&self) -> &[Arc<Follower>] {
        &self.followers
    }

    /// The chunks that `filter` lets through, as the snapshot `read` has them.
    pub(crate) fn allowed(&self, read: &dyn Read, filter: &Filter) -> Result<ChunkSet> {
        self.attributes.allowed(read, self.id, filter)
    }

    /// What the vectors are made by, or why there are none.
    pub(crate) fn embedder(&self) -> Result<&Arc<dyn Embedder>, &str> {
        self.embedder.as_ref().map_err(String::as_str)
    }

    pub(crate) fn keyword_index(&self) -> &KeywordIndex {
        &self.keyword_index
    }

    pub(crate) fn vector_index(&self) -> Option<&ExactIndex> {
        self.vector_index.as_deref()
    }
}
