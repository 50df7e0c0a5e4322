//! Threads, their messages, and the citations in these.

use serde::{Deserialize, Serialize};

use crate::{
    AssistantId, ChunkId, FileId, MessageId, Metadata, RunId, ThreadId, Timestamp, ToolResources,
    VectorStoreId,
};

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What tools work on in this thread, beside the assistant's own.
    #[serde(default)]
    pub tool_resources: ToolResources,
    /// The run that has not ended yet. While there is one, the thread takes no message and no
    /// second run.
    #[serde(default)]
    pub active_run: Option<RunId>,
    /// Files attached to its messages that were not searchable yet when they were; a run waits for
    /// those that still are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<FileId>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A message in a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The thread it is in.
    pub thread: ThreadId,
    /// When it was made, or begun.
    pub created_at: Timestamp,
    /// How far it has come.
    pub status: MessageStatus,
    /// Why it broke off, if it did.
    #[serde(default)]
    pub incomplete_reason: Option<MessageIncomplete>,
    /// When it was whole.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// When it broke off.
    #[serde(default)]
    pub incomplete_at: Option<Timestamp>,
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<Content>,
    /// The assistant that wrote it.
    #[serde(default)]
    pub assistant: Option<AssistantId>,
    /// The run it was written in.
    #[serde(default)]
    pub run: Option<RunId>,
    /// Files that came with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

impl Message {
    /// The text of all its parts, one after another.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(Content::as_text);
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Every citation and link, in order.
    pub fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.content.iter().flat_map(|part| match part {
            Content::Text { annotations, .. } => annotations.as_slice(),
            _ => &[],
        })
    }
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Being written.
    InProgress,
    /// Broken off.
    Incomplete,
    /// Whole.
    Completed,
}

/// Why a message broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageIncomplete {
    /// The model's endpoint held it back.
    ContentFilter,
    /// It reached a limit of tokens.
    MaxTokens,
    /// Its run was cancelled.
    RunCancelled,
    /// Its run took too long.
    RunExpired,
    /// Its run failed.
    RunFailed,
}

/// Who speaks in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// The user.
    User,
    /// An assistant.
    Assistant,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Text with its citations.
    Text {
        /// The text.
        text: String,
        /// Its citations and links, in order.
        #[serde(default)]
        annotations: Vec<Annotation>,
    },
    /// An uploaded image.
    ImageFile {
        /// The file.
        file: FileId,
        /// `auto`, `low` or `high`.
        #[serde(default)]
        detail: Option<String>,
    },
    /// An image elsewhere.
    ImageUrl {
        /// Where.
        url: String,
        /// `auto`, `low` or `high`.
        #[serde(default)]
        detail: Option<String>,
    },
    /// The model declines.
    Refusal {
        /// In its words.
        refusal: String,
    },
}

impl Content {
    /// Text without citations.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), annotations: Vec::new() }
    }

    /// The text, if this part is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A span of a message's text that points elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The span's own text: the marker.
    pub text: String,
    /// Where the span begins, in code points.
    pub start: u64,
    /// One past its end, in code points.
    pub end: u64,
    /// What it points to.
    #[serde(flatten)]
    pub target: AnnotationTarget,
}

/// What an annotation points to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnnotationTarget {
    /// A passage that supports what was said.
    FileCitation(Citation),
    /// A citation made elsewhere, of which no more is known.
    ForeignCitation {
        /// The file.
        file: FileId,
        /// What it says there, if that was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<String>,
    },
    /// A file that a tool made.
    FilePath {
        /// The file.
        file: FileId,
    },
}

/// The passage a citation points to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The file.
    pub file: FileId,
    /// That file's name.
    pub filename: String,
    /// The page the quote begins on, counted from 1.
    pub page_start: u32,
    /// The page the quote ends on.
    pub page_end: u32,
    /// What the file says there, verbatim from the chunk's text.
    pub quote: String,
    /// Where the quote begins in the chunk's text, in bytes. It ends `quote.len()` later.
    pub quote_start: u64,
    /// The vector store the chunk was found in.
    pub vector_store: VectorStoreId,
    /// The chunk.
    pub chunk: ChunkId,
}

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file.
    pub file: FileId,
    /// The tools it is for.
    pub tools: Vec<AttachmentTool>,
}

/// What an attached file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentTool {
    /// The code interpreter sees it.
    CodeInterpreter,
    /// It is searched.
    FileSearch,
}
