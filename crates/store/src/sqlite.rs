//! The store on disk: one SQLite file in WAL mode.
//!
//! **Readers** have a connection each, from a pool, with a read transaction begun at once; they
//! see one snapshot and neither wait for writers nor make them wait.
//!
//! **Writers** come one after another, and write into memory ([`crate::draft`]). A commit stands
//! in line; whoever finds the only writing connection free writes all that has gathered in one SQLite
//! transaction, so that one `fsync` acknowledges many ([`committer`]). Meanwhile the next writer
//! already works, on a snapshot with the drafts that are still in line laid over it.
//!
//! An ordinary table, not `WITHOUT ROWID`: rows of 1.5 to 4 kB, as chunks and vectors are, leave
//! overflow pages half empty there (94 against 44 MB, 187 against 83 MB for 20,000 rows, pages of 4
//! and 8 kB) and are slower to write.

mod committer;
mod connection;
mod rows;

use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use docent_core::{Read, Result, Row, Scan, Store, TableSpec, Write};
use rusqlite::Connection;

use crate::draft::{Draft, check_name, merge};
use crate::library::DirLock;
use crate::range::KeyRange;
use crate::turns::{Turn, Turns, lock};

use committer::{Committer, Standing};
use connection::failure;

/// How a [`SqliteStore`] behaves.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// At most this many transactions are made durable by one `fsync`. 1 turns group commit off.
    pub group_limit: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { group_limit: 256 }
    }
}

/// How thoroughly [`SqliteStore::check`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckDepth {
    /// Every page is read and its structure checked.
    Quick,
    /// Also that every index agrees with its table; some times slower.
    Full,
}

/// Keeps every table in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    turns: Turns,
    committer: Committer,
    idle_readers: Mutex<Vec<Connection>>,
    // Last, so that the directory is free only when every connection is closed.
    _lock: Option<Arc<DirLock>>,
}

impl SqliteStore {
    /// More idle connections than this are closed.
    const MAX_IDLE_READERS: usize = 16;

    /// Opens the file at `path`; creates it where there is none.
    ///
    /// Only one `SqliteStore` may have a file open: [`LibraryDir`](crate::LibraryDir) sees to it.
    ///
    /// # Errors
    /// `Corrupt` for a file that is no database or a damaged one, `Unavailable` where it cannot be
    /// read and written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &SqliteOptions::default())
    }

    /// As [`open`](Self::open), with other than the usual options.
    pub fn open_with(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self> {
        Self::open_locked(path.as_ref(), options, None)
    }

    pub(crate) fn open_locked(
        path: &Path,
        options: &SqliteOptions,
        lock: Option<Arc<DirLock>>,
    ) -> Result<Self> {
        // An absolute path stays right when the process changes its directory, and is never taken
        // for one of SQLite's "file:" addresses.
        let path = std::path::absolute(path)?;
        let writer = connection::open_writer(&path).map_err(|error| failure(&path, error))?;
        Ok(Self {
            committer: Committer::new(path.clone(), writer, options.group_limit.max(1)),
            turns: Turns::default(),
            idle_readers: Mutex::default(),
            path,
            _lock: lock,
        })
    }

    /// Reads the whole file and says what is damaged; nothing if all is well.
    pub fn check(&self, depth: CheckDepth) -> Result<Vec<String>> {
        let reader = connection::open_reader(&self.path).map_err(|e| failure(&self.path, e))?;
        connection::check(&reader, depth).map_err(|error| failure(&self.path, error))
    }

    fn snapshot(&self) -> Result<Snapshot<'_>> {
        let idle = lock(&self.idle_readers).pop();
        let begun = idle.map_or_else(|| connection::open_reader(&self.path), Ok).and_then(|c| {
            connection::begin_snapshot(&c)?;
            Ok(c)
        });
        let connection = begun.map_err(|error| failure(&self.path, error))?;
        Ok(Snapshot { store: self, connection: Some(connection) })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.snapshot()?))
    }

    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let turn = self.turns.take()?;
        Ok(Box::new(Transaction {
            store: self,
            standing: self.committer.standing(),
            draft: Draft::default(),
            base: OnceCell::new(),
            turn,
        }))
    }
}

/// A read transaction; its connection goes back to the pool.
struct Snapshot<'a> {
    store: &'a SqliteStore,
    connection: Option<Connection>,
}

impl Snapshot<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("taken only when dropped")
    }
}

impl Read for Snapshot<'_> {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        check_name(table)?;
        rows::get(self.connection(), table, key).map_err(|error| failure(&self.store.path, error))
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        check_name(table)?;
        let Some(range) = KeyRange::of(&scan) else { return Ok(Vec::new()) };
        rows::scan(self.connection(), table, &range, scan.direction, scan.limit)
            .map_err(|error| failure(&self.store.path, error))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A connection that cannot even end its transaction is closed instead of pooled.
        if connection::end_snapshot(&connection).is_ok() {
            let mut idle = lock(&self.store.idle_readers);
            if idle.len() < SqliteStore::MAX_IDLE_READERS {
                idle.push(connection);
            }
        }
    }
}

/// A write transaction: its draft over the drafts in line over a snapshot.
struct Transaction<'a> {
    store: &'a SqliteStore,
    standing: Standing,
    draft: Draft,
    /// Taken with the first read: many transactions only write. Nobody else commits while we have
    /// the turn but those we stand on, and their drafts lie over the snapshot in any case.
    base: OnceCell<Snapshot<'a>>,
    turn: Turn<'a>,
}

impl<'a> Transaction<'a> {
    fn base(&self) -> Result<&Snapshot<'a>> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let snapshot = self.store.snapshot()?;
        Ok(self.base.get_or_init(|| snapshot))
    }

    /// Every draft this transaction sees, oldest first.
    fn drafts(&self) -> impl DoubleEndedIterator<Item = &Draft> {
        self.standing.drafts().chain([&self.draft])
    }
}

impl Read for Transaction<'_> {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        match self.drafts().rev().find_map(|draft| draft.get(table, key)) {
            Some(edit) => Ok(edit.map(<[u8]>::to_vec)),
            None => self.base()?.get(table, key),
        }
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        check_name(table)?;
        let Some(range) = KeyRange::of(&scan) else { return Ok(Vec::new()) };
        let edits = self.drafts().flat_map(|draft| draft.range(table, &range)).collect();
        merge(&edits, &scan, |limit| self.base()?.scan(table, Scan { limit, ..scan }))
    }
}

impl Write for Transaction<'_> {
    fn put(&mut self, table: TableSpec, key: &str, value: &[u8]) -> Result<()> {
        self.draft.put(table, key, value)
    }

    fn delete(&mut self, table: TableSpec, key: &str) -> Result<bool> {
        let was_there = self.get(table, key)?.is_some();
        self.draft.delete(table, key)?;
        Ok(was_there)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        let Self { store, standing, draft, base, turn } = *self;
        drop(base);
        let Some(sealed) = store.committer.line_up(draft, standing)? else { return Ok(()) };
        drop(turn);
        store.committer.settle(&sealed)
    }
}

#[cfg(test)]
mod tests;
