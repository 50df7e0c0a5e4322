//! What a transaction has written and not yet committed, in memory.
//!
//! Both twins keep an open transaction this way. Rolling back is forgetting; a statement that
//! fails half-way cannot happen; and SQLite's only writer is busy while a group is made durable,
//! not while someone thinks between two `put`s.

use std::collections::BTreeMap;
use std::sync::Arc;

use docent_core::{Direction, Encoding, Error, Result, Row, Scan, TableSpec};

use crate::range::KeyRange;

/// A row's new value, or `None` where it is deleted.
pub(crate) type Edit<'a> = Option<&'a [u8]>;

/// The edits of one transaction.
#[derive(Default)]
pub(crate) struct Draft {
    tables: BTreeMap<&'static str, TableDraft>,
}

/// The edits to one table.
pub(crate) struct TableDraft {
    /// How the table's values are written.
    pub(crate) encoding: Encoding,
    /// The new values; `None` deletes.
    pub(crate) rows: BTreeMap<String, Option<Arc<[u8]>>>,
}

impl Draft {
    /// SQLite's own limit, which no disk makes larger.
    const MAX_VALUE_BYTES: usize = 1_000_000_000;

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(crate) fn put(&mut self, table: TableSpec, key: &str, value: &[u8]) -> Result<()> {
        if value.len() + key.len() > Self::MAX_VALUE_BYTES {
            return Err(Error::invalid(format!(
                "a row of {} has {} bytes; the most is {}",
                table.name,
                value.len() + key.len(),
                Self::MAX_VALUE_BYTES
            )));
        }
        if table.encoding == Encoding::Json && std::str::from_utf8(value).is_err() {
            return Err(Error::invalid(format!("a row of {} is not UTF-8", table.name)));
        }
        self.edit(table, key, Some(value.into()))
    }

    pub(crate) fn delete(&mut self, table: TableSpec, key: &str) -> Result<()> {
        self.edit(table, key, None)
    }

    fn edit(&mut self, table: TableSpec, key: &str, value: Option<Arc<[u8]>>) -> Result<()> {
        check_name(table)?;
        let fresh = || TableDraft { encoding: table.encoding, rows: BTreeMap::new() };
        let draft = self.tables.entry(table.name).or_insert_with(fresh);
        draft.rows.insert(key.to_owned(), value);
        Ok(())
    }

    /// What this draft says of a row, if anything.
    pub(crate) fn get(&self, table: TableSpec, key: &str) -> Option<Edit<'_>> {
        let value = self.tables.get(table.name)?.rows.get(key)?;
        Some(value.as_deref())
    }

    /// What this draft says of the rows in `range`, in key order.
    pub(crate) fn range<'a>(
        &'a self,
        table: TableSpec,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a str, Edit<'a>)> + use<'a> {
        let rows = self.tables.get(table.name).map(|draft| &draft.rows);
        let rows = rows.map(|rows| rows.range::<str, _>(range.bounds()));
        rows.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// Every table with its edits.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&'static str, &TableDraft)> {
        self.tables.iter().map(|(name, draft)| (*name, draft))
    }

    /// Every table with its edits, given away.
    pub(crate) fn into_tables(self) -> impl Iterator<Item = (&'static str, TableDraft)> {
        self.tables.into_iter()
    }
}

/// Refuses a table name that could not stand in every store's language.
pub(crate) fn check_name(table: TableSpec) -> Result<()> {
    let mut letters = table.name.bytes();
    let begins = letters.next().is_some_and(|letter| letter.is_ascii_lowercase());
    let goes_on = letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if begins && goes_on && !table.name.starts_with("sqlite_") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "'{}' is no table name; expected lower-case letters, digits and '_', beginning with a letter, and not 'sqlite_'",
        table.name
    )))
}

/// A scan with `edits` laid over the rows that `base` gives when asked for at most so many.
pub(crate) fn merge(
    edits: &BTreeMap<&str, Edit<'_>>,
    scan: &Scan<'_>,
    base: impl FnOnce(usize) -> Result<Vec<Row>>,
) -> Result<Vec<Row>> {
    // Each edit hides at most one row of the base.
    let mut base = base(scan.limit.saturating_add(edits.len()))?;
    base.retain(|(key, _)| !edits.contains_key(key.as_str()));
    let fresh = edits.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.into())));
    base.extend(fresh);
    match scan.direction {
        // The sort is stable and made for runs: it merges the two in linear time.
        Direction::Forward => base.sort_by(|a, b| a.0.cmp(&b.0)),
        Direction::Backward => base.sort_by(|a, b| b.0.cmp(&a.0)),
    }
    base.truncate(scan.limit);
    Ok(base)
}
