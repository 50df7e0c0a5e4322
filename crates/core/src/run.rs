//! Runs and their steps: an assistant at work on a thread.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AssistantId, AssistantTool, CallId, FileId, IndexedChunk, MessageId, Metadata, ResponseFormat,
    RunId, SearchReport, StepId, ThreadId, Timestamp, ToolCall, ToolChoice, ToolResources, Usage,
    VectorStoreId,
};

/// An assistant at work on a thread. What it was made with does not change when the assistant does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The thread.
    pub thread: ThreadId,
    /// The assistant.
    pub assistant: AssistantId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How far it has come.
    pub status: RunStatus,
    /// The calls whose outputs the client must submit; empty unless `requires_action`.
    #[serde(default)]
    pub required_calls: Vec<ToolCall>,
    /// Why it failed, if it did.
    #[serde(default)]
    pub last_error: Option<RunError>,
    /// Why it is incomplete, if it is.
    #[serde(default)]
    pub incomplete_reason: Option<RunIncomplete>,
    /// When it expires unless it ends before.
    pub expires_at: Timestamp,
    /// When it was first worked on.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended: completed, incomplete, failed, cancelled or expired, as its status says.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The chat model's name.
    pub model: String,
    /// What the model is told.
    #[serde(default)]
    pub instructions: Option<String>,
    /// What the model may call.
    #[serde(default)]
    pub tools: Vec<AssistantTool>,
    /// What those tools work on, beside the thread's own.
    #[serde(default)]
    pub tool_resources: ToolResources,
    /// 0 takes the likeliest token; none leaves it to the model.
    #[serde(default)]
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that together reach this share.
    #[serde(default)]
    pub top_p: Option<f32>,
    /// At most this many tokens of prompt over all its turns.
    #[serde(default)]
    pub max_prompt_tokens: Option<u64>,
    /// At most this many tokens of answer over all its turns.
    #[serde(default)]
    pub max_completion_tokens: Option<u64>,
    /// How a long thread is cut.
    #[serde(default)]
    pub truncation: Truncation,
    /// Whether the model must call a tool, in its first turn.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Whether one turn may ask for several calls.
    pub parallel_tool_calls: bool,
    /// What form the answer takes; none is the API's `auto`.
    #[serde(default)]
    pub response_format: Option<ResponseFormat>,
    /// How hard a reasoning model should think, in the endpoint's own words.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// What it cost, summed over its steps, once it ended.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a worker.
    Queued,
    /// A worker is on it.
    InProgress,
    /// Waiting for the client's tool outputs.
    RequiresAction,
    /// Asked to stop, not stopped yet.
    Cancelling,
    /// Stopped when asked to.
    Cancelled,
    /// Ended by an error.
    Failed,
    /// Ended well.
    Completed,
    /// Ended early by a limit.
    Incomplete,
    /// Took too long.
    Expired,
}

impl RunStatus {
    /// Every status, in the order above.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::InProgress,
        Self::RequiresAction,
        Self::Cancelling,
        Self::Cancelled,
        Self::Failed,
        Self::Completed,
        Self::Incomplete,
        Self::Expired,
    ];

    /// Whether the run has ended; only then its thread is free again.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Cancelled | Self::Failed | Self::Completed | Self::Incomplete | Self::Expired
        )
    }

    /// The name the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a run, or a step, failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// For programs.
    pub code: RunErrorCode,
    /// For people.
    pub message: String,
}

/// The Assistants API's three codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunErrorCode {
    /// A fault of ours or of the model's endpoint.
    ServerError,
    /// The model's endpoint has too much to do.
    RateLimitExceeded,
    /// The model cannot take what it was asked.
    InvalidPrompt,
}

/// Why a run is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunIncomplete {
    /// An answer reached its limit of tokens.
    MaxCompletionTokens,
    /// The prompts reached theirs.
    MaxPromptTokens,
    /// The model's endpoint held the answer back.
    ContentFilter,
}

/// How a long thread is cut to the model's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The oldest messages are left out until the rest fits.
    #[default]
    Auto,
    /// At most this many of the newest messages, and no more than fit.
    LastMessages(u32),
}

/// One step of a run: a message it wrote, or the tools that one turn called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    /// Its id.
    pub id: StepId,
    /// The run.
    pub run: RunId,
    /// The thread.
    pub thread: ThreadId,
    /// The assistant.
    pub assistant: AssistantId,
    /// When it began.
    pub created_at: Timestamp,
    /// How far it has come.
    pub status: StepStatus,
    /// What was done.
    pub details: StepDetails,
    /// Why it failed, if it did.
    #[serde(default)]
    pub last_error: Option<RunError>,
    /// When it ended: completed, failed, cancelled or expired, as its status says.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What the model's turn cost, once the step ended.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What the model was shown, and what had to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextReport>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// At work, or waiting for the client's tool outputs.
    InProgress,
    /// Its run was cancelled.
    Cancelled,
    /// It failed.
    Failed,
    /// Done.
    Completed,
    /// Its run took too long.
    Expired,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepDetails {
    /// Wrote a message.
    MessageCreation {
        /// The message.
        message: MessageId,
    },
    /// Called tools, all that one turn asked for.
    ToolCalls {
        /// The calls, in order.
        calls: Vec<StepCall>,
    },
}

/// A call of a tool, with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepCall {
    /// Its id.
    pub id: CallId,
    /// What was called.
    #[serde(flatten)]
    pub call: Call,
}

/// What was called, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Call {
    /// A search of the vector stores.
    FileSearch {
        /// What the model wrote, or for a basic model the engine.
        arguments: String,
        /// What was found, best first; none while it is running.
        #[serde(default)]
        results: Option<Vec<FileSearchResult>>,
        /// How they were found; none while it is running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<SearchReport>,
    },
    /// A function.
    Function {
        /// Its name.
        name: String,
        /// What the model wrote: not always JSON.
        arguments: String,
        /// What it returned; none while it is running.
        #[serde(default)]
        output: Option<String>,
    },
    /// A program.
    CodeInterpreter {
        /// Its text.
        input: String,
        /// What it gave; none while it is running.
        #[serde(default)]
        outputs: Option<Vec<CodeOutput>>,
    },
}

/// A passage that a search found, as it was at that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSearchResult {
    /// The vector store it is from.
    pub vector_store: VectorStoreId,
    /// The file's name.
    pub filename: String,
    /// How well it fits, 0 to 1.
    pub score: f32,
    /// The passage.
    #[serde(flatten)]
    pub chunk: IndexedChunk,
}

/// What a program gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CodeOutput {
    /// What it printed.
    Logs {
        /// The text.
        logs: String,
    },
    /// An image it made.
    Image {
        /// The file.
        file: FileId,
    },
}

/// What a model was shown in one turn, and what had to be left out, in the model's own tokens. In a
/// step that searched, the passages are those its searches gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextReport {
    /// What the prompt may have: the model's context without the room kept for the answer.
    pub budget_tokens: u64,
    /// What it has.
    pub prompt_tokens: u64,
    /// Tools the model was offered; their descriptions are part of the prompt.
    #[serde(default)]
    pub tools: u64,
    /// Messages of the thread that went in.
    pub messages: u64,
    /// Older messages that were left out, because they did not fit or were not asked for.
    pub messages_dropped: u64,
    /// The oldest message that was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_dropped: Option<MessageId>,
    /// The newest message that was left out; all between the two were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_dropped: Option<MessageId>,
    /// Of those left out, how many the model was told of in a summary.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub messages_summarized: u64,
    /// Passages that went in.
    pub passages: u64,
    /// Worse passages that were left out.
    pub passages_dropped: u64,
}

/// For serde, which hands out references.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chunk, ChunkId, PageStart};

    #[test]
    fn a_call_reads_back_with_its_passages() {
        let chunk = Chunk {
            ordinal: 3,
            text: "the pump stops at 80 °C".into(),
            tokens: 7,
            start: 1 << 40,
            pages: vec![PageStart { at: 0, page: 2 }],
            headings: vec!["Limits".into()],
        };
        let file = "file-0123456789abcdefghijABCD".parse().unwrap();
        let result = FileSearchResult {
            vector_store: "vs_0123456789abcdefghijABCD".parse().unwrap(),
            filename: "pump.pdf".into(),
            score: 0.1,
            chunk: IndexedChunk { id: ChunkId(u64::MAX), file, chunk },
        };
        let call = StepCall {
            id: "call_0123456789abcdefghijABCD".parse().unwrap(),
            call: Call::FileSearch {
                arguments: "{}".into(),
                results: Some(vec![result]),
                report: Some(SearchReport::default()),
            },
        };
        let json = serde_json::to_string(&call).unwrap();
        assert!(json.contains(r#""type":"file_search""#), "{json}");
        assert_eq!(serde_json::from_str::<StepCall>(&json).unwrap(), call);
    }
}
