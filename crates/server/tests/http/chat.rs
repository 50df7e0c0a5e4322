//! `/v1/chat/completions`.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docent_core::{ErrorKind, FinishReason, Role, ToolChoice};
use docent_inference::chat::{Extractive, Scripted, ScriptedReply};
use serde_json::{Value, json};

use crate::support::{Api, MODEL, Setup};

const PATH: &str = "/v1/chat/completions";

fn asking(more: Value) -> Value {
    let mut body = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "Hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn with(replies: impl IntoIterator<Item = ScriptedReply>) -> (Api, Arc<Scripted>) {
    let model = Arc::new(Scripted::new(replies));
    (Api::with(model.clone(), Setup::default()), model)
}

/// The chunks of a stream, which must end well.
#[track_caller]
fn chunks(api: &Api, body: &Value) -> Vec<Value> {
    let response = api.begin(PATH, body);
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let mut text = String::new();
    response.into_body().into_reader().read_to_string(&mut text).unwrap();
    let text = text.strip_suffix("data: [DONE]\n\n").unwrap();
    let data = text.split_terminator("\n\n").map(|data| data.strip_prefix("data: ").unwrap());
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_conversation_is_answered() {
    let (api, model) = with([ScriptedReply::text("It is me.")]);
    let body = json!({
        "model": MODEL,
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "A" }, { "type": "text", "text": "B" }] },
            {
                "role": "assistant", "content": null, "refusal": null, "annotations": [],
                "audio": null, "function_call": null,
                "tool_calls": [{ "id": "call_of_another", "type": "function", "function": { "name": "f", "arguments": "{}" } }],
            },
            { "role": "tool", "tool_call_id": "call_of_another", "content": "42" },
            { "role": "assistant", "content": "So." },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "strict": true } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
        "parallel_tool_calls": false, "reasoning_effort": "low", "temperature": 0.5, "top_p": 0.9,
        "max_completion_tokens": 7, "stop": "END", "seed": 3, "n": 1, "logprobs": false,
        "user": "anna", "frequency_penalty": 0,
        "response_format": { "type": "json_schema", "json_schema": { "name": "s", "description": "d", "schema": {} } },
    });
    let answer = api.made(PATH, &body);
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"), "{answer}");
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!(MODEL)));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000, "{answer}");
    let message =
        json!({ "role": "assistant", "content": "It is me.", "refusal": null, "annotations": [] });
    let choice =
        json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" });
    assert_eq!(answer["choices"], json!([choice]));
    let usage = json!({ "prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9 });
    assert_eq!(answer["usage"], usage);

    let seen = &model.requests()[0];
    let said: Vec<(Role, &str)> =
        seen.messages.iter().map(|it| (it.role, it.content.as_str())).collect();
    let wanted = [
        (Role::System, "Be brief."),
        (Role::User, "A\nB"),
        (Role::Assistant, ""),
        (Role::Tool, "42"),
        (Role::Assistant, "So."),
    ];
    assert_eq!(said, wanted);
    assert_eq!(seen.messages[3].tool_call_id, Some(seen.messages[2].tool_calls[0].id));
    assert_eq!((seen.tools.len(), &seen.tool_choice), (1, &ToolChoice::Named("f".into())));
    assert_eq!(
        (seen.parallel_tool_calls, seen.reasoning_effort.as_deref()),
        (Some(false), Some("low"))
    );
    let sampling = &seen.sampling;
    assert_eq!((sampling.temperature, sampling.top_p), (Some(0.5), Some(0.9)));
    assert_eq!((sampling.max_tokens, sampling.seed), (Some(7), Some(3)));
    assert_eq!(sampling.stop, ["END"]);
}

#[test]
fn text_comes_in_chunks() {
    let pieces = || ScriptedReply::pieces(["He", "llo"]).finish(FinishReason::Length);
    let (api, _) = with([pieces(), pieces()]);
    let streaming = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let chunks_of = chunks(&api, &asking(streaming));
    let first = &chunks_of[0];
    assert_eq!(first["object"], "chat.completion.chunk");
    let role = json!({ "role": "assistant", "content": "", "refusal": null });
    let choice = |delta: Value, reason: Value| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
    let choices: Vec<&Value> = chunks_of.iter().map(|it| &it["choices"]).collect();
    let wanted = [
        &choice(role, Value::Null),
        &choice(json!({ "content": "He" }), Value::Null),
        &choice(json!({ "content": "llo" }), Value::Null),
        &choice(json!({}), json!("length")),
        &json!([]),
    ];
    assert_eq!(choices, wanted);
    let (last, rest) = chunks_of.split_last().unwrap();
    assert_eq!(last["usage"]["completion_tokens"], 1);
    for chunk in rest {
        assert_eq!(chunk.get("usage"), Some(&Value::Null));
        assert_eq!((&chunk["id"], &chunk["created"]), (&last["id"], &last["created"]));
    }
    let plain = chunks(&api, &asking(json!({ "stream": true })));
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()), "{plain:?}");
}

#[test]
fn calls_come_whole_and_in_chunks() {
    let reply = || ScriptedReply::call("f", r#"{"x":1}"#).and_call("g", "no JSON");
    let (api, _) = with([reply(), reply()]);
    let tools = json!({ "tools": [
        { "type": "function", "function": { "name": "f" } },
        { "type": "function", "function": { "name": "g" } },
    ] });
    let whole = api.made(PATH, &asking(tools.clone()));
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[1]["function"], json!({ "name": "g", "arguments": "no JSON" }));
    assert!(calls[1]["id"].as_str().unwrap().starts_with("call_"), "{calls}");

    let mut streamed = asking(tools);
    streamed["stream"] = json!(true);
    let chunks = chunks(&api, &streamed);
    assert_eq!(chunks[0]["choices"][0]["delta"]["content"], Value::Null);
    let of_call = |at: usize| &chunks[at]["choices"][0]["delta"]["tool_calls"][0];
    let begun = json!({
        "index": 0, "id": of_call(1)["id"], "type": "function",
        "function": { "name": "f", "arguments": "" },
    });
    assert_eq!(*of_call(1), begun);
    assert_eq!(*of_call(2), json!({ "index": 0, "function": { "arguments": "{\"x\":1}" } }));
    assert_eq!((&of_call(3)["index"], &of_call(3)["function"]["name"]), (&json!(1), &json!("g")));
    assert_eq!(chunks[5]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_client_that_goes_away_stops_its_model() {
    static PIECES: AtomicUsize = AtomicUsize::new(0);
    let long = |_: usize| {
        (0..400).fold(ScriptedReply::pieces(vec!["word "; 400]), |reply, at| {
            reply.before_piece(at, || {
                PIECES.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(10));
            })
        })
    };
    let (api, model) = with([long(0)]);
    let response = api.begin(PATH, &asking(json!({ "stream": true })));
    let mut some = [0; 8];
    response.into_body().into_reader().read_exact(&mut some).unwrap();
    assert_eq!(model.remaining(), 0);
    let begun = Instant::now();
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = PIECES.load(Ordering::SeqCst);
        if now == before {
            break;
        }
        before = now;
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    assert!(before < 400, "the model spoke to the end");
}

#[test]
fn a_failure_before_the_first_piece_is_a_status_and_later_an_event() {
    let busy = || ScriptedReply::error(ErrorKind::Overloaded, "busy");
    let broken = ScriptedReply::text("Half").then_error(ErrorKind::Overloaded, "busy");
    let (api, _) = with([busy(), busy(), broken]);
    assert_eq!(api.post(PATH, &asking(json!({}))).status, 429);
    assert_eq!(api.post(PATH, &asking(json!({ "stream": true }))).status, 429);
    let response = api.begin(PATH, &asking(json!({ "stream": true })));
    let mut text = String::new();
    response.into_body().into_reader().read_to_string(&mut text).unwrap();
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_exceeded");
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let (api, _) = with([]);
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "x" } }] }]);
    let named = json!([{ "role": "user", "content": "x", "name": "anna" }]);
    let lone = json!([{ "role": "tool", "tool_call_id": "call_x", "content": "1" }]);
    let choice = json!({ "type": "function", "function": { "name": "f" } });
    for (more, param, code) in [
        (json!({ "n": 2 }), "n", Some("unsupported_value")),
        (json!({ "logprobs": true }), "logprobs", Some("unsupported_value")),
        (json!({ "top_logprobs": 3 }), "top_logprobs", Some("unsupported_parameter")),
        (json!({ "colour": 1 }), "colour", Some("unknown_parameter")),
        (json!({ "messages": image }), "messages[0].content[0]", Some("invalid_value")),
        (json!({ "messages": lone }), "messages[0].tool_call_id", None),
        (json!({ "messages": named }), "messages[0].name", Some("unsupported_parameter")),
        (json!({ "messages": [] }), "messages", Some("empty_array")),
        (json!({ "tool_choice": "required" }), "tool_choice", Some("invalid_value")),
        (json!({ "tool_choice": choice, "tools": [] }), "tool_choice", Some("invalid_value")),
        (json!({ "stream_options": {} }), "stream_options", Some("invalid_value")),
        (
            json!({ "max_tokens": 1, "max_completion_tokens": 1 }),
            "max_tokens",
            Some("invalid_parameter_combination"),
        ),
        (json!({ "response_format": "auto" }), "response_format", Some("invalid_type")),
    ] {
        let refused = api.post(PATH, &asking(more));
        let (_, at, why) = refused.refused(400);
        assert_eq!((at, why), (Some(param), code), "{}", refused.body);
    }
    let mut unknown = asking(json!({}));
    unknown["model"] = json!("gpt-9");
    let refused = api.post(PATH, &unknown);
    let wanted = "The model `gpt-9` does not exist or you do not have access to it.";
    assert_eq!(refused.refused(404), (wanted, Some("model"), Some("model_not_found")));
}

#[test]
fn the_extractive_model_says_what_it_can_and_refuses_tools() {
    let api = Api::with(Arc::new(Extractive::new(MODEL)), Setup::default());
    let answer = api.made(PATH, &asking(json!({})));
    assert!(!answer["choices"][0]["message"]["content"].as_str().unwrap().is_empty(), "{answer}");
    let tools = json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] });
    let refused = api.post(PATH, &asking(tools));
    assert_eq!(refused.refused(400).1, Some("tools"));
    let refused = api.post(PATH, &asking(json!({ "stop": ["x"] })));
    assert!(refused.refused(400).0.contains("stop"), "{}", refused.body);
}
