//! Finds chunks by their vectors through a graph (HNSW, by hnsw_rs), for large stores.
//!
//! The vectors, their deletes and their durability are [`ExactIndex`]'s; the graph is a shortcut
//! over its first rows that names candidates, which are scored as every other. It is built in one
//! go, one row after another, over a number of rows that depends on the count alone: so the same
//! rows give the same graph, and the same answers, however they came in. Rows behind the graph (a
//! third at most), filters, and a graph that is missing fall back to looking at every row.
//!
//! The graph is approximate: rows that were deleted still lead through it, until the files are
//! rewritten. A store with deletes may therefore answer a little differently, within the recall
//! of `docs/benchmarks/retrieval.md`, after its `indexes/` were removed. [`ExactIndex`] never does.
//!
//! Of hnsw_rs we use only what it does well. Its points are row numbers, and distances are taken on
//! [`ExactIndex`]'s bytes, so the graph costs its edges and not the vectors again; a file is handed
//! to it only after its checksum was found right, because it ends the process on a short one; and
//! a graph that was read back is never grown, because it would grow otherwise than the original.

mod graph;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use docent_core::{Change, Hit, Index, Query, Result, Seq};

use crate::exact::{ExactIndex, VectorShape};
use graph::Graph;

/// Edges a row, on each layer but the last, which has twice as many.
const EDGES: usize = 24;

/// How many rows are looked at to choose a new row's edges.
const BUILD_WIDTH: usize = 160;

/// The least that a search looks at.
const SEARCH_WIDTH: usize = 320;

/// How a graph is built and searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswOptions {
    /// Edges a row, on each layer but the last, which has twice as many; at most 255.
    pub edges: usize,
    /// How many rows are looked at to choose a new row's edges.
    pub build_width: usize,
    /// How many rows a search looks at, at least.
    pub search_width: usize,
    /// From how many rows on there is a graph.
    pub from_rows: usize,
}

impl Default for HnswOptions {
    fn default() -> Self {
        Self {
            edges: EDGES,
            build_width: BUILD_WIDTH,
            search_width: SEARCH_WIDTH,
            from_rows: crate::exact::BLOCK_ROWS,
        }
    }
}

/// An [`Index`] over vectors that goes by a graph; see the module.
#[derive(Debug)]
pub struct HnswIndex {
    path: PathBuf,
    options: HnswOptions,
    rows: Arc<ExactIndex>,
    graph: RwLock<Option<Arc<Graph>>>,
    /// Held while a graph is built: minutes for a million rows. Searches go on meanwhile.
    building: Mutex<()>,
}

impl HnswIndex {
    /// Opens the index in the directory `path`, as [`ExactIndex::open`] does. A graph that is
    /// damaged, or of other rows, is built again by the next flush.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(
        path: impl Into<PathBuf>,
        shape: VectorShape,
        options: HnswOptions,
    ) -> Result<Self> {
        let path = path.into();
        Self::over(Arc::new(ExactIndex::open(path.clone(), shape)?), path, options)
    }

    /// Puts a graph over `rows`, whose directory is `path`.
    pub(crate) fn over(rows: Arc<ExactIndex>, path: PathBuf, options: HnswOptions) -> Result<Self> {
        let graph = match Graph::load(&path, &rows.sealed(), options) {
            Ok(graph) => graph.map(Arc::new),
            Err(error) => {
                tracing::warn!(%error, "a damaged graph is rebuilt");
                None
            }
        };
        Ok(Self { path, options, rows, graph: RwLock::new(graph), building: Mutex::default() })
    }

    /// How many rows the graph covers; 0 while there is none.
    pub fn graph_rows(&self) -> usize {
        self.graph().map_or(0, |graph| graph.rows())
    }

    fn graph(&self) -> Option<Arc<Graph>> {
        let graph = self.graph.read().unwrap_or_else(PoisonError::into_inner).clone();
        graph.filter(|graph| graph.generation() == self.rows.generation())
    }

    fn build(&self) -> Result<()> {
        let _one_at_a_time = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.rows.sealed();
        let wanted = graph::coverage(sealed.rows(), self.options.from_rows);
        if self.graph_rows() == wanted {
            return Ok(());
        }
        let graph = match wanted {
            0 => None,
            _ => Some(Arc::new(Graph::build(&sealed, wanted, self.options)?)),
        };
        if let Some(graph) = &graph {
            graph.save(&self.path)?;
        }
        *self.graph.write().unwrap_or_else(PoisonError::into_inner) = graph;
        Ok(())
    }
}

impl Index for HnswIndex {
    fn watermark(&self) -> Result<Seq> {
        self.rows.watermark()
    }

    fn apply(&self, changes: &[Change], upto: Seq) -> Result<()> {
        self.rows.apply(changes, upto)
    }

    fn flush(&self) -> Result<Seq> {
        let watermark = self.rows.flush()?;
        self.build()?;
        Ok(watermark)
    }

    fn clear(&self) -> Result<()> {
        *self.graph.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.rows.clear()
    }

    fn search(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Hit>> {
        match (self.graph(), query.allow) {
            // A graph is hundreds of times slower than a scan once a filter lets little through.
            (Some(graph), None) => {
                let nearest = |vector: &[f32], wanted: usize| {
                    (graph.rows(), graph.search(vector, wanted, self.options.search_width))
                };
                self.rows.search_through(query, limit, graph.generation(), &nearest)
            }
            _ => self.rows.search(query, limit),
        }
    }
}
