//! Documents in, cited answers out: the Assistants API as a library, on your own machine.
//!
//! ```
//! use docent::{AskOptions, Library};
//! # let dir = tempfile::tempdir().unwrap();
//! # let (home, notes) = (dir.path().join("library"), dir.path().join("notes.md"));
//! # fs_err::write(&notes, "The boiler was serviced in May 2024 by Ada.").unwrap();
//!
//! let library = Library::builder(home).without_embedder().open()?;
//! library.add(&notes)?;
//! library.process(&mut |_| std::ops::ControlFlow::Continue(()))?;
//!
//! let answer = library.ask("When was the boiler serviced?", AskOptions::default())?.finish()?;
//! assert!(answer.text().contains("May 2024"));
//! assert_eq!(answer.citations().next().unwrap().filename, "notes.md");
//! # Ok::<(), docent::Error>(())
//! ```
//!
//! No server, no async runtime, no network: a [`Library`] is a directory. What needs weights says
//! so, and works by words alone until they are there.
//!
//! | to | take |
//! |---|---|
//! | keep a folder of documents and ask it | [`Library`] |
//! | build assistants, threads and runs as in the Assistants API | [`Library::engine`], [`Engine`] |
//! | keep several vector stores, filter, explain | [`Library::collections`], [`Collections`] |
//! | change the embedder of documents that are in | [`Library::reembed`] |
//! | run the programs that models write | [`LibraryBuilder::programs`], [`Sandbox`] |
//! | take a whole library elsewhere | [`Library::export`], [`Library::import`] |
//! | choose, fetch or bring models | [`LibraryBuilder`], [`inference`] |
//! | bring a store, an index, a model or a tool of your own | the sockets: [`Store`], [`Index`], [`Embedder`], [`Reranker`], [`ChatModel`], [`Tool`] |

#![warn(missing_docs)]

mod ask;
mod builder;
mod documents;
mod embedders;
mod library;
mod reembed;
mod transfer;

#[cfg(feature = "local-models")]
mod lazy;

pub use ask::{Answer, AskOptions, Asked};
pub use builder::{DEFAULT_EMBEDDER, LibraryBuilder};
pub use documents::{Added, Document};
pub use embedders::{RememberedEmbedder, catalog_embedder};
pub use library::Library;
pub use reembed::{Flip, Flipped, ReembedOptions, Reembedded};
pub use transfer::{Counts, Import, TransferProgress};

pub use docent_core::*;
pub use docent_engine::{
    DroppedMessages, Engine, EngineOptions, EngineParts, MessageDelta, NewAssistant, NewMessage,
    NewRun, NewThread, Order, Page, PageRequest, ProgramOptions, Programs, QueryRewriting,
    RunEvent, RunStream, Sharing, StepDelta, SubmittedOutput,
};
pub use docent_retrieval::{
    AttachOptions, CandidateTrace, Collections, CollectionsOptions, CollectionsParts, Comparison,
    Finding, Fusion, IngestProgress, IngestStage, LateInteraction, ListPlace, NewFile,
    ProcessOutcome, Pruned, Question, ReembedProgress, Repair, RolledBack, SearchHit, SearchMode,
    SearchOptions, SearchResult, StageTime, StoreVectors, Trace, VectorIndexKind, Wanted,
};

/// Assistants, threads and runs, whole.
pub use docent_engine as engine;

/// Files, vector stores and the indexes behind them, whole.
pub use docent_retrieval as retrieval;

/// Bytes into pages, pages into chunks; and where a parser may crash without hurting us.
pub use docent_ingest as ingest;

/// Models: manifests, the catalog that finds and fetches them, and what runs them.
pub use docent_inference as inference;

/// Where programs that models write are run.
#[cfg(feature = "sandbox")]
pub use docent_sandbox as sandbox;

/// The directory underneath, and the transactions in it.
pub use docent_store as store;
