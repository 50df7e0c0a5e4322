//! Assistants, threads and messages: made, read, changed, deleted.

use serde_json::json;

use crate::support::{Api, MODEL, id};

#[test]
fn threads_are_listed_and_found_by_their_metadata() {
    let api = Api::new([]);
    let made = |metadata| id(&api.made("/v1/threads", &json!({ "metadata": metadata })));
    let first = made(json!({ "user": "anna", "topic": "hats & caps" }));
    let second = made(json!({ "user": "ben" }));
    let third = made(json!({ "user": "anna" }));
    let listed = |query: &str| -> Vec<String> {
        let list = api.get(&format!("/v1/threads{query}")).ok();
        list["data"].as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(listed(""), [&*third, &second, &first]);
    assert_eq!(listed("?limit=1&order=asc"), [&*first]);
    let anna = "metadata%5Buser%5D=anna";
    assert_eq!(listed(&format!("?{anna}")), [&*third, &first]);
    assert_eq!(listed(&format!("?{anna}&after={third}")), [&*first]);
    assert_eq!(listed(&format!("?metadata[topic]=hats%20%26%20caps&{anna}")), [&*first]);
    assert!(listed("?metadata%5Buser%5D=nobody").is_empty());
    for query in ["metadata=anna", "metadata%5Buser=anna"] {
        let refused = api.get(&format!("/v1/threads?{query}"));
        assert_eq!(refused.refused(400).2, Some("unknown_parameter"), "{query}");
    }
}

#[test]
fn a_refused_run_leaves_no_thread_behind() {
    let api = Api::new([]);
    let nobody = "asst_0123456789abcdefghijABCD";
    api.post("/v1/threads/runs", &json!({ "assistant_id": nobody })).refused(404);
    assert_eq!(api.get("/v1/threads").ok()["data"], json!([]));
}

#[test]
fn an_assistant_shows_what_it_was_made_from() {
    let api = Api::new([]);
    let tools = json!([
        { "type": "code_interpreter" },
        { "type": "file_search", "file_search": { "max_num_results": 7, "ranking_options": { "ranker": "auto", "score_threshold": 0.3 } } },
        { "type": "function", "function": { "name": "weather", "description": "d", "parameters": { "type": "object" }, "strict": true } },
    ]);
    let made = api.made(
        "/v1/assistants",
        &json!({
            "model": MODEL, "name": "老师", "instructions": "Teach.", "tools": tools,
            "temperature": 0.7, "metadata": { "a": "b" }, "reasoning_effort": "low",
            "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": {}, "strict": true } },
        }),
    );
    assert_eq!(made["object"], "assistant");
    assert_eq!(made["name"], "老师");
    assert_eq!(made["description"], json!(null));
    assert_eq!(made["temperature"], 0.7);
    assert_eq!(made["top_p"], 1.0);
    assert_eq!(made["tools"][1]["file_search"]["max_num_results"], 7);
    assert_eq!(made["tools"][1]["file_search"]["ranking_options"]["score_threshold"], 0.3);
    assert_eq!(made["tools"][2], tools[2]);
    assert_eq!(made["response_format"]["json_schema"]["strict"], true);
    assert_eq!(api.get(&format!("/v1/assistants/{}", id(&made))).ok(), made);
    assert!(made.get("reasoning_effort").is_none());
    let plain = api.made("/v1/assistants", &json!({ "model": MODEL }));
    assert_eq!(plain["response_format"], "auto");
    assert_eq!((&plain["metadata"], &plain["tools"]), (&json!({}), &json!([])));
}

#[test]
fn an_update_changes_what_it_names_and_null_clears() {
    let api = Api::new([]);
    let id = api.assistant(json!({
        "name": "a", "description": "b", "metadata": { "x": "1", "y": "2" }, "temperature": 0.2,
    }));
    let path = format!("/v1/assistants/{id}");
    let changed = api.made(&path, &json!({ "name": null, "metadata": { "z": "3" } }));
    assert_eq!(changed["name"], json!(null));
    assert_eq!(changed["description"], "b");
    assert_eq!(changed["metadata"], json!({ "z": "3" }));
    assert_eq!(changed["temperature"], 0.2);
    assert_eq!(api.get(&path).ok(), changed);
    let deleted = json!({ "id": id, "object": "assistant.deleted", "deleted": true });
    assert_eq!(api.delete(&path).ok(), deleted);
    assert_eq!(api.delete(&path).status, 404);
}

#[test]
fn a_thread_begins_with_messages_and_goes_with_them() {
    let api = Api::new([]);
    let thread = id(&api.made(
        "/v1/threads",
        &json!({
            "messages": [
                { "role": "user", "content": "one" },
                { "role": "assistant", "content": [{ "type": "text", "text": "two" }] },
            ],
            "metadata": { "k": "v" },
        }),
    ));
    let path = format!("/v1/threads/{thread}");
    let added =
        api.made(&format!("{path}/messages"), &json!({ "role": "user", "content": "three" }));
    assert_eq!(added["object"], "thread.message");
    assert_eq!((&added["status"], &added["role"]), (&json!("completed"), &json!("user")));
    let text = json!([{ "type": "text", "text": { "value": "three", "annotations": [] } }]);
    assert_eq!(added["content"], text);
    let list = api.get(&format!("{path}/messages")).ok();
    let said: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["content"][0]["text"]["value"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["three", "two", "one"]);
    let message = format!("{path}/messages/{}", id(&added));
    assert_eq!(api.get(&message).ok(), added);
    // A message is found in its own thread only.
    let other = format!("/v1/threads/{}/messages/{}", api.thread(), id(&added));
    assert_eq!(api.get(&other).status, 404);
    assert_eq!(api.made(&path, &json!({ "metadata": {} }))["metadata"], json!({}));
    assert_eq!(api.delete(&path).ok()["object"], "thread.deleted");
    assert_eq!(api.get(&message).status, 404);
}

#[test]
fn a_messages_content_is_checked_part_by_part() {
    let api = Api::new([]);
    let path = format!("/v1/threads/{}/messages", api.thread());
    let image = json!({ "type": "image_url", "image_url": { "url": "http://x", "detail": "x" } });
    let refused = api.post(&path, &json!({ "role": "user", "content": [image] }));
    assert_eq!(refused.refused(400).1, Some("content[0].image_url.detail"));
    let gone = json!({ "type": "image_file", "image_file": { "file_id": "file-0123456789abcdefghijABCD" } });
    assert_eq!(api.post(&path, &json!({ "role": "user", "content": [gone] })).status, 404);
    let empty = api.post(&path, &json!({ "role": "user", "content": [] }));
    assert_eq!(empty.refused(400).2, Some("empty_array"));
    let system = api.post(&path, &json!({ "role": "system", "content": "x" }));
    assert_eq!(system.refused(400).1, Some("role"));
}
