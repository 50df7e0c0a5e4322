//! The power is cut at every named point; whoever opens the library next finishes the run.
//!
//! The test runs itself again as the process that dies.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use docent_core::*;

use super::fake::FakeSandbox;
use super::support::*;
use crate::runs::{CRASH_POINTS, PROGRAM_CRASH_POINTS, SUMMARY_CRASH_POINTS};
use crate::*;

/// Behind a point, that it is one of a run with a program.
const IN_PROGRAM: &str = " in a program's run";

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
    let test = match point.starts_with("program.") || point.ends_with(IN_PROGRAM) {
        true => "tests::crash::the_process_that_dies_with_a_program",
        false if point.starts_with("summary.") => {
            "tests::crash::the_process_that_dies_with_a_summary"
        }
        false => "tests::crash::the_process_that_dies",
    };
    let point = point.trim_end_matches(IN_PROGRAM);
    let died = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
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

/// First a program that draws and writes, then an answer that links what it wrote.
fn program_plan(request: &ChatRequest<'_>) -> Turn {
    match request.messages.iter().any(|message| message.role == Role::Tool) {
        false => Turn::Call("", vec![("python", "print hi\nplot\nwrite s.csv 1")]),
        true => Turn::Say(vec!["[s](sandbox:/mnt/data/s.csv) ", "is ", "there."]),
    }
}

fn library_with_programs(folder: &Path) -> Library {
    let mut library = Library::in_folder(folder, program_plan);
    library.blobs = Arc::new(docent_store::DirBlobs::open(folder.join("blobs")).unwrap());
    library.programs = FakeSandbox::new().programs(ProgramOptions::default());
    library
}

#[test]
fn the_process_that_dies_with_a_program() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let engine = library_with_programs(Path::new(&folder)).open();
    let (assistant, thread) = ask(&engine, "Draw it.");
    let tools = Some(vec![AssistantTool::CodeInterpreter]);
    let new = NewRun { tools, ..NewRun::new(assistant.id) };
    engine.start_run(thread.id, new).unwrap().for_each(drop);
}

/// The run ends well, its figure is shown, and no file and no byte is there that nothing mentions.
fn finish_program(folder: &Path, point: &str) {
    let library = library_with_programs(folder);
    let engine = library.open();
    let runs = tables::RUNS.all(library.store.read().unwrap().as_ref(), "").unwrap();
    let events = told(engine.follow(runs[0].0).unwrap());
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::Completed, "{point}: {:?}", run.last_error);
    let messages = engine.messages(run.thread, &PageRequest::default()).unwrap().data;
    let message = &messages[0];
    assert_eq!(messages.len(), 2, "{point}");
    assert_eq!(message.text(), "[s](sandbox:/mnt/data/s.csv) is there.", "{point}");
    let mut mentioned: BTreeSet<FileId> = message.attachments.iter().map(|it| it.file).collect();
    for annotation in message.annotations() {
        let AnnotationTarget::FilePath { file } = annotation.target else { panic!() };
        assert!(mentioned.contains(&file), "{point}");
    }
    let Content::ImageFile { file, .. } = message.content[0] else {
        panic!("{point}: {message:?}")
    };
    mentioned.insert(file);
    let files = engine.collections().files().unwrap();
    assert_eq!(files.iter().map(|file| file.id).collect::<BTreeSet<_>>(), mentioned, "{point}");
    engine.collections().sweep().unwrap();
    let hashes: BTreeSet<BlobHash> = files.iter().map(|file| file.hash).collect();
    let kept = library.blobs.list().unwrap().into_iter().map(|blob| blob.hash);
    assert_eq!(kept.collect::<BTreeSet<_>>(), hashes, "{point}");
    if point.starts_with("program.after-file") {
        assert_eq!(message.annotations().count(), 1, "{point}");
    }
}

#[test]
fn a_run_with_a_program_survives_a_power_cut_and_leaves_no_file_behind() {
    let others = ["run.after-step", "run.mid-stream", "run.mid-stream:2", "run.before-message"];
    let others = others.map(|point| format!("{point}{IN_PROGRAM}"));
    let points = PROGRAM_CRASH_POINTS.iter().copied().chain(others.iter().map(String::as_str));
    let blobs = ["ingest.after-blob:2", "ingest.after-blob"].map(|it| format!("{it}{IN_PROGRAM}"));
    for point in points.chain(blobs.iter().map(String::as_str)) {
        let folder = tempfile::tempdir().unwrap();
        die_at(point, folder.path());
        finish_program(folder.path(), point);
    }
}

/// A model that summarizes when asked to, and answers otherwise.
fn summary_plan(request: &ChatRequest<'_>) -> Turn {
    let first = &request.messages[0].content;
    match (first.contains("keep the summary"), first.contains("<summary>\nPumps leak.")) {
        (true, _) => Turn::Say(vec!["Pumps leak."]),
        (false, true) => Turn::Say(vec!["Told."]),
        (false, false) => Turn::Say(vec!["Not told."]),
    }
}

fn library_with_summaries(folder: &Path) -> Library {
    let mut library = Library::in_folder(folder, summary_plan);
    library.options.dropped_messages = DroppedMessages::Summarized;
    library
}

#[test]
fn the_process_that_dies_with_a_summary() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let engine = library_with_summaries(Path::new(&folder)).open();
    let (assistant, thread) = ask(&engine, "What leaks?");
    for _ in 0..12 {
        let long = "word ".repeat(200);
        engine.add_message(thread.id, NewMessage::user(long)).unwrap();
    }
    engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap().for_each(drop);
}

#[test]
fn a_summary_is_there_after_a_power_cut_or_is_made_again() {
    for point in SUMMARY_CRASH_POINTS {
        let folder = tempfile::tempdir().unwrap();
        die_at(point, folder.path());
        let library = library_with_summaries(folder.path());
        let kept = tables::SUMMARIES.all(library.store.read().unwrap().as_ref(), "").unwrap();
        assert_eq!(kept.len(), usize::from(*point == "summary.after-write"), "{point}");
        let engine = library.open();
        let runs = tables::RUNS.all(library.store.read().unwrap().as_ref(), "").unwrap();
        let run = last_run(&told(engine.follow(runs[0].0).unwrap())).clone();
        let answer = engine.messages(run.thread, &PageRequest::default()).unwrap().data.remove(0);
        assert_eq!(answer.text(), "Told.", "{point}");
        assert_eq!(library.asked().len(), 2 - kept.len(), "{point}");
    }
}
