//! The code interpreter: none here, a sandbox, or an application's own.

use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use docent_core::{
    Error, Execution, ProgramEnd, Result, Sandbox, SandboxFile, SandboxLimits, SandboxPath,
    SandboxSpec, Session, Tool, ToolContext, ToolOutput, ToolSpec,
};
use docent_engine::{ProgramOptions, Programs};
use docent_inference::chat::{Scripted, ScriptedReply};
use serde_json::{Value, json};

use crate::support::{Api, Setup, id, names};

fn interpreter() -> Value {
    json!({ "tools": [{ "type": "code_interpreter" }] })
}

fn program(code: &str) -> ScriptedReply {
    ScriptedReply::call("python", json!({ "code": code }).to_string())
}

/// Says what it was given to run.
#[derive(Debug)]
struct Fake(ToolSpec);

impl Fake {
    fn setup() -> Setup {
        let (name, description) = ("code_interpreter".into(), "Runs anything.".into());
        let spec = ToolSpec { name, description, parameters: json!({}) };
        Setup { tools: vec![Arc::new(Fake(spec))], ..Setup::default() }
    }
}

impl Tool for Fake {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn call(&self, _: &ToolContext, arguments: &str) -> Result<ToolOutput> {
        let code: Value = serde_json::from_str(arguments).unwrap();
        Ok(ToolOutput { text: format!("ran {}", code["code"].as_str().unwrap()) })
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nfigure";

/// Whatever the program, it says what it was, draws a figure, and there is one file.
#[derive(Debug)]
struct FakeSandbox(SandboxSpec);

#[derive(Debug)]
struct FakeSession;

impl FakeSandbox {
    fn setup() -> Setup {
        let (name, language) = ("fake".into(), "Python 3".into());
        let sandbox = Arc::new(Self(SandboxSpec { name, language, packages: vec![] }));
        Setup { programs: Programs::new(sandbox, ProgramOptions::default()), ..Setup::default() }
    }
}

impl Sandbox for FakeSandbox {
    fn spec(&self) -> &SandboxSpec {
        &self.0
    }

    fn open(&self, _: &SandboxLimits) -> Result<Box<dyn Session>> {
        Ok(Box::new(FakeSession))
    }
}

impl Session for FakeSession {
    fn put(&mut self, _: &SandboxPath, bytes: &mut dyn io::Read) -> Result<u64> {
        Ok(io::copy(bytes, &mut io::sink())?)
    }

    fn run(
        &mut self,
        program: &str,
        _: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        Ok(Execution {
            end: ProgramEnd::Completed,
            logs: format!("ran {program}"),
            dropped_bytes: 0,
            value: None,
            images: vec![PNG.to_vec()],
        })
    }

    fn read(&mut self, path: &SandboxPath, _: u64) -> Result<Vec<u8>> {
        match path.as_str() {
            "s.csv" => Ok(b"1,2".to_vec()),
            other => Err(Error::not_found(other)),
        }
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        Ok(Vec::new())
    }
}

fn call(delta: &(String, Value)) -> &Value {
    &delta.1["delta"]["step_details"]["tool_calls"][0]
}

fn content(api: &Api, file: &Value) -> Vec<u8> {
    let file = file.as_str().unwrap();
    let answer = ureq::get(api.url(&format!("/v1/files/{file}/content"))).call().unwrap();
    let mut bytes = Vec::new();
    answer.into_body().into_reader().read_to_end(&mut bytes).unwrap();
    bytes
}

fn of<'a>(events: &'a [(String, Value)], name: &str) -> Vec<&'a (String, Value)> {
    events.iter().filter(|event| event.0 == name).collect()
}

#[test]
fn a_program_in_the_sandbox_gives_logs_a_figure_and_a_file_to_download() {
    let link = "sandbox:/mnt/data/s.csv";
    let answer = ScriptedReply::text(format!("表 [s]({link}).")).in_pieces_of(5);
    let api = Api::with(Arc::new(Scripted::new([program("x"), answer])), FakeSandbox::setup());
    let (assistant, thread) = (api.assistant(interpreter()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let events = api.stream(&path, &json!({ "assistant_id": assistant, "stream": true }));

    let deltas = of(&events, "thread.run.step.delta");
    let [logs, image] =
        &call(deltas[deltas.len() - 1])["code_interpreter"]["outputs"].as_array().unwrap()[..]
    else {
        panic!("{deltas:?}")
    };
    assert_eq!(*logs, json!({ "index": 0, "type": "logs", "logs": "ran x" }));
    let figure = &image["image"]["file_id"];
    assert_eq!(*image, json!({ "index": 1, "type": "image", "image": { "file_id": figure } }));
    assert_eq!(content(&api, figure), PNG);
    let step = &of(&events, "thread.run.step.completed")[0].1;
    let outputs = &step["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"];
    let image = json!({ "type": "image", "image": { "file_id": figure } });
    assert_eq!(*outputs, json!([{ "type": "logs", "logs": "ran x" }, image]));

    let parts: Vec<&Value> = of(&events, "thread.message.delta")
        .into_iter()
        .map(|delta| &delta.1["delta"]["content"][0])
        .collect();
    let image = json!({ "file_id": figure, "detail": "auto" });
    let shown = json!({ "index": 0, "type": "image_file", "image_file": image });
    assert_eq!(*parts[0], shown);
    assert!(parts[1..].iter().all(|part| part["index"] == 1 && part["type"] == "text"));
    assert_eq!(parts[1]["text"]["annotations"], json!([]));
    let text: String =
        parts[1..].iter().map(|part| part["text"]["value"].as_str().unwrap()).collect();
    let mut annotations: Vec<Value> = parts[1..]
        .iter()
        .filter_map(|part| part["text"]["annotations"].as_array())
        .flatten()
        .cloned()
        .collect();
    let mut annotation = annotations.pop().unwrap();
    assert!(annotations.is_empty());
    assert_eq!(annotation["index"].take(), 0);
    annotation.as_object_mut().unwrap().remove("index");

    let message = &of(&events, "thread.message.completed")[0].1;
    let file = &message["attachments"][0]["file_id"];
    let tools = json!([{ "type": "code_interpreter" }]);
    assert_eq!(message["attachments"], json!([{ "file_id": file, "tools": tools }]));
    let linked = json!({
        "type": "file_path", "text": link, "start_index": 6, "end_index": 29,
        "file_path": { "file_id": file },
    });
    assert_eq!(annotation, linked);
    let text = json!({ "value": text, "annotations": [linked] });
    let content_of_message = json!([
        { "type": "image_file", "image_file": image },
        { "type": "text", "text": text },
    ]);
    assert_eq!(message["content"], content_of_message);
    assert_eq!(text["value"], format!("表 [s]({link})."));
    assert_eq!(content(&api, file), b"1,2");
    let row = api.get(&format!("/v1/files/{}", file.as_str().unwrap())).ok();
    assert_eq!((&row["filename"], &row["purpose"]), (&json!("s.csv"), &json!("assistants_output")));
}

#[test]
fn without_an_interpreter_the_model_is_told_and_the_run_goes_on() {
    let replies = [program("print(6 * 7)"), ScriptedReply::text("I ran nothing.")];
    let model = Arc::new(Scripted::new(replies));
    let programs = Programs::refused("install python3");
    let api = Api::with(model.clone(), Setup { programs, ..Setup::default() });
    let (assistant, thread) = (api.assistant(interpreter()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let chosen = json!({ "type": "code_interpreter" });
    let body = json!({ "assistant_id": assistant, "tool_choice": chosen });
    let made = api.made(&path, &body);
    assert_eq!(made["tool_choice"], chosen);
    let run = id(&api.until(&thread, &id(&made), "completed"));

    let steps = api.get(&format!("{path}/{run}/steps?order=asc")).ok();
    let error = json!({
        "code": "server_error", "message": "no program can be run here: install python3",
    });
    let failed = &steps["data"][0];
    assert_eq!((&failed["status"], &failed["last_error"]), (&json!("failed"), &error));
    assert!(failed["failed_at"].is_u64() && failed["completed_at"].is_null());
    let details = &steps["data"][0]["step_details"];
    assert_eq!(details["type"], "tool_calls");
    let called = &details["tool_calls"][0];
    assert_eq!(called["type"], "code_interpreter");
    assert_eq!(called["code_interpreter"]["input"], "print(6 * 7)");
    let output = &called["code_interpreter"]["outputs"][0];
    assert_eq!(output["type"], "logs");
    let logs = output["logs"].as_str().unwrap();
    assert!(logs.starts_with("This server runs no programs"), "{logs}");

    let asked = model.requests();
    assert_eq!(asked[0].tools[0].name, "python");
    assert_eq!(asked[0].tool_choice, docent_core::ToolChoice::Named("python".into()));
    let said = asked[1].messages.last().unwrap();
    assert_eq!(said.content, logs);
}

#[test]
fn an_applications_interpreter_gets_the_program() {
    let both = program("x = 1\n\"水\"").and_call("code_interpreter", "plain");
    let model = Arc::new(Scripted::new([both, ScriptedReply::text("Done.")]));
    let api = Api::with(model.clone(), Fake::setup());
    let (assistant, thread) = (api.assistant(interpreter()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let events = api.stream(&path, &json!({ "assistant_id": assistant, "stream": true }));
    let of_step: Vec<&str> = names(&events)[3..8].to_vec();
    let wanted = [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.step.completed",
        "thread.run.step.created",
    ];
    assert_eq!(of_step, wanted);
    let deltas: Vec<_> = events.iter().filter(|it| it.0 == "thread.run.step.delta").collect();
    let first = call(deltas[0]);
    let begun = json!({
        "index": 0, "id": first["id"], "type": "code_interpreter",
        "code_interpreter": { "input": "", "outputs": [] },
    });
    assert!(first["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(*first, begun);
    let input = json!({
        "index": 0, "type": "code_interpreter", "code_interpreter": { "input": "x = 1\n\"水\"" },
    });
    assert_eq!(*call(deltas[1]), input);
    let logs = json!({ "index": 0, "type": "logs", "logs": "ran x = 1\n\"水\"" });
    let outputs = json!({
        "index": 0, "type": "code_interpreter", "code_interpreter": { "outputs": [logs] },
    });
    assert_eq!(*call(deltas[4]), outputs);
    assert_eq!(call(deltas[5])["code_interpreter"]["outputs"][0]["logs"], "ran plain");
    let done = events.iter().find(|it| it.0 == "thread.run.step.completed").unwrap();
    let calls = &done.1["step_details"]["tool_calls"];
    assert_eq!(calls[1]["code_interpreter"]["input"], "plain");
    assert_eq!(calls[1]["code_interpreter"]["outputs"][0]["logs"], "ran plain");
    assert_eq!(model.requests()[0].tools[0].description, "Runs anything.");
}

#[test]
fn a_function_of_the_applications_keeps_the_name_python() {
    let model = Arc::new(Scripted::new([ScriptedReply::call("python", "{}")]));
    let api = Api::with(model.clone(), Fake::setup());
    let tools = json!([
        { "type": "code_interpreter" },
        { "type": "function", "function": { "name": "python" } },
    ]);
    let (assistant, thread) = (api.assistant(json!({ "tools": tools })), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&path, &json!({ "assistant_id": assistant })));
    api.until(&thread, &run, "requires_action");
    let offered: Vec<String> = model.requests()[0].tools.iter().map(|it| it.name.clone()).collect();
    assert_eq!(offered, ["code_interpreter", "python"]);
}
