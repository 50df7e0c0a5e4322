//! Runs, polled.

use docent_inference::chat::ScriptedReply;
use serde_json::json;

use crate::support::{Api, id};

fn function() -> serde_json::Value {
    json!({ "tools": [{ "type": "function", "function": { "name": "weather" } }] })
}

#[test]
fn a_run_answers_in_its_thread() {
    let api = Api::new([ScriptedReply::text("It is me.")]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let body = json!({
        "assistant_id": assistant, "additional_instructions": "Be brief.", "temperature": 0.5,
        "truncation_strategy": { "type": "last_messages", "last_messages": 3 },
        "max_prompt_tokens": 1000, "tool_choice": "none", "metadata": { "k": "v" },
    });
    let made = api.post(&path, &body);
    assert_eq!(made.headers["openai-poll-after-ms"], "100");
    let made = made.ok();
    assert_eq!((&made["object"], &made["status"]), (&json!("thread.run"), &json!("queued")));
    assert_eq!(made["instructions"], "Be brief.");
    assert_eq!(made["usage"], json!(null));
    assert_eq!(made["truncation_strategy"], body["truncation_strategy"]);
    assert_eq!(made["expires_at"].as_u64(), made["created_at"].as_u64().map(|at| at + 600));
    let run = api.until(&thread, &id(&made), "completed");
    assert!(run["completed_at"].is_u64() && run["usage"]["total_tokens"].is_u64(), "{run}");
    assert_eq!((&run["expires_at"], &run["temperature"]), (&json!(null), &json!(0.5)));
    let answered = format!("/v1/threads/{thread}/messages?run_id={}", id(&run));
    let messages = api.get(&answered).ok();
    assert_eq!(messages["data"].as_array().unwrap().len(), 1);
    assert_eq!(messages["data"][0]["content"][0]["text"]["value"], "It is me.");
    assert_eq!(messages["data"][0]["assistant_id"], assistant.as_str());
    let steps = api.get(&format!("{path}/{}/steps", id(&run))).ok();
    let step = &steps["data"][0];
    assert_eq!((&step["type"], &step["status"]), (&json!("message_creation"), &json!("completed")));
    let context = &step["context"];
    assert_eq!((&context["messages"], &context["messages_dropped"]), (&json!(1), &json!(0)));
    assert_eq!(context["first_dropped_id"], json!(null));
    assert!(context["prompt_tokens"].as_u64() <= context["budget_tokens"].as_u64(), "{context}");
    assert_eq!(api.get(&format!("{path}/{}/steps/{}", id(&run), id(step))).ok(), *step);
    assert_eq!(api.get(&path).ok()["data"][0], run);
}

#[test]
fn functions_are_the_clients_to_call() {
    let calls = ScriptedReply::call("weather", r#"{"at":"A"}"#).and_call("weather", "not JSON");
    let api = Api::new([calls, ScriptedReply::text("Sun.")]);
    let (assistant, thread) = (api.assistant(function()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&path, &json!({ "assistant_id": assistant })));
    let waiting = api.until(&thread, &run, "requires_action");
    let action = &waiting["required_action"];
    assert_eq!(action["type"], "submit_tool_outputs");
    let calls = action["submit_tool_outputs"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls[1]["function"]["arguments"], "not JSON");
    let (a, b) = (id(&calls[0]), id(&calls[1]));

    let message = api.post(
        &format!("/v1/threads/{thread}/messages"),
        &json!({ "role": "user", "content": "hurry" }),
    );
    let wanted = format!("Can't add messages to {thread} while a run {run} is active.");
    assert_eq!(message.refused(400), (&*wanted, None, None));
    let second = api.post(&path, &json!({ "assistant_id": assistant }));
    let wanted = format!("Thread {thread} already has an active run {run}.");
    assert_eq!(second.refused(400), (&*wanted, None, None));

    let submit = format!("{path}/{run}/submit_tool_outputs");
    let half =
        api.post(&submit, &json!({ "tool_outputs": [{ "tool_call_id": a, "output": "1" }] }));
    let wanted = format!("Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}']");
    assert_eq!(half.refused(400), (&*wanted, None, None));
    let outputs = json!({ "tool_outputs": [
        { "tool_call_id": b, "output": "2" }, { "tool_call_id": a, "output": "1" },
    ] });
    let resumed = api.made(&submit, &outputs);
    assert_eq!(resumed["required_action"], json!(null));
    let run = api.until(&thread, &run, "completed");
    let steps = api.get(&format!("{path}/{}/steps?order=asc", id(&run))).ok();
    let called = &steps["data"][0]["step_details"]["tool_calls"];
    assert_eq!(
        (&called[0]["function"]["output"], &called[1]["function"]["output"]),
        (&json!("1"), &json!("2"))
    );
    let late = api.post(&submit, &outputs);
    let wanted = "Runs in status \"completed\" do not accept tool outputs.";
    assert_eq!(late.refused(400), (wanted, None, None));
}

#[test]
fn a_waiting_run_can_be_cancelled_and_frees_its_thread() {
    let api = Api::new([ScriptedReply::call("weather", "{}")]);
    let (assistant, thread) = (api.assistant(function()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&path, &json!({ "assistant_id": assistant })));
    api.until(&thread, &run, "requires_action");
    let cancel = format!("{path}/{run}/cancel");
    // Clients send no body at all.
    let cancelled = api.send("POST", &cancel, Some("application/json"), b"").ok();
    assert_eq!(cancelled["status"], "cancelling");
    assert!(api.until(&thread, &run, "cancelled")["cancelled_at"].is_u64());
    let again = api.post(&cancel, &json!({}));
    let wanted = "Cannot cancel run with status 'cancelled'.";
    assert_eq!(again.refused(400), (wanted, None, None));
    let body = json!({ "role": "user", "content": "open again" });
    api.made(&format!("/v1/threads/{thread}/messages"), &body);
}

#[test]
fn clients_that_poll_are_told_to_ask_again_soon() {
    let api = Api::new([ScriptedReply::call("weather", "{}"), ScriptedReply::text("Sun.")]);
    let (assistant, thread) = (api.assistant(function()), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&path, &json!({ "assistant_id": assistant })));
    let waiting = api.until(&thread, &run, "requires_action");
    let calls = &waiting["required_action"]["submit_tool_outputs"]["tool_calls"];
    let outputs = json!({ "tool_outputs": [{ "tool_call_id": id(&calls[0]), "output": "1" }] });
    let answers = [
        api.get(&format!("{path}/{run}")),
        api.post(&format!("{path}/{run}/submit_tool_outputs"), &outputs),
    ];
    for answer in answers {
        assert_eq!(answer.headers["openai-poll-after-ms"], "100", "{}", answer.body);
    }
}

#[test]
fn a_thread_and_its_run_are_made_together() {
    let api = Api::new([ScriptedReply::text("Hello.")]);
    let body = json!({
        "assistant_id": api.assistant(json!({})),
        "thread": { "messages": [{ "role": "user", "content": "Hi" }] },
    });
    let run = api.made("/v1/threads/runs", &body);
    let thread = run["thread_id"].as_str().unwrap();
    api.until(thread, &id(&run), "completed");
}

#[test]
fn a_run_that_cannot_be_is_refused_before_it_begins() {
    let api = Api::new([]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let path = format!("/v1/threads/{thread}/runs");
    for (body, param, code) in [
        (json!({}), "assistant_id", "missing_required_parameter"),
        (json!({ "model": "x" }), "model", "model_not_found"),
        (json!({ "tool_choice": { "type": "spell" } }), "tool_choice.type", "invalid_value"),
        (json!({ "max_prompt_tokens": 255 }), "max_prompt_tokens", "integer_below_min_value"),
        (json!({ "tool_choice": "maybe" }), "tool_choice", "invalid_value"),
        (json!({ "thread": {} }), "thread", "unknown_parameter"),
    ] {
        let mut body = body;
        if code != "missing_required_parameter" {
            body["assistant_id"] = json!(assistant);
        }
        let refused = api.post(&path, &body);
        let (_, at, why) = refused.refused(400);
        assert_eq!((at, why), (Some(param), Some(code)), "{}", refused.body);
    }
    let gone = json!({ "assistant_id": "asst_0123456789abcdefghijABCD" });
    assert_eq!(api.post(&path, &gone).status, 404);
}
