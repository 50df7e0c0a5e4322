//! A server on a port of its own, and a client that takes every status.

use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use docent_core::{
    ChatModel, ChatModels, Clock, Embedder, IdSource, RandomIds, Reranker, Store, SystemClock, Tool,
};
use docent_engine::{Engine, EngineOptions, EngineParts, Programs};
use docent_inference::chat::{Scripted, ScriptedReply};
use docent_inference::{ConfiguredModels, ModelsConfig};
use docent_ingest::{Ingestor, Limits, ThreadGuard};
use docent_retrieval::{Collections, CollectionsOptions, CollectionsParts};
use docent_server::{ApiKeys, Patience, Server, ServerOptions, Stopper};
use docent_store::{MemoryBlobs, MemoryStore};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The one model there is.
pub(crate) const MODEL: &str = "gpt-4o";

/// A server, and a client of it.
pub(crate) struct Api {
    base: String,
    agent: ureq::Agent,
    headers: Vec<(&'static str, String)>,
    stopper: Stopper,
    running: Option<JoinHandle<docent_core::Result<()>>>,
    _dir: TempDir,
}

/// What a server has beside its model.
pub(crate) struct Setup {
    pub(crate) keys: ApiKeys,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) programs: Programs,
    pub(crate) options: EngineOptions,
    pub(crate) patience: Patience,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
}

impl Default for Setup {
    fn default() -> Self {
        // As `docent serve` has it for a remote model.
        let options = EngineOptions { workers: 256, ..EngineOptions::default() };
        Self {
            keys: ApiKeys::default(),
            tools: Vec::new(),
            programs: Programs::default(),
            options,
            patience: Patience::default(),
            embedder: None,
            reranker: None,
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Value,
}

impl Api {
    /// A server whose model gives these replies.
    pub(crate) fn new(script: impl IntoIterator<Item = ScriptedReply>) -> Self {
        Self::with_keys(script, ApiKeys::default())
    }

    pub(crate) fn with_keys(
        script: impl IntoIterator<Item = ScriptedReply>,
        keys: ApiKeys,
    ) -> Self {
        Self::with(Arc::new(Scripted::new(script)), Setup { keys, ..Setup::default() })
    }

    /// A server of this model, set up otherwise.
    pub(crate) fn with(model: Arc<dyn ChatModel>, setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (keys, patience) = (setup.keys.clone(), setup.patience);
        let engine = engine(model, setup, &dir);
        let listen = ([127, 0, 0, 1], 0).into();
        let options = ServerOptions { listen, keys, patience, ..ServerOptions::default() };
        Self::of(Server::bind(engine, options).unwrap(), dir)
    }

    /// A client of `server`, which is run.
    pub(crate) fn of(server: Server, dir: TempDir) -> Self {
        let base = format!("http://{}", server.address());
        let stopper = server.stopper();
        let running = Some(std::thread::spawn(move || server.run()));
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(20))).build().into();
        Self { base, agent, headers: Vec::new(), stopper, running, _dir: dir }
    }

    /// The same client, sending this key.
    pub(crate) fn sending_key(self, key: &str) -> Self {
        self.sending("authorization", format!("Bearer {key}"))
    }

    /// What another client, with this key, gets.
    #[track_caller]
    pub(crate) fn get_with_key(&self, path: &str, key: &str) -> Reply {
        let get = self.agent.get(self.url(path)).header("authorization", format!("Bearer {key}"));
        Reply::of(get.call().unwrap())
    }

    /// The same client, sending this header in place of another of that name.
    pub(crate) fn sending(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[])
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None, &[])
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some("application/json"), body.to_string().as_bytes())
    }

    /// A body as it is.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Reply {
        Reply::of(self.request(method, path, kind, body))
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        kind: Option<&str>,
        body: &[u8],
    ) -> ureq::http::Response<ureq::Body> {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        self.agent.run(request.body(body.to_vec()).unwrap()).unwrap()
    }

    /// A body that must be answered by 200, and the answer.
    #[track_caller]
    pub(crate) fn made(&self, path: &str, body: &Value) -> Value {
        self.post(path, body).ok()
    }

    /// A request whose answer is not read.
    #[track_caller]
    pub(crate) fn begin(&self, path: &str, body: &Value) -> ureq::http::Response<ureq::Body> {
        self.request("POST", path, Some("application/json"), body.to_string().as_bytes())
    }

    /// Begins a stream of events.
    #[track_caller]
    pub(crate) fn begin_stream(&self, path: &str, body: &Value) -> Events {
        let kind = Some("application/json");
        let response = self.request("POST", path, kind, body.to_string().as_bytes());
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { reader: Box::new(response.into_body().into_reader()), text: String::new() }
    }

    /// Every event of a stream, which must end.
    #[track_caller]
    pub(crate) fn stream(&self, path: &str, body: &Value) -> Vec<(String, Value)> {
        self.begin_stream(path, body).collect()
    }

    pub(crate) fn assistant(&self, more: Value) -> String {
        let mut body = json!({ "model": MODEL });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        id(&self.made("/v1/assistants", &body))
    }

    /// A thread in which the user has asked something.
    pub(crate) fn thread(&self) -> String {
        let body = json!({ "messages": [{ "role": "user", "content": "Who is there?" }] });
        id(&self.made("/v1/threads", &body))
    }

    /// The run once its status is `status`.
    #[track_caller]
    pub(crate) fn until(&self, thread: &str, run: &str, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let run = self.get(&format!("/v1/threads/{thread}/runs/{run}")).ok();
            if run["status"] == status {
                return run;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "still {run}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stopper.stop();
        if let Some(running) = self.running.take() {
            running.join().unwrap().unwrap();
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

impl Reply {
    fn of(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let headers = response.headers().clone();
        let text = response.body_mut().read_to_vec().unwrap();
        let body = serde_json::from_slice(&text)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&text).into_owned()));
        Self { status: response.status().as_u16(), headers, body }
    }

    /// The answer, which must be 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The refusal's message, param and code; its type must be the client's mistake.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> (&str, Option<&str>, Option<&str>) {
        let error = &self.body["error"];
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(error["type"], "invalid_request_error", "{}", self.body);
        (error["message"].as_str().unwrap(), error["param"].as_str(), error["code"].as_str())
    }
}

/// Server-sent events as they come; the last is `done`.
pub(crate) struct Events {
    reader: Box<dyn Read>,
    text: String,
}

impl Iterator for Events {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let mut byte = [0; 1];
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        while !bytes.ends_with(b"\n\n") {
            if self.reader.read(&mut byte).unwrap() == 0 {
                assert!(bytes.is_empty(), "an event broke off");
                return None;
            }
            bytes.push(byte[0]);
        }
        let text = String::from_utf8(bytes).unwrap();
        let (name, data) = text.trim_end().split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        let data = if data == "[DONE]" { Value::Null } else { serde_json::from_str(data).unwrap() };
        Some((name.strip_prefix("event: ").unwrap().to_owned(), data))
    }
}

/// The names of events, a run of deltas as one.
pub(crate) fn names(events: &[(String, Value)]) -> Vec<&str> {
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup_by(|a, b| a == b && a.ends_with(".delta"));
    names
}

pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}

/// An engine whose model says nothing.
pub(crate) fn plain_engine() -> Engine {
    engine(Arc::new(Scripted::new([])), Setup::default(), &tempfile::tempdir().unwrap())
}

pub(crate) fn engine(model: Arc<dyn ChatModel>, setup: Setup, dir: &TempDir) -> Engine {
    engine_upon(Arc::new(MemoryStore::new()), model, setup, dir)
}

pub(crate) fn engine_upon(
    store: Arc<dyn Store>,
    model: Arc<dyn ChatModel>,
    setup: Setup,
    dir: &TempDir,
) -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::new(clock.clone()));
    let collections = Collections::open(CollectionsParts {
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::default()),
        ingestor: Ingestor::new(Arc::new(ThreadGuard::new()), Limits::default()),
        embedder: setup.embedder.clone(),
        embedders: None,
        reranker: setup.reranker.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        indexes: dir.path().join("indexes"),
        options: CollectionsOptions::default(),
    });
    let models = ConfiguredModels::new(ModelsConfig::empty()).with_model(MODEL, model);
    let models: Arc<dyn ChatModels> = Arc::new(models);
    let collections = Arc::new(collections.unwrap());
    let Setup { tools, programs, options, .. } = setup;
    let parts = EngineParts { store, collections, models, tools, programs, clock, ids, options };
    Engine::open(parts).unwrap()
}
