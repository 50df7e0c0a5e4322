//! Runs that search real vector stores.

use std::ops::ControlFlow;

use docent_core::*;
use docent_retrieval::{AttachOptions, Collections};

use super::support::*;
use crate::*;

const MANUAL: &str = "# Pump\n\nThe pump must not run dry. It stops at 80 °C and starts again below \
                      60 °C.\n\n# Filter\n\nClean the filter every three months.\n";

fn add(collections: &Collections, store: VectorStoreId, filename: &str, text: &str) -> FileId {
    let source = &mut text.as_bytes();
    let file = collections.create_file(filename, Purpose::Assistants, source).unwrap();
    collections.attach(store, file.id, AttachOptions::default()).unwrap();
    collections.process(&mut |_| ControlFlow::Continue(())).unwrap();
    file.id
}

fn searcher(engine: &Engine, stores: Vec<VectorStoreId>) -> Assistant {
    let tool_resources = ToolResources { vector_stores: Some(stores), ..ToolResources::default() };
    engine
        .create_assistant(NewAssistant {
            model: "scripted".into(),
            tools: vec![AssistantTool::FileSearch(FileSearchOptions::default())],
            tool_resources,
            ..NewAssistant::default()
        })
        .unwrap()
}

fn citations(message: &Message) -> Vec<Citation> {
    let citation = |annotation: &Annotation| match &annotation.target {
        AnnotationTarget::FileCitation(citation) => Some(citation.clone()),
        _ => None,
    };
    message.annotations().filter_map(citation).collect()
}

#[test]
fn an_answer_cites_the_assistants_and_the_threads_files() {
    let answer =
        "The pump stops at 80 °C and starts again below 60 °C [1][2]. 水泵是蓝色的。[1][2]";
    let library = Library::new(Profile::Basic, [Turn::Say(vec![answer])]);
    let engine = Engine::open(library.parts()).unwrap();
    let collections = engine.collections();
    let ours = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let theirs = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let gone = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let manual = add(collections, ours, "pump.md", MANUAL);
    let note = add(collections, theirs, "颜色.txt", "水泵是蓝色的。The pump is blue.");
    collections.delete_vector_store(gone).unwrap();

    let assistant = searcher(&engine, vec![ours, gone]);
    let thread = engine
        .create_thread(NewThread {
            messages: vec![NewMessage::user("When does the pump stop, and what color is it? 水泵")],
            tool_resources: ToolResources {
                vector_stores: Some(vec![theirs]),
                ..ToolResources::default()
            },
            ..NewThread::default()
        })
        .unwrap();
    let stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let events: Vec<_> = stream.collect();
    assert_eq!(last_run(&events).status, RunStatus::Completed, "{:?}", last_run(&events));

    let message = engine.messages(thread.id, &PageRequest::default()).unwrap().data.remove(0);
    let cited = citations(&message);
    let (first, second) = match cited.as_slice() {
        [first, second] => (first, second),
        _ => panic!("{message:?}"),
    };
    // Which file ranks first is retrieval's business: only the marker that fits has stayed.
    assert_eq!((first.file, second.file), (manual, note));
    assert_eq!(first.quote, "It stops at 80 °C and starts again below 60 °C.");
    assert_eq!(second.quote, "水泵是蓝色的。");
    assert_eq!((first.page_start, first.filename.as_str()), (1, "pump.md"));
}

#[test]
fn a_deleted_file_is_cited_no_more() {
    let answer = "The pump stops at 80 °C and starts again below 60 °C [1].";
    let library = Library::new(Profile::Basic, vec![Turn::Say(vec![answer]); 2]);
    let engine = Engine::open(library.parts()).unwrap();
    let collections = engine.collections();
    let store = collections.create_vector_store(None, Metadata::new()).unwrap().id;
    let manual = add(collections, store, "pump.md", MANUAL);
    let assistant = searcher(&engine, vec![store]);
    let ask = || {
        let thread = engine
            .create_thread(NewThread {
                messages: vec![NewMessage::user("When does the pump stop?")],
                ..NewThread::default()
            })
            .unwrap();
        engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap().for_each(drop);
        engine.messages(thread.id, &PageRequest::default()).unwrap().data.remove(0)
    };
    assert_eq!(citations(&ask()).len(), 1);
    collections.delete_file(manual).unwrap();
    let message = ask();
    assert_eq!(citations(&message).len(), 0);
    assert_eq!(library.asked()[1].passages, 0);
}
