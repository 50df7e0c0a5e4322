//! Every index against the socket's suite.

use std::sync::Arc;

use docent_retrieval::{Bm25, ExactIndex, KeywordIndex, VectorShape, conformance};

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
