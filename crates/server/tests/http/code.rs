//! The code interpreter: none here, or an application's own.

use std::sync::Arc;

use docent_core::{Result, Tool, ToolContext, ToolOutput, ToolSpec};
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

fn call(delta: &(String, Value)) -> &Value {
    &delta.1["delta"]["step_details"]["tool_calls"][0]
}

#[test]
fn without_an_interpreter_the_model_is_told_and_the_run_goes_on() {
    let replies = [program("print(6 * 7)"), ScriptedReply::text("I ran nothing.")];
    let model = Arc::new(Scripted::new(replies));
    let api = Api::with(model.clone(), Setup::default());
    let (assistant, thread) = (api.assistant(interpreter()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let chosen = json!({ "type": "code_interpreter" });
    let body = json!({ "assistant_id": assistant, "tool_choice": chosen });
    let made = api.made(&path, &body);
    assert_eq!(made["tool_choice"], chosen);
    let run = id(&api.until(&thread, &id(&made), "completed"));

    let steps = api.get(&format!("{path}/{run}/steps?order=asc")).ok();
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
