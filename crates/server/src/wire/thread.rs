//! Threads.

use docent_core::{Metadata, Thread};
use docent_engine::NewThread;
use serde_json::{Value, json};

use super::fields::{Given, Object};
use super::message::read_message;
use super::metadata;
use super::tools::{Helper, ResourcesChange, read_resources, tool_resources};
use crate::error::ApiError;

/// A thread cannot begin with more messages than it may have.
const MOST_MESSAGES: usize = 100_000;

/// A thread as answers show it.
pub(crate) fn thread(thread: &Thread) -> Value {
    json!({
        "id": thread.id,
        "object": "thread",
        "created_at": thread.created_at.seconds(),
        "metadata": thread.metadata,
        "tool_resources": tool_resources(&thread.tool_resources),
    })
}

/// Reads what a thread is to be made from.
pub(crate) fn read_new_thread(mut body: Object) -> Result<NewThread, ApiError> {
    let messages = body.optional("messages", |field| {
        let items = field.array_up_to(MOST_MESSAGES)?.into_iter();
        items.map(|item| read_message(item.object()?)).collect::<Result<Vec<_>, _>>()
    })?;
    let change = read_change(body, Helper::Allowed)?;
    let resources = change.tool_resources.value().map(ResourcesChange::into_new);
    let (tool_resources, new_vector_store) = resources.unwrap_or_default();
    Ok(NewThread {
        messages: messages.unwrap_or_default(),
        tool_resources,
        new_vector_store,
        metadata: change.metadata.value().unwrap_or_default(),
    })
}

/// What a request says of a thread.
#[derive(Debug)]
pub(crate) struct ThreadChange {
    pub(crate) tool_resources: Given<ResourcesChange>,
    metadata: Given<Metadata>,
}

impl ThreadChange {
    /// Changes what was said of `thread`.
    pub(crate) fn apply(self, thread: &mut Thread) {
        match self.tool_resources {
            Given::Absent => {}
            Given::Null => thread.tool_resources = Default::default(),
            Given::Value(change) => change.apply(&mut thread.tool_resources),
        }
        self.metadata.apply_or_default(&mut thread.metadata);
    }
}

/// Reads what is to change about a thread.
pub(crate) fn read_thread_change(body: Object) -> Result<ThreadChange, ApiError> {
    read_change(body, Helper::Refused)
}

fn read_change(mut body: Object, helper: Helper) -> Result<ThreadChange, ApiError> {
    let change = ThreadChange {
        tool_resources: read_resources(&mut body, helper)?,
        metadata: body.given_as("metadata", metadata::read)?,
    };
    body.finish()?;
    Ok(change)
}
