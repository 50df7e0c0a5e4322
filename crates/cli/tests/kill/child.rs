//! The child: adds, changes, removes and asks until it is done or dead, saying what it does.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use docent::{AskOptions, Flip, Flipped, Library, ReembedOptions};
use fs_err as fs;

use crate::embedder::{Sizes, Tiny};

/// Where to work, and with what seed.
pub(crate) const DIR: &str = "DOCENT_KILL_DIR";
pub(crate) const SEED: &str = "DOCENT_KILL_SEED";

/// What every line of ours begins with.
pub(crate) const MARK: &str = "kill> ";

/// Documents there may be.
pub(crate) const SLOTS: u64 = 8;

/// Things a child does unless it is killed before.
const STEPS: u64 = 14;

/// The library as parent and child open it.
pub(crate) fn open(dir: &Path) -> docent::Result<Library> {
    let builder = Library::builder(dir.join("library")).embedders(Arc::new(Sizes));
    builder.own_embedder(Arc::new(Tiny::new(Tiny::DIMS[0]))).open()
}

pub(crate) fn work(dir: &Path) {
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let library = open(dir).unwrap();
    say("ready");
    for step in 0..STEPS {
        let dice = chance(seed << 8 | step);
        let slot = dice % SLOTS;
        match dice / SLOTS % 8 {
            // Each script does everything at least once, so that every point is passed.
            _ if step == 3 || step == 9 => ask(&library, slot),
            _ if step == 5 || step == 10 => {
                add(&library, dir, slot, &format!("m{seed}x{step}"));
                reembed(&library);
            }
            _ if step == 7 => {
                drop(library.collections().roll_back(library.vector_store()).unwrap())
            }
            _ if step == 8 => {
                library.collections().prune_vectors(&[library.vector_store()]).unwrap();
            }
            _ if step == 6 => remove(&library, dir, slot),
            0..5 => add(&library, dir, slot, &format!("m{seed}x{step}")),
            5 => remove(&library, dir, slot),
            _ => ask(&library, slot),
        }
    }
}

fn add(library: &Library, dir: &Path, slot: u64, marker: &str) {
    write(dir, slot, marker);
    say(&format!("adding {slot} {marker}"));
    let _ = library.add(document(dir, slot)).unwrap();
    // Acknowledged, though not read yet.
    say(&format!("added {slot} {marker}"));
    library.process(&mut |_| ControlFlow::Continue(())).unwrap();
}

fn remove(library: &Library, dir: &Path, slot: u64) {
    let path = fs::canonicalize(dir).unwrap().join(format!("docs/{slot}.md"));
    let documents = library.documents().unwrap();
    let Some(document) = documents.iter().find(|it| it.path.as_ref() == Some(&path)) else {
        return;
    };
    say(&format!("removing {slot}"));
    assert!(library.remove(document.file.id).unwrap());
    say(&format!("removed {slot}"));
}

/// The embedder of the other size, in small steps.
fn reembed(library: &Library) {
    let store = library.vector_store();
    let now = library.collections().store_vectors(store).unwrap().searched;
    let of_now = |dims: &&usize| Some(format!("tiny-{dims}")) != now;
    let other = *Tiny::DIMS.iter().find(of_now).unwrap();
    let options = ReembedOptions { flip: Flip::Always, ..ReembedOptions::default() };
    let embedder = Arc::new(Tiny::new(other));
    let done =
        library.reembed(store, embedder, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(done.unwrap().flipped, Flipped::Yes);
    library.process(&mut |_| ControlFlow::Continue(())).unwrap();
}

fn ask(library: &Library, slot: u64) {
    let question = format!("What is the marker of document {slot}?");
    let asked = library.ask(&question, AskOptions::default()).unwrap();
    say(&format!("asked {}", asked.thread));
    let answer = asked.finish().unwrap();
    say(&format!("answered {}", answer.thread));
}

/// One line, out before we go on.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // The stop at the end tells a whole line from one cut off.
    out.write_all(format!("\n{MARK}{text}.\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn document(dir: &Path, slot: u64) -> std::path::PathBuf {
    dir.join(format!("docs/{slot}.md"))
}

/// A document that holds `marker`; every third is long enough for several chunks.
fn write(dir: &Path, slot: u64, marker: &str) {
    let filler = "It speaks of valves, pumps and pipes at length. ";
    let filler = filler.repeat(if slot.is_multiple_of(3) { 300 } else { 3 });
    let text = format!(
        "# Document {slot}\n\nThe marker of document {slot} is {marker}.\n\n{filler}\n\n\
         Its end is {marker}.\n"
    );
    fs::write(document(dir, slot), text).unwrap();
}

/// New content for a few documents, before the command adds the folder.
pub(crate) fn rewrite_some(dir: &Path, seed: u64) -> Vec<(u64, String)> {
    let slots = (0..SLOTS).filter(|slot| {
        // The folder is added as a whole, so what is there but removed comes in again.
        document(dir, *slot).exists() || chance(seed ^ slot << 32).is_multiple_of(2)
    });
    let rewritten = slots.map(|slot| (slot, format!("m{seed}c{slot}")));
    rewritten.inspect(|(slot, marker)| write(dir, *slot, marker)).collect()
}

/// SplitMix64: the same for the same seed.
pub(crate) fn chance(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
