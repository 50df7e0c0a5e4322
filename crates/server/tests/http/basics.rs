//! What every request meets: paths, headers, keys, strict reading, lists.

use docent_server::{ApiKeys, Server, ServerOptions};
use serde_json::{Value, json};

use crate::support::{Api, MODEL, id};

#[test]
fn an_answer_carries_the_headers_clients_look_at() {
    let api = Api::new([]);
    let health = api.get("/health");
    assert_eq!((health.status, &health.body), (200, &json!({ "status": "ok" })));
    let headers = api.get("/v1/models").headers;
    assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(headers["openai-version"], "2020-10-01");
    assert!(headers["openai-processing-ms"].to_str().unwrap().parse::<u64>().is_ok());
}

#[test]
fn paths_and_methods_that_are_not_there_say_so() {
    let api = Api::new([]);
    let refused = api.get("/v1/foo");
    assert_eq!(refused.refused(404), ("Invalid URL (GET /v1/foo)", None, None));
    let refused = api.post("/elsewhere", &json!({}));
    assert_eq!(refused.refused(404).0, "Invalid URL (POST /elsewhere)");
    assert_eq!(api.delete("/v1/assistants").refused(405).2, Some("method_not_supported"));
}

#[test]
fn a_key_is_asked_for_where_there_is_one() {
    let api = Api::with_keys([], ApiKeys::new(["sk-local-right"]));
    assert!(api.get("/v1/models").refused(401).0.starts_with("You didn't provide an API key."));
    assert_eq!(api.get("/health").status, 200);
    let api = api.sending_key("sk-local-wrong");
    let refused = api.get("/v1/models");
    let message = "Incorrect API key provided: sk-l****rong.";
    assert_eq!(refused.refused(401), (message, None, Some("invalid_api_key")));
    let api = api.sending_key("sk-local-right");
    api.get("/v1/models").ok();
}

#[test]
fn an_address_others_reach_needs_a_key() {
    let listen = ([0, 0, 0, 0], 0).into();
    let engine = crate::support::plain_engine();
    let options = ServerOptions { listen, ..ServerOptions::default() };
    let refused = Server::bind(engine.clone(), options.clone()).unwrap_err();
    assert!(refused.message().contains("DOCENT_API_KEY"), "{refused}");
    let keys = ApiKeys::new(["sk-local"]);
    assert!(Server::bind(engine, ServerOptions { keys, ..options }).is_ok());
}

#[test]
fn models_are_those_of_the_configuration() {
    let api = Api::new([]);
    let list = api.get("/v1/models").ok();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], MODEL);
    assert_eq!(api.get(&format!("/v1/models/{MODEL}")).ok()["object"], "model");
    let refused = api.get("/v1/models/org/x");
    let wanted = ("The model 'org/x' does not exist", Some("model"), Some("model_not_found"));
    assert_eq!(refused.refused(404), wanted);
}

/// Each body of a request for a new assistant, and what it is told.
#[test]
fn what_a_request_may_not_say_is_refused_by_name() {
    let api = Api::new([]);
    let long = "ä".repeat(257);
    let many: serde_json::Map<String, Value> =
        (0..24).map(|at| (format!("k{at}"), json!("v"))).collect();
    let cases: Vec<(Value, &str, &str, &str)> = vec![
        (json!({}), "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
        (
            json!({ "modle": 1, "model": MODEL }),
            "Unknown parameter: 'modle'.",
            "modle",
            "unknown_parameter",
        ),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "f", "colour": 1 } }] }),
            "Unknown parameter: 'tools[0].function.colour'.",
            "tools[0].function.colour",
            "unknown_parameter",
        ),
        (
            json!({ "tools": [{ "type": "retrieval" }] }),
            "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'file_search', and 'function'.",
            "tools[0].type",
            "invalid_value",
        ),
        (
            json!({ "name": 5 }),
            "Invalid type for 'name': expected a string, but got an integer instead.",
            "name",
            "invalid_type",
        ),
        (
            json!({ "name": long }),
            "Invalid 'name': string too long. Expected a string with maximum length 256, but got a string with length 257 instead.",
            "name",
            "string_above_max_length",
        ),
        (
            json!({ "temperature": 2.5 }),
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            json!({ "top_p": -1 }),
            "Invalid 'top_p': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
            "top_p",
            "decimal_below_min_value",
        ),
        (
            json!({ "metadata": many }),
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 24 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
        (
            json!({ "metadata": { "k": "x".repeat(695) } }),
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but got a string with length 695 instead.",
            "metadata.k",
            "string_above_max_length",
        ),
        (
            json!({ "tools": vec![json!({ "type": "file_search" }); 129] }),
            "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 instead.",
            "tools",
            "array_above_max_length",
        ),
        (
            json!({ "tools": [{ "type": "file_search", "file_search": { "max_num_results": 51 } }] }),
            "Invalid 'tools[0].file_search.max_num_results': integer above maximum value. Expected a value <= 50, but got 51 instead.",
            "tools[0].file_search.max_num_results",
            "integer_above_max_value",
        ),
        (
            json!({ "model": "x" }),
            "The requested model 'x' does not exist.",
            "model",
            "model_not_found",
        ),
    ];
    for (mut body, message, param, code) in cases {
        if message != "Missing required parameter: 'model'." {
            body.as_object_mut().unwrap().entry("model").or_insert(json!(MODEL));
        }
        let refused = api.post("/v1/assistants", &body);
        assert_eq!(refused.refused(400), (message, Some(param), Some(code)));
    }
    // 512 characters of two bytes each are no more than 512.
    let fits = json!({ "model": MODEL, "metadata": { "k": "ä".repeat(512) } });
    api.made("/v1/assistants", &fits);
}

#[test]
fn a_body_is_json_or_empty() {
    let api = Api::new([]);
    let json = Some("application/json");
    let refused = api.send("POST", "/v1/threads", json, b"{\"metadata\":");
    let (message, param, code) = refused.refused(400);
    assert!(message.starts_with("We could not parse the JSON body of your request."), "{message}");
    assert_eq!((param, code), (None, None));
    assert_eq!(api.send("POST", "/v1/threads", json, b"[]").status, 400);
    assert_eq!(api.send("POST", "/v1/threads", json, b"").ok()["tool_resources"], json!({}));
    let deep = "[".repeat(100_000);
    assert_eq!(api.send("POST", "/v1/threads", json, deep.as_bytes()).status, 400);
}

#[test]
fn an_id_of_another_kind_is_a_mistake_and_an_unknown_one_is_not_found() {
    let api = Api::new([]);
    let wrong = "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'.";
    let refused = api.get("/v1/threads/undefined");
    assert_eq!(refused.refused(400), (wrong, Some("thread_id"), None));
    let thread = id(&api.made("/v1/threads", &json!({})));
    for (path, message) in [
        ("threads/thread_X", "No thread found with id 'thread_X'."),
        ("assistants/asst_X", "No assistant found with id 'asst_X'."),
        ("threads/T/runs/run_X", "No run found with id 'run_X'."),
        ("threads/T/messages/msg_X", "No message found with id 'msg_X'."),
        (
            "assistants/asst_0123456789abcdefghijABCD",
            "No assistant found with id 'asst_0123456789abcdefghijABCD'.",
        ),
    ] {
        let refused = api.get(&format!("/v1/{}", path.replace('T', &thread)));
        assert_eq!(refused.refused(404), (message, None, None));
    }
    let refused = api.get("/v1/files/file-X");
    assert_eq!(refused.refused(404), ("No such File object: file-X", Some("id"), None));
}

#[test]
fn a_list_is_read_page_by_page_in_both_directions() {
    let api = Api::new([]);
    let empty = api.get("/v1/assistants").ok();
    let wanted = json!({
        "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false,
    });
    assert_eq!(empty, wanted);
    let made: Vec<String> = (0..5).map(|_| api.assistant(json!({}))).collect();
    let page = |query: &str| -> (Vec<String>, bool) {
        let list = api.get(&format!("/v1/assistants?{query}")).ok();
        let ids: Vec<String> = list["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(list["first_id"].as_str(), ids.first().map(String::as_str));
        assert_eq!(list["last_id"].as_str(), ids.last().map(String::as_str));
        (ids, list["has_more"].as_bool().unwrap())
    };
    let numbers = |at: &[usize]| at.iter().map(|at| made[*at].clone()).collect::<Vec<_>>();
    assert_eq!(page("limit=2"), (numbers(&[4, 3]), true));
    assert_eq!(page(&format!("limit=2&after={}", made[3])), (numbers(&[2, 1]), true));
    assert_eq!(page(&format!("limit=2&after={}", made[1])), (numbers(&[0]), false));
    assert_eq!(page("limit=3&order=asc"), (numbers(&[0, 1, 2]), true));
    assert_eq!(page(&format!("limit=2&before={}", made[0])), (numbers(&[2, 1]), true));
    assert_eq!(page(&format!("before={}&order=asc", made[2])), (numbers(&[0, 1]), false));
    for (query, message, code) in [
        (
            "limit=0",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "integer_below_min_value",
        ),
        (
            "limit=101",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
            "integer_above_max_value",
        ),
        (
            "limit=x",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "invalid_type",
        ),
        (
            "order=up",
            "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
            "invalid_value",
        ),
        ("page=2", "Unknown parameter: 'page'.", "unknown_parameter"),
    ] {
        let refused = api.get(&format!("/v1/assistants?{query}"));
        let param = query.split('=').next();
        assert_eq!(refused.refused(400), (message, param, Some(code)));
    }
}

#[test]
fn a_query_parameter_that_nobody_reads_is_refused() {
    let api = Api::new([]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let one = format!("/v1/assistants/{assistant}");
    let messages = format!("/v1/threads/{thread}/messages");
    let wrong = "limit=1&colour=red";
    for path in [&one, "/v1/models", "/v1/models/gpt-4o", "/v1/files/file-1/content"] {
        let refused = api.get(&format!("{path}?{wrong}"));
        let (message, param, code) = refused.refused(400);
        assert_eq!(message, "Unknown parameter: 'colour'.", "{path}");
        assert_eq!((param, code), (Some("colour"), Some("unknown_parameter")));
    }
    let list = api.get(&format!("/v1/assistants?{wrong}"));
    assert_eq!(list.refused(400).1, Some("colour"));
    for path in ["/v1/assistants", "/v1/threads", &messages, "/v1/threads/runs", &one] {
        let refused = api.post(&format!("{path}?colour=red"), &json!({}));
        assert_eq!(refused.refused(400).1, Some("colour"), "{path}");
    }
    assert_eq!(api.delete(&format!("{one}?colour=red")).refused(400).1, Some("colour"));
    assert_eq!(api.get(&one).status, 200, "nothing was deleted");
    let all = api.get("/v1/assistants?limit=5&order=asc").ok();
    assert_eq!(all["data"].as_array().unwrap().len(), 1, "nothing was made");
}
