//! Vector stores: files enter them, are read in the background, and are found.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docent_core::{Embedder, EmbedderSpec, Embedding, InputRole, Reranker, Result};
use docent_inference::chat::{Scripted, ScriptedReply};
use docent_retrieval::NewVectorStore;
use docent_server::{Server, ServerOptions};
use docent_store::MemoryStore;
use serde_json::{Value, json};

use crate::files::upload_text;
use crate::support::{Api, Reply, Setup, engine_upon, id};

/// The object at `path` once none of its files is under way.
#[track_caller]
fn settled(api: &Api, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let object = api.get(path).ok();
        if object["file_counts"]["in_progress"] == 0 {
            return object;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "still {object}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn refusal(reply: &Reply) -> (Option<&str>, Option<&str>) {
    let (_, param, code) = reply.refused(400);
    (param, code)
}

#[test]
fn a_store_counts_its_files_from_the_first_answer() {
    let api = Api::new([]);
    let file = upload_text(&api, "boiler.txt", "The boiler was serviced in May 2024.");
    let made = api.made(
        "/v1/vector_stores",
        &json!({ "name": "s", "file_ids": [file], "expires_after": { "anchor": "last_active_at", "days": 3 } }),
    );
    assert_eq!(
        (&made["object"], &made["file_counts"]["total"]),
        (&json!("vector_store"), &json!(1))
    );
    assert_eq!(made["expires_after"]["days"], 3);
    let path = format!("/v1/vector_stores/{}", id(&made));
    let done = settled(&api, &path);
    assert_eq!(
        (&done["status"], &done["file_counts"]["completed"]),
        (&json!("completed"), &json!(1))
    );
    let within = api.get(&format!("{path}/files/{file}")).ok();
    assert_eq!(within["chunking_strategy"]["static"]["max_chunk_size_tokens"], 800);
    let text = api.get(&format!("{path}/files/{file}/content")).ok();
    assert!(text["data"][0]["text"].as_str().unwrap().contains("May 2024"), "{text}");
    let changed = api.made(&path, &json!({ "name": "t", "expires_after": null }));
    assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("t"), &json!(null)));
    let gone = api.delete(&format!("{path}/files/{file}")).ok();
    assert_eq!(gone["object"], "vector_store.file.deleted");
    assert_eq!(api.get(&path).ok()["file_counts"]["total"], 0);
    api.get(&format!("/v1/files/{file}")).ok();
    assert_eq!(api.delete(&path).ok()["object"], "vector_store.deleted");
    assert_eq!(api.get(&path).status, 404);
}

#[test]
fn a_batch_is_searched_by_attributes() {
    let api = Api::new([]);
    let old = upload_text(&api, "old.txt", "The boiler was red.");
    let new = upload_text(&api, "new.txt", "The boiler is blue.");
    let store = id(&api.made("/v1/vector_stores", &json!({})));
    let path = format!("/v1/vector_stores/{store}");
    let files = json!([
        { "file_id": old, "attributes": { "year": 1999 } },
        { "file_id": new, "attributes": { "year": 2026 } },
    ]);
    let batch = api.made(&format!("{path}/file_batches"), &json!({ "files": files }));
    assert_eq!(batch["object"], "vector_store.files_batch");
    assert_eq!(batch["file_counts"]["total"], 2);
    let batch = format!("{path}/file_batches/{}", id(&batch));
    assert_eq!(settled(&api, &batch)["status"], "completed");
    let listed = api.get(&format!("{batch}/files?filter=completed")).ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let found = |filter: Value| -> Vec<String> {
        let body = json!({ "query": ["boiler", "colour"], "filters": filter });
        let page = api.made(&format!("{path}/search"), &body);
        assert_eq!(page["search_query"], json!(["boiler", "colour"]));
        let names = page["data"].as_array().unwrap().iter().map(|it| it["filename"].to_string());
        names.collect()
    };
    assert_eq!(found(json!({ "type": "gt", "key": "year", "value": 2000 })), ["\"new.txt\""]);
    let either = json!({ "type": "or", "filters": [
        { "type": "in", "key": "year", "value": [1999] },
        { "type": "eq", "key": "year", "value": 2026 },
    ] });
    assert_eq!(found(either).len(), 2);
    api.made(&format!("{path}/files/{new}"), &json!({ "attributes": { "year": 1990 } }));
    assert!(found(json!({ "type": "gt", "key": "year", "value": 2000 })).is_empty());
    let search = format!("{path}/search");
    let much = api.post(&search, &json!({ "query": "x", "max_num_results": 51 }));
    assert_eq!(refusal(&much), (Some("max_num_results"), Some("integer_above_max_value")));
}

#[test]
fn a_rewritten_query_shows_what_was_searched_for() {
    let api = Api::new([]);
    let file = upload_text(&api, "new.txt", "The boiler is blue.");
    let store = api.made("/v1/vector_stores", &json!({ "file_ids": [file] }));
    let path = format!("/v1/vector_stores/{}", id(&store));
    settled(&api, &path);
    let asked = "Could you please tell me about the boiler? And who painted it?";
    let body = json!({ "query": asked, "rewrite_query": true });
    let page = api.made(&format!("{path}/search"), &body);
    assert_eq!(page["search_query"], json!(["the boiler", "And who painted it"]));
    assert_eq!(page["data"][0]["filename"], "new.txt");
    let as_asked = api.made(&format!("{path}/search"), &json!({ "query": asked }));
    assert_eq!(as_asked["search_query"], json!([asked]));
}

/// Finds the shortest passage best.
#[derive(Debug)]
struct Shortest;

impl Reranker for Shortest {
    fn name(&self) -> &str {
        "shortest"
    }

    fn score(&self, _: &str, passages: &[&str]) -> Result<Vec<f32>> {
        Ok(passages.iter().map(|passage| 1.0 / passage.len() as f32).collect())
    }
}

#[test]
fn without_a_ranker_the_reranker_has_no_say() {
    let setup = Setup { reranker: Some(Arc::new(Shortest)), ..Setup::default() };
    let api = Api::with(Arc::new(Scripted::new([])), setup);
    let files = [
        upload_text(&api, "best.txt", "The boiler boiler boiler boiler, a boiler it is."),
        upload_text(&api, "short.txt", "A boiler, a pump."),
    ];
    let store = api.made("/v1/vector_stores", &json!({ "file_ids": files }));
    let path = format!("/v1/vector_stores/{}", id(&store));
    settled(&api, &path);
    let first = |ranker: &str| {
        let body = json!({ "query": "boiler", "ranking_options": { "ranker": ranker } });
        api.made(&format!("{path}/search"), &body)["data"][0]["filename"].clone()
    };
    assert_eq!(first("auto"), "short.txt");
    assert_eq!(first("none"), "best.txt");
}

#[test]
fn an_attachment_makes_the_threads_store_and_is_found_by_its_run() {
    let search = ScriptedReply::call("file_search", r#"{"queries":["boiler"]}"#);
    let api = Api::new([search, ScriptedReply::text("In May.")]);
    let file = upload_text(&api, "boiler.txt", "The boiler was serviced in May 2024.");
    let ranking = json!({ "ranker": "auto", "score_threshold": 0.0001 });
    let tool = json!({ "type": "file_search", "file_search": { "ranking_options": ranking } });
    let assistant = api.assistant(json!({ "tools": [tool] }));
    let attachments = json!([{ "file_id": file, "tools": [{ "type": "file_search" }] }]);
    let message = json!({ "role": "user", "content": "When?", "attachments": attachments });
    let thread = api.made("/v1/threads", &json!({ "messages": [message] }));
    assert_eq!(
        thread["tool_resources"]["file_search"]["vector_store_ids"].as_array().unwrap().len(),
        1
    );
    let thread = id(&thread);
    let runs = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&runs, &json!({ "assistant_id": assistant })));
    api.until(&thread, &run, "completed");
    let include =
        "include%5B%5D=step_details.tool_calls%5B%2A%5D.file_search.results%5B%2A%5D.content";
    let steps = api.get(&format!("{runs}/{run}/steps?order=asc&{include}")).ok();
    let searched = &steps["data"][0]["step_details"]["tool_calls"][0]["file_search"];
    assert_eq!(searched["ranking_options"]["score_threshold"], 0.0001);
    let results = &searched["results"];
    assert_eq!(results[0]["file_id"], file.as_str());
    assert!(results[0]["content"][0]["text"].as_str().unwrap().contains("May 2024"), "{results}");
    let bare = api.get(&format!("{runs}/{run}/steps?order=asc")).ok();
    let results = &bare["data"][0]["step_details"]["tool_calls"][0]["file_search"]["results"];
    assert!(results[0].get("content").is_none(), "{results}");
}

#[test]
fn a_citation_says_on_which_page_and_in_which_words() {
    const QUOTE: &str = "The boiler was serviced in May 2024.";
    let search = ScriptedReply::call("file_search", r#"{"queries":["boiler"]}"#);
    let answer = ScriptedReply::text("Ja. The boiler was serviced in May 2024【4:0†source】.");
    let api = Api::new([search, answer]);
    let file = upload_text(&api, "boiler.txt", QUOTE);
    let assistant = api.assistant(json!({ "tools": [{ "type": "file_search" }] }));
    let attachments = json!([{ "file_id": file, "tools": [{ "type": "file_search" }] }]);
    let message = json!({ "role": "user", "content": "When?", "attachments": attachments });
    let thread = id(&api.made("/v1/threads", &json!({ "messages": [message] })));
    let body = json!({ "assistant_id": assistant, "stream": true });
    let events = api.stream(&format!("/v1/threads/{thread}/runs"), &body);

    let annotation = json!({
        "type": "file_citation",
        "text": "【4:0†source】",
        "start_index": 39,
        "end_index": 51,
        "file_citation": { "file_id": file, "page": 1, "quote": QUOTE },
    });
    let listed = api.get(&format!("/v1/threads/{thread}/messages")).ok();
    assert_eq!(listed["data"][0]["content"][0]["text"]["annotations"], json!([annotation]));
    let deltas = events.iter().filter(|(name, _)| name == "thread.message.delta");
    let cited = deltas.filter_map(|(_, it)| {
        it["delta"]["content"][0]["text"]["annotations"].as_array()?.first().cloned()
    });
    let mut numbered = annotation;
    numbered["index"] = 0.into();
    assert_eq!(cited.collect::<Vec<_>>(), [numbered]);
}

#[test]
fn metadata_of_messages_and_runs_changes_and_messages_go() {
    let api = Api::new([ScriptedReply::text("Hello.")]);
    let (assistant, thread) = (api.assistant(json!({})), api.thread());
    let runs = format!("/v1/threads/{thread}/runs");
    let run = id(&api.made(&runs, &json!({ "assistant_id": assistant })));
    api.until(&thread, &run, "completed");
    let changed = api.made(&format!("{runs}/{run}"), &json!({ "metadata": { "k": "v" } }));
    assert_eq!(changed["metadata"], json!({ "k": "v" }));
    let messages = format!("/v1/threads/{thread}/messages");
    let newest = id(&api.get(&messages).ok()["data"][0]);
    let message = format!("{messages}/{newest}");
    assert_eq!(api.made(&message, &json!({ "metadata": { "a": "b" } }))["metadata"]["a"], "b");
    assert_eq!(api.delete(&message).ok()["object"], "thread.message.deleted");
    assert_eq!(api.get(&message).status, 404);
}

/// An embedder of one name and no sense.
#[derive(Debug)]
struct Named(EmbedderSpec);

impl Named {
    fn setup(name: &str) -> Setup {
        let spec = EmbedderSpec {
            name: name.into(),
            fingerprint: format!("{name}-1").parse().unwrap(),
            dims: 2,
            window_tokens: 256,
            languages: vec![],
            cosines: Default::default(),
        };
        Setup { embedder: Some(Arc::new(Self(spec))), ..Setup::default() }
    }
}

impl Embedder for Named {
    fn spec(&self) -> &EmbedderSpec {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: InputRole) -> Result<Vec<Embedding>> {
        texts.iter().map(|_| Embedding::new(2, vec![0.6, 0.8])).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

#[test]
fn a_store_whose_embedder_is_gone_says_so_instead_of_searching_words() {
    let (kept, dir) = (Arc::new(MemoryStore::new()), tempfile::tempdir().unwrap());
    let store = {
        let model = Arc::new(Scripted::new([]));
        let engine = engine_upon(Arc::clone(&kept) as _, model, Named::setup("old"), &dir);
        let collections = engine.collections();
        let file = collections.create_file("a.txt", Default::default(), &mut &b"Valves open."[..]);
        let new = NewVectorStore { files: vec![file.unwrap().id], ..Default::default() };
        let store = collections.create_vector_store_with(new).unwrap().id;
        collections.process(&mut |_| ControlFlow::Continue(())).unwrap();
        store
    };
    let engine = engine_upon(kept, Arc::new(Scripted::new([])), Named::setup("new"), &dir);
    let options = ServerOptions { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let api = Api::of(Server::bind(engine, options).unwrap(), dir);
    let reply = api.post(&format!("/v1/vector_stores/{store}/search"), &json!({"query": "valves"}));
    assert_eq!(reply.status, 503, "{}", reply.body);
    let message = reply.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("was built with old"), "{message}");
    assert!(message.contains(&format!("docent reembed {store} --embedder new")), "{message}");
}
