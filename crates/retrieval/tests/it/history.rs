//! A random life of a library ends in the same answers as indexes built from its chunks alone.

use crate::support::{Embeds, Library};
use docent_core::{FileId, Metadata, VectorStoreId};
use docent_retrieval::{Collections, Repair, SearchOptions, VectorIndexKind};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

#[derive(Clone, Debug)]
enum Step {
    Add(u32),
    Remove(usize),
    Process,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => any::<u32>().prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        3 => Just(Step::Process),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..24)
}

fn text(seed: u32) -> String {
    let words = 40 + seed % 900;
    (0..words).map(|at| format!("w{} ", at.wrapping_mul(seed | 1) % 97)).collect()
}

fn answers(collections: &Collections, store: VectorStoreId) -> Vec<(u64, f32)> {
    let queries = ["w1 w5 w44", "w96", "w3 w3 w3 w10 nothing"];
    let found = queries.map(|query| {
        let options = SearchOptions { limit: 10, ..SearchOptions::default() };
        let hits = collections.search(&[store], query, &options).unwrap().hits;
        hits.into_iter().map(|hit| (hit.chunk.id.0, hit.score)).collect::<Vec<_>>()
    });
    found.concat()
}

fn live(kind: VectorIndexKind, steps: Vec<Step>) {
    let mut library = Library::new(Embeds::English);
    library.options.vector_index = kind;
    let mut collections = library.open();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let mut files: Vec<FileId> = vec![];
    for step in steps {
        match step {
            Step::Add(seed) => {
                files.push(library.add(&collections, store, "f.txt", &text(seed)));
            }
            Step::Remove(at) if !files.is_empty() => {
                let file = files.swap_remove(at % files.len());
                assert!(collections.delete_file(file).unwrap());
            }
            Step::Remove(_) => {}
            Step::Process => library.process(&collections),
            Step::Reopen => {
                drop(collections);
                collections = library.open();
            }
        }
    }
    library.process(&collections);
    let lived = answers(&collections, store);
    let findings = collections.check(Repair::No).unwrap();
    let unused = findings.iter().all(|finding| finding.subject == "embeddings");
    assert!(unused, "{findings:?}");
    drop(collections);
    fs_err::remove_dir_all(library.indexes()).unwrap();
    assert_eq!(answers(&library.open(), store), lived);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_history_and_a_rebuild_answer_alike(steps in steps()) {
        live(VectorIndexKind::Exact, steps);
    }
}
