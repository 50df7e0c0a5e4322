//! Files that come with messages, in real vector stores.

use std::ops::ControlFlow;
use std::time::Duration;

use docent_core::*;
use docent_retrieval::{AttachOptions, NewVectorStore};

use super::support::*;
use crate::*;

const MANUAL: &str = "The pump stops at 80 °C and starts again below 60 °C.";
const ANSWER: &str = "The pump stops at 80 °C and starts again below 60 °C [1].";

fn upload(engine: &Engine, filename: &str, text: &str) -> FileId {
    let source = &mut text.as_bytes();
    engine.collections().create_file(filename, Purpose::Assistants, source).unwrap().id
}

fn with_file(text: &str, file: FileId, tools: &[AttachmentTool]) -> NewMessage {
    let attachments = vec![Attachment { file, tools: tools.to_vec() }];
    NewMessage { attachments, ..NewMessage::user(text) }
}

fn searcher(engine: &Engine) -> AssistantId {
    let new = NewAssistant {
        model: "scripted".into(),
        tools: vec![AssistantTool::FileSearch(FileSearchOptions::default())],
        ..NewAssistant::default()
    };
    engine.create_assistant(new).unwrap().id
}

fn own_store(engine: &Engine, thread: ThreadId) -> VectorStoreId {
    let stores = engine.thread(thread).unwrap().tool_resources.vector_stores.unwrap();
    assert_eq!(stores.len(), 1);
    stores[0]
}

fn answer(engine: &Engine, thread: ThreadId) -> Message {
    engine.messages(thread, &PageRequest::default()).unwrap().data.remove(0)
}

/// Nobody else reads the files here: the run itself has it done.
#[test]
fn a_run_waits_for_what_was_attached_and_cites_it() {
    let library = Library::new(Profile::Basic, vec![Turn::Say(vec![ANSWER]); 3]);
    let engine = Engine::open(library.parts()).unwrap();
    let assistant = searcher(&engine);
    let thread = engine.create_thread(NewThread::default()).unwrap().id;
    let file = upload(&engine, "pump.md", MANUAL);
    let question = "When does the pump stop?";
    engine.add_message(thread, with_file(question, file, &[AttachmentTool::FileSearch])).unwrap();
    let store = own_store(&engine, thread);
    let row = engine.collections().vector_store(store).unwrap();
    assert_eq!(row.expires_after_days, Some(7));

    engine.start_run(thread, NewRun::new(assistant)).unwrap().for_each(drop);
    assert_eq!(answer(&engine, thread).annotations().count(), 1);

    // A second file joins the same store, through a run's own messages this time.
    let other = upload(&engine, "filter.md", "Clean the filter every three months.");
    let message = with_file(question, other, &[AttachmentTool::FileSearch]);
    let run = NewRun { additional_messages: vec![message], ..NewRun::new(assistant) };
    engine.start_run(thread, run).unwrap().for_each(drop);
    assert_eq!(own_store(&engine, thread), store);
    let summary = engine.collections().vector_store_summary(store).unwrap();
    assert_eq!((summary.files.completed, summary.files.total()), (2, 2));

    // Deleted, it is cited no more.
    engine.collections().delete_file(file).unwrap();
    engine.add_message(thread, NewMessage::user(question)).unwrap();
    engine.start_run(thread, NewRun::new(assistant)).unwrap().for_each(drop);
    assert_eq!(answer(&engine, thread).annotations().count(), 0);
}

#[test]
fn what_was_attached_before_a_restart_is_still_waited_for() {
    let library = Library::new(Profile::Basic, [Turn::Say(vec![ANSWER])]);
    let engine = Engine::open(library.parts()).unwrap();
    let assistant = searcher(&engine);
    let file = upload(&engine, "pump.md", MANUAL);
    let message = with_file("When does the pump stop?", file, &[AttachmentTool::FileSearch]);
    let new = NewThread { messages: vec![message], ..NewThread::default() };
    let thread = engine.create_thread(new).unwrap().id;
    drop(engine);
    let engine = Engine::open(library.parts()).unwrap();
    engine.start_run(thread, NewRun::new(assistant)).unwrap().for_each(drop);
    assert_eq!(answer(&engine, thread).annotations().count(), 1);
}

/// Another thread holds the file and takes its time.
#[test]
fn a_run_does_not_wait_for_ever() {
    let mut library = Library::new(Profile::Basic, [Turn::Say(vec!["I do not know."])]);
    library.options.attachment_wait = Duration::from_millis(50);
    let engine = Engine::open(library.parts()).unwrap();
    let assistant = searcher(&engine);
    let file = upload(&engine, "pump.md", MANUAL);
    let message = with_file("When does the pump stop?", file, &[AttachmentTool::FileSearch]);
    let new = NewThread { messages: vec![message], ..NewThread::default() };
    let thread = engine.create_thread(new).unwrap().id;
    let mut status = None;
    engine
        .collections()
        .process(&mut |_| {
            if status.is_none() {
                let stream = engine.start_run(thread, NewRun::new(assistant)).unwrap();
                status = Some(last_run(&stream.collect::<Vec<_>>()).status);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(status, Some(RunStatus::Completed));
}

#[test]
fn a_file_for_the_code_interpreter_joins_the_threads_files_up_to_twenty() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let thread = engine.create_thread(NewThread::default()).unwrap().id;
    let files: Vec<FileId> = (0..21).map(|i| upload(&engine, "a.csv", &format!("a,{i}"))).collect();
    let tools = [AttachmentTool::CodeInterpreter];
    for file in files[..20].iter().chain(&files[..1]) {
        engine.add_message(thread, with_file("Sum it.", *file, &tools)).unwrap();
    }
    let error = engine.add_message(thread, with_file("Sum it.", files[20], &tools)).unwrap_err();
    assert_eq!(error.code(), Some("array_above_max_length"));
    let resources = engine.thread(thread).unwrap().tool_resources;
    assert_eq!(resources.code_files.as_deref(), Some(&files[..20]));
    assert_eq!(resources.vector_stores, None);
    let said = engine.messages(thread, &PageRequest::all()).unwrap().data;
    assert_eq!((said.len(), said[0].attachments[0].file), (21, files[0]));
}

#[test]
fn a_message_whose_file_is_missing_leaves_nothing() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let known = upload(&engine, "pump.md", MANUAL);
    let unknown = "file-zzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    let tools = [AttachmentTool::FileSearch];
    let messages = vec![with_file("One", known, &tools), with_file("Two", unknown, &tools)];
    let error = engine.create_thread(NewThread { messages, ..NewThread::default() }).unwrap_err();
    assert_eq!(error.message(), format!("No such File object: {unknown}"));
    let threads = engine.threads(&Metadata::new(), &PageRequest::all()).unwrap().data;
    assert!(threads.is_empty());
    assert!(engine.collections().vector_stores().unwrap().is_empty());
    assert_eq!(engine.collections().pending().unwrap(), 0);
}

#[test]
fn a_file_that_is_in_the_store_already_stays_as_it_is_cut() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let collections = engine.collections();
    let file = upload(&engine, "pump.md", MANUAL);
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let chunking = ChunkingStrategy::new(200, 10).unwrap();
    let options = AttachOptions { chunking, ..AttachOptions::default() };
    collections.attach(store, file, options).unwrap();
    let tool_resources =
        ToolResources { vector_stores: Some(vec![store]), ..ToolResources::default() };
    let messages = vec![with_file("When?", file, &[AttachmentTool::FileSearch])];
    let new = NewThread { messages, tool_resources, ..NewThread::default() };
    let thread = engine.create_thread(new).unwrap().id;
    assert_eq!(own_store(&engine, thread), store);
    assert_eq!(collections.vector_store_file(store, file).unwrap().chunking, chunking);
    // The store of another thread's files may be gone; the next attachment begins a new one.
    collections.delete_vector_store(store).unwrap();
    let message = with_file("When?", file, &[AttachmentTool::FileSearch]);
    engine.add_message(thread, message).unwrap();
    assert_ne!(own_store(&engine, thread), store);
}

#[test]
fn a_vector_store_is_made_along_with_an_assistant_or_a_thread() {
    let library = Library::new(Profile::Basic, [Turn::Say(vec![ANSWER])]);
    let engine = Engine::open(library.parts()).unwrap();
    let file = upload(&engine, "pump.md", MANUAL);
    let new_store = || Some(NewVectorStore { files: vec![file], ..NewVectorStore::default() });
    let new = NewAssistant {
        model: "scripted".into(),
        new_vector_store: new_store(),
        ..NewAssistant::default()
    };
    let assistant = engine.create_assistant(new).unwrap();
    let made = assistant.tool_resources.vector_stores.unwrap()[0];
    let summary = engine.collections().vector_store_summary(made).unwrap();
    assert_eq!((summary.files.in_progress, summary.vector_store.expires_after_days), (1, None));

    // A run on a thread made with a store waits for its files as well.
    let new = NewThread {
        messages: vec![NewMessage::user("When does the pump stop?")],
        new_vector_store: new_store(),
        ..NewThread::default()
    };
    let (thread, _, stream) =
        engine.start_thread_and_run(new, NewRun::new(searcher(&engine))).unwrap();
    stream.for_each(drop);
    assert_eq!(answer(&engine, thread.id).annotations().count(), 1);

    let both = NewThread {
        new_vector_store: new_store(),
        tool_resources: ToolResources {
            vector_stores: Some(vec![made]),
            ..ToolResources::default()
        },
        ..NewThread::default()
    };
    assert_eq!(engine.create_thread(both).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_expired_store_is_passed_over() {
    let library = Library::new(Profile::Basic, vec![Turn::Say(vec![ANSWER]); 2]);
    let engine = Engine::open(library.parts()).unwrap();
    let assistant = searcher(&engine);
    let file = upload(&engine, "pump.md", MANUAL);
    let question = "When does the pump stop?";
    let messages = vec![with_file(question, file, &[AttachmentTool::FileSearch])];
    let new = NewThread { messages, ..NewThread::default() };
    let thread = engine.create_thread(new).unwrap().id;
    let ask = || {
        let stream = engine.start_run(thread, NewRun::new(assistant)).unwrap();
        assert_eq!(last_run(&stream.collect::<Vec<_>>()).status, RunStatus::Completed);
        answer(&engine, thread).annotations().count()
    };
    assert_eq!(ask(), 1);
    library.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    engine.add_message(thread, NewMessage::user(question)).unwrap();
    assert_eq!(ask(), 0);
}
