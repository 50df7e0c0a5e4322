//! The exact cascade beside HNSW: recall@10 and latency over the number of vectors.
//!
//! `cargo bench -p docent-retrieval --bench sizes -- 10000 100000 [--graph]`

#![expect(clippy::print_stdout, reason = "a measurement prints its table")]

mod support;

use std::collections::HashSet;
use std::time::Instant;

use docent_core::{
    Change, ChangeKind, ChunkId, ChunkRange, ChunkSet, Embedding, Index, Query, Seq,
};
use docent_retrieval::{ExactIndex, HnswIndex, HnswOptions, VectorShape};
use support::{DIMS, clustered, percentile, resident_mb};

const QUERIES: u64 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let graph = arguments.iter().any(|argument| argument == "--graph");
    let mut sizes: Vec<u64> = arguments.iter().filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10_000];
    }
    println!(
        "| rows | index | recall@10 | recall@100 | ms, 10 hits: least, p50 | ms, 100 hits: least, p50 | build s | RSS MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for size in sizes {
        measure(size, graph);
    }
}

fn shape() -> VectorShape {
    VectorShape { fingerprint: "made-up".parse().unwrap(), dims: DIMS }
}

fn queries() -> Vec<Vec<f32>> {
    (0..QUERIES).map(|at| clustered(at * 7_919 + (1 << 40))).collect()
}

fn measure(size: u64, graph: bool) {
    let directory = tempfile::tempdir().unwrap();
    let truth = truth(size);
    let exact = ExactIndex::open(directory.path().join("exact"), shape()).unwrap();
    let started = Instant::now();
    fill(&exact, size);
    report(size, "exact cascade", &exact, &truth, started.elapsed().as_secs_f64());
    filtered(size, &exact);
    drop(exact);
    if !graph {
        return;
    }
    let path = directory.path().join("graph");
    let index = HnswIndex::open(&path, shape(), HnswOptions::default()).unwrap();
    let started = Instant::now();
    fill(&index, size);
    let built = started.elapsed().as_secs_f64();
    let rows = index.graph_rows();
    drop(index);
    for search_width in [80, 160, 320, 640] {
        let options = HnswOptions { search_width, ..HnswOptions::default() };
        let started = Instant::now();
        let index = HnswIndex::open(&path, shape(), options).unwrap();
        let opened = started.elapsed().as_secs_f64();
        let name =
            format!("hnsw, width {search_width}, {rows} rows in the graph, open {opened:.2} s");
        report(size, &name, &index, &truth, built);
    }
}

fn fill(index: &dyn Index, size: u64) {
    for start in (1..=size).step_by(4_096) {
        let part = start..(start + 4_096).min(size + 1);
        let vectors = part.map(|id| (ChunkId(id), Embedding::new(DIMS, clustered(id)).unwrap()));
        let change = Change { seq: Seq(start), kind: ChangeKind::Embedded(vectors.collect()) };
        index.apply(&[change], Seq(start)).unwrap();
    }
    index.flush().unwrap();
}

/// The best 100 of each query in f32.
fn truth(size: u64) -> Vec<Vec<u64>> {
    let queries = queries();
    let mut scores: Vec<Vec<(f32, u64)>> = vec![vec![]; queries.len()];
    for id in 1..=size {
        let row = clustered(id);
        for (query, scores) in queries.iter().zip(&mut scores) {
            let score: f32 = query.iter().zip(&row).map(|(a, b)| a * b).sum();
            scores.push((score, id));
            if scores.len() > 5_000 {
                keep(scores);
            }
        }
    }
    scores.iter_mut().for_each(keep);
    scores.into_iter().map(|best| best.into_iter().map(|(_, id)| id).collect()).collect()
}

fn keep(scores: &mut Vec<(f32, u64)>) {
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scores.truncate(100);
}

fn report(size: u64, name: &str, index: &dyn Index, truth: &[Vec<u64>], built: f64) {
    let mut recalls = [0.0; 2];
    let mut medians = [(0.0, 0.0); 2];
    for (at, limit) in [10, 100].into_iter().enumerate() {
        let mut times = vec![];
        let mut shared = 0;
        for (query, best) in queries().iter().zip(truth) {
            let query = Query { text: "", vector: Some(query), allow: None };
            let started = Instant::now();
            let hits = index.search(&query, limit).unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            let best: HashSet<u64> = best.iter().take(limit).copied().collect();
            shared += hits.iter().filter(|hit| best.contains(&hit.chunk.0)).count();
        }
        recalls[at] = shared as f64 / (truth.len() * limit) as f64;
        medians[at] = (percentile(&mut times, 0.0), percentile(&mut times, 0.5));
    }
    println!(
        "| {size} | {name} | {:.3} | {:.3} | {:.2}, {:.2} | {:.2}, {:.2} | {built:.1} | {:.0} |",
        recalls[0],
        recalls[1],
        medians[0].0,
        medians[0].1,
        medians[1].0,
        medians[1].1,
        resident_mb()
    );
}

fn filtered(size: u64, index: &ExactIndex) {
    for part in [1_000, 100, 10] {
        let ranges = (0..10).map(|at| {
            let start = ChunkId(1 + at * size / 10);
            ChunkRange { start, end: ChunkId(start.0 + size / part / 10) }
        });
        let allow = ChunkSet::from_ranges(ranges);
        let mut times = vec![];
        for query in queries() {
            let query = Query { text: "", vector: Some(&query), allow: Some(&allow) };
            let started = Instant::now();
            index.search(&query, 10).unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let (least, median) = (percentile(&mut times, 0.0), percentile(&mut times, 0.5));
        println!(
            "| {size} | exact, 1/{part} of the chunks allowed | | | {least:.3}, {median:.3} | | | |"
        );
    }
}
