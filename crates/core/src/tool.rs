//! The tool socket: functions a model may ask to have called.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Result, RunId, ThreadId};

/// What a model is told about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Up to 64 letters, digits, `_` or `-`.
    pub name: String,
    /// What it is for, in words.
    #[serde(default)]
    pub description: String,
    /// Its arguments, as a JSON schema.
    pub parameters: serde_json::Value,
}

/// Where a tool is called from.
#[derive(Clone, Copy, Debug)]
pub struct ToolContext {
    /// The thread.
    pub thread: ThreadId,
    /// The run.
    pub run: RunId,
}

/// What a tool returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// For the model to read.
    pub text: String,
}

/// A function of the application's that a model may call.
///
/// A call that no registered tool answers belongs to the client: the run waits in
/// `requires_action`. One named `code_interpreter` runs the programs that models write for the
/// Assistants API's tool of that name.
pub trait Tool: Send + Sync + fmt::Debug {
    /// What a model is told about it.
    fn spec(&self) -> &ToolSpec;

    /// Calls it. `arguments` is what the model wrote, not always JSON. It may be called twice for
    /// one request when the process died in between. An error's message is shown to the model.
    fn call(&self, context: &ToolContext, arguments: &str) -> Result<ToolOutput>;
}
