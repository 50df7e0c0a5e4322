//! After a kill: is everything as the clients were told?

use std::thread;

use serde_json::{Value, json};

use crate::client::{Client, id};
use crate::ledger::{End, Kept, Ledger};
use crate::process::{MODEL, Site};
use crate::story::{heard, last, outputs};

/// How many conversations are gone on with at a time.
const ABREAST: usize = 6;

/// Starts a server over what the killed one left, compares it with `ledger`, and lets doctor look
/// at what it leaves. `told` is put to whatever is found.
#[track_caller]
pub(crate) fn verify(site: &Site, ledger: &Ledger, told: &str) {
    let served = site.serve();
    let client = served.client();
    let unfinished = site.unfinished_uploads();
    assert!(unfinished.is_empty(), "{unfinished:?} are left; {told}");
    let check = Check { client: &client, told };
    check.deleted(ledger);
    ledger.kept.iter().for_each(|(path, kept)| check.kept(path, kept));
    check.lists(ledger);
    check.files();
    ledger.runs.iter().for_each(|(run, ends)| check.run(run, ends));
    check.conversations(ledger);
    check.vector_stores(ledger);
    served.stop();
    let findings = site.doctor();
    assert!(findings.is_empty(), "{findings:#?}; {told}");
}

struct Check<'a> {
    client: &'a Client,
    told: &'a str,
}

impl Check<'_> {
    fn get(&self, path: &str) -> Value {
        let reply = self.client.get(path).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}; {}", reply.body, self.told);
        reply.body
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let reply = self.client.post(path, body).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}; {}", reply.body, self.told);
        reply.body
    }

    fn all(&self, path: &str) -> Vec<Value> {
        self.client.all(path).unwrap()
    }

    fn deleted(&self, ledger: &Ledger) {
        for path in &ledger.gone {
            let reply = self.client.get(path).unwrap();
            assert_eq!(reply.status, 404, "{path} came back: {}; {}", reply.body, self.told);
        }
    }

    fn kept(&self, path: &str, kept: &Kept) {
        let seen = self.get(path);
        let same = |wanted: &Value| steady(path, wanted).iter().all(|key| seen[key] == wanted[key]);
        assert!(
            same(&kept.body) || kept.changed.as_ref().is_some_and(same),
            "{path} is {seen}, not {kept:?}; {}",
            self.told
        );
        if let Some(content) = &kept.content {
            let (status, bytes) = self.client.content(last(path)).unwrap();
            assert_eq!(status, 200, "{path} has lost its bytes; {}", self.told);
            assert!(bytes == content.as_bytes(), "{path} has other bytes; {}", self.told);
        }
    }

    /// What is there is listed, what is not is not.
    fn lists(&self, ledger: &Ledger) {
        let mut parents: Vec<&str> =
            ledger.kept.keys().chain(&ledger.gone).filter_map(|path| parent(path)).collect();
        parents.sort_unstable();
        parents.dedup();
        for list in parents {
            // What was below something deleted is gone with it.
            if self.client.get(list).unwrap().status == 404 || list.ends_with("/file_batches") {
                continue;
            }
            let listed: Vec<String> = self.all(list).iter().map(id).collect();
            let of_list = |path: &&String| parent(path) == Some(list);
            for path in ledger.kept.keys().filter(of_list) {
                let there = listed.iter().any(|id| id == last(path));
                assert!(there, "{path} is not listed; {}", self.told);
            }
            for path in ledger.gone.iter().filter(of_list) {
                let there = listed.iter().any(|id| id == last(path));
                assert!(!there, "{path} is still listed; {}", self.told);
            }
        }
    }

    /// Also files nobody was told of are whole.
    fn files(&self) {
        for file in self.all("/files") {
            let (status, bytes) = self.client.content(&id(&file)).unwrap();
            assert_eq!((status, json!(bytes.len())), (200, file["bytes"].clone()), "{file}");
        }
    }

    fn run(&self, path: &str, ends: &[End]) {
        let mut run = self.client.settled(path).unwrap();
        if run["status"] == "requires_action" {
            let wanted = ends.iter().any(|end| matches!(end, End::Waits(_)));
            assert!(wanted, "{path} waits again: {run}; {}", self.told);
            let _ = self.post(&format!("{path}/submit_tool_outputs"), &outputs(&run, ["a", "b"]));
            run = self.client.settled(path).unwrap();
            return self.answered(path, &run, "They gave a and b.");
        }
        let (answers, others): (Vec<&End>, Vec<&End>) =
            ends.iter().partition(|end| matches!(end, End::Answer(_)));
        match (run["status"].as_str().unwrap(), answers.as_slice()) {
            ("completed", [End::Answer(answer)]) => self.answered(path, &run, answer),
            ("cancelled", _) if others.contains(&&End::Cancelled) => {
                assert!(self.said(path).len() <= 1, "{path} has two messages; {}", self.told);
            }
            _ => panic!("{run} was to end by {ends:?}; {}", self.told),
        }
    }

    /// The run's one message is this.
    fn answered(&self, path: &str, run: &Value, answer: &str) {
        assert_eq!(run["status"], "completed", "{run}; {}", self.told);
        let said = self.said(path);
        let texts: Vec<&Value> = said.iter().map(|it| &it["content"][0]["text"]["value"]).collect();
        assert_eq!(texts, [answer], "{path}; {}", self.told);
        assert_eq!(said[0]["status"], "completed", "{path}; {}", self.told);
    }

    /// Every message of a run.
    fn said(&self, run: &str) -> Vec<Value> {
        let thread = parent(run).and_then(|it| it.strip_suffix("/runs")).unwrap();
        let mut messages = self.all(&format!("{thread}/messages"));
        messages.retain(|message| message["run_id"] == last(run));
        messages
    }

    /// No thread stays locked.
    fn conversations(&self, ledger: &Ledger) {
        let new = self.post("/assistants", &json!({ "model": MODEL, "name": "after" }));
        let assistant = id(&new);
        let threads: Vec<&String> =
            ledger.kept.keys().filter(|path| parent(path) == Some("/threads")).collect();
        let share = threads.len().div_ceil(ABREAST).max(1);
        thread::scope(|scope| {
            for threads in threads.chunks(share) {
                let assistant = &assistant;
                scope.spawn(move || {
                    threads.iter().for_each(|thread| self.goes_on(thread, assistant));
                });
            }
        });
    }

    fn goes_on(&self, thread: &str, assistant: &str) {
        // There may be runs nobody was told of.
        for run in self.all(&format!("{thread}/runs")) {
            let run = format!("{thread}/runs/{}", id(&run));
            if self.client.settled(&run).unwrap()["status"] == "requires_action" {
                self.post(&format!("{run}/cancel"), &json!({}));
                self.client.settled(&run).unwrap();
            }
        }
        let message = json!({ "role": "user", "content": "And now?" });
        self.post(&format!("{thread}/messages"), &message);
        let run = self.post(&format!("{thread}/runs"), &json!({ "assistant_id": assistant }));
        self.run(&format!("{thread}/runs/{}", id(&run)), &[End::Answer(heard("And now?"))]);
    }

    /// Files have been read and are found.
    fn vector_stores(&self, ledger: &Ledger) {
        let entries = ledger.kept.keys().filter(|path| {
            path.starts_with("/vector_stores/") && parent(path).unwrap().ends_with("/files")
        });
        for path in entries {
            let entry = self.client.settled(path).unwrap();
            assert_eq!(entry["status"], "completed", "{entry}; {}", self.told);
            let content = ledger.kept.get(&format!("/files/{}", last(path)));
            let Some(text) = content.and_then(|kept| kept.content.as_ref()) else { continue };
            let marker = text.rsplit(' ').next().unwrap();
            let store = parent(path).and_then(|it| it.strip_suffix("/files")).unwrap();
            let found = self.post(&format!("{store}/search"), &json!({ "query": marker }));
            let hits = found["data"].as_array().unwrap();
            let hit = hits.iter().any(|hit| hit["file_id"] == last(path));
            assert!(hit, "{path} is not found by {marker}: {found}; {}", self.told);
        }
        for path in ledger.kept.keys().filter(|path| path.contains("/file_batches/")) {
            let batch = self.client.settled(path).unwrap();
            assert_eq!(batch["file_counts"]["in_progress"], 0, "{batch}; {}", self.told);
        }
    }
}

/// The list an object is in.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// What no work of the server's own changes in an object.
fn steady<'a>(path: &str, body: &'a Value) -> Vec<&'a str> {
    let kind = path.rsplit('/').nth(1).unwrap();
    let in_store = path.starts_with("/vector_stores/");
    match kind {
        "threads" => vec!["id", "created_at", "metadata"],
        "runs" => {
            vec!["id", "thread_id", "assistant_id", "model", "instructions", "tools", "metadata"]
        }
        "vector_stores" => vec!["id", "created_at", "name", "metadata"],
        "files" if in_store => vec!["id", "created_at", "attributes", "chunking_strategy"],
        "file_batches" => vec!["id", "created_at"],
        _ => body.as_object().unwrap().keys().map(String::as_str).collect(),
    }
}
