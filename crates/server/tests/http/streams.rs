//! Runs as streams of events: their order and the shape of deltas, as the contract has them.

use std::time::{Duration, Instant};

use docent_core::ErrorKind;
use docent_inference::chat::ScriptedReply;
use serde_json::{Value, json};

use crate::support::{Api, id, names};

const TEXT: &[&str] = &[
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
    "done",
];

const BEGIN: &[&str] = &["thread.run.created", "thread.run.queued", "thread.run.in_progress"];

fn data<'a>(events: &'a [(String, Value)], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|(it, _)| it == name).map(|(_, data)| data).collect()
}

#[test]
fn text_comes_in_the_contracts_order_and_shape() {
    let api = Api::new([ScriptedReply::pieces(["He", "llo", " 你好"])]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let body = json!({ "assistant_id": assistant, "stream": true });
    let events = api.stream(&format!("/v1/threads/{thread}/runs"), &body);
    assert_eq!(names(&events), [BEGIN, TEXT].concat());
    assert_eq!(data(&events, "thread.message.created")[0]["content"], json!([]));
    let deltas = data(&events, "thread.message.delta");
    assert_eq!(deltas[0]["object"], "thread.message.delta");
    let first = json!({ "index": 0, "type": "text", "text": { "value": "He", "annotations": [] } });
    assert_eq!(deltas[0]["delta"]["content"], json!([first]));
    assert_eq!(deltas[1]["delta"]["content"][0]["text"], json!({ "value": "llo" }));
    let said: String = deltas
        .iter()
        .map(|it| it["delta"]["content"][0]["text"]["value"].as_str().unwrap())
        .collect();
    assert_eq!(said, "Hello 你好");
    let whole = data(&events, "thread.message.completed")[0];
    assert_eq!(whole["content"][0]["text"]["value"], "Hello 你好");
    assert_eq!(events.last().unwrap().1, Value::Null);
}

#[test]
fn a_stream_that_makes_its_thread_begins_with_it() {
    let api = Api::new([ScriptedReply::text("Hello.")]);
    let body = json!({
        "assistant_id": api.assistant(json!({})), "stream": true,
        "thread": { "messages": [{ "role": "user", "content": "Hi" }] },
    });
    let events = api.stream("/v1/threads/runs", &body);
    assert_eq!(names(&events), [&["thread.created"], BEGIN, TEXT].concat());
    assert_eq!(events[0].1["id"], events[1].1["thread_id"]);
}

#[test]
fn outputs_are_submitted_while_the_first_stream_is_open() {
    let calls = ScriptedReply::call("f", r#"{"x":1}"#).and_call("g", "{}");
    let api = Api::new([calls, ScriptedReply::text("Done.")]);
    let tools = json!([
        { "type": "function", "function": { "name": "f" } },
        { "type": "function", "function": { "name": "g" } },
    ]);
    let (assistant, thread) = (api.assistant(json!({ "tools": tools })), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let mut first = api.begin_stream(&path, &json!({ "assistant_id": assistant, "stream": true }));
    let mut events = Vec::new();
    while events
        .last()
        .is_none_or(|(name, _): &(String, Value)| name != "thread.run.requires_action")
    {
        events.push(first.next().unwrap());
    }
    let step = ["thread.run.step.created", "thread.run.step.in_progress", "thread.run.step.delta"];
    assert_eq!(names(&events), [BEGIN, &step, &["thread.run.requires_action"]].concat());
    let created = data(&events, "thread.run.step.created")[0];
    assert_eq!(created["step_details"], json!({ "type": "tool_calls", "tool_calls": [] }));
    check_call_deltas(&data(&events, "thread.run.step.delta"));

    let waiting = &events.last().unwrap().1;
    let calls = waiting["required_action"]["submit_tool_outputs"]["tool_calls"].as_array().unwrap();
    let outputs: Vec<Value> =
        calls.iter().map(|it| json!({ "tool_call_id": id(it), "output": "ok" })).collect();
    let submit = format!("{path}/{}/submit_tool_outputs", id(waiting));
    let second = api.stream(&submit, &json!({ "tool_outputs": outputs, "stream": true }));
    let resumed = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"];
    assert_eq!(names(&second), [&resumed, TEXT].concat());
    let output = &second[0].1["step_details"]["tool_calls"][0]["function"]["output"];
    assert_eq!(output, "ok");
    assert_eq!(first.map(|(name, _)| name).collect::<Vec<_>>(), ["done"]);
}

/// The first delta of a call names it, the others only add to its arguments.
fn check_call_deltas(deltas: &[&Value]) {
    let (mut named, mut arguments) = (Vec::new(), vec![String::new(); 2]);
    for delta in deltas {
        let call = &delta["delta"]["step_details"]["tool_calls"][0];
        let index = call["index"].as_u64().unwrap() as usize;
        assert_eq!(call["type"], "function");
        arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        if call.get("id").is_some() {
            assert_eq!(call["function"]["output"], Value::Null);
            named.push(call["function"]["name"].as_str().unwrap());
        } else {
            assert!(call["function"].get("name").is_none(), "{call}");
        }
    }
    assert_eq!(named, ["f", "g"]);
    assert_eq!(arguments, [r#"{"x":1}"#, "{}"]);
}

#[test]
fn a_failure_leaves_the_message_incomplete() {
    let failing = ScriptedReply::text("Half").then_error(ErrorKind::Overloaded, "too busy");
    let api = Api::new([failing]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let body = json!({ "assistant_id": assistant, "stream": true });
    let events = api.stream(&format!("/v1/threads/{thread}/runs"), &body);
    let last: Vec<&str> = names(&events).into_iter().rev().take(4).collect();
    let wanted =
        ["done", "thread.run.failed", "thread.run.step.failed", "thread.message.incomplete"];
    assert_eq!(last, wanted);
    let failed = data(&events, "thread.run.failed")[0];
    assert_eq!(failed["last_error"]["code"], "rate_limit_exceeded");
    let message = data(&events, "thread.message.incomplete")[0];
    assert_eq!(message["incomplete_details"]["reason"], "run_failed");
}

#[test]
fn a_client_that_goes_away_does_not_stop_its_run() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = ScriptedReply::pieces(["One", " two"])
        .before_piece(1, move || wait.lock().unwrap().recv().unwrap());
    let api = Api::new([slow]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let body = json!({ "assistant_id": assistant, "stream": true });
    let mut stream = api.begin_stream(&format!("/v1/threads/{thread}/runs"), &body);
    let run = id(&stream.next().unwrap().1);
    drop(stream);
    go.send(()).unwrap();
    api.until(&thread, &run, "completed");
}

#[test]
fn what_cannot_begin_is_refused_and_not_streamed() {
    let api = Api::new([ScriptedReply::call("f", "{}")]);
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let (assistant, thread) = (api.assistant(json!({ "tools": tools })), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let body = json!({ "assistant_id": assistant, "stream": true });
    let events = api.stream(&path, &body);
    assert_eq!(names(&events).last(), Some(&"done"));
    let refused = api.post(&path, &body);
    assert!(refused.refused(400).0.starts_with(&format!("Thread {thread} already has")));
}

#[test]
fn a_stop_parks_runs_and_ends_their_streams() {
    let busy = ScriptedReply::pieces(vec!["word "; 4000])
        .before_piece(1, || std::thread::sleep(std::time::Duration::from_millis(300)));
    let mut api = Api::new([busy]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let body = json!({ "assistant_id": assistant, "stream": true });
    let mut stream = api.begin_stream(&format!("/v1/threads/{thread}/runs"), &body);
    while stream.next().unwrap().0 != "thread.message.delta" {}
    let begun = std::time::Instant::now();
    let rest = std::thread::scope(|scope| {
        scope.spawn(|| api.stop());
        stream.map(|(name, _)| name).collect::<Vec<_>>()
    });
    assert_eq!(rest.last().map(String::as_str), Some("error"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn fifty_clients_do_not_wait_for_one_another() {
    const CLIENTS: usize = 50;
    let wait = || std::thread::sleep(Duration::from_millis(300));
    let reply = ScriptedReply::pieces(["It", " is", " me."]).before_piece(0, wait);
    let api = Api::new(vec![reply; CLIENTS]);
    let body = json!({ "assistant_id": api.assistant(json!({})), "stream": true });
    let threads: Vec<String> = (0..CLIENTS).map(|_| api.thread()).collect();
    let (api, body) = (&api, &body);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in &threads {
            scope.spawn(move || {
                let events = api.stream(&format!("/v1/threads/{thread}/runs"), body);
                assert_eq!(names(&events), [BEGIN, TEXT].concat());
                assert_eq!(events[0].1["thread_id"], thread.as_str());
                let deltas = data(&events, "thread.message.delta");
                let said = deltas.iter().map(|it| &it["delta"]["content"][0]["text"]["value"]);
                assert_eq!(said.collect::<Vec<_>>(), ["It", " is", " me."]);
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
}
