//! Finds chunks by their vectors, by looking at every one of them, cheaply.
//!
//! A search is a cascade: one bit a dimension picks some rows of a very large matrix, one byte a
//! dimension picks the best few hundred of those, and these are scored again in half precision,
//! which is what the answer is ranked by. Nothing is built, a delete marks rows in memory, a filter
//! scans the allowed rows alone, and the answer depends on the content only, not on the order it
//! came in: every cut is made by score, then by chunk.
//!
//! The bytes live in memory (dims + 20 bytes a vector, an eighth more where there are bits); the half
//! precision rows stay in a file and are read where a search needs them.

mod cascade;
mod dot;
mod file;
mod rows;
mod sealed;
mod signs;

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use docent_core::{
    Change, ChangeKind, ChunkId, ChunkRange, ChunkSet, Embedding, Error, Fingerprint, Hit, Index,
    Query, Result, Seq,
};
use half::f16;

use cascade::BITS_FROM;
use file::Files;
use rows::Rows;

pub(crate) use rows::BLOCK_ROWS;
pub(crate) use sealed::Sealed;

/// Rows wait in memory until there are this many, then they are written and synced.
const FLUSH_ROWS: usize = 8_192;

/// What a vector index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorShape {
    /// Whose vectors.
    pub fingerprint: Fingerprint,
    /// How long each is.
    pub dims: usize,
}

/// An [`Index`] over vectors that looks at every one; see the module.
#[derive(Debug)]
pub struct ExactIndex {
    shape: VectorShape,
    inner: RwLock<Inner>,
}

/// Of a graph: how many of the first rows it covers, and about so many of these, the nearest to a
/// vector.
pub(crate) type Nearest<'a> = dyn Fn(&[f32], usize) -> (usize, Vec<usize>) + 'a;

#[derive(Debug)]
struct Inner {
    files: Files,
    rows: Rows,
    applied: Seq,
}

impl ExactIndex {
    /// Opens the index in the directory `path`. Anything damaged, of another version or of another
    /// embedder is thrown away: the index is empty then, its watermark 0.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(path: impl Into<PathBuf>, shape: VectorShape) -> Result<Self> {
        let (files, mut rows) = Files::open(path.into(), &shape)?;
        rows.settle(BITS_FROM);
        let applied = files.watermark();
        Ok(Self { shape, inner: RwLock::new(Inner { files, rows, applied }) })
    }

    /// Every chunk it holds, in order.
    pub fn chunks(&self) -> Vec<ChunkId> {
        self.read().rows.chunks()
    }

    /// The direction of `chunk`, of length 1: of its windows together. None if it has no vectors.
    pub(crate) fn direction(&self, chunk: ChunkId) -> Option<Vec<f32>> {
        let inner = self.read();
        let only = ChunkSet::from_ranges([ChunkRange { start: chunk, end: ChunkId(chunk.0 + 1) }]);
        let mut sum = vec![0.0f32; self.shape.dims];
        for number in inner.rows.rows_of(&only).into_iter().flatten() {
            let scale = inner.rows.scale(number);
            let codes = inner.rows.codes(number).iter();
            sum.iter_mut().zip(codes).for_each(|(sum, code)| *sum += scale * f32::from(*code));
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        (length > 0.0).then(|| sum.iter().map(|value| value / length).collect())
    }

    /// How many chunks it holds.
    pub fn chunk_count(&self) -> usize {
        self.read().rows.chunk_count()
    }

    /// How many vectors it holds.
    pub fn len(&self) -> usize {
        self.read().rows.alive()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of the full blocks, which change no more.
    pub(crate) fn sealed(&self) -> Sealed {
        let inner = self.read();
        Sealed::new(&inner.rows, inner.files.generation())
    }

    /// Grows when rows get other numbers.
    pub(crate) fn generation(&self) -> u64 {
        self.read().files.generation()
    }

    /// As [`search`](Index::search), by way of a graph over the rows of `generation`: `nearest`
    /// says how many rows it covers, and which are nearest to a vector.
    pub(crate) fn search_through(
        &self,
        query: &Query<'_>,
        limit: usize,
        generation: u64,
        nearest: &Nearest<'_>,
    ) -> Result<Vec<Hit>> {
        let Some(vector) = query.vector else { return Ok(vec![]) };
        self.check_dims(vector)?;
        let inner = self.read();
        if inner.files.generation() != generation {
            return cascade::search(&inner, vector, query.allow, limit);
        }
        cascade::search_through(&inner, vector, limit, nearest)
    }

    fn check_dims(&self, vector: &[f32]) -> Result<()> {
        if vector.len() == self.shape.dims {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the query's vector has {} dimensions, the index of {} has {}",
            vector.len(),
            self.shape.fingerprint,
            self.shape.dims
        )))
    }

    /// Reads every row and compares it with its checksum.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) when one differs.
    pub fn verify(&self) -> Result<()> {
        let inner = self.read();
        let mut row = vec![f16::ZERO; self.shape.dims];
        (0..inner.rows.len()).try_for_each(|number| inner.read_row(number, &mut row))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index for ExactIndex {
    fn watermark(&self) -> Result<Seq> {
        Ok(self.read().files.watermark())
    }

    fn apply(&self, changes: &[Change], upto: Seq) -> Result<()> {
        let mut inner = self.write();
        let taken = changes.iter().try_for_each(|change| inner.take(change, &self.shape));
        // Whatever was taken is searched.
        inner.rows.settle(BITS_FROM);
        taken?;
        inner.applied = inner.applied.max(upto);
        if inner.files.pending_rows() >= FLUSH_ROWS {
            inner.flush(&self.shape)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<Seq> {
        let mut inner = self.write();
        inner.flush(&self.shape)?;
        Ok(inner.files.watermark())
    }

    fn clear(&self) -> Result<()> {
        let mut inner = self.write();
        inner.files.clear()?;
        inner.rows = Rows::new(self.shape.dims);
        inner.applied = Seq(0);
        Ok(())
    }

    fn search(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Hit>> {
        let Some(vector) = query.vector else { return Ok(vec![]) };
        self.check_dims(vector)?;
        cascade::search(&self.read(), vector, query.allow, limit)
    }
}

impl Inner {
    fn take(&mut self, change: &Change, shape: &VectorShape) -> Result<()> {
        match &change.kind {
            ChangeKind::Embedded(vectors) => {
                vectors.iter().try_for_each(|(chunk, embedding)| self.add(*chunk, embedding, shape))
            }
            ChangeKind::Removed(range) => {
                self.remove(*range);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, chunk: ChunkId, embedding: &Embedding, shape: &VectorShape) -> Result<()> {
        if embedding.dims() != shape.dims {
            return Err(Error::invalid(format!(
                "a vector of chunk {chunk} has {} dimensions, the index of {} has {}",
                embedding.dims(),
                shape.fingerprint,
                shape.dims
            )));
        }
        if self.rows.holds(chunk) {
            return Ok(());
        }
        for window in embedding.windows() {
            let exact: Vec<f16> = window.iter().map(|&value| f16::from_f32(value)).collect();
            if !exact.iter().all(|value| value.is_finite()) {
                return Err(Error::invalid(format!(
                    "a vector of chunk {chunk} is not of length 1"
                )));
            }
            let check = self.files.append(&exact);
            self.rows.push(chunk, &exact, check);
        }
        Ok(())
    }

    fn remove(&mut self, range: ChunkRange) {
        if self.rows.remove(range) {
            self.files.remove(range);
        }
    }

    fn flush(&mut self, shape: &VectorShape) -> Result<()> {
        if self.applied <= self.files.watermark() {
            return Ok(());
        }
        self.files.flush(&self.rows, self.applied)?;
        if self.rows.is_mostly_dead() {
            self.rows = self.files.compact(&self.rows, shape)?;
            self.rows.settle(BITS_FROM);
        }
        Ok(())
    }

    /// The half-precision row `number`, checked.
    fn read_row(&self, number: usize, into: &mut [f16]) -> Result<()> {
        self.files.read(number, self.rows.check(number), into)
    }
}
