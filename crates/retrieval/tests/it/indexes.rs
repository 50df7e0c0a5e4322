//! Every index against the socket's suite.

use std::path::Path;
use std::sync::Arc;

use docent_core::{Change, ChangeKind, ChunkId, ChunkRange, Embedding, Hit, Index, Query, Seq};
use docent_retrieval::{
    Bm25, ExactIndex, HnswIndex, HnswOptions, KeywordIndex, VectorShape, conformance,
};

fn shape() -> VectorShape {
    VectorShape { fingerprint: "test-model".parse().unwrap(), dims: conformance::DIMS }
}

#[test]
fn the_keyword_index_conforms() {
    conformance::index(|path| Arc::new(KeywordIndex::open(path, Bm25::default()).unwrap()));
}

#[test]
fn the_exact_index_conforms() {
    conformance::index(|path| Arc::new(ExactIndex::open(path, shape()).unwrap()));
}

#[test]
fn the_graph_index_conforms() {
    let options = HnswOptions::default();
    conformance::index(|path| Arc::new(HnswIndex::open(path, shape(), options).unwrap()));
}

/// Clustered vectors: a block and a tail, so that there is a graph and rows behind.
const ROWS: u64 = 6_000;

fn vector(id: u64) -> Embedding {
    let noise = |seed: u64| {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        }
    };
    let (mut center, mut own) = (noise(id % 50 + 1), noise(id + 1_000));
    let raw: Vec<f32> = (0..conformance::DIMS).map(|_| center() + 0.6 * own()).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    Embedding::new(conformance::DIMS, raw.iter().map(|value| value / length).collect()).unwrap()
}

fn fill(index: &dyn Index) {
    for start in (1..=ROWS).step_by(1_000) {
        let part = (start..(start + 1_000).min(ROWS + 1)).map(|id| (ChunkId(id), vector(id)));
        let kind = ChangeKind::Embedded(part.collect());
        index.apply(&[Change { seq: Seq(start), kind }], Seq(start)).unwrap();
    }
    index.flush().unwrap();
}

fn answers(index: &dyn Index) -> Vec<Vec<Hit>> {
    let ask = |id: u64| {
        let vector = vector(id * 977 + 20_000);
        let query = Query { text: "", vector: Some(vector.first()), allow: None };
        index.search(&query, 10).unwrap()
    };
    (0..50).map(ask).collect()
}

fn recall(found: &[Vec<Hit>], exact: &[Vec<Hit>]) -> f64 {
    let shared = found.iter().zip(exact).map(|(found, exact)| {
        found.iter().filter(|hit| exact.iter().any(|other| other.chunk == hit.chunk)).count()
    });
    shared.sum::<usize>() as f64 / exact.iter().map(Vec::len).sum::<usize>() as f64
}

fn open_graph(path: &Path) -> HnswIndex {
    let options =
        HnswOptions { edges: 12, build_width: 60, search_width: 200, ..HnswOptions::default() };
    HnswIndex::open(path, shape(), options).unwrap()
}

#[test]
fn a_graph_finds_what_a_scan_finds_also_after_deletes_and_damage() {
    let directory = tempfile::tempdir().unwrap();
    let exact = ExactIndex::open(directory.path().join("exact"), shape()).unwrap();
    fill(&exact);
    let path = directory.path().join("graph");
    let graph = open_graph(&path);
    fill(&graph);
    assert_eq!(graph.graph_rows(), 4_096);
    let found = answers(&graph);
    assert!(recall(&found, &answers(&exact)) > 0.95, "{}", recall(&found, &answers(&exact)));

    drop(graph);
    let graph = open_graph(&path);
    assert_eq!(graph.graph_rows(), 4_096, "it was read back");
    assert_eq!(answers(&graph), found, "and answers as before");

    drop(graph);
    let data = path.join("graph.hnsw.graph");
    let bytes = fs_err::read(&data).unwrap();
    fs_err::write(&data, &bytes[..bytes.len() - 9]).unwrap();
    let graph = open_graph(&path);
    assert_eq!(graph.graph_rows(), 0, "a short file is noticed before hnsw_rs sees it");
    graph.flush().unwrap();
    assert_eq!(answers(&graph), found, "the same rows give the same graph");

    let gone = ChunkRange { start: ChunkId(1), end: ChunkId(3_000) };
    let removal = Change { seq: Seq(20_000), kind: ChangeKind::Removed(gone) };
    for index in [&graph as &dyn Index, &exact] {
        index.apply(std::slice::from_ref(&removal), Seq(20_000)).unwrap();
    }
    let found = answers(&graph);
    assert!(found.iter().flatten().all(|hit| !gone.contains(hit.chunk)));
    assert!(recall(&found, &answers(&exact)) > 0.95);
}
