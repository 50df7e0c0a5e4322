//! Assistants: a model with instructions and tools.

use serde::{Deserialize, Serialize};

use crate::{AssistantId, FileId, Metadata, ResponseFormat, Timestamp, ToolSpec, VectorStoreId};

/// A model with instructions and tools, ready to run on any thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assistant {
    /// Its id.
    pub id: AssistantId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The chat model's name.
    pub model: String,
    /// Its name, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// What the model is told before each conversation.
    #[serde(default)]
    pub instructions: Option<String>,
    /// What the model may call.
    #[serde(default)]
    pub tools: Vec<AssistantTool>,
    /// What those tools work on.
    #[serde(default)]
    pub tool_resources: ToolResources,
    /// 0 takes the likeliest token; none leaves it to the model.
    #[serde(default)]
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that together reach this share.
    #[serde(default)]
    pub top_p: Option<f32>,
    /// What form answers take; none is the API's `auto`.
    #[serde(default)]
    pub response_format: Option<ResponseFormat>,
    /// How hard a reasoning model should think, in the endpoint's own words.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// The application's pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A tool an assistant may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssistantTool {
    /// Runs Python that the model writes.
    CodeInterpreter,
    /// Searches the assistant's and the thread's vector stores.
    FileSearch(FileSearchOptions),
    /// A function: a registered [`Tool`](crate::Tool) of that name, or else the client's.
    Function(FunctionTool),
}

/// How `file_search` searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileSearchOptions {
    /// At most this many chunks, 1 to 50; none leaves it to the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_results: Option<u32>,
    /// Only chunks that score at least this, 0 to 1; none is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_threshold: Option<f32>,
}

/// A function a model may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionTool {
    /// What the model is told about it.
    #[serde(flatten)]
    pub spec: ToolSpec,
    /// Whether arguments must meet the schema to the letter, where a model can promise it.
    #[serde(default)]
    pub strict: bool,
}

/// What an assistant's or a thread's tools work on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResources {
    /// Files the code interpreter sees; none if that was never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_files: Option<Vec<FileId>>,
    /// Vector stores that `file_search` searches; none if that was never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_stores: Option<Vec<VectorStoreId>>,
}
