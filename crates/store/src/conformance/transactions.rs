//! All or nothing, one after another, and what a snapshot sees.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use docent_core::{ErrorKind, Result, Store};

use super::{Check, NOTES, VECTORS, all, get, put};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("a transaction reads its own writes, others only committed ones", own_writes),
    ("a dropped transaction leaves nothing behind", drop_rolls_back),
    ("a snapshot stays as it was when it was taken", snapshots_stand_still),
    ("a snapshot shows every table of a transaction or none", snapshots_are_whole),
    ("readers do not wait for an open writer", readers_do_not_wait),
    ("writers come one after another", writers_take_turns),
    ("a second transaction in one thread is refused, not awaited", no_waiting_for_oneself),
    ("a commit does not wait for the next transaction to end", commits_do_not_wait),
];

/// Long enough for a slow disk, short enough that a test ends.
const PATIENCE: Duration = Duration::from_secs(20);

fn own_writes(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "kept", b"1")])?;
    let mut transaction = store.write()?;
    transaction.put(NOTES, "new", b"2")?;
    transaction.put(NOTES, "kept", b"3")?;
    assert_eq!(transaction.get(NOTES, "new")?.as_deref(), Some(&b"2"[..]));
    assert_eq!(transaction.get(NOTES, "kept")?.as_deref(), Some(&b"3"[..]));
    assert_eq!(get(&*store, NOTES, "new")?, None);
    assert_eq!(get(&*store, NOTES, "kept")?.as_deref(), Some(&b"1"[..]));
    transaction.delete(NOTES, "kept")?;
    assert_eq!(transaction.get(NOTES, "kept")?, None);
    transaction.commit()?;
    assert_eq!(all(&*store.read()?, NOTES)?, [("new".to_owned(), b"2".to_vec())]);
    Ok(())
}

fn drop_rolls_back(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "a", b"1")])?;
    let mut transaction = store.write()?;
    transaction.put(NOTES, "a", b"2")?;
    transaction.put(VECTORS, "b", b"3")?;
    drop(transaction);
    let snapshot = store.read()?;
    assert_eq!(snapshot.get(NOTES, "a")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(all(&*snapshot, VECTORS)?, []);
    // The table that was rolled back can come into being after all.
    put(&*store, &[(VECTORS, "b", b"4")])?;
    assert_eq!(get(&*store, VECTORS, "b")?.as_deref(), Some(&b"4"[..]));
    Ok(())
}

fn snapshots_stand_still(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "a", b"1")])?;
    let before = store.read()?;
    put(&*store, &[(NOTES, "a", b"2"), (NOTES, "b", b"2"), (VECTORS, "c", b"2")])?;
    let mut transaction = store.write()?;
    transaction.delete(NOTES, "a")?;
    transaction.commit()?;
    assert_eq!(all(&*before, NOTES)?, [("a".to_owned(), b"1".to_vec())]);
    assert_eq!(before.get(VECTORS, "c")?, None);
    assert_eq!(all(&*store.read()?, NOTES)?, [("b".to_owned(), b"2".to_vec())]);
    Ok(())
}

fn snapshots_are_whole(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "n", b"0"), (VECTORS, "n", b"0")])?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<()> {
            for number in 1..=50 {
                let text = number.to_string();
                put(&*store, &[(NOTES, "n", text.as_bytes()), (VECTORS, "n", text.as_bytes())])?;
            }
            Ok(())
        });
        while !writer.is_finished() {
            let snapshot = store.read()?;
            assert_eq!(snapshot.get(NOTES, "n")?, snapshot.get(VECTORS, "n")?);
        }
        writer.join().expect("the writer does not panic")
    })
}

/// Runs `work` in a thread of its own and gives up waiting for it in the end.
#[track_caller]
fn within_patience<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(work()));
    receive.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} is still waiting"))
}

fn readers_do_not_wait(store: Arc<dyn Store>) -> Result<()> {
    put(&*store, &[(NOTES, "a", b"1")])?;
    let mut open = store.write()?;
    open.put(NOTES, "a", b"2")?;
    let other = Arc::clone(&store);
    let seen = within_patience("a reader", move || get(&*other, NOTES, "a"))?;
    assert_eq!(seen.as_deref(), Some(&b"1"[..]));
    open.commit()
}

fn add_one(store: &dyn Store) -> Result<()> {
    let mut transaction = store.write()?;
    let count = transaction.get(NOTES, "count")?.map_or(0, |text| {
        let text = String::from_utf8(text).expect("we wrote a number");
        text.parse::<u32>().expect("we wrote a number")
    });
    transaction.put(NOTES, "count", (count + 1).to_string().as_bytes())?;
    transaction.commit()
}

fn writers_take_turns(store: Arc<dyn Store>) -> Result<()> {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    thread::scope(|scope| {
        let add = || (0..EACH).try_for_each(|_| add_one(&*store));
        let writers: Vec<_> = (0..THREADS).map(|_| scope.spawn(add)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no writer panics"))
    })?;
    let count = get(&*store, NOTES, "count")?;
    assert_eq!(count, Some((THREADS * EACH).to_string().into_bytes()));
    Ok(())
}

fn no_waiting_for_oneself(store: Arc<dyn Store>) -> Result<()> {
    let refused = within_patience("a second transaction", move || {
        let first = store.write()?;
        let refused = store.write().err();
        first.commit()?;
        store.write()?.commit()?;
        Ok(refused)
    })?;
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Internal));
    Ok(())
}

/// A thread may hold a lock of its own while it commits that the next transaction takes.
fn commits_do_not_wait(store: Arc<dyn Store>) -> Result<()> {
    let (committed, has_committed) = mpsc::channel::<()>();
    let mut first = store.write()?;
    let other = Arc::clone(&store);
    let second = thread::spawn(move || -> Result<bool> {
        let mut second = other.write()?;
        second.put(NOTES, "b", b"2")?;
        let in_time = has_committed.recv_timeout(PATIENCE).is_ok();
        second.commit()?;
        Ok(in_time)
    });
    first.put(NOTES, "a", b"1")?;
    first.commit()?;
    // The second thread is gone if it could not even begin; it tells below.
    let _ = committed.send(());
    let in_time = second.join().expect("the second writer does not panic")?;
    assert!(in_time, "the commit waited for the transaction behind it");
    assert_eq!(all(&*store.read()?, NOTES)?.len(), 2);
    Ok(())
}
