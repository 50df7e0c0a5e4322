//! A library with a clock that stands still, ids that count, and a model that follows a script.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docent_core::*;
use docent_retrieval::{Collections, CollectionsOptions, CollectionsParts};
use docent_store::{MemoryBlobs, MemoryStore};

use crate::passages::Passages;
use crate::*;

/// What the model does in one turn.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// Pushes each piece, then ends.
    Say(Vec<&'static str>),
    /// Pushes the pieces, then ends for that reason.
    Cut(Vec<&'static str>, FinishReason),
    /// Says the text, then asks for the calls, each with its arguments in two pieces.
    Call(&'static str, Vec<(&'static str, &'static str)>),
    /// Pushes the pieces, then fails.
    Fail(Vec<&'static str>, ErrorKind),
    /// Pushes the pieces, then panics.
    Panic(Vec<&'static str>),
    /// Pushes the piece, then a dot for as long as it may.
    Babble(&'static str),
}

/// A model that follows a script, and remembers what it was asked.
#[derive(Debug)]
pub(crate) struct Scripted {
    spec: ChatSpec,
    turns: Mutex<VecDeque<Turn>>,
    /// What it does once the script is over, by what it is asked.
    plan: Option<Plan>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// How often it counted tokens.
    pub(crate) counted: AtomicUsize,
}

/// What a model does when asked this.
pub(crate) type Plan = fn(&ChatRequest<'_>) -> Turn;

/// What the model was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) tools: Vec<String>,
    pub(crate) descriptions: Vec<String>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) passages: usize,
}

impl Scripted {
    fn push(on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>, text: &str) -> bool {
        on_delta(ChatDelta::Text(text.into())).is_break()
    }

    fn say(
        pieces: &[&str],
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Option<String> {
        let mut said = String::new();
        for piece in pieces {
            said.push_str(piece);
            if Self::push(on_delta, piece) {
                return None;
            }
        }
        Some(said)
    }
}

const USAGE: Usage = Usage { prompt_tokens: 10, completion_tokens: 5 };

fn reply(text: impl Into<String>, finish: FinishReason) -> Result<ChatReply> {
    Ok(ChatReply { text: text.into(), tool_calls: Vec::new(), finish, usage: USAGE })
}

impl ChatModel for Scripted {
    fn spec(&self) -> &ChatSpec {
        &self.spec
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.counted.fetch_add(1, SeqCst);
        text.split_whitespace().count()
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        self.asked.lock().unwrap().push(Asked {
            messages: request.messages.to_vec(),
            tools: request.tools.iter().map(|tool| tool.name.clone()).collect(),
            descriptions: request.tools.iter().map(|tool| tool.description.clone()).collect(),
            tool_choice: request.tool_choice.clone(),
            passages: request.passages.len(),
        });
        let turn = self.turns.lock().unwrap().pop_front();
        let turn = turn.or_else(|| self.plan.map(|plan| plan(request)));
        let turn = turn.expect("the script is over");
        let cancelled = || reply("", FinishReason::Cancelled);
        match turn {
            Turn::Say(pieces) => {
                let Some(said) = Self::say(&pieces, on_delta) else { return cancelled() };
                reply(said, FinishReason::Stop)
            }
            Turn::Cut(pieces, finish) => {
                let Some(said) = Self::say(&pieces, on_delta) else { return cancelled() };
                reply(said, finish)
            }
            Turn::Fail(pieces, kind) => {
                Self::say(&pieces, on_delta);
                Err(Error::new(kind, "the endpoint had enough"))
            }
            Turn::Panic(pieces) => {
                Self::say(&pieces, on_delta);
                panic!("the weights caught fire");
            }
            Turn::Babble(piece) => {
                let mut stop = Self::push(on_delta, piece);
                while !stop {
                    std::thread::sleep(Duration::from_millis(1));
                    stop = Self::push(on_delta, ".");
                }
                cancelled()
            }
            Turn::Call(text, calls) => {
                if !text.is_empty() && Self::push(on_delta, text) {
                    return cancelled();
                }
                let mut reply = reply(text, FinishReason::ToolCalls)?;
                for (index, (name, arguments)) in calls.into_iter().enumerate() {
                    let (name, arguments) = (name.to_owned(), arguments.to_owned());
                    let (left, right) = arguments.split_at(arguments.len() / 2);
                    let _ = on_delta(ChatDelta::ToolCall { index, name: name.clone() });
                    for fragment in [left.to_owned(), right.to_owned()] {
                        let _ = on_delta(ChatDelta::ToolArguments { index, fragment });
                    }
                    reply.tool_calls.push(ToolRequest { name, arguments });
                }
                Ok(reply)
            }
        }
    }
}

/// One model under any name.
#[derive(Debug)]
struct OneModel(Arc<Scripted>);

impl ChatModels for OneModel {
    fn chat_model(&self, name: &str) -> Result<Arc<dyn ChatModel>> {
        match name {
            "missing" => Err(Error::not_found("there is no model 'missing'")),
            _ => Ok(self.0.clone()),
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["scripted".into()]
    }
}

/// Finds the same passages whatever is asked.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) found: Vec<FileSearchResult>,
    pub(crate) queries: Mutex<Vec<String>>,
}

impl Passages for Shelf {
    fn search(
        &self,
        stores: &[VectorStoreId],
        query: &str,
        limit: usize,
        score_threshold: f32,
    ) -> Result<Vec<FileSearchResult>> {
        assert!(!stores.is_empty());
        self.queries.lock().unwrap().push(query.into());
        let fits = |result: &&FileSearchResult| result.score >= score_threshold;
        Ok(self.found.iter().filter(fits).take(limit).cloned().collect())
    }
}

/// A passage on page `page` that runs over to the next one at its first line break.
pub(crate) fn passage(number: u64, filename: &str, page: u32, text: &str) -> FileSearchResult {
    let mut pages = vec![PageStart { at: 0, page }];
    if let Some(at) = text.find('\n') {
        pages.push(PageStart { at: at as u32 + 1, page: page + 1 });
    }
    let chunk = Chunk {
        ordinal: number as u32,
        text: text.into(),
        tokens: 10,
        start: 0,
        pages,
        headings: vec![],
    };
    FileSearchResult {
        vector_store: vector_store(),
        filename: filename.into(),
        score: 0.9,
        chunk: IndexedChunk {
            id: ChunkId(number),
            file: format!("file-{number:024}").parse().unwrap(),
            chunk,
        },
    }
}

pub(crate) fn vector_store() -> VectorStoreId {
    "vs_000000000000000000000001".parse().unwrap()
}

pub(crate) fn handbook() -> Vec<FileSearchResult> {
    vec![
        passage(1, "pump.pdf", 3, "It stops at 80 °C and starts again below 60 °C.\nIt is red."),
        passage(2, "filter.pdf", 7, "Clean the filter every three months."),
    ]
}

/// What a test sets up.
pub(crate) struct Library {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) model: Arc<Scripted>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) programs: Programs,
    pub(crate) options: EngineOptions,
}

impl Library {
    pub(crate) fn new(profile: Profile, turns: impl IntoIterator<Item = Turn>) -> Self {
        let spec = ChatSpec {
            name: "scripted".into(),
            profile,
            context_tokens: 2000,
            max_output_tokens: 200,
        };
        Self {
            store: Arc::new(MemoryStore::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000))),
            ids: Arc::new(SequentialIds::default()),
            model: Arc::new(Scripted {
                spec,
                turns: Mutex::new(turns.into_iter().collect()),
                plan: None,
                asked: Mutex::default(),
                counted: AtomicUsize::default(),
            }),
            shelf: Arc::new(Shelf { found: handbook(), ..Shelf::default() }),
            tools: Vec::new(),
            programs: Programs::default(),
            options: EngineOptions { tick: Duration::from_millis(5), ..EngineOptions::default() },
        }
    }

    /// A library in a folder, whose ids do not repeat and whose model follows a plan: what a
    /// process that may die needs.
    pub(crate) fn in_folder(folder: &std::path::Path, plan: Plan) -> Self {
        let mut library = Self::new(Profile::Tools, []);
        let path = folder.join("state.sqlite");
        library.store = Arc::new(docent_store::SqliteStore::open(path).unwrap());
        library.ids = Arc::new(RandomIds::new(Arc::new(SystemClock)));
        let spec = library.model.spec.clone();
        let (turns, asked, counted) = Default::default();
        library.model = Arc::new(Scripted { spec, turns, plan: Some(plan), asked, counted });
        library
    }

    /// An engine whose `file_search` looks on the shelf.
    pub(crate) fn open(&self) -> Engine {
        Engine::open_with(self.parts(), self.shelf.clone()).unwrap()
    }

    /// What an engine whose `file_search` looks in real vector stores is put together from.
    pub(crate) fn parts(&self) -> EngineParts {
        let ingestor = docent_ingest::Ingestor::new(
            Arc::new(docent_ingest::ThreadGuard::new()),
            docent_ingest::Limits::default(),
        );
        let collections = CollectionsParts {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            ingestor,
            embedder: None,
            embedders: None,
            reranker: None,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            indexes: self.folder.path().join("indexes"),
            options: CollectionsOptions::default(),
        };
        EngineParts {
            store: self.store.clone(),
            collections: Arc::new(Collections::open(collections).unwrap()),
            models: Arc::new(OneModel(self.model.clone())),
            tools: self.tools.clone(),
            programs: self.programs.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            options: self.options.clone(),
        }
    }

    pub(crate) fn then(&self, turn: Turn) {
        self.model.turns.lock().unwrap().push_back(turn);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.model.asked.lock().unwrap().clone()
    }
}

/// An assistant that searches, may call `weather`, and a thread with one question.
pub(crate) fn ask(engine: &Engine, question: &str) -> (Assistant, Thread) {
    let weather = ToolSpec {
        name: "weather".into(),
        description: "Tells the weather.".into(),
        parameters: serde_json::json!({ "type": "object" }),
    };
    let assistant = engine
        .create_assistant(NewAssistant {
            model: "scripted".into(),
            instructions: Some("You know the handbook.".into()),
            tools: vec![
                AssistantTool::FileSearch(FileSearchOptions::default()),
                AssistantTool::Function(FunctionTool { spec: weather, strict: false }),
            ],
            tool_resources: ToolResources {
                vector_stores: Some(vec![vector_store()]),
                ..ToolResources::default()
            },
            ..NewAssistant::default()
        })
        .unwrap();
    let thread = engine
        .create_thread(NewThread {
            messages: vec![NewMessage::user(question)],
            ..NewThread::default()
        })
        .unwrap();
    (assistant, thread)
}

/// Asks, and reads the events to their end.
pub(crate) fn run_to_end(engine: &Engine, question: &str) -> Vec<RunEvent> {
    let (assistant, thread) = ask(engine, question);
    engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap().collect()
}

#[track_caller]
pub(crate) fn last_run(events: &[RunEvent]) -> &Run {
    match events.last() {
        Some(RunEvent::Run(run)) => run,
        other => panic!("{other:?} is no end of a run"),
    }
}

/// The names of the events, repeated deltas as one.
pub(crate) fn names(events: &[RunEvent]) -> Vec<&'static str> {
    let mut names: Vec<&str> = events.iter().map(RunEvent::name).collect();
    names.dedup_by(|next, before| next == before && next.ends_with(".delta"));
    names
}

/// Everything a client can see of a run, for a snapshot.
pub(crate) fn transcript(engine: &Engine, events: &[RunEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let detail = match event {
            RunEvent::MessageDelta { delta, .. } => serde_json::to_string(delta).unwrap(),
            RunEvent::StepDelta { delta, .. } => serde_json::to_string(delta).unwrap(),
            RunEvent::RunCreated(run) | RunEvent::Run(run) => run.id.to_string(),
            RunEvent::StepCreated(step) | RunEvent::Step(step) => step.id.to_string(),
            RunEvent::MessageCreated(message) | RunEvent::Message(message) => {
                message.id.to_string()
            }
        };
        writeln!(text, "{} {detail}", event.name()).unwrap();
    }
    let run = last_run(events);
    let pretty = |value: serde_json::Value| serde_json::to_string_pretty(&value).unwrap();
    let messages = engine.messages(run.thread, &PageRequest::all()).unwrap().data;
    let newest = messages.last().unwrap();
    writeln!(text, "\nrun {}", pretty(serde_json::to_value(run).unwrap())).unwrap();
    for step in engine.run_steps(run.id).unwrap() {
        writeln!(text, "step {}", pretty(serde_json::to_value(step).unwrap())).unwrap();
    }
    writeln!(text, "message {}", pretty(serde_json::to_value(newest).unwrap())).unwrap();
    text
}

/// Every event of `stream`, which must end: a run that is stuck fails its test instead of holding
/// up all others.
#[track_caller]
pub(crate) fn told(stream: RunStream) -> Vec<RunEvent> {
    let (sender, events) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(stream.collect()));
    events.recv_timeout(Duration::from_secs(60)).expect("the run's stream ends")
}

/// Waits until `happened` says so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what} did not happen");
}

/// A tool that answers, counts its calls, and can be held up.
#[derive(Debug)]
pub(crate) struct Weather {
    spec: ToolSpec,
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) behaves: bool,
}

impl Weather {
    pub(crate) fn new(behaves: bool) -> Arc<Self> {
        let spec = ToolSpec {
            name: "weather".into(),
            description: String::new(),
            parameters: serde_json::Value::Null,
        };
        Arc::new(Self { spec, calls: Mutex::default(), behaves })
    }
}

impl Tool for Weather {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _: &ToolContext, arguments: &str) -> Result<ToolOutput> {
        self.calls.lock().unwrap().push(arguments.into());
        assert!(self.behaves, "it hails");
        Ok(ToolOutput { text: "sunny".into() })
    }
}
