//! Doctor: whole libraries have no findings; every broken promise is found and mended.

use docent_core::*;
use docent_retrieval::Repair;

use super::support::*;
use crate::tables::*;
use crate::{Engine, check};

/// A library with a run that completed and one that waits for its client.
fn lived() -> (Library, Run, Run) {
    let call = Turn::Call("Let me see.", vec![("weather", r#"{"city":"Bonn"}"#)]);
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["It stops."]), call]);
    let engine = library.open();
    let ended = last_run(&run_to_end(&engine, "When does it stop?")).clone();
    let waiting = last_run(&run_to_end(&engine, "What is the weather?")).clone();
    let (_, thread) = ask(&engine, "Forget this.");
    engine.delete_thread(thread.id).unwrap();
    (library, ended, waiting)
}

fn problems(library: &Library, repair: Repair) -> Vec<String> {
    let found = check(&*library.store, repair).unwrap();
    assert!(found.iter().all(|it| it.repaired == (repair == Repair::Yes)), "{found:#?}");
    found.into_iter().map(|it| it.problem).collect()
}

#[test]
fn what_was_lived_through_has_no_findings() {
    let (library, ..) = lived();
    assert_eq!(problems(&library, Repair::No), [""; 0]);
}

/// Breaks the library, and checks that looking finds `expected`, mending too, and then nothing.
#[track_caller]
fn broken(expected: &[&str], damage: impl FnOnce(&mut dyn Write, &Run, &Run)) {
    let (library, ended, waiting) = lived();
    let mut write = library.store.write().unwrap();
    damage(&mut *write, &ended, &waiting);
    write.commit().unwrap();
    assert_eq!(problems(&library, Repair::No), expected);
    assert_eq!(problems(&library, Repair::Yes), expected);
    assert_eq!(problems(&library, Repair::No), [""; 0]);
}

#[test]
fn a_thread_that_stays_locked_is_freed() {
    broken(&["is locked by a run that does not go on"], |write, ended, _| {
        let mut thread = THREADS.get(write, &ended.thread).unwrap().unwrap();
        thread.active_run = Some(ended.id);
        THREADS.put(write, &thread.id, &thread).unwrap();
    });
}

#[test]
fn a_run_that_lost_its_rows_gets_them_again() {
    let expected = [
        "is missing among its thread's runs",
        "goes on, and its thread is not locked",
        "waits, and nobody will take it up",
        "would never expire",
    ];
    broken(&expected, |write, _, waiting| {
        let mut run = waiting.clone();
        (run.status, run.required_calls) = (RunStatus::Queued, vec![]);
        RUNS.put(write, &run.id, &run).unwrap();
        let mut thread = THREADS.get(write, &run.thread).unwrap().unwrap();
        thread.active_run = None;
        THREADS.put(write, &thread.id, &thread).unwrap();
        THREAD_RUNS.delete(write, &(run.thread, run.id)).unwrap();
        RUN_DEADLINES.delete(write, &(run.expires_at, run.id)).unwrap();
    });
}

#[test]
fn a_run_that_ended_is_waited_for_no_more() {
    broken(&["has ended and is still waited for"], |write, ended, _| {
        RUN_QUEUE.put(write, &ended.id, &()).unwrap();
        RUN_DEADLINES.put(write, &(ended.expires_at, ended.id), &()).unwrap();
    });
}

#[test]
fn rows_of_a_run_that_is_gone_are_dropped() {
    let expected = [
        "is locked by a run that does not go on",
        "has a deadline and does not exist",
        "is listed with its thread and does not exist",
        "is a step of no run",
        "is a step of no run",
    ];
    broken(&expected, |write, _, waiting| {
        RUNS.delete(write, &waiting.id).unwrap();
    });
}

#[test]
fn what_a_lost_thread_leaves_is_dropped() {
    // The run with its steps, the question, the answer.
    broken(&["belongs to no thread"; 3], |write, ended, _| {
        THREADS.delete(write, &ended.thread).unwrap();
    });
}

#[test]
fn a_message_nobody_writes_is_broken_off_and_found_by_its_id() {
    let expected =
        ["cannot be found by its id", "is being written by no run", "is listed and not there"];
    broken(&expected, |write, ended, waiting| {
        let mut answer = MESSAGES.last(write, &parent(&ended.thread)).unwrap().unwrap();
        answer.1.status = MessageStatus::InProgress;
        MESSAGES.put(write, &answer.0, &answer.1).unwrap();
        MESSAGE_PLACES.delete(write, &answer.1.id).unwrap();
        let ((thread, seq), other) =
            MESSAGES.last(write, &parent(&waiting.thread)).unwrap().unwrap();
        MESSAGES.delete(write, &(thread, seq)).unwrap();
        assert_ne!(other.id, answer.1.id);
    });
}

#[test]
fn two_runs_on_one_thread_are_named_and_left() {
    let (library, ended, waiting) = lived();
    let mut write = library.store.write().unwrap();
    let second = Run { id: ended.id, status: RunStatus::RequiresAction, ..waiting.clone() };
    RUNS.put(&mut *write, &second.id, &second).unwrap();
    THREAD_RUNS.delete(&mut *write, &(ended.thread, ended.id)).unwrap();
    write.commit().unwrap();
    let found = check(&*library.store, Repair::Yes).unwrap();
    let two = found.iter().find(|it| !it.repaired).unwrap();
    assert!(two.problem.contains(&waiting.id.to_string()), "{found:#?}");
    let left = check(&*library.store, Repair::Yes).unwrap();
    assert_eq!(left, std::slice::from_ref(two));
    let engine: Engine = library.open();
    assert!(engine.cancel_run(second.id).is_ok(), "the way out that is named works");
}
