//! Answers: the life of assistants, threads and runs.
//!
//! An assistant is a model with instructions and tools. A run lets it work on a thread: it
//! searches files, calls functions, writes a message, and every step of that is durable before
//! the next begins. What happens is a plain iterator of [`RunEvent`]s; no runtime, no server.
//!
//! ```
//! # use std::{ops::ControlFlow, sync::Arc};
//! # use docent_core::*;
//! # use docent_retrieval::{Collections, CollectionsOptions, CollectionsParts};
//! # use docent_store::{MemoryBlobs, MemoryStore};
//! use docent_engine::{Engine, EngineOptions, EngineParts, NewAssistant, NewMessage, NewRun};
//! use docent_engine::{NewThread, Programs, RunEvent};
//! # #[derive(Debug)] struct Parrot(ChatSpec);
//! # impl ChatModel for Parrot {
//! #     fn spec(&self) -> &ChatSpec { &self.0 }
//! #     fn count_tokens(&self, text: &str) -> usize { text.len() / 4 }
//! #     fn chat(&self, request: &ChatRequest<'_>,
//! #         on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>) -> Result<ChatReply> {
//! #         let text = request.messages.last().unwrap().content.clone();
//! #         let _ = on_delta(ChatDelta::Text(text.clone()));
//! #         let usage = Usage::default();
//! #         Ok(ChatReply { text, tool_calls: vec![], finish: FinishReason::Stop, usage })
//! #     }
//! # }
//! # #[derive(Debug)] struct Cage;
//! # impl ChatModels for Cage {
//! #     fn chat_model(&self, name: &str) -> Result<Arc<dyn ChatModel>> {
//! #         let (name, profile) = (name.to_owned(), Profile::Basic);
//! #         Ok(Arc::new(Parrot(ChatSpec { name, profile, context_tokens: 4096, max_output_tokens: 512 })))
//! #     }
//! #     fn names(&self) -> Vec<String> { vec!["parrot".into()] }
//! # }
//! # let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! # let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! # let ids: Arc<dyn IdSource> = Arc::new(RandomIds::new(clock.clone()));
//! # let folder = tempfile::tempdir()?;
//! # let collections = Arc::new(Collections::open(CollectionsParts {
//! #     store: store.clone(), blobs: Arc::new(MemoryBlobs::default()),
//! #     ingestor: docent_ingest::Ingestor::new(
//! #         Arc::new(docent_ingest::ThreadGuard::new()), docent_ingest::Limits::default()),
//! #     embedder: None, embedders: None, reranker: None, clock: clock.clone(), ids: ids.clone(),
//! #     indexes: folder.path().join("indexes"), options: CollectionsOptions::default(),
//! # })?);
//! # let models: Arc<dyn ChatModels> = Arc::new(Cage);
//!
//! let options = EngineOptions { workers: 4, ..EngineOptions::default() };
//! let (tools, programs) = (vec![], Programs::default());
//! let engine = Engine::open(EngineParts {
//!     store, collections, models, tools, programs, clock, ids, options,
//! })?;
//!
//! let assistant = engine.create_assistant(NewAssistant {
//!     model: "parrot".into(),
//!     ..NewAssistant::default()
//! })?;
//! let thread = engine.create_thread(NewThread {
//!     messages: vec![NewMessage::user("Who is there?")],
//!     ..NewThread::default()
//! })?;
//! let mut answer = String::new();
//! for event in engine.start_run(thread.id, NewRun::new(assistant.id))? {
//!     if let RunEvent::MessageDelta { delta, .. } = event {
//!         answer.push_str(&delta.text);
//!     }
//! }
//! assert_eq!(answer, "Who is there?");
//! # Ok::<(), docent_core::Error>(())
//! ```
//!
//! | to know | read |
//! |---|---|
//! | what becomes of a run | [`runs::machine`] |
//! | who works on it, and what a crash leaves | `runs::queue`, `runs::work` |
//! | what its model is shown | [`context`], `runs::prompt` |
//! | what it is told of what no longer fits | `runs::summary` |
//! | how attached files become searchable | `attachments` |
//! | what an answer may cite | `citations` |
//! | who runs a model's programs, and in which session | [`Programs`], `programs::sessions` |
//! | what a program finds, and what comes of it | `runs::running`, `runs::mounts`, `runs::made` |
//! | what happens meanwhile | [`RunEvent`], [`RunStream`] |
//!
//! # After a crash
//!
//! The next [`Engine::open`] takes up every run that had not ended, from its last durable step. A
//! message that was being written is written anew under its id; if the model then calls tools
//! instead, it stays as `incomplete`. A search that was stored is not made again; functions whose
//! outputs were not stored are called again, and so are programs, in a new session. A run that
//! waits for the client still waits.

mod activity;
mod engine;

mod assistants;
mod attachments;
mod check;
mod threads;
mod transfer;

pub mod runs;

mod citations;
pub mod context;
mod counts;
mod history;
mod question;

mod passages;
mod programs;
mod tables;
mod workers;

pub use activity::Activity;
pub use assistants::NewAssistant;
pub use check::check;
pub use docent_core::{Order, Page, PageRequest};
pub use engine::{DroppedMessages, Engine, EngineOptions, EngineParts, QueryRewriting, Sharing};
pub use programs::{ProgramOptions, Programs};
pub use runs::{
    CODE_INTERPRETER, CRASH_POINTS, MessageDelta, NewRun, RunEvent, RunStream, StepDelta,
    SubmittedOutput,
};
pub use threads::{NewMessage, NewThread};
pub use transfer::export;

/// What else a client asks for: files and vector stores, behind [`Engine::collections`].
pub use docent_retrieval as retrieval;

#[cfg(test)]
mod tests;
