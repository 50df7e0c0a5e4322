//! The promises of the [`Store`] and [`Blobs`](docent_core::Blobs) sockets, as checks that every
//! implementation runs, ours and yours.
//!
//! Each check gets an empty store of its own and panics at the first promise that is not kept, so
//! a test is one line:
//!
//! ```
//! use std::sync::Arc;
//! use docent_store::{MemoryBlobs, MemoryStore, conformance};
//!
//! conformance::store(|| Arc::new(MemoryStore::new()));
//! conformance::blobs(|| Arc::new(MemoryBlobs::new()));
//! ```
//!
//! What is durable after a crash only a process that dies can show; see `tests/crash.rs`.

mod blobs;
mod rows;
mod transactions;

use std::sync::Arc;

use docent_core::{Encoding, Read, Result, Row, Scan, Store, TableSpec};

pub use blobs::blobs;

/// A table of JSON.
const NOTES: TableSpec = TableSpec { name: "notes", encoding: Encoding::Json };

/// A table of bytes.
const VECTORS: TableSpec = TableSpec { name: "vectors_2", encoding: Encoding::Bytes };

type Check = fn(Arc<dyn Store>) -> Result<()>;

/// Checks every promise of [`Store`], [`Read`] and [`Write`](docent_core::Write); `open` gives an
/// empty store each time.
///
/// # Panics
/// At the first promise that is not kept, naming it.
pub fn store(open: impl Fn() -> Arc<dyn Store>) {
    for (promise, check) in rows::CHECKS.iter().chain(transactions::CHECKS) {
        check(open()).unwrap_or_else(|error| panic!("{promise}: {error:?}"));
    }
}

fn put(store: &dyn Store, rows: &[(TableSpec, &str, &[u8])]) -> Result<()> {
    let mut transaction = store.write()?;
    for (table, key, value) in rows {
        transaction.put(*table, key, value)?;
    }
    transaction.commit()
}

fn get(store: &dyn Store, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
    store.read()?.get(table, key)
}

fn all(read: &(impl Read + ?Sized), table: TableSpec) -> Result<Vec<Row>> {
    read.scan(table, Scan::default())
}
