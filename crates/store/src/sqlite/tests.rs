use std::thread;
use std::time::{Duration, Instant};

use docent_core::{Encoding, ErrorKind};
use tempfile::TempDir;

use super::*;

const ROWS: TableSpec = TableSpec { name: "rows", encoding: Encoding::Json };

fn fresh() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("state.sqlite")).unwrap();
    (dir, store)
}

fn put(store: &SqliteStore, key: &str, value: &[u8]) -> Result<()> {
    let mut transaction = store.write()?;
    transaction.put(ROWS, key, value)?;
    transaction.commit()
}

fn has(read: &(impl Read + ?Sized), key: &str) -> bool {
    read.get(ROWS, key).unwrap().is_some()
}

/// Lets the file grow by no more than `pages`.
fn fill_disk_after(store: &SqliteStore, pages: u32) {
    store.committer.with_writer(|writer| {
        let used: u32 = writer.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", used + pages);
        writer.query_row(&limit, [], |_| Ok(())).unwrap();
    });
}

#[test]
fn the_settings_that_durability_rests_on_are_in_force() {
    let (_dir, store) = fresh();
    store.committer.with_writer(|writer| {
        let ask = |name: &str| -> String {
            let value = writer.query_row(&format!("PRAGMA {name}"), [], |row| {
                row.get_ref(0).map(|value| match value {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str().unwrap().to_owned(),
                })
            });
            value.unwrap()
        };
        assert_eq!(ask("journal_mode"), "wal");
        assert_eq!(ask("synchronous"), "2");
        assert_eq!(ask("fullfsync"), "1");
    });
}

#[test]
fn the_next_transaction_works_on_what_still_waits_for_the_disk_and_readers_do_not_see_it() {
    let (_dir, store) = fresh();
    put(&store, "before", b"1").unwrap();
    let disk = store.committer.stop_disk();
    thread::scope(|scope| {
        let first = scope.spawn(|| put(&store, "first", b"1"));
        store.committer.await_line(1);
        let mut second = store.write().unwrap();
        assert!(has(&*second, "before") && has(&*second, "first"));
        assert!(second.delete(ROWS, "first").unwrap());
        assert_eq!(second.scan(ROWS, Scan::default()).unwrap().len(), 1);
        drop(second);

        assert!(!has(&*store.read().unwrap(), "first"), "visible before it was durable");
        assert!(!first.is_finished(), "acknowledged before it was durable");
        store.committer.mend_disk(disk);
        first.join().unwrap().unwrap();
    });
    assert!(has(&*store.read().unwrap(), "first"));
}

#[test]
fn all_that_gathered_is_written_as_one_group() {
    let (_dir, store) = fresh();
    put(&store, "first", b"1").unwrap();
    let groups = store.committer.groups();
    let disk = store.committer.stop_disk();
    thread::scope(|scope| {
        for key in ["a", "b", "c", "d", "e"] {
            let store = &store;
            scope.spawn(move || put(store, key, b"1").unwrap());
        }
        store.committer.await_line(5);
        store.committer.mend_disk(disk);
    });
    assert_eq!(store.committer.groups(), groups + 1);
    assert_eq!(store.read().unwrap().scan(ROWS, Scan::default()).unwrap().len(), 6);
}

#[test]
fn when_a_group_fails_all_of_it_fails_and_what_stood_on_it_and_the_store_goes_on() {
    let (_dir, store) = fresh();
    put(&store, "before", b"1").unwrap();
    fill_disk_after(&store, 5);
    let large = vec![b'1'; 100_000];
    let disk = store.committer.stop_disk();
    thread::scope(|scope| {
        let small = scope.spawn(|| put(&store, "small", b"1"));
        store.committer.await_line(1);
        let big = scope.spawn(|| put(&store, "big", &large));
        store.committer.await_line(2);
        let mut open = store.write().unwrap();
        open.put(ROWS, "open", b"1").unwrap();
        store.committer.mend_disk(disk);
        for failed in [small, big] {
            let error = failed.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("is full, nothing was written"), "{error}");
        }
        let error = open.commit().unwrap_err();
        assert!(error.to_string().contains("try again"), "{error}");
    });
    let rows = store.read().unwrap().scan(ROWS, Scan::default()).unwrap();
    assert_eq!(rows, [("before".to_owned(), b"1".to_vec())]);
    put(&store, "after", b"1").unwrap();
    assert_eq!(store.check(CheckDepth::Full).unwrap(), Vec::<String>::new());
}

#[test]
fn on_a_full_disk_exactly_the_acknowledged_rows_are_kept() {
    let (_dir, store) = fresh();
    put(&store, "first", b"1").unwrap();
    fill_disk_after(&store, 100);
    let value = vec![b'1'; 9_000];
    let write = |thread: usize| -> Vec<(String, bool)> {
        let keys = (0..12).map(|number| format!("{thread}/{number}"));
        keys.map(|key| (key.clone(), put(&store, &key, &value).is_ok())).collect()
    };
    let outcomes: Vec<(String, bool)> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|thread| scope.spawn(move || write(thread))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(outcomes.iter().any(|(_, kept)| *kept) && outcomes.iter().any(|(_, kept)| !kept));
    let snapshot = store.read().unwrap();
    for (key, acknowledged) in outcomes {
        assert_eq!(has(&*snapshot, &key), acknowledged, "{key}");
    }
}

#[test]
fn a_reader_held_open_neither_sees_ten_thousand_writes_nor_blocks_them() {
    let (dir, store) = fresh();
    put(&store, "seen", b"1").unwrap();
    let before = store.read().unwrap();
    for batch in 0..50 {
        let mut transaction = store.write().unwrap();
        for row in 0..200 {
            transaction.put(ROWS, &format!("{batch}/{row}"), &[b'1'; 3_000]).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(before.scan(ROWS, Scan::default()).unwrap().len(), 1);
    assert_eq!(store.read().unwrap().scan(ROWS, Scan::default()).unwrap().len(), 10_001);
    drop(before);

    // With the reader gone the log is written back, begun anew and its file cut down.
    put(&store, "then", b"1").unwrap();
    put(&store, "anew", b"1").unwrap();
    let log_bytes = fs_err::metadata(dir.path().join("state.sqlite-wal")).unwrap().len();
    assert!(log_bytes <= 64 << 20, "{log_bytes} bytes");
}

#[test]
fn values_can_be_read_with_a_database_shell() {
    let (dir, store) = fresh();
    put(&store, "a", br#"{"text":"kept"}"#).unwrap();
    let shell = Connection::open(dir.path().join("state.sqlite")).unwrap();
    let seen: (String, String) = shell
        .query_row("SELECT key, value ->> 'text' FROM rows", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(seen, ("a".to_owned(), "kept".to_owned()));
}

#[test]
fn damage_is_found_and_named() {
    let (dir, store) = fresh();
    for number in 0..200 {
        let mut transaction = store.write().unwrap();
        transaction.put(ROWS, &format!("{number:04}"), &[b'1'; 2_000]).unwrap();
        if number < 190 {
            // Only the last few wait for the disk one by one.
            transaction.put(ROWS, &format!("x{number:04}"), &[b'1'; 2_000]).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(store.check(CheckDepth::Quick).unwrap(), Vec::<String>::new());
    drop(store);

    let path = dir.path().join("state.sqlite");
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xAB);
    fs_err::write(&path, &bytes).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert!(!store.check(CheckDepth::Quick).unwrap().is_empty());
    drop(store);

    fs_err::write(&path, "no database at all, but some text that is long enough").unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("state.sqlite is damaged"), "{error}");
}

#[test]
fn another_programs_lock_gives_a_conflict_and_not_a_hang() {
    let (dir, store) = fresh();
    let shell = Connection::open(dir.path().join("state.sqlite")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.committer.with_writer(|writer| writer.busy_timeout(Duration::from_millis(50)).unwrap());
    let begun = Instant::now();
    let error = put(&store, "a", b"1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(begun.elapsed() < Duration::from_secs(4));
    shell.execute_batch("ROLLBACK").unwrap();
    put(&store, "a", b"1").unwrap();
}
