//! What a dead process leaves, another takes up.

use std::sync::Arc;
use std::time::Duration;

use docent_core::*;

use super::support::*;
use crate::runs::queue;
use crate::*;

/// Opens an engine that has no worker, so that the test can die at any place.
fn open_idle(library: &Library) -> Engine {
    let engine = library.open();
    engine.shutdown();
    engine
}

#[test]
fn a_queued_run_survives_a_restart() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = open_idle(&library);
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    drop(engine);
    let engine = library.open();
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    assert_eq!(events[0].name(), "thread.run.created");
}

#[test]
fn a_run_whose_worker_died_after_its_claim_is_taken_up() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = open_idle(&library);
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    queue::claim(&engine.inner).unwrap().unwrap();
    assert_eq!(engine.run(run.id).unwrap().status, RunStatus::InProgress);

    let next = library.open();
    let events = told(next.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    let progress = events.iter().filter(|event| event.name() == "thread.run.in_progress");
    assert_eq!(progress.count(), 1);
}

#[test]
fn a_partial_message_is_written_anew_under_its_id() {
    let library = Library::new(Profile::Tools, [Turn::Babble("I was sa")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let mut stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let first = stream.find_map(|event| match event {
        RunEvent::MessageDelta { message, .. } => Some(message),
        _ => None,
    });
    let first = first.unwrap();
    engine.shutdown();
    assert!(stream.all(|event| !event.is_last()), "a parked run has not ended");
    assert_eq!(engine.run(first.run.unwrap()).unwrap().status, RunStatus::InProgress);
    drop(engine);

    library.then(Turn::Say(vec!["All ", "of it."]));
    let engine = library.open();
    let events = told(engine.follow(first.run.unwrap()).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    let message = engine.message(first.id).unwrap();
    assert_eq!((message.text(), message.status), ("All of it.".into(), MessageStatus::Completed));
    assert_eq!(engine.messages(thread.id, &PageRequest::all()).unwrap().data.len(), 2);
    let created = events.iter().filter(|event| event.name() == "thread.message.created");
    assert_eq!(created.count(), 1);
}

#[test]
fn a_partial_message_that_is_not_written_anew_is_incomplete() {
    let library = Library::new(Profile::Tools, [Turn::Babble("I was sa")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let mut stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let started = stream.find(|event| event.name() == "thread.message.delta");
    assert!(started.is_some());
    drop(engine);

    library.then(Turn::Call("", vec![("weather", "{}")]));
    let engine = library.open();
    let run = engine.runs(thread.id, &PageRequest::all()).unwrap().data.remove(0);
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::RequiresAction);
    let steps = engine.run_steps(run.id).unwrap();
    assert_eq!([steps[0].status, steps[1].status], [StepStatus::Failed, StepStatus::InProgress]);
    let message = engine.messages(thread.id, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!(message.status, MessageStatus::Incomplete);
}

#[test]
fn a_finished_search_is_not_made_again() {
    let library = Library::new(Profile::Basic, [Turn::Babble("It")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "When does the pump stop?");
    let mut stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    stream.find(|event| event.name() == "thread.message.delta").unwrap();
    drop(engine);

    library.then(Turn::Say(vec!["It stops at 80 °C and starts again below 60 °C [1]."]));
    let engine = library.open();
    let run = engine.runs(thread.id, &PageRequest::all()).unwrap().data.remove(0);
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    assert_eq!(library.shelf.queries.lock().unwrap().len(), 1);
    let message = engine.messages(thread.id, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!(message.annotations().count(), 1);
}

#[test]
fn a_run_that_requires_action_survives_a_restart() {
    let library = Library::new(Profile::Tools, [Turn::Call("", vec![("weather", "{}")])]);
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Weather?")).clone();
    drop(engine);
    let engine = library.open();
    let again = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&again).required_calls, run.required_calls);
    library.then(Turn::Say(vec!["Sunny."]));
    let output = SubmittedOutput { call: run.required_calls[0].id, output: "sunny".into() };
    let events = told(engine.resume_run(run.id, vec![output]).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
}

#[test]
fn a_cancel_survives_a_restart() {
    let library = Library::new(Profile::Tools, []);
    let engine = open_idle(&library);
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    queue::claim(&engine.inner).unwrap().unwrap();
    engine.cancel_run(run.id).unwrap();
    let next = library.open();
    let events = told(next.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Cancelled);
    assert_eq!(next.thread(thread.id).unwrap().active_run, None);
}

#[test]
fn a_run_that_is_over_time_when_reopened_has_expired() {
    let library = Library::new(Profile::Tools, []);
    let engine = open_idle(&library);
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    library.clock.advance(Duration::from_secs(600));
    let next = library.open();
    let events = told(next.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Expired);
}

#[test]
fn a_shared_store_leaves_a_lease_alone_until_it_lapses() {
    let mut library = Library::new(Profile::Tools, [Turn::Babble("Yes")]);
    library.options.sharing = Sharing::Shared;
    let engine = open_idle(&library);
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let claimed = queue::claim(&engine.inner).unwrap().unwrap();

    let next = library.open();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(library.asked().len(), 0, "taken up before the lease lapsed");
    library.clock.advance(library.options.lease);
    let mut stream = next.follow(run.id).unwrap();
    let deltas = |event: &RunEvent| event.name() == "thread.message.delta";
    assert!(stream.any(|event| deltas(&event)));

    // The worker that was taken for dead comes back while its successor is at work.
    library.then(Turn::Say(vec!["Too late."]));
    crate::runs::work::work_on(&engine.inner, claimed);
    assert_eq!(next.run(run.id).unwrap().status, RunStatus::InProgress);
    next.cancel_run(run.id).unwrap();
    stream.for_each(drop);
    let messages = next.messages(thread.id, &PageRequest::default()).unwrap().data;
    assert!(messages[0].text().starts_with("Yes"), "{messages:?}");
    assert_eq!(messages.len(), 2);
}

#[test]
fn leases_are_renewed_while_a_model_thinks() {
    let mut library = Library::new(Profile::Tools, [Turn::Babble("I")]);
    library.options.sharing = Sharing::Shared;
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let mut stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    stream.find(|event| event.name() == "thread.message.delta").unwrap();
    let run = engine.runs(thread.id, &PageRequest::all()).unwrap().data.remove(0);
    let lease = || {
        let read = library.store.read().unwrap();
        crate::tables::RUN_LEASES.get(read.as_ref(), &run.id).unwrap().unwrap().until
    };
    let before = lease();
    library.clock.advance(library.options.lease * 2 / 3);
    wait_until("the renewal", || lease() > before);
    engine.cancel_run(run.id).unwrap();
    assert_eq!(stream.last().unwrap().name(), "thread.run.cancelled");
}

#[test]
fn a_sqlite_library_is_taken_up_by_another_opening() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = Library::new(Profile::Basic, [Turn::Babble("It")]);
    let path = folder.path().join("state.sqlite");
    library.store = Arc::new(docent_store::SqliteStore::open(&path).unwrap());
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "When does the pump stop?");
    let mut stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    stream.find(|event| event.name() == "thread.message.delta").unwrap();
    drop((engine, stream));
    library.store = Arc::new(docent_store::SqliteStore::open(&path).unwrap());

    library.then(Turn::Say(vec!["It stops."]));
    let engine = library.open();
    let run = engine.runs(thread.id, &PageRequest::all()).unwrap().data.remove(0);
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Completed);
}
