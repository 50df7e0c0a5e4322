//! From every row to the best few: bits, then bytes, then half precision.

use std::cmp::Ordering;
use std::ops::Range;

use docent_core::{ChunkId, ChunkSet, Hit, Result};
use half::f16;
use rayon::prelude::*;

use super::dot::{self, Kernel};
use super::rows::{BLOCK_ROWS, Rows, quantize};
use super::{Inner, Nearest};
use crate::top::{Ranked, Top};

/// From this many rows on the bits are asked first. Bytes alone read 384 MB of a million rows, as
/// fast as memory gives them; bits lose a few of the best (`docs/benchmarks/embedding.md`), so
/// smaller matrices do without.
pub(super) const BITS_FROM: usize = 100_000;

/// The bits let through this part of the rows …
const BITS_PART: usize = 8;

/// … and at least this many times what the bytes then keep.
const BITS_TIMES: usize = 8;

/// Below this many rows a scan is over before another thread has woken up.
const PARALLEL_FROM: usize = 16_384;

/// From this many rows on, several threads read them from the file.
const PARALLEL_READS_FROM: usize = 128;

/// A row on its way through the cascade.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    score: f32,
    chunk: ChunkId,
    row: usize,
}

impl Ranked for Candidate {
    fn score(&self) -> f32 {
        self.score
    }

    /// Rows of one chunk lie in the order of its windows, so this order, too, is the content's.
    fn best_first(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.chunk.cmp(&other.chunk)).then(self.row.cmp(&other.row))
    }
}

/// A query in the matrix's own forms.
struct Probe {
    kernel: Kernel,
    codes: Vec<i8>,
    bits: Vec<u64>,
}

impl Probe {
    fn new(vector: &[f32], rows: &Rows) -> Self {
        let mut codes = vec![0; rows.stride];
        // The scale is the same for every row, so ranking does not need it.
        quantize(vector, &mut codes);
        let bits = rows.signs.of(&codes);
        Self { kernel: Kernel::detect(), codes, bits }
    }
}

pub(super) fn search(
    inner: &Inner,
    vector: &[f32],
    allow: Option<&ChunkSet>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let rows = &inner.rows;
    if limit == 0 || rows.alive() == 0 {
        return Ok(vec![]);
    }
    let probe = Probe::new(vector, rows);
    let keep = rows_to_rescore(rows, limit);
    let candidates = match allow {
        Some(allow) => scan_ranges(rows, &probe, &rows.rows_of(allow), keep),
        None if rows.len() < BITS_FROM || !may_fan_out() => scan_all(rows, &probe, keep),
        None => scan_passed(rows, &probe, keep),
    };
    rescore(inner, vector, &candidates, limit)
}

/// As [`search`], where `nearest` names the rows nearest to a vector among the first `covered`; the
/// rows behind are looked at one by one.
pub(super) fn search_through(
    inner: &Inner,
    vector: &[f32],
    limit: usize,
    nearest: &Nearest<'_>,
) -> Result<Vec<Hit>> {
    let rows = &inner.rows;
    if limit == 0 || rows.alive() == 0 {
        return Ok(vec![]);
    }
    let keep = rows_to_rescore(rows, limit);
    // Deleted rows take places in what the graph names, so more are asked for.
    let wanted = keep * rows.len() / rows.alive();
    let (covered, named) = nearest(vector, wanted);
    let probe = Probe::new(vector, rows);
    let mut candidates =
        scan_ranges(rows, &probe, std::slice::from_ref(&(covered..rows.len())), keep);
    let alive = named.into_iter().filter(|&row| row < covered && !rows.is_dead(row));
    let alive = alive.map(|row| Candidate { score: 0.0, chunk: rows.chunk(row), row });
    let before = candidates.len();
    candidates.extend(alive);
    if candidates.len() - before < keep.min(covered) / 2 {
        // Mostly deleted around here: the graph does not lead far enough.
        candidates = scan_all(rows, &probe, keep);
    }
    rescore(inner, vector, &candidates, limit)
}

/// Enough that what the bytes misplace is still among them: 64 or four times the limit, and more
/// when each chunk has several windows, of which only the best counts.
fn rows_to_rescore(rows: &Rows, limit: usize) -> usize {
    let windows = rows.alive().div_ceil(rows.chunk_count().max(1));
    limit.saturating_mul(2).saturating_mul(windows.clamp(2, 4)).max(64)
}

fn scan_all(rows: &Rows, probe: &Probe, keep: usize) -> Vec<Candidate> {
    let spans: Vec<Range<usize>> = (0..rows.blocks.len())
        .map(|block| block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows.len()))
        .collect();
    scan_ranges(rows, probe, &spans, keep)
}

/// The best `keep` rows of `spans` by their bytes.
fn scan_ranges(rows: &Rows, probe: &Probe, spans: &[Range<usize>], keep: usize) -> Vec<Candidate> {
    let parts: Vec<Range<usize>> = spans.iter().cloned().flat_map(within_blocks).collect();
    let scan = |mut top: Top<Candidate>, part: &Range<usize>| {
        scan_part(rows, probe, part.clone(), &mut top);
        top
    };
    let new = || Top::new(keep);
    let count: usize = parts.iter().map(Range::len).sum();
    let top = if count < PARALLEL_FROM || !may_fan_out() {
        parts.iter().fold(new(), scan)
    } else {
        parts.par_iter().fold(new, scan).reduce(new, Top::merge)
    };
    top.into_sorted()
}

/// Whether this thread may wait for rayon's. One of rayon's own may not: it would take up another
/// search meanwhile, which waits for a writer, which waits for the lock this search holds.
fn may_fan_out() -> bool {
    rayon::current_thread_index().is_none()
}

/// `span` cut at the borders of blocks.
fn within_blocks(span: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let blocks = span.start / BLOCK_ROWS..span.end.div_ceil(BLOCK_ROWS);
    blocks.map(move |block| {
        span.start.max(block * BLOCK_ROWS)..span.end.min((block + 1) * BLOCK_ROWS)
    })
}

fn scan_part(rows: &Rows, probe: &Probe, part: Range<usize>, top: &mut Top<Candidate>) {
    let block = &rows.blocks[part.start / BLOCK_ROWS];
    let first = part.start % BLOCK_ROWS;
    let here = first..first + part.len();
    let codes = &block.codes[here.start * rows.stride..here.end * rows.stride];
    let mut dots = Vec::with_capacity(part.len());
    probe.kernel.dots(&probe.codes, codes, &mut dots);
    for ((number, dot), at) in part.zip(dots).zip(here) {
        let score = dot as f32 * block.scales[at];
        if top.would_take(score) && !rows.is_dead(number) {
            top.offer(Candidate { score, chunk: block.chunks[at], row: number });
        }
    }
}

/// As [`scan_all`], but only over the rows whose bits are nearest to the query's.
fn scan_passed(rows: &Rows, probe: &Probe, keep: usize) -> Vec<Candidate> {
    let distances: Vec<Vec<u16>> = rows
        .blocks
        .par_iter()
        .enumerate()
        .map(|(number, block)| {
            let mut distances = Vec::with_capacity(block.chunks.len());
            probe.kernel.distances(&probe.bits, rows.signs.block(number), &mut distances);
            distances
        })
        .collect();
    let wanted = (rows.len() / BITS_PART).max(keep.saturating_mul(BITS_TIMES));
    let limit = nearest(&distances, wanted, rows.stride);
    let new = || Top::new(keep);
    let scan = |mut top: Top<Candidate>, (at, distances): (usize, &Vec<u16>)| {
        let block = &rows.blocks[at];
        let near = (0u32..).zip(distances).filter(|(_, far)| **far <= limit);
        let near: Vec<u32> = near.map(|(offset, _)| offset).collect();
        let mut dots = vec![];
        probe.kernel.dots_of(&probe.codes, &block.codes, &near, &mut dots);
        for (offset, dot) in near.into_iter().map(|offset| offset as usize).zip(dots) {
            let (number, score) = (at * BLOCK_ROWS + offset, dot as f32 * block.scales[offset]);
            if top.would_take(score) && !rows.is_dead(number) {
                top.offer(Candidate { score, chunk: block.chunks[offset], row: number });
            }
        }
        top
    };
    distances.par_iter().enumerate().fold(new, scan).reduce(new, Top::merge).into_sorted()
}

/// The smallest distance within which there are `wanted` rows. Distances are small whole numbers,
/// so counting them is cheaper than any selection; rows at the border all pass, so which rows pass
/// does not depend on their order.
fn nearest(distances: &[Vec<u16>], wanted: usize, greatest: usize) -> u16 {
    let mut counts = vec![0usize; greatest + 1];
    for &distance in distances.iter().flatten() {
        counts[distance as usize] += 1;
    }
    let mut within = 0;
    let reached = counts.iter().position(|count| {
        within += count;
        within >= wanted
    });
    reached.unwrap_or(greatest) as u16
}

/// Scores `candidates` in half precision; a chunk counts by its best window.
fn rescore(
    inner: &Inner,
    vector: &[f32],
    candidates: &[Candidate],
    limit: usize,
) -> Result<Vec<Hit>> {
    let new = || (vec![f16::ZERO; vector.len()], vec![0.0; vector.len()]);
    let score = |(row, scratch): &mut (Vec<f16>, Vec<f32>), candidate: &Candidate| {
        inner.read_row(candidate.row, row)?;
        Ok(Hit { chunk: candidate.chunk, score: dot::exact(vector, row, scratch) })
    };
    let mut hits: Vec<Hit> = if candidates.len() < PARALLEL_READS_FROM || !may_fan_out() {
        let mut own = new();
        candidates.iter().map(|candidate| score(&mut own, candidate)).collect::<Result<_>>()?
    } else {
        candidates.par_iter().map_init(new, score).collect::<Result<_>>()?
    };
    hits.sort_unstable_by(|a, b| a.chunk.cmp(&b.chunk).then(a.best_first(b)));
    hits.dedup_by_key(|hit| hit.chunk);
    hits.sort_unstable_by(Hit::best_first);
    hits.truncate(limit);
    Ok(hits)
}
