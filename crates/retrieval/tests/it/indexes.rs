//! Every index against the socket's suite.

use std::path::Path;
use std::sync::Arc;

use docent_core::{
    Change, ChangeKind, Chunk, ChunkId, ChunkRange, Embedding, Hit, Index, IndexedChunk, PageStart,
    Query, Seq,
};
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

/// Of a commit that a kill cut short, the new list of deletes is there and no commit mentions it;
/// the next commit writes a file of that very name.
#[test]
fn a_commit_cut_short_does_not_stop_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, whole) = (dir.path().join("killed"), dir.path().join("whole"));
    let open = |path: &Path| KeywordIndex::open(path, Bm25::default()).unwrap();
    let removal = ChangeKind::Removed(ChunkRange { start: ChunkId(1), end: ChunkId(3) });
    let removal = Change { seq: Seq(2), kind: removal };
    let index = open(&whole);
    let chunks = (1..9).map(chunk).collect();
    index.apply(&[Change { seq: Seq(1), kind: ChangeKind::Added(chunks) }], Seq(1)).unwrap();
    index.flush().unwrap();
    drop(index);
    copy(&whole, &killed, |_| true);

    let index = open(&whole);
    index.apply(std::slice::from_ref(&removal), Seq(2)).unwrap();
    index.flush().unwrap();
    copy(&whole, &killed, |name| name.ends_with(".del") || name == ".managed.json");
    drop(index);

    let index = open(&killed);
    assert_eq!(index.watermark().unwrap(), Seq(1));
    index.apply(&[removal], Seq(2)).unwrap();
    assert_eq!(index.flush().unwrap(), Seq(2));
    assert_eq!(index.len(), 6);
}

fn chunk(id: u64) -> IndexedChunk {
    let file = "file-0123456789abcdefghijAB".parse().unwrap();
    let pages = vec![PageStart { at: 0, page: 1 }];
    let text = format!("chunk {id}");
    let chunk = Chunk { ordinal: 0, text, tokens: 2, start: 0, pages, headings: vec![] };
    IndexedChunk { id: ChunkId(id), file, chunk }
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    fs_err::create_dir_all(to).unwrap();
    let names = fs_err::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name());
    for name in names.filter(|name| wanted(name.to_str().unwrap())) {
        fs_err::copy(from.join(&name), to.join(&name)).unwrap();
    }
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
