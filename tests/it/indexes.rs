//! Indexes are caches: deleted while stopped, they come back the same.

use docent::{Library, Repair, SearchOptions};

use crate::support::{Home, add_all, handbook};

const QUERIES: &[&str] =
    &["How long is a chunk?", "backup of the library", "引用", "退出码", "BM25 and cosine"];

/// File, chunk and exact score of every hit.
fn answers(library: &Library) -> Vec<(String, u64, u32)> {
    let options = SearchOptions::default();
    let results = QUERIES.iter().map(|query| library.search(query, &options).unwrap());
    let hits = results.flat_map(|result| result.hits);
    hits.map(|hit| (hit.filename, hit.chunk.id.0, hit.score.to_bits())).collect()
}

#[test]
fn deleting_the_indexes_while_stopped_changes_no_answer() {
    let home = Home::new();
    let library = home.open();
    add_all(&library, &[handbook("en"), handbook("zh")]);
    let before = answers(&library);
    assert!(before.len() > QUERIES.len());
    drop(library);

    fs_err::remove_dir_all(home.library().join("indexes")).unwrap();
    let library = home.open();
    assert_eq!(answers(&library), before);
    assert_eq!(library.check(Repair::No).unwrap(), []);
}
