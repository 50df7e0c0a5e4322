//! What an [`Index`] promises, as a suite that every implementation runs in one line.
//!
//! ```
//! use std::sync::Arc;
//! use docent_retrieval::{Bm25, KeywordIndex, conformance};
//!
//! conformance::index(|directory| Arc::new(KeywordIndex::open(directory, Bm25::default()).unwrap()));
//! ```

use std::path::Path;
use std::sync::Arc;

use docent_core::{
    Change, ChangeKind, Chunk, ChunkId, ChunkRange, ChunkSet, Embedding, Hit, Index, IndexedChunk,
    PageStart, Query, Seq,
};

/// How long the suite's vectors are.
pub const DIMS: usize = 24;

/// How many chunks the suite's history has.
const CHUNKS: u64 = 240;

/// Runs the suite on indexes that `open` opens in an empty directory, and again in one that an
/// index was closed in. Vector indexes are opened for vectors of [`DIMS`].
///
/// # Panics
/// When a promise is broken.
pub fn index(open: impl Fn(&Path) -> Arc<dyn Index>) {
    let suite = Suite { open: &open };
    suite.a_new_index_is_empty();
    suite.what_was_applied_is_found();
    suite.twice_is_as_good_as_once();
    suite.what_was_removed_is_not_found();
    suite.the_order_of_arrival_does_not_matter();
    suite.a_filter_is_kept();
    suite.a_flush_survives();
    suite.clearing_forgets();
    suite.a_damaged_file_is_noticed();
}

struct Suite<'a> {
    open: &'a dyn Fn(&Path) -> Arc<dyn Index>,
}

impl Suite<'_> {
    fn with_new(&self, test: impl FnOnce(&Path, Arc<dyn Index>)) {
        let directory = tempfile::tempdir().expect("a test may make a directory");
        let path = directory.path().join("index");
        let index = (self.open)(&path);
        test(&path, index);
    }

    fn a_new_index_is_empty(&self) {
        self.with_new(|_, index| {
            assert_eq!(watermark(&*index), Seq(0));
            assert_eq!(ask(&*index, 7, None, 10), []);
        });
    }

    fn what_was_applied_is_found(&self) {
        self.with_new(|_, index| {
            apply(&*index, &added(1..CHUNKS), 2);
            for id in [1, 17, CHUNKS - 1] {
                assert_eq!(ask(&*index, id, None, 3)[0].chunk, ChunkId(id));
            }
            let hits = ask(&*index, 5, None, 10);
            assert_eq!(hits.len(), 10);
            let sorted = |hits: &[Hit]| {
                hits.is_sorted_by(|a, b| {
                    a.score > b.score || (a.score == b.score && a.chunk < b.chunk)
                })
            };
            assert!(sorted(&hits), "best first, equals by chunk: {hits:?}");
            assert_eq!(ask(&*index, 5, None, 0), []);
            let deaf = Query { text: "", vector: None, allow: None };
            assert_eq!(search(&*index, &deaf, 10), []);
        });
    }

    fn twice_is_as_good_as_once(&self) {
        self.with_new(|_, index| {
            let changes = added(1..100);
            apply(&*index, &changes, 2);
            let once = ask(&*index, 9, None, 50);
            apply(&*index, &changes, 2);
            assert_eq!(ask(&*index, 9, None, 50), once);
            index.flush().expect("flush");
            apply(&*index, &changes, 2);
            index.flush().expect("flush");
            assert_eq!(ask(&*index, 9, None, 50), once);
        });
    }

    fn what_was_removed_is_not_found(&self) {
        self.with_new(|_, index| {
            apply(&*index, &added(1..100), 2);
            apply(&*index, &[removed(3, 10..20)], 3);
            let gone = |hits: &[Hit]| hits.iter().all(|hit| !(10..20).contains(&hit.chunk.0));
            assert!(gone(&ask(&*index, 15, None, 100)), "before it was flushed");
            index.flush().expect("flush");
            assert!(gone(&ask(&*index, 15, None, 100)), "after it was flushed");
            apply(&*index, &[removed(4, 40..50)], 4);
            let hits = ask(&*index, 45, None, 100);
            assert!(hits.iter().all(|hit| !(40..50).contains(&hit.chunk.0)));
        });
    }

    fn the_order_of_arrival_does_not_matter(&self) {
        let mut answers = vec![];
        for order in 0..3 {
            self.with_new(|_, index| {
                let mut parts = vec![1..60, 60..61, 61..130, 130..CHUNKS];
                parts.rotate_left(order);
                if order == 2 {
                    apply(&*index, &added(500..600), 1);
                }
                for (at, part) in parts.into_iter().enumerate() {
                    apply(&*index, &added(part), at as u64 + 2);
                    if at == order {
                        index.flush().expect("flush");
                    }
                }
                apply(&*index, &[removed(8, 500..600), removed(9, 60..61)], 9);
                answers.push([3, 99, 200].map(|id| ask(&*index, id, None, 40)));
            });
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2], "neither does what came and went");
    }

    fn a_filter_is_kept(&self) {
        self.with_new(|_, index| {
            apply(&*index, &added(1..CHUNKS), 2);
            let range = |range: std::ops::Range<u64>| ChunkRange {
                start: ChunkId(range.start),
                end: ChunkId(range.end),
            };
            let allow = ChunkSet::from_ranges([range(30..34), range(100..103), range(900..910)]);
            let hits = ask(&*index, 5, Some(&allow), 100);
            assert!(hits.iter().all(|hit| allow.contains(hit.chunk)), "{hits:?}");
            assert_eq!(hits.len(), 7, "each allowed chunk shares a word with the question");
            assert_eq!(ask(&*index, 5, Some(&ChunkSet::default()), 100), []);
        });
    }

    fn a_flush_survives(&self) {
        self.with_new(|path, index| {
            apply(&*index, &added(1..100), 2);
            apply(&*index, &[removed(3, 5..8)], 3);
            assert_eq!(index.flush().expect("flush"), Seq(3));
            let before = ask(&*index, 50, None, 60);
            // What comes after the flush may be lost, not half kept.
            apply(&*index, &added(100..150), 5);
            drop(index);
            let index = (self.open)(path);
            let kept = watermark(&*index);
            assert!(kept == Seq(3) || kept == Seq(5), "{kept}");
            if kept == Seq(3) {
                assert_eq!(ask(&*index, 50, None, 60), before);
            }
            apply(&*index, &added(100..150), 5);
            assert_eq!(ask(&*index, 120, None, 3)[0].chunk, ChunkId(120));
        });
    }

    fn clearing_forgets(&self) {
        self.with_new(|path, index| {
            apply(&*index, &added(1..50), 2);
            index.flush().expect("flush");
            index.clear().expect("clear");
            assert_eq!(watermark(&*index), Seq(0));
            assert_eq!(ask(&*index, 5, None, 10), []);
            apply(&*index, &added(1..10), 2);
            assert_eq!(ask(&*index, 5, None, 1)[0].chunk, ChunkId(5));
            index.flush().expect("flush");
            drop(index);
            assert_eq!(watermark(&*(self.open)(path)), Seq(2));
        });
    }

    /// Whatever happens to a file, the index opens: whole, or empty and in need of a rebuild.
    fn a_damaged_file_is_noticed(&self) {
        let names = {
            let mut names = vec![];
            self.with_new(|path, index| {
                fill(&*index);
                drop(index);
                names = files(path);
            });
            names.len()
        };
        for damage in [cut as fn(&Path), flip, empty] {
            for at in 0..names {
                self.with_new(|path, index| {
                    fill(&*index);
                    let whole = ask(&*index, 50, None, 60);
                    drop(index);
                    let files = files(path);
                    damage(&files[at.min(files.len() - 1)]);
                    let index = (self.open)(path);
                    match watermark(&*index) {
                        Seq(0) => assert_eq!(ask(&*index, 50, None, 60), []),
                        Seq(3) => {
                            let query = question(50);
                            let query = Query {
                                text: &query.0,
                                vector: Some(query.1.first()),
                                allow: None,
                            };
                            // An index may also notice only when it reads.
                            if let Ok(hits) = index.search(&query, 60) {
                                assert_eq!(hits, whole);
                            }
                        }
                        other => panic!("watermark {other} was never flushed"),
                    }
                });
            }
        }
    }
}

fn fill(index: &dyn Index) {
    apply(index, &added(1..100), 2);
    apply(index, &[removed(3, 5..8)], 3);
    index.flush().expect("flush");
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs_err::read_dir(path).expect("the index has a directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    // Lock files say nothing when nobody holds them.
    files.retain(|file| file.is_file() && !file.to_string_lossy().ends_with(".lock"));
    files.sort();
    files
}

fn cut(file: &Path) {
    let bytes = fs_err::read(file).expect("read");
    fs_err::write(file, &bytes[..bytes.len() / 2]).expect("write");
}

fn flip(file: &Path) {
    let mut bytes = fs_err::read(file).expect("read");
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
    fs_err::write(file, bytes).expect("write");
}

fn empty(file: &Path) {
    fs_err::write(file, b"").expect("write");
}

fn watermark(index: &dyn Index) -> Seq {
    index.watermark().expect("watermark")
}

fn apply(index: &dyn Index, changes: &[Change], upto: u64) {
    index.apply(changes, Seq(upto)).expect("apply");
}

fn search(index: &dyn Index, query: &Query<'_>, limit: usize) -> Vec<Hit> {
    index.search(query, limit).expect("search")
}

/// Asks for chunk `id` in its own words and by its own vector.
fn ask(index: &dyn Index, id: u64, allow: Option<&ChunkSet>, limit: usize) -> Vec<Hit> {
    let (text, vector) = question(id);
    search(index, &Query { text: &text, vector: Some(vector.first()), allow }, limit)
}

fn question(id: u64) -> (String, Embedding) {
    (text(id), vectors(id))
}

/// A word every chunk has, one every seventh has, and one of its own.
fn text(id: u64) -> String {
    format!("common kind{} only{id}", id % 7)
}

/// One or two windows, the first of which is like no other chunk's.
fn vectors(id: u64) -> Embedding {
    let windows = 1 + id % 2;
    let mut values = vec![];
    for window in 0..windows {
        let mut state = id * 2 + window + 1;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let raw: Vec<f32> = (0..DIMS).map(|_| next()).collect();
        let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
        values.extend(raw.iter().map(|value| value / length));
    }
    Embedding::new(DIMS, values).expect("whole vectors of finite numbers")
}

/// Chunks `ids`, with their vectors.
fn added(ids: std::ops::Range<u64>) -> Vec<Change> {
    let chunks = ids.clone().map(|id| IndexedChunk {
        id: ChunkId(id),
        file: "file-0123456789abcdefghijAB".parse().expect("an id"),
        chunk: Chunk {
            ordinal: 0,
            text: text(id),
            tokens: 3,
            start: 0,
            pages: vec![PageStart { at: 0, page: 1 }],
            headings: vec![],
        },
    });
    let embedded = ids.map(|id| (ChunkId(id), vectors(id)));
    vec![
        Change { seq: Seq(1), kind: ChangeKind::Added(chunks.collect()) },
        Change { seq: Seq(2), kind: ChangeKind::Embedded(embedded.collect()) },
    ]
}

fn removed(seq: u64, ids: std::ops::Range<u64>) -> Change {
    let range = ChunkRange { start: ChunkId(ids.start), end: ChunkId(ids.end) };
    Change { seq: Seq(seq), kind: ChangeKind::Removed(range) }
}
