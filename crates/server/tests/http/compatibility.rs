//! What `docs/compatibility.md` says is there, is there, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::Api;

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
    paths.filter(|path| path != "/health" && path != "/v1").collect()
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
