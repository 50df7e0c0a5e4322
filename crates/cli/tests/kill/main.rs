//! Kill -9 at any moment of adding, removing, asking and changing the embedder: what was acknowledged is there and found,
//! what was not is there whole or not at all, and nothing else is left.
//!
//! A child works through a script and says what it begins and what was done; it dies at a named
//! point or at a random time. Then the library is opened here and compared with what the child
//! said. Two hundred cycles run; `DOCENT_KILL_CYCLES` runs more, or fewer. Named points exist in
//! debug builds only.
#![cfg(unix)]

mod child;
mod embedder;
mod expected;
mod verify;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use expected::Expected;

/// Points the script does not pass. An extractive answer passes none of cancelled runs and
/// functions, where the engine's own tests stop; a document is kept and attached in one commit, so
/// it never is a file alone; and no batch is called off.
const NOT_ON_THE_WAY: [&str; 6] = [
    "run.cancelling",
    "run.after-submit",
    "run.requires-action",
    "run.after-step",
    "ingest.after-file",
    "ingest.after-cancel",
];

/// Points below the indexes, by the store.
const STORE_POINTS: [&str; 5] = [
    "store.before-commit",
    "store.after-commit",
    "blobs.before-rename",
    "blobs.after-rename",
    "library.before-version",
];

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_is_left() {
    let cycles: u64 = match std::env::var("DOCENT_KILL_CYCLES") {
        Ok(text) => text.parse().expect("DOCENT_KILL_CYCLES is a number"),
        Err(_) => 200,
    };
    let mut points = points().into_iter().cycle();
    let mut site = Site::new();
    for cycle in 0..cycles {
        let kill = match cycle % 8 {
            // The command itself, now and then.
            5 => Kill::Command { arguments: &["add", "docs"] },
            7 => Kill::Command { arguments: &["ask", "What is the marker of document 3?"] },
            // Every point is met before chance decides.
            _ if cfg!(debug_assertions) && cycle % 2 == 0 => {
                Kill::At(points.next().unwrap(), cycle)
            }
            _ => Kill::AnyTime,
        };
        // The first opening of a library has points of its own.
        if cycle % 50 == 49 || kill.is_at("library.before-version") {
            site = Site::new();
        }
        site.cycle(cycle, kill);
    }
}

/// Every named point the script passes.
fn points() -> Vec<&'static str> {
    let engine = docent_engine::runs::CRASH_POINTS;
    let retrieval = docent_retrieval::CRASH_POINTS.iter();
    let retrieval = retrieval.chain(docent_retrieval::REEMBED_CRASH_POINTS);
    let all = retrieval.chain(engine).chain(&STORE_POINTS);
    all.copied().filter(|point| !NOT_ON_THE_WAY.contains(point)).collect()
}

/// The child, when it was started by [`Site::cycle`]; else nothing.
#[test]
fn child() {
    if let Ok(dir) = std::env::var(child::DIR) {
        child::work(Path::new(&dir));
    }
}

/// How a cycle ends its child.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// At a named point, when it is passed for the first, second or third time.
    At(&'static str, u64),
    /// After a random time.
    AnyTime,
    /// The command instead of the child, after a random time.
    Command { arguments: &'static [&'static str] },
}

impl Kill {
    fn is_at(self, name: &str) -> bool {
        matches!(self, Self::At(point, _) if point == name)
    }
}

/// A library, the documents beside it, and what must be true of both.
struct Site {
    dir: tempfile::TempDir,
    expected: Expected,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("docs")).unwrap();
        Self { dir, expected: Expected::default() }
    }

    fn cycle(&mut self, cycle: u64, kill: Kill) {
        let said = match kill {
            Kill::At(point, nth) => self.kill_at(cycle, point, nth % 3 + 1),
            Kill::AnyTime => self.kill_any_time(cycle),
            Kill::Command { arguments } => self.kill_command(cycle, arguments),
        };
        for line in &said {
            self.expected.hear(line);
        }
        let told = format!("cycle {cycle}, {kill:?}, the child said {said:#?}");
        verify::verify(self.dir.path(), &mut self.expected, &told);
    }

    /// The `nth` passing may never come in a short script; the first must.
    fn kill_at(&mut self, cycle: u64, point: &str, nth: u64) -> Vec<String> {
        let nth = if point.starts_with("library.") { 1 } else { nth };
        let mut command = self.child(cycle);
        command.env("DOCENT_CRASH_AT", format!("{point}:{nth}"));
        let (mut child, lines) = listened(&mut command);
        let said: Vec<String> = lines.iter().collect();
        let status = child.wait().unwrap();
        assert!(nth > 1 || !status.success(), "the script never passes {point}: {said:#?}");
        assert_ne!(status.code(), Some(101), "the script failed before {point}: {said:#?}");
        said
    }

    fn kill_any_time(&mut self, cycle: u64) -> Vec<String> {
        let (mut child, lines) = listened(&mut self.child(cycle));
        let mut said = Vec::new();
        // The clock starts when the library is open: opening is a small part of the work.
        said.extend(lines.recv());
        thread::sleep(Duration::from_micros(child::chance(cycle) % 120_000));
        child.kill().unwrap();
        said.extend(lines);
        child.wait().unwrap();
        said
    }

    fn kill_command(&mut self, cycle: u64, arguments: &[&str]) -> Vec<String> {
        let mut said = Vec::new();
        let adds = arguments[0] == "add";
        let changed = if adds { child::rewrite_some(self.dir.path(), cycle) } else { vec![] };
        said.extend(changed.iter().map(|(slot, marker)| format!("adding {slot} {marker}")));
        let mut child = Command::new(env!("CARGO_BIN_EXE_docent"))
            .args(arguments)
            .args(["--no-embedder", "--library", "library"])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(child::chance(cycle) % 250_000));
        let done = child.try_wait().unwrap().is_some_and(|status| status.success());
        child.kill().unwrap();
        child.wait().unwrap();
        if done {
            said.extend(changed.iter().map(|(slot, marker)| format!("added {slot} {marker}")));
        }
        said
    }

    /// This very program, as the child.
    fn child(&self, cycle: u64) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture"])
            .env(child::DIR, self.dir.path())
            .env(child::SEED, cycle.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command
    }
}

/// Starts `command`; what it says comes through the channel until it is dead.
fn listened(command: &mut Command) -> (Child, mpsc::Receiver<String>) {
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Lines of the test harness have no mark, and a line cut by death has no end.
        for line in stdout.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(said) = line.strip_prefix(child::MARK).and_then(|it| it.strip_suffix('.')) {
                let _ = sender.send(said.to_owned());
            }
        }
    });
    (child, receiver)
}
