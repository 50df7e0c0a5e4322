//! A library leaves as lines of JSON and enters another.

use std::ops::ControlFlow;
use std::sync::Arc;

use docent::inference::chat::{Scripted, ScriptedReply};
use docent::inference::{ConfiguredModels, ModelsConfig};
use docent::{
    Assistant, AssistantTool, FunctionTool, Library, NewAssistant, NewMessage, NewRun, NewThread,
    PageRequest, RunStatus, SearchOptions, ToolSpec,
};

use crate::support::{Home, add_all, ask, process};

fn export(library: &Library) -> Vec<u8> {
    let mut out = Vec::new();
    let written = library.export(&mut out, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(written.is_some());
    out
}

/// All lines but the first, which says when.
fn lines(export: &[u8]) -> Vec<String> {
    let text = String::from_utf8(export.to_vec()).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[track_caller]
fn import(library: &mut Library, export: &[u8]) -> docent::Import {
    library.import(&mut &*export, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn what_is_imported_is_what_was_exported() {
    let (old, new) = (Home::new(), Home::new());
    let library = old.open();
    let long = "The pump was painted green in 1998. ".repeat(5000);
    let paths = [old.write("pump.md", &long), old.write("valve.md", "The valve opens at 80 °C.")];
    add_all(&library, &paths);
    ask(&library, "When does the valve open?");
    let out = export(&library);
    assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() < 70_000), "a line is long");

    let mut copy = new.open();
    let done = import(&mut copy, &out);
    assert_eq!((done.new["file"], done.new["message"], done.present.len()), (2, 2, 0));
    process(&copy);
    assert_eq!(lines(&export(&copy)), lines(&out));
    let again = import(&mut copy, &out);
    assert_eq!((again.new.len(), again.present["file"]), (0, 2));
    process(&copy);
    assert_eq!(lines(&export(&copy)), lines(&out));

    let found = |library: &Library| {
        let options = SearchOptions::default();
        let result = library.search("painted green", &options).unwrap();
        let hits = result.hits.into_iter().map(|hit| (hit.chunk.file, hit.chunk.chunk.text));
        hits.collect::<Vec<_>>()
    };
    assert!(!found(&library).is_empty());
    assert_eq!(found(&copy), found(&library));
    // The copy is the user's library: the documents are known by their paths, also when opened anew.
    drop(copy);
    let copy = new.open();
    assert!(matches!(copy.add(&paths[0]).unwrap(), docent::Added::Unchanged(_)));
    ask(&copy, "When does the valve open?");
    assert_eq!(copy.check(docent::Repair::No).unwrap(), []);
}

#[test]
fn a_library_with_documents_keeps_its_own_beside_those_that_come() {
    let (old, new) = (Home::new(), Home::new());
    let library = old.open();
    add_all(&library, &[old.write("valve.md", "The valve opens at 80 °C.")]);
    ask(&library, "When does the valve open?");
    let out = export(&library);
    let mut other = new.open();
    add_all(&other, &[new.write("pump.md", "The pump is green.")]);
    ask(&other, "What color is the pump?");
    let own = other.vector_store();
    import(&mut other, &out);
    import(&mut other, &out);
    process(&other);
    assert_eq!(other.vector_store(), own);
    drop(other);
    let other = new.open();
    assert_eq!((other.vector_store(), other.documents().unwrap().len()), (own, 1));
    let came =
        other.collections().search(&[library.vector_store()], "valve", &SearchOptions::default());
    assert_eq!(came.unwrap().hits.len(), 1);
}

#[test]
fn an_import_that_was_broken_off_goes_on() {
    let (old, new) = (Home::new(), Home::new());
    let library = old.open();
    add_all(&library, &[old.write("a.md", "Alpha."), old.write("b.md", "Beta.")]);
    ask(&library, "Alpha?");
    let out = export(&library);
    let mut copy = new.open();
    for objects in 1..12 {
        let stop = |progress: docent::TransferProgress| match progress.objects >= objects {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        copy.import(&mut &*out, &mut { stop }).unwrap();
    }
    import(&mut copy, &out);
    process(&copy);
    assert_eq!(lines(&export(&copy)), lines(&out));
}

/// A library whose model calls a function of the client's.
fn with_function(home: &Home) -> (Library, Assistant) {
    let model = Arc::new(Scripted::new([ScriptedReply::call("weather", "{}")]));
    let models = ConfiguredModels::new(ModelsConfig::empty()).with_model("m", model);
    let builder = Library::builder(home.library()).without_embedder();
    let library = builder.own_models(Arc::new(models)).open().unwrap();
    let spec = ToolSpec {
        name: "weather".into(),
        description: String::new(),
        parameters: Default::default(),
    };
    let function = AssistantTool::Function(FunctionTool { spec, strict: false });
    let new = NewAssistant { model: "m".into(), tools: vec![function], ..Default::default() };
    let assistant = library.engine().create_assistant(new).unwrap();
    (library, assistant)
}

#[test]
fn a_run_that_was_active_comes_in_as_expired_and_locks_nothing() {
    let (old, new) = (Home::new(), Home::new());
    let (library, assistant) = with_function(&old);
    let messages = vec![NewMessage::user("Rain?")];
    let thread = library.engine().create_thread(NewThread { messages, ..Default::default() });
    let thread = thread.unwrap();
    let events = library.engine().start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    events.for_each(drop);
    let out = export(&library);
    let mut copy = new.open();
    import(&mut copy, &out);
    let run = copy.engine().runs(thread.id, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!((run.status, run.required_calls.len()), (RunStatus::Expired, 0));
    assert!(run.last_error.unwrap().message.contains("requires_action"));
    copy.engine().add_message(thread.id, NewMessage::user("And now?")).unwrap();
    assert_eq!(copy.check(docent::Repair::No).unwrap(), []);
    // Where it came from it still waits.
    let run = library.engine().run(run.id).unwrap();
    assert_eq!(run.status, RunStatus::RequiresAction);
}
