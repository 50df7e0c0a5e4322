//! A random history leaves the same content in both twins, and after every reopening.

use docent_core::{Direction, Encoding, Row, Scan, Store, TableSpec};
use docent_store::{MemoryStore, SqliteStore};
use proptest::prelude::*;

const TABLES: [TableSpec; 2] = [
    TableSpec { name: "notes", encoding: Encoding::Json },
    TableSpec { name: "vectors", encoding: Encoding::Bytes },
];

#[derive(Clone, Debug)]
enum Op {
    Put { table: usize, key: String, value: Vec<u8> },
    Delete { table: usize, key: String },
    Get { table: usize, key: String },
    Scan { table: usize, prefix: String, after: Option<String>, limit: usize, backward: bool },
}

#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    Drop,
    CommitAndReopen,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || "[ab/é]{0,3}";
    let value = prop_oneof![
        prop::collection::vec(0x20_u8..0x7F, 0..20),
        (5_000_usize..9_000).prop_map(|length| vec![b'x'; length]),
    ];
    prop_oneof![
        4 => (0..2_usize, key(), value).prop_map(|(table, key, value)| Op::Put { table, key, value }),
        2 => (0..2_usize, key()).prop_map(|(table, key)| Op::Delete { table, key }),
        1 => (0..2_usize, key()).prop_map(|(table, key)| Op::Get { table, key }),
        2 => (0..2_usize, "[ab]{0,1}", prop::option::of(key()), 0..6_usize, any::<bool>()).prop_map(
            |(table, prefix, after, limit, backward)| Op::Scan { table, prefix, after, limit, backward }
        ),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Vec<Op>, End)>> {
    let end = prop_oneof![
        4 => Just(End::Commit),
        1 => Just(End::Drop),
        1 => Just(End::CommitAndReopen),
    ];
    prop::collection::vec((prop::collection::vec(op(), 0..12), end), 0..10)
}

/// What one operation answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Was(bool),
    Value(Option<Vec<u8>>),
    Rows(Vec<Row>),
}

fn play(store: &dyn Store, ops: &[Op], end: End) -> Vec<Answer> {
    let mut transaction = store.write().unwrap();
    let mut answers = Vec::new();
    for op in ops {
        answers.push(match op {
            Op::Put { table, key, value } => {
                transaction.put(TABLES[*table], key, value).unwrap();
                Answer::Done
            }
            Op::Delete { table, key } => {
                Answer::Was(transaction.delete(TABLES[*table], key).unwrap())
            }
            Op::Get { table, key } => Answer::Value(transaction.get(TABLES[*table], key).unwrap()),
            Op::Scan { table, prefix, after, limit, backward } => {
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                let scan = Scan { prefix, after: after.as_deref(), limit: *limit, direction };
                Answer::Rows(transaction.scan(TABLES[*table], scan).unwrap())
            }
        });
    }
    if !matches!(end, End::Drop) {
        transaction.commit().unwrap();
    }
    answers
}

fn content(store: &dyn Store) -> [Vec<Row>; 2] {
    let snapshot = store.read().unwrap();
    TABLES.map(|table| snapshot.scan(table, Scan::default()).unwrap())
}

proptest! {
    // Every commit waits for the disk, so few cases, each of many steps.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_twins_tell_the_same_story(history in history()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let memory = MemoryStore::new();
        let mut sqlite = SqliteStore::open(&path).unwrap();
        for (ops, end) in &history {
            prop_assert_eq!(play(&memory, ops, *end), play(&sqlite, ops, *end));
            if matches!(end, End::CommitAndReopen) {
                drop(sqlite);
                sqlite = SqliteStore::open(&path).unwrap();
            }
            prop_assert_eq!(content(&memory), content(&sqlite));
        }
        drop(sqlite);
        prop_assert_eq!(content(&memory), content(&SqliteStore::open(&path).unwrap()));
    }
}
