//! Kill -9 at random moments while several clients are served: what was acknowledged stays.
//!
//! Twenty cycles run; `DOCENT_KILL_CYCLES` runs more, or fewer. `DOCENT_KILL_SEED` repeats
//! what was printed.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ledger::Ledger;
use crate::process::{Embedder, Site};
use crate::story::{Story, model};
use crate::upstream::Upstream;
use crate::verify::verify;

const CLIENTS: u64 = 4;

/// Cycles on one library.
const CYCLES_A_LIBRARY: u64 = 10;

#[test]
fn no_kill_under_load_loses_anything() {
    let cycles = variable("DOCENT_KILL_CYCLES").unwrap_or(20);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("DOCENT_KILL_SEED").unwrap_or(now.as_millis() as u64);
    eprintln!("DOCENT_KILL_SEED={seed}");
    let upstream = Upstream::new(model);
    let (mut site, mut before) = (Site::new(&upstream, Embedder::None), Ledger::default());
    let (mut objects, mut runs, mut deleted) = (0, 0, 0);
    for cycle in 0..cycles {
        if cycle > 0 && cycle % CYCLES_A_LIBRARY == 0 {
            (site, before) = (Site::new(&upstream, Embedder::None), Ledger::default());
        }
        let ledger = killed(&site, seed, cycle);
        let told = format!("cycle {cycle} of DOCENT_KILL_SEED={seed}");
        verify(&site, &ledger, &told);
        objects += ledger.kept.len();
        runs += ledger.runs.len();
        deleted += ledger.gone.len();
        before.join(ledger);
        if cycle % CYCLES_A_LIBRARY == CYCLES_A_LIBRARY - 1 {
            still_there(&site, &mut before, &told);
        }
    }
    eprintln!("{cycles} cycles: {objects} objects, {runs} runs, {deleted} deleted");
    assert!(cycles == 0 || objects > 0, "no cycle came to anything");
}

/// What earlier cycles on this library were told has outlived the later ones.
fn still_there(site: &Site, before: &mut Ledger, told: &str) {
    // Their runs have ended, some otherwise than they would have, and their threads have gone on.
    before.runs.clear();
    before.kept.retain(|path, _| !path.starts_with("/threads/"));
    verify(site, before, &format!("all cycles up to {told}"));
}

/// Lets clients work until the server is killed, and returns what they were told.
fn killed(site: &Site, seed: u64, cycle: u64) -> Ledger {
    let served = site.serve();
    let dice = chance(seed ^ cycle << 20);
    let mut told = Ledger::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let dice = chance(dice ^ client);
                let mut story = Story::new(&served, format!("c{cycle}x{client}"), &|_| {});
                scope.spawn(move || {
                    let mut first = dice;
                    while story.tell(first % 7).is_ok() {
                        first = chance(first);
                    }
                    story.ledger
                })
            })
            .collect();
        thread::sleep(Duration::from_micros(50_000 + dice % 350_000));
        served.kill();
        clients.into_iter().for_each(|client| told.join(client.join().unwrap()));
    });
    told
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// SplitMix64: the same for the same seed.
fn chance(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
