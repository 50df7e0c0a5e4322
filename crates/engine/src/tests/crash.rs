//! The power is cut at every named point; whoever opens the library next finishes the run.
//!
//! The test runs itself again as the process that dies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use docent_core::*;

use super::support::*;
use crate::runs::CRASH_POINTS;
use crate::*;

const FOLDER: &str = "DOCENT_ENGINE_CRASH_FOLDER";

/// First a search, then the client's function, then the answer.
fn plan(request: &ChatRequest<'_>) -> Turn {
    match request.messages.iter().filter(|message| message.role == Role::Tool).count() {
        _ if request.messages.last().is_some_and(|last| last.content == "babble") => {
            Turn::Babble("I")
        }
        0 => Turn::Call("", vec![("file_search", r#"{"queries":["pump"]}"#)]),
        1 => Turn::Call("One more thing.", vec![("weather", r#"{"city":"Bonn"}"#)]),
        _ => {
            Turn::Say(vec!["It stops at 80 °C and ", "starts again below 60 °C【4:0†so", "urce】."])
        }
    }
}

fn submit_pending(engine: &Engine, run: &Run) {
    let output = |call: &ToolCall| SubmittedOutput { call: call.id, output: "sunny".into() };
    let outputs = run.required_calls.iter().map(output).collect();
    // Another thread may have been quicker.
    let _ = engine.submit_tool_outputs(run.id, outputs);
}

/// What the process that dies does: a run with everything, and one that is cancelled.
#[test]
fn the_process_that_dies() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let engine = Library::in_folder(Path::new(&folder), plan).open();
    let events = run_to_end(&engine, "When does the pump stop?");
    submit_pending(&engine, last_run(&events));
    engine.follow(last_run(&events).id).unwrap().for_each(drop);
    let (assistant, thread) = ask(&engine, "babble");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let mut stream = engine.follow(run.id).unwrap();
    stream.find(|event| event.name() == "thread.message.delta").unwrap();
    engine.cancel_run(run.id).unwrap();
    stream.for_each(drop);
}

fn die_at(point: &str, folder: &Path) {
    let died = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::the_process_that_dies", "--nocapture"])
        .env(FOLDER, folder)
        .env("DOCENT_CRASH_AT", point)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    assert!(!died.status.success(), "{point} was not passed");
    let said = String::from_utf8_lossy(&died.stderr);
    assert!(!said.contains("panicked"), "{point}: {said}");
}

/// Opens the library and brings every run to its end.
fn finish(folder: &Path, point: &str) {
    let library = Library::in_folder(folder, plan);
    let engine = library.open();
    let runs = {
        let read = library.store.read().unwrap();
        tables::RUNS.all(read.as_ref(), "").unwrap()
    };
    assert!(!runs.is_empty(), "{point}: the run that was acknowledged is gone");
    for (id, _) in runs {
        let run = loop {
            let run = engine.run(id).unwrap();
            match run.status {
                RunStatus::RequiresAction => submit_pending(&engine, &run),
                status if status.is_terminal() => break run,
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
            let asked = engine.messages(run.thread, &PageRequest::all()).unwrap().data;
            if asked[0].text() == "babble" && run.status == RunStatus::InProgress {
                let _ = engine.cancel_run(id);
            }
        };
        check(&engine, &run, point);
    }
}

/// Nothing is left half done, and nothing is there twice.
fn check(engine: &Engine, run: &Run, point: &str) {
    assert_eq!(engine.thread(run.thread).unwrap().active_run, None, "{point}");
    let steps = engine.run_steps(run.id).unwrap();
    assert!(steps.iter().all(|step| step.status != StepStatus::InProgress), "{point}: {steps:?}");
    let messages = engine.messages(run.thread, &PageRequest::all()).unwrap().data;
    assert!(messages.iter().all(|message| message.status != MessageStatus::InProgress), "{point}");
    if messages[0].text() == "babble" {
        assert_eq!(run.status, RunStatus::Cancelled, "{point}");
        return;
    }
    assert_eq!(run.status, RunStatus::Completed, "{point}: {:?}", run.last_error);
    let whole = |message: &&Message| message.status == MessageStatus::Completed;
    let said: Vec<String> =
        messages[1..].iter().filter(whole).map(|message| message.text()).collect();
    assert_eq!(
        said,
        ["One more thing.", "It stops at 80 °C and starts again below 60 °C【4:0†source】."],
        "{point}"
    );
    let last = messages.last().unwrap();
    assert_eq!(last.annotations().count(), 1, "{point}");
}

#[test]
fn a_run_survives_a_power_cut_at_every_point() {
    for point in CRASH_POINTS {
        let folder = tempfile::tempdir().unwrap();
        die_at(point, folder.path());
        finish(folder.path(), point);
    }
}

/// The second and third time a point is passed the run is somewhere else.
#[test]
fn a_run_survives_a_power_cut_at_later_passes() {
    let points = [
        "run.after-claim:2",
        "run.before-search:2",
        "run.after-search:2",
        "run.mid-stream:2",
        "run.mid-stream:3",
        "run.mid-stream:4",
    ];
    for point in points {
        let folder = tempfile::tempdir().unwrap();
        die_at(point, folder.path());
        finish(folder.path(), point);
    }
}
