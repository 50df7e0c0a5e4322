//! Programs that models write, run in a sandbox that understands a few.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use docent_core::*;

use super::fake::{FakeSandbox, PNG};
use super::support::*;
use crate::*;

/// A library with a sandbox.
fn lab(turns: impl IntoIterator<Item = Turn>) -> (Library, Arc<FakeSandbox>) {
    lab_with(ProgramOptions::default(), turns)
}

fn lab_with(
    options: ProgramOptions,
    turns: impl IntoIterator<Item = Turn>,
) -> (Library, Arc<FakeSandbox>) {
    let mut library = Library::new(Profile::Tools, turns);
    let sandbox = FakeSandbox::new();
    library.programs = sandbox.programs(options);
    (library, sandbox)
}

fn python(program: &str) -> Turn {
    Turn::Call("", vec![("python", program.to_owned().leak())])
}

fn say(text: &'static str) -> Turn {
    Turn::Say(vec![text])
}

fn coder_with(engine: &Engine, files: Vec<FileId>) -> AssistantId {
    let resources = ToolResources { code_files: Some(files), ..ToolResources::default() };
    let new = NewAssistant {
        model: "scripted".into(),
        tools: vec![AssistantTool::CodeInterpreter],
        tool_resources: resources,
        ..NewAssistant::default()
    };
    engine.create_assistant(new).unwrap().id
}

fn coder(engine: &Engine) -> AssistantId {
    coder_with(engine, vec![])
}

fn thread(engine: &Engine) -> ThreadId {
    let messages = vec![NewMessage::user("Compute it.")];
    engine.create_thread(NewThread { messages, ..NewThread::default() }).unwrap().id
}

fn upload(engine: &Engine, filename: &str, text: &str) -> FileId {
    let source = &mut text.as_bytes();
    engine.collections().create_file(filename, Purpose::Assistants, source).unwrap().id
}

#[track_caller]
fn go(engine: &Engine, assistant: AssistantId, thread: ThreadId) -> Vec<RunEvent> {
    told(engine.start_run(thread, NewRun::new(assistant)).unwrap())
}

/// What the run's programs gave, in order.
fn outputs(engine: &Engine, events: &[RunEvent]) -> Vec<Vec<CodeOutput>> {
    let steps = engine.run_steps(last_run(events).id).unwrap();
    let calls = steps.into_iter().flat_map(|step| match step.details {
        StepDetails::ToolCalls { calls } => calls,
        _ => vec![],
    });
    let outputs = calls.filter_map(|call| match call.call {
        Call::CodeInterpreter { outputs, .. } => Some(outputs.unwrap()),
        _ => None,
    });
    outputs.collect()
}

fn logs(engine: &Engine, events: &[RunEvent]) -> Vec<String> {
    let text = |outputs: Vec<CodeOutput>| match outputs.first() {
        Some(CodeOutput::Logs { logs }) => logs.clone(),
        _ => String::new(),
    };
    outputs(engine, events).into_iter().map(text).collect()
}

fn bytes(engine: &Engine, file: FileId) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.collections().open_file(file).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn newest(engine: &Engine, thread: ThreadId) -> Message {
    engine.messages(thread, &PageRequest::default()).unwrap().data.remove(0)
}

fn last_seen(library: &Library) -> String {
    library.asked().pop().unwrap().messages.pop().unwrap().content
}

#[test]
fn variables_live_over_calls_and_runs_of_a_thread() {
    let turns = [python("print hi\nx = 41\nx"), python("x"), say("41."), python("x"), say("41.")];
    let (library, sandbox) = lab(turns);
    let engine = library.open();
    let (assistant, thread) = (coder(&engine), thread(&engine));
    let events = go(&engine, assistant, thread);
    assert_eq!(logs(&engine, &events), ["hi\n41", "41"]);
    assert_eq!(logs(&engine, &go(&engine, assistant, thread)), ["41"]);
    assert_eq!((sandbox.opened(), sandbox.open_now()), (1, 1));
    library.then(python("x"));
    library.then(say("Unknown."));
    let other = go(&engine, assistant, super::programs::thread(&engine));
    assert_eq!(logs(&engine, &other), ["NameError: x"]);
}

#[test]
fn a_step_grows_by_its_call_its_input_and_its_outputs() {
    let (library, _) = lab([python("print hi"), say("Done.")]);
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    let deltas: Vec<&StepDelta> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::StepDelta { delta, .. } => Some(delta),
            _ => None,
        })
        .collect();
    let [StepDelta::Call { index: 0, call }, middle @ .., last] = &deltas[..] else { panic!() };
    let begun = Call::CodeInterpreter { input: String::new(), outputs: None };
    assert_eq!(call.call, begun);
    let input = middle.iter().map(|delta| match delta {
        StepDelta::Arguments { index: 0, fragment } => fragment.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(input.collect::<String>(), "print hi");
    let outputs = vec![CodeOutput::Logs { logs: "hi\n".into() }];
    assert_eq!(**last, StepDelta::Outputs { index: 0, outputs });
}

#[test]
fn a_traceback_goes_back_to_the_model_which_corrects_itself() {
    let (library, _) = lab([python("y"), python("y = 1\ny"), say("1.")]);
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    assert_eq!(logs(&engine, &events), ["NameError: y", "1"]);
    let seen = library.asked().remove(1).messages.pop().unwrap();
    assert_eq!((seen.role, seen.content.as_str()), (Role::Tool, "NameError: y"));
    let steps = engine.run_steps(last_run(&events).id).unwrap();
    assert!(steps.iter().all(|step| step.status == StepStatus::Completed));
}

#[test]
fn a_model_that_never_gets_its_program_right_is_stopped() {
    let (mut library, sandbox) = lab(vec![python("y"); 4]);
    library.options.max_tool_turns = 2;
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    assert!(last_run(&events).last_error.as_ref().unwrap().message.contains("without an answer"));
    assert!(library.asked()[2].tools.is_empty());
    assert_eq!(sandbox.begun(), 3);
}

#[test]
fn files_of_assistant_thread_and_message_are_there_under_their_ids() {
    let (library, sandbox) = lab([]);
    let engine = library.open();
    let names = ["a.csv", "t.csv", "m.csv"];
    let files: Vec<FileId> = names.iter().map(|name| upload(&engine, name, name)).collect();
    let assistant = coder_with(&engine, vec![files[0], files[1]]);
    let resources = ToolResources { code_files: Some(vec![files[1]]), ..ToolResources::default() };
    let tools = vec![AttachmentTool::CodeInterpreter];
    let attachments = vec![Attachment { file: files[2], tools }];
    let messages = vec![NewMessage { attachments, ..NewMessage::user("Sum it.") }];
    let new = NewThread { messages, tool_resources: resources, ..NewThread::default() };
    let thread = engine.create_thread(new).unwrap().id;
    for file in &files {
        library.then(python(&format!("read {file}")));
    }
    library.then(say("Done."));
    let events = go(&engine, assistant, thread);
    assert_eq!(logs(&engine, &events), names);
    assert_eq!(sandbox.put(), 3, "each once in a session");
    let told = &library.asked()[0].descriptions[0];
    for (file, name) in files.iter().zip(names) {
        let line = format!("\n- /mnt/data/{file} is \"{name}\", 5 bytes");
        assert!(told.contains(&line), "{told}");
    }
    assert!(told.contains("Python 3") && told.contains("pandas 2"), "{told}");
}

#[test]
fn a_file_that_cannot_be_there_is_named_to_the_model() {
    let limits = SandboxLimits { data_bytes: 10, ..SandboxLimits::default() };
    let options = ProgramOptions { limits, ..ProgramOptions::default() };
    let (library, _) = lab_with(options, [python("print hi"), python("x = 1"), say("Done.")]);
    let engine = library.open();
    let files = ["123456", "1234567", "12345678901", "1"].map(|text| upload(&engine, "a", text));
    engine.collections().delete_file(files[3]).unwrap();
    let events = go(&engine, coder_with(&engine, files.to_vec()), thread(&engine));
    let [_, room, long, gone] = files.map(|file| format!("[/mnt/data/{file} is not there: "));
    let missing = format!(
        "{room}there is no room for it]\n\
         {long}it has 11 bytes, and all files may have 10]\n\
         {gone}it was deleted]\n"
    );
    let all = logs(&engine, &events);
    assert_eq!(all[0], format!("{missing}hi\n"));
    assert_eq!(all[1], missing.trim_end());
    assert!(library.asked()[0].descriptions[0].contains("is not there: it was deleted"));
}

#[test]
fn figures_are_files_of_the_step_and_stand_before_the_answer() {
    let turns = [Turn::Call("I draw.", vec![("python", "print hi\nplot\njunk\nplot")])];
    let (library, _) = lab(turns.into_iter().chain([Turn::Say(vec!["Look", "!"])]));
    let engine = library.open();
    let thread = thread(&engine);
    let stream = engine.start_run(thread, NewRun::new(coder(&engine))).unwrap();
    let mut events = Vec::new();
    for event in stream {
        if let RunEvent::StepDelta { delta: StepDelta::Outputs { outputs, .. }, .. } = &event {
            let CodeOutput::Image { file } = outputs[1] else { panic!("{outputs:?}") };
            assert_eq!(bytes(&engine, file), PNG, "it is there before anybody hears of it");
        }
        events.push(event);
    }
    let given = outputs(&engine, &events).remove(0);
    let [
        CodeOutput::Logs { logs },
        CodeOutput::Image { file: one },
        CodeOutput::Image { file: two },
    ] = &given[..]
    else {
        panic!("{given:?}")
    };
    assert_eq!(logs, "[1 figures are not shown: at most 20 are, in PNG]\nhi\n");
    let file = engine.collections().file(*two).unwrap();
    assert_eq!((file.filename.as_str(), file.purpose), ("figure-2.png", Purpose::AssistantsOutput));
    let image = |file: &FileId| Content::ImageFile { file: *file, detail: None };
    let shown = vec![image(one), image(two), Content::text("Look!")];
    let messages = engine.messages(thread, &PageRequest::default()).unwrap().data;
    assert_eq!(messages[0].content, shown);
    assert_eq!(messages[1].content, [Content::text("I draw.")]);
    assert!(last_seen(&library).contains(&one.to_string()));

    let grown = |events: &[RunEvent]| -> Vec<(Vec<FileId>, String)> {
        let deltas = events.iter().filter_map(|event| match event {
            RunEvent::MessageDelta { delta, .. } => Some(delta),
            _ => None,
        });
        deltas.map(|delta| (delta.images.clone(), delta.text.clone())).collect()
    };
    let images = (vec![*one, *two], String::new());
    let text = |text: &str| (vec![], text.to_owned());
    assert_eq!(grown(&events), [text("I draw."), images.clone(), text("Look"), text("!")]);
    let again = told(engine.follow(last_run(&events).id).unwrap());
    assert_eq!(grown(&again), [text("I draw."), images, text("Look!")]);
    assert_eq!(names(&again), names(&events));
}

const LINKED: [&str; 4] = [
    "水: [s](sand",
    "box:/mnt/da",
    "ta/out/s.csv), again sandbox:/mnt/data/out/s.csv. ",
    "Bye [n](sandbox:/mnt/data/none)",
];

#[test]
fn a_link_to_a_made_file_is_an_annotation_with_an_attachment() {
    let program = Turn::Call("", vec![("python", "write out/s.csv 1,2")]);
    let (library, _) = lab([program, Turn::Say(LINKED.to_vec())]);
    let engine = library.open();
    let thread = thread(&engine);
    let stream = engine.start_run(thread, NewRun::new(coder(&engine))).unwrap();
    for event in stream {
        if let RunEvent::MessageDelta { delta, message } = &event {
            for annotation in &delta.annotations {
                let AnnotationTarget::FilePath { file } = annotation.target else { panic!() };
                assert_eq!(bytes(&engine, file), b"1,2");
                assert!(delta.text.contains(&annotation.text), "{delta:?}");
                assert_eq!(message.annotations().last(), delta.annotations.last());
            }
        }
    }
    let message = newest(&engine, thread);
    assert_eq!(message.text(), LINKED.concat());
    let text: Vec<char> = LINKED.concat().chars().collect();
    let annotations: Vec<&Annotation> = message.annotations().collect();
    assert_eq!(annotations.len(), 2, "{annotations:?}");
    for annotation in annotations {
        assert_eq!(annotation.text, "sandbox:/mnt/data/out/s.csv");
        let span = &text[annotation.start as usize..annotation.end as usize];
        assert_eq!(span.iter().collect::<String>(), annotation.text);
        let AnnotationTarget::FilePath { file } = annotation.target else { panic!() };
        let tools = vec![AttachmentTool::CodeInterpreter];
        assert_eq!(message.attachments, [Attachment { file, tools }]);
        let file = engine.collections().file(file).unwrap();
        assert_eq!((&*file.filename, file.purpose), ("s.csv", Purpose::AssistantsOutput));
    }
    let files = engine.collections().files().unwrap();
    assert_eq!(files.len(), 1);

    // The model of the next run sees the link.
    library.then(say("Yes."));
    go(&engine, coder(&engine), thread);
    let seen = library.asked().pop().unwrap().messages;
    assert!(seen.iter().any(|message| message.content == LINKED.concat()), "{seen:?}");
}

#[test]
fn a_path_is_one_file_in_a_run_until_it_is_written_anew() {
    let link = "sandbox:/mnt/data/s.csv ";
    let turns = [
        python("write s.csv 1"),
        Turn::Call(link, vec![("python", "x = 1")]),
        Turn::Call(link, vec![("python", "write s.csv 2")]),
        say(link),
    ];
    let (library, _) = lab(turns);
    let engine = library.open();
    let thread = thread(&engine);
    let events = go(&engine, coder(&engine), thread);
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    let said = engine.messages(thread, &PageRequest::all()).unwrap().data;
    let files: Vec<FileId> = said[1..]
        .iter()
        .map(|message| match message.annotations().next().unwrap().target {
            AnnotationTarget::FilePath { file } => file,
            _ => panic!(),
        })
        .collect();
    assert_eq!((files[0] == files[1], files[1] == files[2]), (true, false));
    assert_eq!((bytes(&engine, files[0]), bytes(&engine, files[2])), (b"1".into(), b"2".into()));
    assert!(said[1..].iter().all(|message| message.attachments.len() == 1));
    assert_eq!(engine.collections().files().unwrap().len(), 2);
}

#[test]
fn without_a_sandbox_the_step_fails_and_the_run_goes_on() {
    let mut library = Library::new(Profile::Tools, [python("print hi"), say("I ran nothing.")]);
    library.programs = Programs::refused("install python3 with apt");
    let engine = library.open();
    let thread = thread(&engine);
    let events = go(&engine, coder(&engine), thread);
    let run = last_run(&events);
    assert_eq!((run.status, &run.last_error), (RunStatus::Completed, &None));
    let steps = engine.run_steps(run.id).unwrap();
    assert_eq!([steps[0].status, steps[1].status], [StepStatus::Failed, StepStatus::Completed]);
    let error = steps[0].last_error.as_ref().unwrap();
    assert_eq!(error.message, "no program can be run here: install python3 with apt");
    let logs = logs(&engine, &events).remove(0);
    assert!(logs.starts_with("This server runs no programs") && logs.ends_with("with apt"));
    assert_eq!(last_seen(&library), logs);
    assert!(names(&events).contains(&"thread.run.step.failed"));
    assert_eq!(names(&told(engine.follow(run.id).unwrap())), names(&events));
}

#[test]
fn a_step_that_waits_for_the_client_besides_fails_only_then() {
    let calls = vec![("python", "print hi"), ("weather", "{}")];
    let library = Library::new(Profile::Tools, [Turn::Call("", calls), say("Done.")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let tools = [assistant.tools, vec![AssistantTool::CodeInterpreter]].concat();
    let new = NewRun { tools: Some(tools), ..NewRun::new(assistant.id) };
    let events = told(engine.start_run(thread.id, new).unwrap());
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::RequiresAction);
    let status = || engine.run_steps(run.id).unwrap()[0].status;
    assert_eq!(status(), StepStatus::InProgress);
    let output = SubmittedOutput { call: run.required_calls[0].id, output: "sunny".into() };
    let events = told(engine.resume_run(run.id, vec![output]).unwrap());
    assert_eq!((last_run(&events).status, status()), (RunStatus::Completed, StepStatus::Failed));
    assert_eq!(last_seen(&library), "sunny");
}

#[test]
fn a_registered_tool_comes_before_the_sandbox() {
    #[derive(Debug)]
    struct Own(ToolSpec);
    impl Tool for Own {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }
        fn call(&self, _: &ToolContext, arguments: &str) -> Result<ToolOutput> {
            Ok(ToolOutput { text: format!("own {arguments}") })
        }
    }
    let (mut library, sandbox) = lab([python("print hi"), say("Done.")]);
    let (name, description) = (CODE_INTERPRETER.into(), "Mine.".into());
    let spec = ToolSpec { name, description, parameters: serde_json::Value::Null };
    library.tools.push(Arc::new(Own(spec)));
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    assert_eq!(logs(&engine, &events), [r#"own {"code":"print hi"}"#]);
    assert_eq!((sandbox.opened(), library.asked()[0].descriptions[0].as_str()), (0, "Mine."));
}

#[test]
fn a_run_is_cancelled_while_its_program_runs_and_variables_stay() {
    let (library, sandbox) = lab([python("x = 1\nspin"), python("x"), say("1.")]);
    let engine = library.open();
    let (assistant, thread) = (coder(&engine), thread(&engine));
    let run = engine.create_run(thread, NewRun::new(assistant)).unwrap();
    wait_until("the program", || sandbox.begun() == 1);
    engine.cancel_run(run.id).unwrap();
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Cancelled);
    assert_eq!(engine.run_steps(run.id).unwrap()[0].status, StepStatus::Cancelled);
    assert_eq!(logs(&engine, &go(&engine, assistant, thread)), ["1"]);
}

#[test]
fn a_run_expires_while_its_program_runs() {
    let (library, sandbox) = lab([python("spin")]);
    let engine = library.open();
    let run = engine.create_run(thread(&engine), NewRun::new(coder(&engine))).unwrap();
    wait_until("the program", || sandbox.begun() == 1);
    library.clock.advance(Duration::from_secs(600));
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Expired);
}

#[test]
fn a_program_that_took_too_long_says_so() {
    let (library, _) = lab([python("x = 1\nslow"), python("x"), say("1.")]);
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    let late = "Too slow\n[It was interrupted after 60s. Variables are kept.]";
    assert_eq!(logs(&engine, &events), [late, "1"]);
}

#[test]
fn a_lost_session_is_told_and_the_next_has_the_files_again() {
    let (library, sandbox) = lab([python("x = 1\ndie")]);
    let engine = library.open();
    let file = upload(&engine, "a.csv", "1,2");
    library.then(python(&format!("read {file}")));
    library.then(python("x"));
    library.then(say("Gone."));
    let events = go(&engine, coder_with(&engine, vec![file]), thread(&engine));
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    let logs = logs(&engine, &events);
    assert!(logs[0].contains("it used more memory than it may"), "{}", logs[0]);
    assert!(logs[0].contains("with all variables and files"), "{}", logs[0]);
    assert!(logs[1].starts_with("[A new session was begun:") && logs[1].ends_with("]\n1,2"));
    assert_eq!(logs[2], "NameError: x");
    assert_eq!((sandbox.opened(), sandbox.open_now(), sandbox.put()), (2, 1, 2));
}

#[test]
fn a_session_that_was_lost_while_nobody_looked_is_replaced() {
    let turns = [python("vanish"), say("Fine."), python("print hi"), say("Fine.")];
    let (library, sandbox) = lab(turns);
    let engine = library.open();
    let (assistant, thread) = (coder(&engine), thread(&engine));
    go(&engine, assistant, thread);
    let told = "[A new session was begun: variables and files of earlier programs are gone.]\nhi\n";
    assert_eq!(logs(&engine, &go(&engine, assistant, thread)), [told]);
    assert_eq!((sandbox.opened(), sandbox.open_now()), (2, 1));
}

#[test]
fn a_sandbox_that_fails_or_panics_fails_the_step_and_not_the_run() {
    let (library, sandbox) = lab([]);
    let engine = library.open();
    let (assistant, thread) = (coder(&engine), thread(&engine));
    for (broken, reason) in [
        (None, "the sandbox panicked: the snake bit"),
        (Some("no namespaces"), "no namespaces"),
        (Some("panics"), "the sandbox panicked: the walls fell"),
    ] {
        *sandbox.broken.lock().unwrap() = broken;
        library.then(python("panic"));
        library.then(say("Sorry."));
        let events = go(&engine, assistant, thread);
        let run = last_run(&events);
        assert_eq!(run.status, RunStatus::Completed, "{reason}");
        let step = engine.run_steps(run.id).unwrap().remove(0);
        assert_eq!(step.status, StepStatus::Failed);
        assert_eq!(step.last_error.unwrap().message, reason);
        assert!(last_seen(&library).contains(reason));
        assert_eq!(sandbox.open_now(), 0);
    }
}

#[test]
fn a_session_closes_when_idle_when_its_thread_goes_and_at_the_end() {
    let mut turns = Vec::new();
    (0..3).for_each(|_| turns.extend([python("x = 1"), say("Done.")]));
    let (library, sandbox) = lab(turns);
    let engine = library.open();
    let assistant = coder(&engine);
    go(&engine, assistant, thread(&engine));
    library.clock.advance(Duration::from_secs(20 * 60 - 1));
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(sandbox.open_now(), 1);
    library.clock.advance(Duration::from_secs(1));
    wait_until("the idle session's end", || sandbox.open_now() == 0);

    let deleted = thread(&engine);
    go(&engine, assistant, deleted);
    assert_eq!(sandbox.open_now(), 1);
    engine.delete_thread(deleted).unwrap();
    assert_eq!(sandbox.open_now(), 0);

    go(&engine, assistant, thread(&engine));
    assert_eq!(sandbox.open_now(), 1);
    engine.shutdown();
    assert_eq!(sandbox.open_now(), 0);
}

#[test]
fn a_program_that_finds_all_sessions_busy_waits_and_then_says_so() {
    let patience = Duration::from_millis(50);
    let options = ProgramOptions { sessions: 1, patience, ..ProgramOptions::default() };
    let (library, sandbox) = lab_with(options, [python("spin")]);
    let engine = library.open();
    let assistant = coder(&engine);
    let run = engine.create_run(thread(&engine), NewRun::new(assistant)).unwrap();
    wait_until("the program", || sandbox.begun() == 1);
    library.then(python("print hi"));
    library.then(say("Later."));
    let events = go(&engine, assistant, thread(&engine));
    let other = last_run(&events);
    assert_eq!(other.status, RunStatus::Completed);
    let error = engine.run_steps(other.id).unwrap().remove(0).last_error.unwrap();
    assert_eq!(error.code, RunErrorCode::RateLimitExceeded);
    assert_eq!(error.message, "1 programs run already, the most there may be; try again");
    engine.cancel_run(run.id).unwrap();
    engine.follow(run.id).unwrap().for_each(drop);
    library.then(python("print hi"));
    library.then(say("Now."));
    assert_eq!(logs(&engine, &go(&engine, assistant, thread(&engine))), ["hi\n"]);
    assert_eq!((sandbox.opened(), sandbox.open_now()), (2, 1));
}

#[test]
fn a_run_that_waits_for_a_session_can_be_cancelled() {
    let options = ProgramOptions { sessions: 1, ..ProgramOptions::default() };
    let (library, sandbox) = lab_with(options, vec![python("spin"); 2]);
    let engine = library.open();
    let assistant = coder(&engine);
    let busy = engine.create_run(thread(&engine), NewRun::new(assistant)).unwrap();
    wait_until("the program", || sandbox.begun() == 1);
    let waiting = engine.create_run(thread(&engine), NewRun::new(assistant)).unwrap();
    wait_until("its step", || !engine.run_steps(waiting.id).unwrap().is_empty());
    engine.cancel_run(waiting.id).unwrap();
    let events = told(engine.follow(waiting.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Cancelled);
    assert_eq!(sandbox.begun(), 1);
    engine.cancel_run(busy.id).unwrap();
    engine.follow(busy.id).unwrap().for_each(drop);
}

#[test]
fn a_parked_program_is_run_again_by_the_next_opening() {
    let (library, sandbox) = lab([python("spin")]);
    let engine = library.open();
    let run = engine.create_run(thread(&engine), NewRun::new(coder(&engine))).unwrap();
    wait_until("the program", || sandbox.begun() == 1);
    drop(engine);
    assert_eq!(sandbox.open_now(), 0);
    let engine = library.open();
    wait_until("the program again", || sandbox.begun() == 2);
    engine.cancel_run(run.id).unwrap();
    let events = told(engine.follow(run.id).unwrap());
    assert_eq!(last_run(&events).status, RunStatus::Cancelled);
}

#[test]
fn a_model_reads_the_ends_of_what_is_too_long_for_it() {
    let (library, _) = lab([python("words 3000"), say("Long.")]);
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    assert_eq!(logs(&engine, &events)[0].len(), 15_000);
    let seen = last_seen(&library);
    assert!(seen.split_whitespace().count() <= 250, "{}", seen.len());
    assert!(seen.contains("bytes of output are left out here"));
}

#[test]
fn a_program_that_gives_nothing_is_said_to_have_ended() {
    let (library, _) = lab([python("x = 1"), say("Done.")]);
    let engine = library.open();
    let events = go(&engine, coder(&engine), thread(&engine));
    assert_eq!(outputs(&engine, &events), [vec![]]);
    assert_eq!(last_seen(&library), "[The program ended and gave nothing.]");
}
