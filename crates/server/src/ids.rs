//! Ids in requests: a wrong prefix is the client's mistake (400), an id of nothing is 404.

use std::str::FromStr;

use docent_core::{
    AssistantId, BatchId, FileId, MessageId, RunId, StepId, ThreadId, VectorStoreId,
};

use crate::error::ApiError;
use crate::wire::Field;

/// An id that requests name.
pub(crate) trait ApiId: FromStr {
    /// What it begins with, as errors say it.
    const BEGINS: &'static str;
    /// What it is the id of, as errors say it.
    const NOUN: &'static str;

    /// There is nothing with this id.
    fn missing(id: &str) -> ApiError {
        ApiError::not_found(format!("No {} found with id '{id}'.", Self::NOUN))
    }
}

macro_rules! api_id {
    ($($id:ty: $begins:literal, $noun:literal;)*) => {
        $(impl ApiId for $id {
            const BEGINS: &'static str = $begins;
            const NOUN: &'static str = $noun;
        })*
    };
}

api_id! {
    AssistantId: "asst", "assistant";
    ThreadId: "thread", "thread";
    MessageId: "msg", "message";
    RunId: "run", "run";
    StepId: "step", "run step";
    VectorStoreId: "vs", "vector store";
    BatchId: "vsfb", "file batch";
}

impl ApiId for FileId {
    const BEGINS: &'static str = "file";
    const NOUN: &'static str = "file";

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(format!("No such File object: {id}")).at("id")
    }
}

/// The id `text`, which the request calls `name`.
///
/// A text with the right beginning that is no id of ours names nothing, which is no mistake of
/// form: it may be an id of another server.
pub(crate) fn parse<T: ApiId>(name: &str, text: &str) -> Result<T, ApiError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let shown: String = text.chars().take(64).collect();
    if text.starts_with(T::BEGINS) {
        return Err(T::missing(&shown));
    }
    Err(ApiError::invalid(format!(
        "Invalid '{name}': '{shown}'. Expected an ID that begins with '{}'.",
        T::BEGINS
    ))
    .at(name))
}

/// The id in a field of a request's body.
pub(crate) fn field<T: ApiId>(field: Field) -> Result<T, ApiError> {
    let name = field.path().to_owned();
    parse(&name, &field.string()?)
}
