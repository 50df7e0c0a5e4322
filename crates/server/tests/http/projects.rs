//! Projects: keys that open engines of their own, which see nothing of each other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docent_core::{Error, Result};
use docent_engine::Engine;
use docent_inference::chat::{Scripted, ScriptedReply};
use docent_server::{ApiKeys, Projects, Server, ServerOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::files::upload_text;
use crate::support::{Api, Reply, Setup, engine, id, plain_engine};

/// Keys that a test changes, and engines in memory.
#[derive(Debug, Default)]
struct Rooms {
    keys: Mutex<Vec<(&'static str, &'static str)>>,
    opened: Mutex<Vec<String>>,
}

impl Rooms {
    fn of(keys: &[(&'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self { keys: Mutex::new(keys.to_vec()), ..Self::default() })
    }

    fn revoke(&self, key: &str) {
        self.keys.lock().unwrap().retain(|(known, _)| *known != key);
    }
}

impl Projects for Rooms {
    fn keys(&self) -> Result<ApiKeys> {
        let keys = self.keys.lock().unwrap();
        Ok(ApiKeys::hashed(keys.iter().map(|(key, to)| (Sha256::digest(key).into(), *to))))
    }

    fn open(&self, project: &str) -> Result<Engine> {
        self.opened.lock().unwrap().push(project.to_owned());
        if project == "broken" {
            return Err(Error::conflict("the library /secret/path is in use"));
        }
        let slow = ScriptedReply::pieces(vec!["word "; 4000])
            .before_piece(1, || std::thread::sleep(Duration::from_millis(300)));
        let answers = match project {
            "slow" => slow,
            _ => ScriptedReply::text("Here."),
        };
        Ok(engine(
            Arc::new(Scripted::new([answers])),
            Setup::default(),
            &tempfile::tempdir().unwrap(),
        ))
    }
}

fn served(rooms: &Arc<Rooms>, own: ApiKeys) -> Api {
    let options =
        ServerOptions { listen: ([127, 0, 0, 1], 0).into(), keys: own, ..Default::default() };
    let server = Server::bind_projects(plain_engine(), rooms.clone(), options).unwrap();
    Api::of(server, tempfile::tempdir().unwrap())
}

const A: &str = "sk-docent-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const A_TOO: &str = "sk-docent-a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2";
const B: &str = "sk-docent-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// One of each object, in the project of the key that `api` sends; paths of each.
fn fill(api: &Api) -> (Vec<String>, String, String) {
    let file = upload_text(api, "boiler.txt", "The boiler was serviced in May 2024.");
    let store = id(&api.made("/v1/vector_stores", &json!({ "file_ids": [file] })));
    let assistant = api.assistant(json!({ "tools": [{ "type": "file_search" }] }));
    let thread = api.thread();
    let body = json!({ "assistant_id": assistant });
    let run = id(&api.made(&format!("/v1/threads/{thread}/runs"), &body));
    api.until(&thread, &run, "completed");
    let message = api.get(&format!("/v1/threads/{thread}/messages")).ok();
    let message = id(&message["data"][0]);
    let steps = api.get(&format!("/v1/threads/{thread}/runs/{run}/steps")).ok();
    let step = id(&steps["data"][0]);
    let paths = [
        format!("/v1/assistants/{assistant}"),
        format!("/v1/threads/{thread}"),
        format!("/v1/threads/{thread}/messages"),
        format!("/v1/threads/{thread}/messages/{message}"),
        format!("/v1/threads/{thread}/runs"),
        format!("/v1/threads/{thread}/runs/{run}"),
        format!("/v1/threads/{thread}/runs/{run}/steps"),
        format!("/v1/threads/{thread}/runs/{run}/steps/{step}"),
        format!("/v1/files/{file}"),
        format!("/v1/files/{file}/content"),
        format!("/v1/vector_stores/{store}"),
        format!("/v1/vector_stores/{store}/files"),
        format!("/v1/vector_stores/{store}/files/{file}"),
        format!("/v1/vector_stores/{store}/files/{file}/content"),
    ];
    (paths.into(), file, store)
}

#[track_caller]
fn is_empty(list: &Value) {
    assert_eq!((&list["data"], &list["has_more"]), (&json!([]), &json!(false)), "{list}");
}

#[test]
fn a_project_sees_nothing_of_another() {
    let rooms = Rooms::of(&[(A, "team-a"), (B, "team-b")]);
    let api = served(&rooms, ApiKeys::new(["sk-own"])).sending_key(A);
    let (paths, file, store) = fill(&api);
    for path in &paths {
        assert_eq!(api.get(path).status, 200, "{path}");
    }
    for key in [B, "sk-own"] {
        let api = served_key(&api, key);
        for list in ["assistants", "threads", "files", "vector_stores"] {
            is_empty(&api(&format!("/v1/{list}")).ok());
        }
        for path in &paths {
            assert_eq!(api(path).status, 404, "{key}: {path}");
        }
    }
    let api = api.sending_key(B);
    for path in &paths {
        assert!([404, 405].contains(&api.delete(path).status), "{path}");
    }
    let stores = json!({ "file_search": { "vector_store_ids": [store] } });
    let body = json!({ "tool_resources": stores });
    assert_eq!(api.post("/v1/threads", &body).status, 404);
    let body = json!({ "model": "gpt-4o", "tool_resources": stores });
    assert_eq!(api.post("/v1/assistants", &body).status, 404);
    let files = json!({ "code_interpreter": { "file_ids": [file] } });
    assert_eq!(api.post("/v1/threads", &json!({ "tool_resources": files })).status, 404);
    assert_eq!(api.post("/v1/vector_stores", &json!({ "file_ids": [file] })).status, 404);
    let search = format!("/v1/vector_stores/{store}/search");
    assert_eq!(api.post(&search, &json!({ "query": "boiler" })).status, 404);
    let tools = json!([{ "type": "file_search" }]);
    let attached = json!([{ "file_id": file, "tools": tools }]);
    let message = json!({ "role": "user", "content": "?", "attachments": attached });
    assert_eq!(api.post("/v1/threads", &json!({ "messages": [message] })).status, 404);
    // Nothing of all that happened to the first.
    let api = api.sending_key(A);
    for path in &paths {
        assert_eq!(api.get(path).status, 200, "{path}");
    }
}

/// Gets with another key of the same server.
fn served_key<'a>(api: &'a Api, key: &'a str) -> impl Fn(&str) -> Reply + 'a {
    move |path| api.get_with_key(path, key)
}

#[test]
fn keys_of_one_project_share_it_and_it_is_opened_once() {
    let rooms = Rooms::of(&[(A, "team-a"), (A_TOO, "team-a"), (B, "team-b")]);
    let api = served(&rooms, ApiKeys::default()).sending_key(A);
    assert_eq!(*rooms.opened.lock().unwrap(), [""; 0]);
    let thread = api.thread();
    let api = api.sending_key(A_TOO);
    assert_eq!(id(&api.get(&format!("/v1/threads/{thread}")).ok()), thread);
    assert_eq!(*rooms.opened.lock().unwrap(), ["team-a"]);
    // Answers of a project carry what all answers do.
    let headers = api.get("/v1/models").headers;
    assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(api.get("/v1/foo").refused(404).0, "Invalid URL (GET /v1/foo)");
    assert_eq!(api.post("/v1/models?x=1", &json!({})).status, 405);
    assert_eq!(api.get("/v1/models?x=1").refused(400).2, Some("unknown_parameter"));
    // What the server does is not the affair of each of its projects.
    assert_eq!(api.get("/metrics").status, 404);
}

#[test]
fn a_revoked_key_is_refused_at_once_and_so_is_none() {
    let rooms = Rooms::of(&[(A, "team-a"), (B, "team-b")]);
    let api = served(&rooms, ApiKeys::default());
    assert!(api.get("/v1/threads").refused(401).0.starts_with("You didn't provide an API key."));
    assert_eq!(api.get("/health").status, 200);
    let api = api.sending_key(A);
    let thread = api.thread();
    rooms.revoke(A);
    let refused = api.get(&format!("/v1/threads/{thread}"));
    assert_eq!(refused.refused(401).2, Some("invalid_api_key"));
    // The last key goes, and the server does not open itself to everybody.
    rooms.revoke(B);
    assert_eq!(api.get("/v1/threads").refused(401).2, Some("invalid_api_key"));
    rooms.keys.lock().unwrap().push((A_TOO, "team-a"));
    let api = api.sending_key(A_TOO);
    assert_eq!(id(&api.get(&format!("/v1/threads/{thread}")).ok()), thread);
}

#[test]
fn the_first_key_ends_the_time_without() {
    let rooms = Rooms::of(&[]);
    let api = served(&rooms, ApiKeys::default());
    let thread = api.thread();
    rooms.keys.lock().unwrap().push((A, "default"));
    assert_eq!(api.get("/v1/threads").status, 401);
    let api = api.sending_key(A);
    assert_eq!(id(&api.get(&format!("/v1/threads/{thread}")).ok()), thread);
    rooms.revoke(A);
    assert_eq!(api.get("/v1/threads").status, 401);
}

#[test]
fn a_project_that_cannot_be_opened_says_so_without_saying_where_it_is() {
    let rooms = Rooms::of(&[(A, "broken"), (B, "team-b")]);
    let api = served(&rooms, ApiKeys::default()).sending_key(A);
    for tries in 1..3 {
        let refused = api.get("/v1/threads");
        assert_eq!(refused.status, 503);
        assert!(!refused.body.to_string().contains("secret"), "{}", refused.body);
        assert_eq!(rooms.opened.lock().unwrap().len(), tries);
    }
    is_empty(&api.sending_key(B).get("/v1/threads").ok());
}

#[test]
fn a_key_of_the_file_is_enough_for_an_address_others_reach() {
    let listen = ([0, 0, 0, 0], 0).into();
    let options = || ServerOptions { listen, ..ServerOptions::default() };
    let bind = |rooms| Server::bind_projects(plain_engine(), rooms, options());
    assert!(bind(Rooms::of(&[])).unwrap_err().message().contains("docent keys create"));
    assert!(bind(Rooms::of(&[(A, "team-a")])).is_ok());
}

#[test]
fn a_stop_parks_the_runs_of_every_project() {
    let rooms = Rooms::of(&[(A, "slow")]);
    let mut api = served(&rooms, ApiKeys::default()).sending_key(A);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let body = json!({ "assistant_id": assistant, "stream": true });
    let mut stream = api.begin_stream(&format!("/v1/threads/{thread}/runs"), &body);
    while stream.next().unwrap().0 != "thread.message.delta" {}
    let begun = Instant::now();
    let rest = std::thread::scope(|scope| {
        scope.spawn(|| api.stop());
        stream.map(|(name, _)| name).collect::<Vec<_>>()
    });
    assert_eq!(rest.last().map(String::as_str), Some("error"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
