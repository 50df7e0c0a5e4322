//! Hostile files behind a process guard: each ends with a document or a reason, in time, and the
//! next file is read as if nothing had happened.
//!
//! This test has a `main` of its own because it is also the program the guard starts.

#[path = "formats/broken.rs"]
mod broken;
#[path = "guarded/handmade.rs"]
mod handmade;
#[path = "guarded/hostile.rs"]
mod hostile;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docent_core::{ChunkingStrategy, FileError, FileErrorCode};
use docent_ingest::{Guard, Ingestor, Limits, Prepared, ProcessGuard, ThreadGuard};
use handmade::Pdf;

const WORKER: &str = "extract-worker";

fn main() {
    if std::env::args().any(|arg| arg == WORKER) {
        docent_ingest::serve_extraction().expect("the worker serves");
        return;
    }
    let tests: &[(&str, fn())] = &[
        (
            "a_child_serves_many_files_from_several_threads",
            a_child_serves_many_files_from_several_threads,
        ),
        (
            "a_dead_child_is_replaced_and_its_file_has_a_reason",
            a_dead_child_is_replaced_and_its_file_has_a_reason,
        ),
        ("hostile_files_end_in_time_with_a_reason", hostile_files_end_in_time_with_a_reason),
        (
            "a_hang_ends_at_the_wall_and_a_thread_is_left_behind",
            a_hang_ends_at_the_wall_and_a_thread_is_left_behind,
        ),
        (
            "real_files_are_read_or_refused_with_the_way_out",
            real_files_are_read_or_refused_with_the_way_out,
        ),
        ("mutated_files_end_in_time", mutated_files_end_in_time),
    ];
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    for (name, test) in tests {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            let begun = Instant::now();
            test();
            eprintln!("test {name} ... ok ({:.1?})", begun.elapsed());
        }
    }
}

fn limits() -> Limits {
    Limits { wall: Duration::from_secs(2), memory_bytes: 128 << 20, ..Limits::default() }
}

fn process_guard() -> Arc<ProcessGuard> {
    let program = std::env::current_exe().expect("a test has a program");
    Arc::new(ProcessGuard::new(program, vec![WORKER.into()]))
}

fn prepare(
    guard: &Arc<impl Guard + 'static>,
    bytes: Vec<u8>,
    limits: Limits,
) -> Result<Prepared, FileError> {
    let guard: Arc<dyn Guard> = Arc::clone(guard) as Arc<dyn Guard>;
    let source = Box::new(std::io::Cursor::new(bytes));
    Ingestor::new(guard, limits).prepare(source, "file", ChunkingStrategy::default())
}

fn sound() -> Vec<u8> {
    Pdf::of_pages(&["BT /F 12 Tf 72 700 Td (A sound file) Tj ET"]).bytes()
}

#[track_caller]
fn assert_sound(guard: &Arc<impl Guard + 'static>) {
    let prepared = prepare(guard, sound(), limits()).expect("a sound file is read");
    assert_eq!(prepared.text, "A sound file");
}

fn a_child_serves_many_files_from_several_threads() {
    let guard = process_guard();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..100).for_each(|_| assert_sound(&guard)));
        }
    });
    let text = prepare(&guard, "Plain words.\n".repeat(50_000).into_bytes(), limits());
    assert_eq!(text.expect("text is read").text.lines().count(), 50_000);
}

fn a_dead_child_is_replaced_and_its_file_has_a_reason() {
    // `false` dies at once, `true` and `cat` are no workers, the last does not exist.
    for program in ["/bin/false", "/bin/true", "/bin/cat", "/nowhere/at/all"] {
        let guard = Arc::new(ProcessGuard::new(PathBuf::from(program), vec![]));
        let error = prepare(&guard, sound(), limits()).expect_err("no worker, no text");
        assert!(!error.message.is_empty(), "{program}");
    }
}

fn hostile_files_end_in_time_with_a_reason() {
    let guard = process_guard();
    let office = |name: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/office");
        fs_err::read(folder.join(name)).expect("the fixtures are whole")
    };
    let broken = broken::files(&office).into_iter().map(|(what, _, bytes)| (what, bytes));
    for (name, bytes) in hostile::files().into_iter().chain(broken) {
        let begun = Instant::now();
        let result = prepare(&guard, bytes, limits());
        let took = begun.elapsed();
        match &result {
            Ok(prepared) => {
                eprintln!("  {name}: {} bytes of text, {took:.1?}", prepared.text.len())
            }
            Err(error) => eprintln!("  {name}: {} ({took:.1?})", error.message),
        }
        assert!(took < limits().wall + Duration::from_secs(10), "{name} took {took:?}");
        if let Err(error) = result {
            assert_ne!(error.code, FileErrorCode::ServerError, "{name}: {}", error.message);
        }
        assert_sound(&guard);
    }
}

fn a_hang_ends_at_the_wall_and_a_thread_is_left_behind() {
    let brief = Limits { wall: Duration::from_millis(30), ..limits() };
    let slow = hostile::slow();
    let begun = Instant::now();
    let error = prepare(&process_guard(), slow.clone(), brief.clone()).expect_err("too slow");
    assert!(error.message.contains("takes longer"), "{}", error.message);
    let guard = Arc::new(ThreadGuard::new());
    let error = prepare(&guard, slow, brief).expect_err("too slow");
    assert!(error.message.contains("takes longer"), "{}", error.message);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_sound(&guard);
}

/// Files of many producers: each is read or has the reason a user can act on.
fn real_files_are_read_or_refused_with_the_way_out() {
    let Some(dir) = data().map(|data| data.join("pdf")) else {
        eprintln!("  skipped: no data; set DOCENT_DATA");
        return;
    };
    let guard = process_guard();
    let read = |name: &str| {
        let bytes = fs_err::read(dir.join(name)).expect("the data is whole");
        prepare(&guard, bytes, Limits { wall: Duration::from_secs(60), ..Limits::default() })
    };
    let refused = [
        ("producers/libreoffice-writer-password.pdf", "needs a password"),
        ("producers/imagemagick-lzw.pdf", "no text layer"),
    ];
    for (name, way_out) in refused {
        let error = read(name).expect_err(name);
        assert!(error.message.contains(way_out), "{name}: {}", error.message);
    }
    let known = [
        ("producers/habibi.pdf", 1, "حَبيبي"),
        (
            "producers/multicolumn.pdf",
            3,
            "Abstract\nThis is a sample document with two columns filled",
        ),
        ("producers/pdflatex-4-pages.pdf", 4, "Hello"),
        ("nearly-empty.pdf", 1, "not available for the language"),
        ("fhs-3.0.pdf", 50, "Filesystem Hierarchy Standard"),
        ("debian-reference.zh-cn.pdf", 251, "软件包"),
    ];
    for (name, pages, text) in known {
        let prepared = read(name).expect(name);
        assert_eq!(prepared.pages, pages, "{name}");
        assert!(prepared.text.contains(text), "{name} should say {text}");
        let radicals = prepared.text.chars().filter(|c| ('\u{2e81}'..='\u{2fd5}').contains(c));
        assert_eq!(radicals.count(), 0, "{name}");
    }
}

/// Bit flips and truncations of real files, seeded. `DOCENT_MUTATIONS` sets how many of each file;
/// a few run by default.
fn mutated_files_end_in_time() {
    let Some(dir) = data().map(|data| data.join("pdf")) else {
        eprintln!("  skipped: no data; set DOCENT_DATA");
        return;
    };
    let rounds =
        std::env::var("DOCENT_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let guard = process_guard();
    let mut outcomes = (0, 0);
    for original in hostile::small_files(&dir.join("producers")) {
        for round in 0..rounds {
            let begun = Instant::now();
            let result = prepare(&guard, hostile::mutated(&original, round), limits());
            assert!(begun.elapsed() < limits().wall + Duration::from_secs(10));
            match result {
                Ok(_) => outcomes.0 += 1,
                Err(error) => {
                    assert_ne!(error.code, FileErrorCode::ServerError, "{}", error.message);
                    outcomes.1 += 1;
                }
            }
        }
    }
    eprintln!("  {} read, {} refused", outcomes.0, outcomes.1);
    assert_sound(&guard);
}

fn data() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("DOCENT_DATA").map_or(beside, PathBuf::from);
    data.is_dir().then_some(data)
}
