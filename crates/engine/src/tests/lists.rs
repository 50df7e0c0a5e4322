//! Lists a page at a time, and what may be changed at any moment.

use docent_core::*;

use super::support::*;
use crate::*;

fn numbered(library: &Library) -> (Engine, Thread, Vec<MessageId>) {
    let engine = library.open();
    let (_, thread) = ask(&engine, "0");
    for number in 1..5 {
        engine.add_message(thread.id, NewMessage::user(number.to_string())).unwrap();
    }
    let all = engine.messages(thread.id, &PageRequest::all()).unwrap().data;
    (engine, thread, all.iter().map(|message| message.id).collect())
}

#[test]
fn messages_are_paged_by_insertion_with_exclusive_cursors_in_both_orders() {
    let library = Library::new(Profile::Tools, []);
    let (engine, thread, ids) = numbered(&library);
    let page = |request: PageRequest<MessageId>| {
        let page = engine.messages(thread.id, &request).unwrap();
        let texts = page.data.iter().map(Message::text).collect::<Vec<_>>().join("");
        (texts, page.has_more)
    };
    let newest = PageRequest { limit: 2, ..PageRequest::default() };
    let oldest = PageRequest { order: Order::Oldest, ..newest };
    for (request, texts, has_more) in [
        (newest, "43", true),
        (PageRequest { after: Some(ids[3]), ..newest }, "21", true),
        (PageRequest { after: Some(ids[1]), ..newest }, "0", false),
        (PageRequest { before: Some(ids[1]), ..newest }, "32", true),
        (PageRequest { after: Some(ids[4]), before: Some(ids[2]), ..newest }, "3", false),
        (oldest, "01", true),
        (PageRequest { after: Some(ids[2]), ..oldest }, "34", false),
        (PageRequest { before: Some(ids[3]), ..oldest }, "12", true),
        (PageRequest { before: Some(ids[0]), ..oldest }, "", false),
    ] {
        assert_eq!(page(request), (texts.to_owned(), has_more), "{request:?}");
    }
    let stranger = Some("msg_zzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap());
    let error = engine.messages(thread.id, &PageRequest { after: stranger, ..newest }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_runs_messages_and_steps_are_listed_by_page() {
    let calls = vec![("file_search", "{}")];
    let turns = [Turn::Call("One moment.", calls), Turn::Say(vec!["Done."]), Turn::Say(vec!["2"])];
    let library = Library::new(Profile::Tools, turns);
    let engine = library.open();
    let first = last_run(&run_to_end(&engine, "When?")).clone();
    engine.start_run(first.thread, NewRun::new(first.assistant)).unwrap().for_each(drop);
    let oldest = PageRequest { limit: 1, order: Order::Oldest, after: None, before: None };
    let page = engine.messages_of_run(first.thread, first.id, &oldest).unwrap();
    assert_eq!((page.data[0].text().as_str(), page.has_more), ("One moment.", true));
    let rest = PageRequest { after: Some(page.data[0].id), ..oldest };
    let page = engine.messages_of_run(first.thread, first.id, &rest).unwrap();
    assert_eq!((page.data[0].text().as_str(), page.has_more), ("Done.", false));

    let steps = engine.run_steps(first.id).unwrap();
    let newest = PageRequest { limit: 2, ..PageRequest::default() };
    let page = engine.run_steps_page(first.id, &newest).unwrap();
    assert_eq!((page.data[0].id, page.data[1].id), (steps[2].id, steps[1].id));
    assert!(page.has_more);
    let after = PageRequest { after: Some(steps[1].id), ..newest };
    assert_eq!(engine.run_steps_page(first.id, &after).unwrap().data, steps[..1]);
}

#[test]
fn threads_are_found_by_their_metadata() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let of = |user: &str| Metadata::from([("user".to_owned(), user.to_owned())]);
    let made: Vec<ThreadId> = ["ann", "ben", "ann"]
        .map(|user| {
            let new = NewThread { metadata: of(user), ..NewThread::default() };
            engine.create_thread(new).unwrap().id
        })
        .to_vec();
    let found = |filter: &Metadata, limit| {
        let page = engine.threads(filter, &PageRequest { limit, ..PageRequest::default() });
        let page = page.unwrap();
        (page.data.iter().map(|thread| thread.id).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(found(&of("ann"), 20), (vec![made[2], made[0]], false));
    assert_eq!(found(&of("ann"), 1), (vec![made[2]], true));
    assert_eq!(found(&Metadata::new(), 2), (vec![made[2], made[1]], true));
}

#[test]
fn metadata_changes_while_a_run_writes_and_stays() {
    let library = Library::new(Profile::Tools, [Turn::Babble("I")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Talk.");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let mut stream = engine.follow(run.id).unwrap();
    stream.find(|event| event.name() == "thread.message.delta").unwrap();
    let newest = engine.messages(thread.id, &PageRequest::default()).unwrap().data.remove(0);
    let note = Metadata::from([("note".to_owned(), "水".repeat(512))]);
    engine.update_message(newest.id, note.clone()).unwrap();
    engine.update_run(run.id, note.clone()).unwrap();
    let error = engine.delete_message(newest.id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    engine.cancel_run(run.id).unwrap();
    stream.for_each(drop);
    let message = engine.message(newest.id).unwrap();
    assert_eq!((message.status, &message.metadata), (MessageStatus::Incomplete, &note));
    assert_eq!(engine.run(run.id).unwrap().metadata, note);

    engine.delete_message(newest.id).unwrap();
    assert_eq!(engine.message(newest.id).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(engine.messages(thread.id, &PageRequest::all()).unwrap().data.len(), 1);
}

#[test]
fn metadata_beyond_its_limits_is_refused_where_it_stands() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let long = Metadata::from([("k".to_owned(), "x".repeat(513))]);
    let message = NewMessage { metadata: long.clone(), ..NewMessage::user("Hi") };
    let messages = vec![NewMessage::user("Hi"), message.clone()];
    let in_thread = NewThread { messages: messages.clone(), ..NewThread::default() };
    let in_run = NewRun { additional_messages: messages, ..NewRun::new(assistant.id) };
    let run = NewRun { metadata: long.clone(), ..NewRun::new(assistant.id) };
    let refused = [
        engine.create_thread(in_thread.clone()).unwrap_err(),
        engine.create_run(thread.id, in_run).unwrap_err(),
        engine.add_message(thread.id, message).unwrap_err(),
        engine.create_run(thread.id, run.clone()).unwrap_err(),
        engine.update_thread(thread.id, |thread| thread.metadata = long.clone()).unwrap_err(),
        engine.update_assistant(assistant.id, |it| it.metadata = long.clone()).unwrap_err(),
    ];
    let params: Vec<&str> = refused.iter().map(|error| error.param().unwrap()).collect();
    assert_eq!(params[0], "messages[1].metadata.k");
    assert_eq!(params[1], "additional_messages[1].metadata.k");
    assert!(params[2..].iter().all(|param| *param == "metadata.k"), "{params:?}");
    assert_eq!(engine.thread(thread.id).unwrap().active_run, None);
}

#[test]
fn a_thread_and_its_run_begin_together_or_not_at_all() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Hello."])]);
    let engine = library.open();
    let (assistant, _) = ask(&engine, "Hello?");
    let new = || NewThread { messages: vec![NewMessage::user("Hi")], ..NewThread::default() };
    let (thread, run, stream) =
        engine.start_thread_and_run(new(), NewRun::new(assistant.id)).unwrap();
    assert_eq!((thread.id, run.status), (run.thread, RunStatus::Queued));
    assert_eq!(last_run(&stream.collect::<Vec<_>>()).status, RunStatus::Completed);
    assert_eq!(engine.messages(thread.id, &PageRequest::all()).unwrap().data.len(), 2);

    let before = engine.threads(&Metadata::new(), &PageRequest::all()).unwrap().data.len();
    let nobody = "asst_zzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    let error = engine.start_thread_and_run(new(), NewRun::new(nobody)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(engine.threads(&Metadata::new(), &PageRequest::all()).unwrap().data.len(), before);
}
