//! Both twins keep the promises of their sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent_store::{DirBlobs, MemoryBlobs, MemoryStore, SqliteOptions, SqliteStore, conformance};

#[test]
fn the_store_in_memory_conforms() {
    conformance::store(|| Arc::new(MemoryStore::new()));
}

#[test]
fn the_store_on_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let opened = AtomicUsize::new(0);
    conformance::store(|| {
        let name = format!("{}.sqlite", opened.fetch_add(1, Ordering::Relaxed));
        Arc::new(SqliteStore::open(dir.path().join(name)).unwrap())
    });
}

#[test]
fn the_store_on_disk_conforms_without_group_commit() {
    let dir = tempfile::tempdir().unwrap();
    let opened = AtomicUsize::new(0);
    conformance::store(|| {
        let name = format!("{}.sqlite", opened.fetch_add(1, Ordering::Relaxed));
        let options = SqliteOptions { group_limit: 1 };
        Arc::new(SqliteStore::open_with(dir.path().join(name), &options).unwrap())
    });
}

#[test]
fn blobs_in_memory_conform() {
    conformance::blobs(|| Arc::new(MemoryBlobs::new()));
}

#[test]
fn blobs_on_disk_conform() {
    let dir = tempfile::tempdir().unwrap();
    let opened = AtomicUsize::new(0);
    conformance::blobs(|| {
        let name = opened.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(DirBlobs::open(dir.path().join(name)).unwrap())
    });
}
