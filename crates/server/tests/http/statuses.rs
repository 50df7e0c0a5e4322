//! Every status a run can have, as its object shows it, and what may be asked of it then.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docent_core::{ErrorKind, FinishReason};
use docent_engine::EngineOptions;
use docent_inference::chat::{Scripted, ScriptedReply};
use serde_json::{Value, json};

use crate::support::{Api, Setup, id};

const ENDS: [&str; 3] = ["cancelled_at", "failed_at", "completed_at"];

/// A reply that waits in its midst until it is told to go on.
fn held() -> (ScriptedReply, Sender<()>) {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let reply = ScriptedReply::pieces(["One", " two"])
        .before_piece(1, move || wait.lock().unwrap().recv().unwrap());
    (reply, go)
}

fn calling() -> Value {
    json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] })
}

/// Begins a run on a thread of its own: the thread and the run.
fn begun(api: &Api, more: Value) -> (String, Value) {
    let thread = api.thread();
    let body = json!({ "assistant_id": api.assistant(more) });
    let run = api.made(&format!("/v1/threads/{thread}/runs"), &body);
    (thread, run)
}

/// Checks which of the end times the run has, and that it has the rest as its status demands.
#[track_caller]
fn check(run: &Value, ended: Option<&str>) {
    for name in ENDS {
        assert_eq!(run[name].is_u64(), ended == Some(name), "{name} of {run}");
    }
    let status = run["status"].as_str().unwrap();
    let active = ["queued", "in_progress", "requires_action", "cancelling"].contains(&status);
    assert_eq!(run["expires_at"].is_u64(), active, "{run}");
    assert_eq!(run["usage"].is_object(), !active, "{run}");
    assert_eq!(run["required_action"].is_object(), status == "requires_action", "{run}");
    assert_eq!(run["last_error"].is_object(), status == "failed", "{run}");
    assert_eq!(run["incomplete_details"].is_object(), status == "incomplete", "{run}");
}

/// What a run in this state is refused: a cancel, outputs, a message on its thread.
#[track_caller]
fn check_refusals(api: &Api, thread: &str, run: &Value) {
    let (run, status) = (id(run), run["status"].as_str().unwrap());
    let path = format!("/v1/threads/{thread}/runs/{run}");
    let cancellable = ["queued", "in_progress", "requires_action"].contains(&status);
    if !cancellable {
        let refused = api.post(&format!("{path}/cancel"), &json!({}));
        let wanted = format!("Cannot cancel run with status '{status}'.");
        assert_eq!(refused.refused(400), (&*wanted, None, None));
    }
    if status != "requires_action" {
        let none = json!({ "tool_outputs": [] });
        let refused = api.post(&format!("{path}/submit_tool_outputs"), &none);
        let wanted = format!("Runs in status \"{status}\" do not accept tool outputs.");
        assert_eq!(refused.refused(400), (&*wanted, None, None));
    }
    let message = json!({ "role": "user", "content": "more" });
    let said = api.post(&format!("/v1/threads/{thread}/messages"), &message);
    if cancellable || status == "cancelling" {
        let wanted = format!("Can't add messages to {thread} while a run {run} is active.");
        assert_eq!(said.refused(400), (&*wanted, None, None));
    } else {
        said.ok();
    }
}

#[test]
fn queued_in_progress_cancelling_and_cancelled() {
    let (reply, go) = held();
    let options = EngineOptions { workers: 1, ..EngineOptions::default() };
    let setup = Setup { options, ..Setup::default() };
    let api = Api::with(Arc::new(Scripted::new([reply, ScriptedReply::text("x")])), setup);
    let (thread, run) = begun(&api, json!({}));
    let working = api.until(&thread, &id(&run), "in_progress");
    assert!(working["started_at"].is_u64(), "{working}");
    check(&working, None);
    check_refusals(&api, &thread, &working);
    // The one worker is busy.
    let (other, queued) = begun(&api, json!({}));
    let waiting = api.get(&format!("/v1/threads/{other}/runs/{}", id(&queued))).ok();
    assert_eq!((&waiting["status"], &waiting["started_at"]), (&json!("queued"), &json!(null)));
    check(&waiting, None);
    check_refusals(&api, &other, &waiting);

    let cancel = format!("/v1/threads/{thread}/runs/{}/cancel", id(&run));
    let asked = api.post(&cancel, &json!({}));
    assert_eq!(asked.headers["openai-poll-after-ms"], "100");
    assert_eq!(asked.ok()["status"], "cancelling");
    let stopping = api.get(&format!("/v1/threads/{thread}/runs/{}", id(&run))).ok();
    assert_eq!(stopping["status"], "cancelling");
    check(&stopping, None);
    check_refusals(&api, &thread, &stopping);
    go.send(()).unwrap();
    let cancelled = api.until(&thread, &id(&run), "cancelled");
    check(&cancelled, Some("cancelled_at"));
    let messages = api.get(&format!("/v1/threads/{thread}/messages")).ok();
    assert_eq!(messages["data"][0]["incomplete_details"]["reason"], "run_cancelled");
    check_refusals(&api, &thread, &cancelled);
    let done = api.until(&other, &id(&queued), "completed");
    check(&done, Some("completed_at"));
    check_refusals(&api, &other, &done);
}

#[test]
fn requires_action_and_then_expired() {
    let run_lifetime = Duration::from_millis(700);
    let tick = Duration::from_millis(20);
    let options = EngineOptions { run_lifetime, tick, ..Setup::default().options };
    let setup = Setup { options, ..Setup::default() };
    let api = Api::with(Arc::new(Scripted::new([ScriptedReply::call("f", "{}")])), setup);
    let (thread, run) = begun(&api, calling());
    let waiting = api.until(&thread, &id(&run), "requires_action");
    check(&waiting, None);
    assert_eq!(waiting["required_action"]["type"], "submit_tool_outputs");
    check_refusals(&api, &thread, &waiting);
    let expired = api.until(&thread, &id(&run), "expired");
    check(&expired, None);
    let steps = api.get(&format!("/v1/threads/{thread}/runs/{}/steps", id(&run))).ok();
    assert_eq!(steps["data"][0]["status"], "expired");
    assert!(steps["data"][0]["expired_at"].is_u64(), "{steps}");
    check_refusals(&api, &thread, &expired);
}

#[test]
fn failed_and_incomplete() {
    let failing = ScriptedReply::text("Half").then_error(ErrorKind::Invalid, "too long");
    let cut = ScriptedReply::text("Half").finish(FinishReason::Length);
    let held_back = ScriptedReply::text("").finish(FinishReason::ContentFilter);
    let api = Api::new([failing, cut, held_back]);
    let (thread, run) = begun(&api, json!({}));
    let failed = api.until(&thread, &id(&run), "failed");
    check(&failed, Some("failed_at"));
    assert_eq!(failed["last_error"], json!({ "code": "invalid_prompt", "message": "too long" }));
    check_refusals(&api, &thread, &failed);
    for (reason, of_message) in
        [("max_completion_tokens", "max_tokens"), ("content_filter", "content_filter")]
    {
        let (thread, run) = begun(&api, json!({}));
        let incomplete = api.until(&thread, &id(&run), "incomplete");
        check(&incomplete, None);
        assert_eq!(incomplete["incomplete_details"], json!({ "reason": reason }));
        let messages = api.get(&format!("/v1/threads/{thread}/messages")).ok();
        let newest = &messages["data"][0];
        if newest["role"] == "assistant" {
            assert_eq!(newest["incomplete_details"]["reason"], of_message);
        }
        check_refusals(&api, &thread, &incomplete);
    }
}
