//! Ctrl-C: a clean stop that says what was kept, and the same command goes on.
#![cfg(unix)]

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Home;

/// Enough documents that a signal comes while they are read.
const DOCUMENTS: usize = 400;

fn crowded() -> Home {
    let home = Home::new();
    for number in 0..DOCUMENTS {
        home.write(&format!("docs/{number}.md"), format!("Document {number} speaks of valves."));
    }
    home
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the library has its first document's bytes, so that work is under way.
fn wait_for_work(home: &Home, child: &mut Child) {
    let begun = Instant::now();
    while !home.library().join("blobs").read_dir().is_ok_and(|mut it| it.next().is_some()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_first_stops_cleanly_and_the_same_command_goes_on() {
    let home = crowded();
    let mut child = begin(&mut home.docent(&["add", "docs"]));
    wait_for_work(&home, &mut child);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("stopped; what was added is kept"), "{stderr}");
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");
    home.done(&["add", "docs"]);
    let rows = home.json(&["ls", "--json"]);
    assert_eq!(rows.as_array().unwrap().len(), DOCUMENTS);
    assert!(rows.as_array().unwrap().iter().all(|row| row["status"] == "ready"));
}

#[test]
fn the_second_ends_at_once() {
    let home = crowded();
    let mut child = begin(&mut home.docent(&["add", "docs"]));
    wait_for_work(&home, &mut child);
    interrupt(&child);
    interrupt(&child);
    let mut rest = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let status = child.wait().unwrap();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(status.code(), Some(130), "{rest}");
    home.done(&["add", "docs"]);
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");
}
