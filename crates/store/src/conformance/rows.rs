//! What a store keeps, and in which order it gives it back.

use std::sync::Arc;

use docent_core::{Direction, Encoding, ErrorKind, Read, Result, Scan, Store, TableSpec};

use super::{Check, NOTES, VECTORS, all, get, put};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("a table that was never written to is empty", absent_tables_are_empty),
    ("the last value put is the one kept", last_value_wins),
    ("values come back byte for byte", values_survive),
    ("keys of any text are kept apart", odd_keys_are_keys),
    ("delete says whether the row was there", delete_tells),
    ("a scan gives what was asked for, in bytewise order", scans_are_ordered),
    ("a transaction's scan includes its own writes", scans_in_transactions),
    ("what no store could keep is refused", misuse_is_refused),
];

fn absent_tables_are_empty(store: Arc<dyn Store>) -> Result<()> {
    let snapshot = store.read()?;
    assert_eq!(snapshot.get(NOTES, "a")?, None);
    assert_eq!(all(&*snapshot, NOTES)?, []);
    let mut transaction = store.write()?;
    assert_eq!(transaction.get(NOTES, "a")?, None);
    assert!(!transaction.delete(NOTES, "a")?);
    assert_eq!(all(&*transaction, NOTES)?, []);
    transaction.commit()
}

fn last_value_wins(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "a", b"1"), (NOTES, "a", b"2"), (VECTORS, "a", b"other")])?;
    assert_eq!(get(&*store, NOTES, "a")?.as_deref(), Some(&b"2"[..]));
    put(&*store, &[(NOTES, "a", b"3")])?;
    assert_eq!(get(&*store, NOTES, "a")?.as_deref(), Some(&b"3"[..]));
    assert_eq!(get(&*store, VECTORS, "a")?.as_deref(), Some(&b"other"[..]));
    Ok(())
}

fn values_survive(store: Arc<dyn Store>) -> Result<()> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let json = "{ \"a\" : [1.50, \"\u{0000}\u{1F600}\"] }".as_bytes();
    put(
        &*store,
        &[
            (VECTORS, "every byte", &every_byte),
            (VECTORS, "large", &large),
            (VECTORS, "empty", b""),
            (NOTES, "json", json),
            (NOTES, "empty", b""),
        ],
    )?;
    assert_eq!(get(&*store, VECTORS, "every byte")?, Some(every_byte));
    assert_eq!(get(&*store, VECTORS, "large")?, Some(large));
    assert_eq!(get(&*store, VECTORS, "empty")?, Some(Vec::new()));
    assert_eq!(get(&*store, NOTES, "json")?.as_deref(), Some(json));
    assert_eq!(get(&*store, NOTES, "empty")?, Some(Vec::new()));
    Ok(())
}

fn odd_keys_are_keys(store: Arc<dyn Store>) -> Result<()> {
    let keys = ["", "\0", "\0\0", "%", "A", "_", "a", "a'\"", "ä", "中", "\u{10FFFF}"];
    for key in keys {
        put(&*store, &[(NOTES, key, key.as_bytes())])?;
    }
    let found: Vec<String> = all(&*store.read()?, NOTES)?.into_iter().map(|row| row.0).collect();
    assert_eq!(found, keys);
    for key in keys {
        assert_eq!(get(&*store, NOTES, key)?.as_deref(), Some(key.as_bytes()), "{key:?}");
    }
    Ok(())
}

fn delete_tells(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "a", b"1"), (NOTES, "b", b"2")])?;
    let mut transaction = store.write()?;
    assert!(transaction.delete(NOTES, "a")?);
    assert!(!transaction.delete(NOTES, "a")?);
    transaction.put(NOTES, "c", b"3")?;
    assert!(transaction.delete(NOTES, "c")?);
    transaction.commit()?;
    assert_eq!(all(&*store.read()?, NOTES)?, [("b".to_owned(), b"2".to_vec())]);
    Ok(())
}

const KEYS: [&str; 8] = ["a", "a/", "a/1", "a/2", "a/\u{10FFFF}", "a0", "b/1", "é"];

fn keys_of(read: &dyn Read, scan: Scan<'_>) -> Result<Vec<String>> {
    Ok(read.scan(NOTES, scan)?.into_iter().map(|row| row.0).collect())
}

/// What `scan` must give of `KEYS`, found the slow way.
fn expected(scan: Scan<'_>) -> Vec<&'static str> {
    let mut keys = KEYS.to_vec();
    if scan.direction == Direction::Backward {
        keys.reverse();
    }
    let beyond = |key: &&str| match (scan.after, scan.direction) {
        (None, _) => true,
        (Some(after), Direction::Forward) => *key > after,
        (Some(after), Direction::Backward) => *key < after,
    };
    let wanted = keys.into_iter().filter(|key| key.starts_with(scan.prefix)).filter(beyond);
    wanted.take(scan.limit).collect()
}

fn check_every_scan(read: &dyn Read) -> Result<()> {
    for prefix in ["", "a", "a/", "a/\u{10FFFF}", "b", "z", "é"] {
        for after in [None, Some(""), Some("a/"), Some("a/1"), Some("a/15"), Some("zz")] {
            for direction in [Direction::Forward, Direction::Backward] {
                for limit in [0, 1, 2, usize::MAX] {
                    let scan = Scan { prefix, after, limit, direction };
                    assert_eq!(keys_of(read, scan)?, expected(scan), "{scan:?}");
                }
            }
        }
    }
    Ok(())
}

fn scans_are_ordered(store: Arc<dyn Store>) -> Result<()> {
    for key in KEYS.iter().rev() {
        put(&*store, &[(NOTES, key, b"1")])?;
    }
    check_every_scan(&*store.read()?)
}

fn scans_in_transactions(store: Arc<dyn Store>) -> Result<()> {
    // Half of the keys are there before, and some that the transaction takes away.
    for key in KEYS.iter().step_by(2).chain(&["a/11", "a/3", "zzz"]) {
        put(&*store, &[(NOTES, key, b"old")])?;
    }
    let mut transaction = store.write()?;
    for key in KEYS.iter().skip(1).step_by(2) {
        transaction.put(NOTES, key, b"new")?;
    }
    for key in ["a/11", "a/3", "zzz"] {
        assert!(transaction.delete(NOTES, key)?);
    }
    check_every_scan(&*transaction)?;
    transaction.commit()?;
    check_every_scan(&*store.read()?)
}

fn misuse_is_refused(store: Arc<dyn Store>) -> Result<()> {
    let mut transaction = store.write()?;
    let names = ["", "Notes", "1st", "no-tes", "no tes", "x\"; DROP TABLE notes; --", "sqlite_a"];
    for name in names {
        let table = TableSpec { name, encoding: Encoding::Json };
        let error = transaction.put(table, "a", b"1").expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let error = transaction.get(table, "a").expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let error = transaction.put(NOTES, "a", b"\xFF").expect_err("JSON that is not UTF-8");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // A refusal leaves the transaction as it was.
    transaction.put(NOTES, "b", b"1")?;
    transaction.commit()?;
    assert_eq!(all(&*store.read()?, NOTES)?.len(), 1);
    Ok(())
}
