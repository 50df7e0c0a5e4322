//! The words and the sockets: what every other crate of Docent agrees on.
//!
//! Nothing here reads a file, opens a socket or starts a thread. A *word* is a type that several
//! rooms use ([`FileId`], [`Chunk`], [`Error`]); a *socket* is a trait with at least two
//! implementations, ours or yours:
//!
//! | socket | plugs |
//! |---|---|
//! | [`Store`], [`Blobs`] | SQLite and a directory; memory; later a database server |
//! | [`Index`] | BM25, exact vectors, HNSW |
//! | [`Embedder`], [`Reranker`], [`ChatModel`] | candle on this machine, a remote endpoint, a script |
//! | [`Sandbox`] | Linux's own walls, WebAssembly |
//! | [`Tool`] | `file_search`, an application's own functions |
//! | [`Clock`], [`IdSource`] | the system's, or a test's that stand still |
//!
//! ```
//! use docent_core::{ThreadId, ErrorKind};
//!
//! let refused = "run_0000000000000000000000ab".parse::<ThreadId>().unwrap_err();
//! assert_eq!(refused.kind(), ErrorKind::Invalid);
//! ```

#![warn(missing_docs)]

mod clock;
mod error;
mod id;

mod blob;
mod page;
mod store;
mod table;

mod chunk;
mod file;
mod filter;
mod limits;

mod embed;
mod index;
mod rerank;

mod chat;
mod sandbox;
mod tool;

mod assistant;
mod run;
mod searched;
mod thread;

mod record;

mod crash;

pub use assistant::{Assistant, AssistantTool, FileSearchOptions, FunctionTool, ToolResources};
pub use blob::{BlobHash, BlobInfo, Blobs};
pub use chat::{
    ChatDelta, ChatMessage, ChatModel, ChatModels, ChatReply, ChatRequest, ChatSpec, FinishReason,
    Passage, Profile, ResponseFormat, Role, Sampling, ToolCall, ToolChoice, ToolRequest, Usage,
};
pub use chunk::{Chunk, ChunkId, ChunkRange, ChunkSet, IndexedChunk, PageStart, TextHash};
pub use clock::{Clock, IdSource, ManualClock, RandomIds, SequentialIds, SystemClock, Timestamp};
pub use crash::crash_point;
pub use embed::{
    CosineScale, Embedder, EmbedderSpec, Embedders, Embedding, Fingerprint, InputRole, Pooling,
};
pub use error::{Error, ErrorKind, Result};
pub use file::{
    Attributes, BatchStatus, ChunkingStrategy, File, FileBatch, FileCounts, FileError,
    FileErrorCode, FileStatus, Metadata, Purpose, VectorStore, VectorStoreFile, VectorStoreStatus,
    Warning,
};
pub use filter::{AttributeValue, Comparison, Filter};
pub use id::{
    AssistantId, BatchId, CallId, FileId, MessageId, RawId, RunId, StepId, ThreadId, VectorStoreId,
};
pub use index::{Change, ChangeKind, Hit, Index, Query, Seq};
pub use limits::{check_attributes, check_metadata};
pub use page::{Order, Page, PageRequest, Window};
pub use record::{BatchRecord, Imported, Record};
pub use rerank::Reranker;
pub use run::{
    Call, CodeOutput, ContextReport, FileSearchResult, Run, RunError, RunErrorCode, RunIncomplete,
    RunStatus, RunStep, StepCall, StepDetails, StepStatus, Truncation,
};
pub use sandbox::{
    Execution, ProgramEnd, SANDBOX_DATA, Sandbox, SandboxFile, SandboxLimits, SandboxPath,
    SandboxSpec, Session, SessionLoss,
};
pub use searched::{QueryHit, QueryReport, QueryWriter, SearchReport};
pub use store::{Direction, Encoding, Read, Row, Scan, Store, TableSpec, Write};
pub use table::{Key, Table};
pub use thread::{
    Annotation, AnnotationTarget, Attachment, AttachmentTool, Citation, Content, Message,
    MessageIncomplete, MessageRole, MessageStatus, Thread,
};
pub use tool::{Tool, ToolContext, ToolOutput, ToolSpec};
