//! The SQL of a table: `key TEXT`, `value TEXT` for JSON or `BLOB` for bytes.
//!
//! A table that is not there yet is empty. Statements find out by failing, which costs nothing
//! once it is there, and is right at every snapshot and after every rollback.

use std::ops::Bound;

use docent_core::{Direction, Encoding, Row, TableSpec};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, ToSql, params_from_iter};

use crate::draft::TableDraft;
use crate::range::KeyRange;

/// The value at `key`.
pub(super) fn get(c: &Connection, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
    let sql = format!("SELECT value FROM \"{}\" WHERE key = ?1", table.name);
    let value = c.prepare_cached(&sql).and_then(|mut statement| {
        statement.query_row([key], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).optional()
    });
    empty_if_missing(c, table.name, value)
}

/// At most `limit` rows in `range`.
pub(super) fn scan(
    c: &Connection,
    table: TableSpec,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>> {
    let sql = range_query(table.name, range, direction);
    let (start, end) = range.bounds();
    let bounds = [start, end].into_iter().filter_map(|bound| match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    });
    let rows = c.prepare_cached(&sql).and_then(|mut statement| {
        let rows = statement.query_map(params_from_iter(bounds), |row| {
            Ok((row.get(0)?, row.get_ref(1)?.as_bytes()?.to_vec()))
        })?;
        // Rows are stepped to one by one, so a limit in the SQL would save nothing.
        rows.take(limit).collect()
    });
    empty_if_missing(c, table.name, rows)
}

/// One search in the key's index, no sort.
fn range_query(table: &str, range: &KeyRange, direction: Direction) -> String {
    let from = if matches!(range.start, Bound::Excluded(_)) { ">" } else { ">=" };
    let to = if matches!(range.end, Bound::Excluded(_)) { " AND key < ?2" } else { "" };
    let order = if direction == Direction::Forward { "ASC" } else { "DESC" };
    format!("SELECT key, value FROM \"{table}\" WHERE key {from} ?1{to} ORDER BY key {order}")
}

/// Writes `edits` into `table`, which comes into being with them.
pub(super) fn write(c: &Connection, table: &str, edits: &TableDraft) -> Result<()> {
    match write_rows(c, table, edits) {
        Err(_) if is_missing(c, table) => {
            create(c, table, edits.encoding)?;
            write_rows(c, table, edits)
        }
        result => result,
    }
}

fn write_rows(c: &Connection, table: &str, edits: &TableDraft) -> Result<()> {
    let put = format!(
        "INSERT INTO \"{table}\" (key, value) VALUES (?1, ?2) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    );
    let delete = format!("DELETE FROM \"{table}\" WHERE key = ?1");
    let (mut put, mut delete) = (c.prepare_cached(&put)?, c.prepare_cached(&delete)?);
    for (key, value) in &edits.rows {
        match value {
            Some(bytes) => put.execute((key, Value { encoding: edits.encoding, bytes }))?,
            None => delete.execute([key])?,
        };
    }
    Ok(())
}

fn create(c: &Connection, table: &str, encoding: Encoding) -> Result<()> {
    let value = match encoding {
        Encoding::Bytes => "BLOB",
        _ => "TEXT",
    };
    c.execute_batch(&format!(
        "CREATE TABLE \"{table}\" (key TEXT PRIMARY KEY NOT NULL, value {value} NOT NULL)"
    ))
}

fn empty_if_missing<T: Default>(c: &Connection, table: &str, result: Result<T>) -> Result<T> {
    match result {
        Err(_) if is_missing(c, table) => Ok(T::default()),
        result => result,
    }
}

/// Whether `table` is not there. Where even that cannot be told, it is not the reason.
fn is_missing(c: &Connection, table: &str) -> bool {
    c.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")
        .and_then(|mut statement| statement.exists([table]))
        .is_ok_and(|exists| !exists)
}

/// A value as SQLite keeps it: JSON as text, so that a database shell shows it.
struct Value<'a> {
    encoding: Encoding,
    bytes: &'a [u8],
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.encoding {
            Encoding::Json => ValueRef::Text(self.bytes),
            _ => ValueRef::Blob(self.bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use docent_core::Scan;

    use super::*;

    #[test]
    fn every_scan_is_one_search_in_the_index_and_no_sort() {
        let c = Connection::open_in_memory().unwrap();
        create(&c, "rows", Encoding::Json).unwrap();
        for (prefix, after) in [("", None), ("a", None), ("a", Some("ab")), ("", Some("b"))] {
            for direction in [Direction::Forward, Direction::Backward] {
                let scan = Scan { prefix, after, direction, ..Scan::default() };
                let range = KeyRange::of(&scan).unwrap();
                let sql = format!("EXPLAIN QUERY PLAN {}", range_query("rows", &range, direction));
                let mut plan = c.prepare(&sql).unwrap();
                let parameters = plan.parameter_count();
                let params = params_from_iter(vec!["x"; parameters]);
                let steps: Vec<String> =
                    plan.query_map(params, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
                assert_eq!(steps.len(), 1, "{steps:?}");
                assert!(steps[0].starts_with("SEARCH rows USING INDEX"), "{steps:?}");
            }
        }
    }
}
