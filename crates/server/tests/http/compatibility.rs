//! What `docs/compatibility.md` says is there, is there, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::support::{Api, MODEL, Reply};

const DOCUMENT: &str = include_str!("../../../../docs/compatibility.md");
const ROUTES: &str = include_str!("../../src/routes.rs");
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];

/// The status of every endpoint, such as `GET /threads/{thread_id}`, in the document's tables.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let (endpoint, rest) = row.split_once("` | ")?;
        let (method, _) = endpoint.split_once(' ')?;
        METHODS.contains(&method).then_some((endpoint, rest.split(" |").next()?))
    });
    let mut found = BTreeMap::new();
    for (endpoint, status) in rows {
        assert_eq!(found.insert(endpoint, status), None, "{endpoint} has two rows");
    }
    found
}

/// Every path below `/v1` that the router's source names.
fn routed() -> BTreeSet<String> {
    let texts: Vec<&str> = ROUTES.split('"').collect();
    // Between quotes is every second piece; what stands before it tells a part from a whole path.
    let paths = texts.windows(2).step_by(2).filter(|pair| pair[1].starts_with('/'));
    let paths = paths.map(|pair| match pair[0].ends_with("below(") {
        true => format!("/vector_stores/{{vector_store_id}}{}", pair[1]),
        false => pair[1].replace("{*", "{"),
    });
    paths.filter(|path| !["/health", "/metrics", "/v1"].contains(&path.as_str())).collect()
}

/// Whether a request like this reaches a handler, whatever that says to it.
fn is_there(api: &Api, method: &str, path: &str) -> bool {
    let named = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    let path = format!("/v1{}", named.collect::<Vec<_>>().join("/"));
    let reply = match method {
        "GET" => api.get(&path),
        "POST" => api.post(&path, &json!({})),
        _ => api.delete(&path),
    };
    let message = reply.body["error"]["message"].as_str().unwrap_or_default();
    reply.status != 405 && !message.starts_with("Invalid URL")
}

#[test]
fn the_document_has_every_endpoint_and_no_other() {
    let api = Api::new([]);
    let documented = documented();
    let mut paths = routed();
    assert!(paths.len() > 25 && documented.len() > 45, "{paths:?} {documented:?}");
    paths.extend(documented.keys().filter_map(|it| Some(it.split_once(' ')?.1.to_owned())));
    for path in &paths {
        for method in METHODS {
            let endpoint = format!("{method} {path}");
            let promised = match documented.get(&*endpoint) {
                Some(&("supported" | "differs" | "extension")) => true,
                Some(&"not there") | None => false,
                Some(other) => panic!("{endpoint}: what is '{other}'?"),
            };
            assert_eq!(is_there(&api, method, path), promised, "{endpoint}");
        }
    }
}

/// What a path's ids are put in as: nothing has them, but requests are read before that is seen.
const ID: &str = "0123456789abcdefghijABCD";

/// An endpoint's row, or that of its parts, and the parameters named there.
fn parameters() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with('|'));
    let rows = rows.filter_map(|line| {
        let columns: Vec<&str> = line.split(" | ").collect();
        let (endpoint, named) = match columns.as_slice() {
            [parts, named] if parts.contains("Parts of") => (parts, named),
            [endpoint, "supported" | "differs" | "extension", named, _] => (endpoint, named),
            _ => return None,
        };
        let endpoint = endpoint.split('`').nth(1).unwrap();
        Some((endpoint, named.split('`').skip(1).step_by(2).collect()))
    });
    rows.collect()
}

/// A path with ids of the right form in it.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{assistant_id}" => format!("asst_{ID}"),
        "{thread_id}" => format!("thread_{ID}"),
        "{message_id}" => format!("msg_{ID}"),
        "{run_id}" => format!("run_{ID}"),
        "{step_id}" => format!("step_{ID}"),
        "{file_id}" => format!("file-{ID}"),
        "{vector_store_id}" => format!("vs_{ID}"),
        "{batch_id}" => format!("vsfb_{ID}"),
        part => part.to_owned(),
    });
    format!("/v1{}", parts.collect::<Vec<_>>().join("/"))
}

/// What a request to `endpoint` must say, beside the parameter that is asked about.
fn needed(endpoint: &str) -> Value {
    let file = format!("file-{ID}");
    match endpoint {
        "POST /assistants" => json!({ "model": MODEL }),
        "POST /threads/{thread_id}/messages" => json!({ "role": "user", "content": "x" }),
        "POST /threads/{thread_id}/runs" | "POST /threads/runs" => {
            json!({ "assistant_id": format!("asst_{ID}") })
        }
        "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs" => {
            json!({ "tool_outputs": [] })
        }
        "POST /vector_stores/{vector_store_id}/search" => json!({ "query": "x" }),
        "POST /vector_stores/{vector_store_id}/files" => json!({ "file_id": file }),
        "POST /vector_stores/{vector_store_id}/files/{file_id}" => json!({ "attributes": {} }),
        "POST /vector_stores/{vector_store_id}/file_batches" => json!({ "file_ids": [file] }),
        "POST /chat/completions" => {
            let message = json!({ "role": "user", "content": "x" });
            json!({ "model": MODEL, "messages": [message] })
        }
        "POST /embeddings" => json!({ "model": "x", "input": "x" }),
        _ => json!({}),
    }
}

/// What must stand beside `part` of an object for it to be read.
fn beside(part: &str) -> Value {
    match part {
        "tools[].function" | "tool_choice.function" => json!({ "type": "function" }),
        "tools[].file_search" => json!({ "type": "file_search" }),
        "tools[].file_search.ranking_options.ranker" => json!({ "score_threshold": 0 }),
        "response_format.json_schema" => json!({ "type": "json_schema" }),
        "truncation_strategy.last_messages" => json!({ "type": "last_messages" }),
        "expires_after.days" => json!({ "anchor": "last_active_at" }),
        "chunking_strategy.static" => json!({ "type": "static" }),
        "chunking_strategy.static.chunk_overlap_tokens" => json!({ "max_chunk_size_tokens": 800 }),
        "filters.key" => json!({ "type": "eq" }),
        "filters.value" => json!({ "type": "eq", "key": "k" }),
        "filters.filters" => json!({ "type": "and" }),
        "content[].text" => json!({ "type": "text" }),
        "content[].image_file" => json!({ "type": "image_file" }),
        "content[].image_url" => json!({ "type": "image_url" }),
        "content[].image_file.detail" => json!({ "file_id": format!("file-{ID}") }),
        "content[].image_url.detail" => json!({ "url": "https://x.example/y" }),
        "attachments[].tools" | "files[].attributes" | "files[].chunking_strategy" => {
            json!({ "file_id": format!("file-{ID}") })
        }
        "messages[].content" | "additional_messages[].content" => json!({ "role": "user" }),
        "messages[].attachments" | "messages[].metadata" => {
            json!({ "role": "user", "content": "x" })
        }
        "messages[].refusal" | "messages[].tool_calls" => json!({ "role": "assistant" }),
        "messages[].tool_call_id" => json!({ "role": "tool" }),
        "tool_outputs[].output" => json!({ "tool_call_id": format!("call_{ID}") }),
        part if part.starts_with("response_format.json_schema.") => json!({ "name": "n" }),
        part if part.starts_with("tools[].function.") => json!({ "name": "n" }),
        "stream_options" => json!({ "stream": true }),
        _ => Value::Null,
    }
}

/// `body` with a value at `path` that no parameter can have.
fn put_wrong(body: &mut Map<String, Value>, path: &str, done: &str) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let (name, in_list) = head.strip_suffix("[]").map_or((head, false), |name| (name, true));
    let here = format!("{done}{head}");
    if let Value::Object(companions) = beside(here.trim_end_matches("[]")) {
        body.extend(companions);
    }
    let mut value = json!([[]]);
    if let Some(rest) = rest {
        let mut inner = Map::new();
        put_wrong(&mut inner, rest, &format!("{here}."));
        value = if in_list { json!([inner]) } else { Value::Object(inner) };
    }
    body.insert(name.to_owned(), value);
}

fn asked_wrongly(api: &Api, endpoint: &str, parameter: &str) -> Reply {
    let (method, path) = endpoint.split_once(' ').unwrap();
    let path = filled(path);
    if method == "GET" || parameter == "include[]" {
        let query = format!("{path}?{parameter}=undefined");
        return if method == "GET" { api.get(&query) } else { api.post(&query, &needed(endpoint)) };
    }
    let Value::Object(mut body) = needed(endpoint) else { unreachable!() };
    if endpoint.ends_with("/chat/completions")
        && ["tool_choice", "parallel_tool_calls"].contains(&parameter)
    {
        body.insert("tools".into(), json!([{ "type": "function", "function": { "name": "f" } }]));
    }
    put_wrong(&mut body, parameter, "");
    api.post(&path, &Value::Object(body))
}

/// Whether the refusal `param` is about `parameter`, or something in it.
fn is_about(param: &str, parameter: &str) -> bool {
    let parameter = parameter.replace("[]", "[0]");
    let parameter = parameter.strip_prefix("include").map_or(parameter.as_str(), |_| "include[]");
    param
        .strip_prefix(parameter)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}

#[test]
fn every_parameter_of_the_document_is_read_and_no_other() {
    let api = Api::new([]);
    let mut asked = 0;
    for (endpoint, parameters) in parameters() {
        // A form; its fields have tests of their own.
        if endpoint == "POST /files" {
            continue;
        }
        for parameter in &parameters {
            if *parameter == "metadata[key]" {
                continue;
            }
            let refused = asked_wrongly(&api, endpoint, parameter);
            let (message, param, code) = refused.refused(400);
            let about = param.is_some_and(|param| is_about(param, parameter));
            assert!(about, "{endpoint} {parameter}: {param:?}, {message}");
            assert_ne!(code, Some("unknown_parameter"), "{endpoint} {parameter}");
            asked += 1;
        }
        if !parameters.is_empty() {
            let (method, path) = endpoint.split_once(' ').unwrap();
            let refused = match method {
                "GET" => api.get(&format!("{}?colour=1", filled(path))),
                _ => {
                    let mut body = needed(endpoint);
                    body["colour"] = json!(1);
                    api.post(&filled(path), &body)
                }
            };
            let (_, param, code) = refused.refused(400);
            assert_eq!((param, code), (Some("colour"), Some("unknown_parameter")), "{endpoint}");
        }
    }
    assert!(asked > 200, "{asked} parameters were found");
}
