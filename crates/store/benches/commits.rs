//! Durable commits a second, with and without group commit.
//!
//! `cargo bench -p docent-store` prints a table. Every transaction puts one row of 300 bytes and
//! waits until it is on the disk, so the disk's `fsync` rate is the yardstick; both settings run
//! alternately in fresh files, the best and the median of the rounds are shown.
//! Set `TMPDIR` to choose the disk.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::{Encoding, Result, Store, TableSpec};
use docent_store::{SqliteOptions, SqliteStore};

const ROWS: TableSpec = TableSpec { name: "rows", encoding: Encoding::Json };
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1000);

fn main() -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "| threads | one by one, median (best) | grouped, median (best) | ratio |")?;
    writeln!(out, "|---|---|---|---|")?;
    for threads in [1, 4, 8, 32] {
        let (mut single, mut grouped) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            single.push(commits_per_second(1, threads)?);
            grouped.push(commits_per_second(SqliteOptions::default().group_limit, threads)?);
        }
        let ((a, best_a), (b, best_b)) = (summary(single), summary(grouped));
        let ratio = b as f64 / a as f64;
        writeln!(out, "| {threads} | {a} ({best_a}) | {b} ({best_b}) | {ratio:.1} |")?;
    }
    Ok(())
}

fn summary(mut rates: Vec<u64>) -> (u64, u64) {
    rates.sort_unstable();
    (rates[rates.len() / 2], rates[rates.len() - 1])
}

fn commits_per_second(group_limit: usize, threads: usize) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let store = SqliteStore::open_with(dir.path().join("state"), &SqliteOptions { group_limit })?;
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        let write = || -> Result<()> {
            while begun.elapsed() < ROUND {
                let key = format!("row/{:020}", next.fetch_add(1, Ordering::Relaxed));
                let mut transaction = store.write()?;
                transaction.put(ROWS, &key, &[b'1'; 300])?;
                transaction.commit()?;
            }
            Ok(())
        };
        let writers: Vec<_> = (0..threads).map(|_| scope.spawn(write)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no writer panics"))
    })?;
    Ok((next.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()) as u64)
}
