//! Keeps what must not be lost.
//!
//! A *library* is a directory with everything in it: [`LibraryDir`] opens one, proves that no one
//! else has it open, and gives its store and its blobs. Both also exist alone and in memory:
//!
//! | socket | on disk | in memory |
//! |---|---|---|
//! | [`Store`](docent_core::Store) | [`SqliteStore`] | [`MemoryStore`] |
//! | [`Blobs`](docent_core::Blobs) | [`DirBlobs`] | [`MemoryBlobs`] |
//!
//! Every pair passes [`conformance`], and so should an adapter of yours.
//!
//! The order of durability is always: bytes to disk and synced, then the transaction that mentions
//! them, then (elsewhere) the indexes.
//!
//! ```
//! use docent_core::{Encoding, Store, TableSpec};
//! use docent_store::{LibraryDir, Mode};
//!
//! const NOTES: TableSpec = TableSpec { name: "notes", encoding: Encoding::Json };
//! # let parent = tempfile::tempdir()?;
//! # let path = parent.path().join("library");
//!
//! let library = LibraryDir::open(path, Mode::OpenOrCreate)?;
//! let mut transaction = library.store().write()?;
//! transaction.put(NOTES, "first", br#"{"text": "kept"}"#)?;
//! transaction.commit()?; // on the disk
//!
//! let snapshot = library.store().read()?;
//! assert!(snapshot.get(NOTES, "first")?.is_some());
//! # Ok::<(), docent_core::Error>(())
//! ```

#![warn(missing_docs)]

mod library;

mod memory;
mod sqlite;

mod draft;
mod range;
mod turns;

mod blobs;

pub mod conformance;

pub use blobs::{DirBlobs, MemoryBlobs};
pub use library::{
    DEFAULT_PROJECT, FORMAT, KeyEntry, KeyFile, LibraryDir, Mode, NewKey, check_project,
    project_dir,
};
pub use memory::MemoryStore;
pub use sqlite::{CheckDepth, SqliteOptions, SqliteStore};

/// Where a crash test may cut the power, see [`docent_core::crash_point`].
pub const CRASH_POINTS: &[&str] = &[
    "store.before-commit",
    "store.after-commit",
    "blobs.before-rename",
    "blobs.after-rename",
    "library.before-version",
];
