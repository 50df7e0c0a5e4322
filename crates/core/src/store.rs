//! The store socket: seven methods over ordered maps from text keys to bytes.
//!
//! The map is small on purpose: a database server can stand behind it with a page of code. Typed
//! access is [`Table`](crate::Table), on top.

use std::fmt;

use crate::Result;

/// How a table's values are written, so that a person with a database shell can read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8 JSON, kept as text.
    Json,
    /// Bytes, for vectors.
    Bytes,
}

/// Names a table. Tables come into being with their first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableSpec {
    /// Lower-case ASCII letters, digits and `_`, beginning with a letter.
    pub name: &'static str,
    /// How values are written.
    pub encoding: Encoding,
}

/// From which end a scan begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    #[default]
    Forward,
    /// Greatest key first.
    Backward,
}

/// Which rows a scan visits.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys beyond this one, in the scan's direction.
    pub after: Option<&'a str>,
    /// At most this many rows.
    pub limit: usize,
    /// From which end.
    pub direction: Direction,
}

impl Default for Scan<'_> {
    fn default() -> Self {
        Self { prefix: "", after: None, limit: usize::MAX, direction: Direction::Forward }
    }
}

/// A key and its value.
pub type Row = (String, Vec<u8>);

/// Keeps what must not be lost.
///
/// Every implementation passes `docent_store::conformance`: a commit that returned is durable, a
/// transaction is all or nothing, readers see one consistent snapshot and never wait for writers,
/// writers come one after another.
pub trait Store: Send + Sync + fmt::Debug {
    /// A snapshot of everything committed so far.
    fn read(&self) -> Result<Box<dyn Read + '_>>;

    /// Begins a transaction; waits until no other is open. Dropping it rolls it back.
    ///
    /// A thread that has one open is refused another ([`Internal`](crate::ErrorKind::Internal)):
    /// it would wait for itself.
    ///
    /// Do nothing slow while one is open: no model, no tool, no extraction.
    fn write(&self) -> Result<Box<dyn Write + '_>>;
}

/// A consistent snapshot.
pub trait Read {
    /// The value at `key`, if any.
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>>;

    /// Rows in key order (bytewise).
    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>>;
}

/// A serializable transaction, which reads its own writes.
pub trait Write: Read {
    /// Sets the value at `key`.
    fn put(&mut self, table: TableSpec, key: &str, value: &[u8]) -> Result<()>;

    /// Removes `key`; says whether it was there.
    fn delete(&mut self, table: TableSpec, key: &str) -> Result<bool>;

    /// Makes every write durable at once. After an error nothing was written.
    fn commit(self: Box<Self>) -> Result<()>;
}
