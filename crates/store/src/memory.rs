//! The store in memory: the same promises but durability, for tests and for short lives.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use docent_core::{Direction, Read, Result, Row, Scan, Store, TableSpec, Write};

use crate::draft::{Draft, check_name, merge};
use crate::range::KeyRange;
use crate::turns::{Turn, Turns, lock};

/// Keeps every table in a B-tree of this process.
///
/// A snapshot shares the tables; the first commit to a table while a snapshot lives copies that
/// table's keys, further ones do not.
#[derive(Default)]
pub struct MemoryStore {
    turns: Turns,
    committed: Mutex<Arc<Tables>>,
}

type Tables = BTreeMap<&'static str, Arc<Rows>>;
type Rows = BTreeMap<String, Arc<[u8]>>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { tables: Arc::clone(&lock(&self.committed)) }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.snapshot()))
    }

    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let turn = self.turns.take()?;
        let base = self.snapshot();
        Ok(Box::new(Transaction { store: self, base, draft: Draft::default(), _turn: turn }))
    }
}

struct Snapshot {
    tables: Arc<Tables>,
}

impl Read for Snapshot {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        check_name(table)?;
        Ok(self.tables.get(table.name).and_then(|rows| rows.get(key)).map(|value| value.to_vec()))
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        check_name(table)?;
        let Some(range) = KeyRange::of(&scan) else { return Ok(Vec::new()) };
        let Some(rows) = self.tables.get(table.name) else { return Ok(Vec::new()) };
        let rows = rows.range::<str, _>(range.bounds());
        let owned = |(key, value): (&String, &Arc<[u8]>)| (key.clone(), value.to_vec());
        Ok(match scan.direction {
            Direction::Forward => rows.take(scan.limit).map(owned).collect(),
            Direction::Backward => rows.rev().take(scan.limit).map(owned).collect(),
        })
    }
}

struct Transaction<'a> {
    store: &'a MemoryStore,
    base: Snapshot,
    draft: Draft,
    _turn: Turn<'a>,
}

impl Read for Transaction<'_> {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        match self.draft.get(table, key) {
            Some(edit) => Ok(edit.map(<[u8]>::to_vec)),
            None => self.base.get(table, key),
        }
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        check_name(table)?;
        let Some(range) = KeyRange::of(&scan) else { return Ok(Vec::new()) };
        let edits = self.draft.range(table, &range).collect();
        merge(&edits, &scan, |limit| self.base.scan(table, Scan { limit, ..scan }))
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
        let Self { store, base, draft, _turn } = *self;
        drop(base); // or the tables would be shared with ourselves, and copied
        let mut committed = lock(&store.committed);
        let tables = Arc::make_mut(&mut committed);
        for (name, edits) in draft.into_tables() {
            let rows = Arc::make_mut(tables.entry(name).or_default());
            for (key, value) in edits.rows {
                match value {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
        }
        Ok(())
    }
}
