//! What `/metrics` counts, and what it keeps to itself.

use docent_inference::chat::ScriptedReply;
use docent_server::ApiKeys;
use serde_json::json;

use crate::support::{Api, MODEL, id};

fn page(api: &Api) -> String {
    api.get("/metrics").body.as_str().unwrap().to_owned()
}

#[track_caller]
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in {page}")).parse().unwrap()
}

#[test]
fn requests_runs_and_tokens_are_counted() {
    let secret = "a secret question";
    let replies = [ScriptedReply::text("two words"), ScriptedReply::text("three more words")];
    let api = Api::new(replies);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let runs = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&runs, &json!({ "assistant_id": assistant })));
    api.until(&thread, &run, "completed");
    let messages = json!([{ "role": "user", "content": secret }]);
    api.made("/v1/chat/completions", &json!({ "model": MODEL, "messages": messages }));
    api.get("/v1/nowhere");
    api.get("/v1/assistants/asst_X");
    let page = page(&api);
    let requests = |labels: &str| value(&page, &format!("docent_http_requests_total{{{labels}}}"));
    let made = r#"route="/v1/threads/{thread_id}/runs",method="POST",status="200""#;
    assert_eq!(requests(made), 1.0);
    assert_eq!(requests(r#"route="none",method="GET",status="404""#), 1.0);
    let missing = r#"route="/v1/assistants/{assistant_id}",method="GET",status="404""#;
    assert_eq!(requests(missing), 1.0);
    let times = "docent_http_request_duration_seconds";
    let all = value(&page, &format!("{times}_count{{route=\"/v1/chat/completions\"}}"));
    assert_eq!(all, 1.0);
    let within = format!("{times}_bucket{{route=\"/v1/chat/completions\",le=\"+Inf\"}}");
    assert_eq!(value(&page, &within), 1.0);
    assert_eq!(value(&page, r#"docent_runs_ended_total{status="completed"}"#), 1.0);
    assert_eq!(value(&page, r#"docent_runs_active{status="in_progress"}"#), 0.0);
    assert_eq!(value(&page, "docent_runs_waiting"), 0.0);
    assert_eq!(value(&page, r#"docent_tokens_total{by="runs",kind="completion"}"#), 2.0);
    assert_eq!(value(&page, r#"docent_tokens_total{by="chat",kind="prompt"}"#), 3.0);
    assert_eq!(value(&page, r#"docent_transfers_open{kind="upload"}"#), 0.0);
    assert_eq!(value(&page, "docent_ingest_files_waiting"), 0.0);
    for content in [secret, &thread, &run, &assistant] {
        assert!(!page.contains(content), "{page}");
    }
}

#[test]
fn whoever_watches_needs_a_key_where_there_are_some() {
    let api = Api::with_keys([], ApiKeys::new(["sk-local"]));
    assert_eq!(api.get("/metrics").status, 401);
    let api = api.sending_key("sk-local");
    assert_eq!(api.get("/metrics").status, 200);
    assert!(!page(&api).contains("sk-"), "a key");
}
