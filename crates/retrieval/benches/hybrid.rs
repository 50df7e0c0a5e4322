//! Hybrid search over 100,000 chunks beside its two halves, in one run.
//!
//! `cargo bench -p docent-retrieval --bench hybrid`. The first run builds the library (minutes).

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use docent_core::{Embedder, Index, InputRole, Query};
use docent_retrieval::{
    Bm25, ExactIndex, KeywordIndex, SearchOptions, VectorIndexKind, VectorShape,
};
use support::{DIMS, Made, library, open, questions};

fn hybrid(criterion: &mut Criterion) {
    for windows in [1, 4] {
        let (path, store) = library(100_000, windows);
        let collections = open(&path, windows, VectorIndexKind::Exact);
        let questions = questions(200);
        let embedder = Made::new(windows);
        let mut group =
            criterion.benchmark_group(format!("100,000 chunks, {windows} windows each"));
        let mut next = questions.iter().cycle();
        group.bench_function("hybrid, k=20", |bencher| {
            bencher.iter(|| {
                let question = next.next().unwrap();
                let found = collections.search(&[store], question, &SearchOptions::default());
                black_box(found.unwrap().hits.len())
            });
        });
        let directory = path.join("indexes").join(store.to_string());
        let tantivy = PlainTantivy::open(&directory.join("keyword"));
        let mut next = questions.iter().cycle();
        group.bench_function("plain Tantivy, top 20", |bencher| {
            bencher.iter(|| black_box(tantivy.search(next.next().unwrap())));
        });
        let fingerprint = embedder.spec().fingerprint.clone();
        let copy = tempfile::tempdir().unwrap();
        copy_files(&directory.join(format!("vector-{fingerprint}")), copy.path());
        let exact = ExactIndex::open(copy.path(), VectorShape { fingerprint, dims: DIMS }).unwrap();
        for limit in [20, 100] {
            let mut next = questions.iter().cycle();
            group.bench_function(format!("plain exact scan, top {limit}"), |bencher| {
                bencher.iter(|| {
                    let made = embedder.embed(&[next.next().unwrap()], InputRole::Query).unwrap();
                    let query = Query { text: "", vector: Some(made[0].first()), allow: None };
                    black_box(exact.search(&query, limit).unwrap())
                });
            });
        }
        let keyword = tempfile::tempdir().unwrap();
        copy_files(&directory.join("keyword"), keyword.path());
        let keyword = KeywordIndex::open(keyword.path(), Bm25::default()).unwrap();
        let mut next = questions.iter().cycle();
        group.bench_function("our BM25, top 100", |bencher| {
            bencher.iter(|| {
                let query = Query { text: next.next().unwrap(), vector: None, allow: None };
                black_box(keyword.search(&query, 100).unwrap())
            });
        });
        group.finish();
    }
}

/// Tantivy's own searcher and block-max pruning over the same index.
struct PlainTantivy {
    searcher: tantivy::Searcher,
    words: tantivy::schema::Field,
}

impl PlainTantivy {
    fn open(path: &std::path::Path) -> Self {
        let index = tantivy::Index::open_in_dir(path).unwrap();
        let words = index.schema().get_field("words").unwrap();
        Self { searcher: index.reader().unwrap().searcher(), words }
    }

    fn search(&self, question: &str) -> usize {
        use tantivy::collector::TopDocs;
        use tantivy::query::BooleanQuery;
        use tantivy::tokenizer::{LowerCaser, SimpleTokenizer, Stemmer, TextAnalyzer};
        let mut analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(LowerCaser)
            .filter(Stemmer::default())
            .build();
        let mut terms = vec![];
        analyzer.token_stream(question).process(&mut |token| {
            terms.push(tantivy::Term::from_field_text(self.words, &token.text));
        });
        let query = BooleanQuery::new_multiterms_query(terms);
        self.searcher.search(&query, &TopDocs::with_limit(20).order_by_score()).unwrap().len()
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

criterion_group!(benches, hybrid);
criterion_main!(benches);
