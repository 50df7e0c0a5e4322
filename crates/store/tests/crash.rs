//! Cuts the power: a child process writes, is killed, and what it had acknowledged must be there.
//!
//! The child is this test binary again, running one test with `DOCENT_CRASH_DIR` set.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use docent_core::{Blobs, Encoding, Read, Result, Scan, Store, TableSpec};
use docent_store::{CRASH_POINTS, CheckDepth, LibraryDir, Mode};

/// Each transaction writes one row in every one of these.
const TABLES: [TableSpec; 3] = [
    TableSpec { name: "first", encoding: Encoding::Json },
    TableSpec { name: "second", encoding: Encoding::Bytes },
    TableSpec { name: "third", encoding: Encoding::Json },
];

const RANDOM_CYCLES: u64 = 40;
const DIR: &str = "DOCENT_CRASH_DIR";
const CYCLE: &str = "DOCENT_CRASH_CYCLE";

/// Small numbers of no great quality, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a child said it had made durable.
#[derive(Debug, Default)]
struct Acknowledged {
    rows: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

#[test]
fn what_was_acknowledged_survives_kills_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x0D0C_E417);
    let mut total = 0;
    for cycle in 0..RANDOM_CYCLES {
        let mut child = spawn_child(dir.path(), cycle, None);
        thread::sleep(Duration::from_millis(20 + dice.below(160)));
        child.kill().unwrap();
        total += check_cycle(dir.path(), cycle, child);
    }
    assert!(total > RANDOM_CYCLES as usize, "only {total} acknowledged: nothing was tested");
    let library = LibraryDir::open(dir.path(), Mode::OpenExisting).unwrap();
    assert_eq!(library.check(CheckDepth::Full).unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_acknowledged_survives_crashes_at_every_named_point() {
    if !cfg!(debug_assertions) {
        return; // release builds have no such points
    }
    for point in CRASH_POINTS {
        let dir = tempfile::tempdir().unwrap();
        // The making of a library passes its point once in the library's life.
        let passes: &[u32] = if point.starts_with("library.") { &[1] } else { &[1, 2, 5] };
        for (cycle, pass) in (0..).zip(passes) {
            let mut child = spawn_child(dir.path(), cycle, Some(format!("{point}:{pass}")));
            await_crash(&mut child, point);
            check_cycle(dir.path(), cycle, child);
        }
        let library = LibraryDir::open(dir.path(), Mode::OpenOrCreate).unwrap();
        assert_eq!(library.check(CheckDepth::Full).unwrap(), Vec::<String>::new());
    }
}

/// Waits for the child to end by itself. It never fills the pipe before: it passes a point soon.
#[track_caller]
fn await_crash(child: &mut Child, point: &str) {
    for _ in 0..3_000 {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("{point} was never passed");
}

fn spawn_child(dir: &Path, cycle: u64, point: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"]);
    command.env(DIR, dir).env(CYCLE, cycle.to_string());
    command.envs(point.map(|point| ("DOCENT_CRASH_AT", point)));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Reopens after the child's end and compares; gives the number of acknowledged things.
#[track_caller]
fn check_cycle(dir: &Path, cycle: u64, mut child: Child) -> usize {
    let acknowledged = read_acknowledged(&mut child);
    child.wait().unwrap();
    let library = LibraryDir::open(dir, Mode::OpenOrCreate).unwrap();
    let snapshot = library.store().read().unwrap();
    let tables = TABLES.map(|table| keys(&*snapshot, table, &format!("{cycle:04}/")));
    assert_eq!(tables[0], tables[1], "half a transaction");
    assert_eq!(tables[0], tables[2], "half a transaction");
    let lost: Vec<_> = acknowledged.rows.difference(&tables[0]).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");

    for name in &acknowledged.blobs {
        library.blobs().verify(name.parse().unwrap()).unwrap();
    }
    let unfinished = fs_err::read_dir(dir.join("blobs/tmp")).unwrap().count();
    assert_eq!(unfinished, 0, "leftovers of unfinished blobs");
    acknowledged.rows.len() + acknowledged.blobs.len()
}

fn keys(read: &dyn Read, table: TableSpec, prefix: &str) -> BTreeSet<String> {
    let rows = read.scan(table, Scan { prefix, ..Scan::default() }).unwrap();
    rows.into_iter().map(|row| row.0).collect()
}

fn read_acknowledged(child: &mut Child) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // A line cut off by the kill has no full stop.
        match line.strip_suffix('.').and_then(|line| line.split_once(' ')) {
            Some(("row", key)) => drop(acknowledged.rows.insert(key.to_owned())),
            Some(("blob", hash)) => drop(acknowledged.blobs.insert(hash.to_owned())),
            _ => {}
        }
    }
    acknowledged
}

#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let cycle = std::env::var(CYCLE).unwrap().parse().unwrap();
    let library = LibraryDir::open(Path::new(&dir), Mode::OpenOrCreate).unwrap();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (store, next) = (library.store(), &next);
            scope.spawn(move || write_rows(&**store, cycle, next, Dice(seed)).unwrap());
        }
        scope.spawn(|| write_blobs(&**library.blobs(), Dice(cycle)).unwrap());
    });
}

fn acknowledge(kind: &str, name: &str) {
    // One write call for a line, so that lines of several threads do not mix.
    io::stdout().lock().write_all(format!("{kind} {name}.\n").as_bytes()).unwrap();
    io::stdout().lock().flush().unwrap();
}

fn write_rows(store: &dyn Store, cycle: u64, next: &AtomicU64, mut dice: Dice) -> Result<()> {
    loop {
        let key = format!("{cycle:04}/{:08}", next.fetch_add(1, Ordering::Relaxed));
        let mut transaction = store.write()?;
        for table in TABLES {
            let most = if dice.below(8) == 0 { 60_000 } else { 600 };
            let length = dice.below(most);
            transaction.put(table, &key, &vec![b'1'; length as usize])?;
        }
        if dice.below(5) == 0 {
            continue; // rolled back
        }
        transaction.commit()?;
        acknowledge("row", &key);
    }
}

fn write_blobs(blobs: &dyn Blobs, mut dice: Dice) -> Result<()> {
    loop {
        let bytes: Vec<u8> = (0..dice.below(300_000)).map(|_| dice.below(256) as u8).collect();
        let info = blobs.put(&mut &bytes[..])?;
        acknowledge("blob", &info.hash.to_string());
    }
}
