//! The Assistants API's JSON: what requests may say, what answers look like.
//!
//! Reading is strict. Every parameter is taken from its [`Object`] by name, and what is left over
//! in the end is an error, so nothing a client asks for is silently ignored. Answers are made as
//! JSON values, one function an object.

mod assistant;
mod chat;
mod completion;
mod embedding;
mod fields;
mod file;
mod format;
mod list;
mod message;
mod metadata;
mod model;
mod run;
mod search;
mod sse;
mod step;
mod thread;
mod tools;
mod vector_store;

pub(crate) use assistant::{assistant, read_assistant_change, read_new_assistant};
pub(crate) use chat::{NewChat, read_chat};
pub(crate) use completion::{Chunks, Completion};
pub(crate) use embedding::{embeddings, read_embeddings};
pub(crate) use fields::{Field, Given, Object, missing_parameter, unknown_parameter};
pub(crate) use file::{file, read_file_expiry, read_purpose};
pub(crate) use list::{Query, deleted, listed, window};
pub(crate) use message::{message, read_attached_metadata, read_message};
pub(crate) use model::model;
pub(crate) use run::{NewThreadAndRun, read_new_run, read_new_thread_and_run, read_outputs, run};
pub(crate) use search::{NewSearch, read_search};
pub(crate) use sse::{Frame, error_frame, frames, thread_created};
pub(crate) use step::{Include, StepView, step};
pub(crate) use thread::{read_new_thread, read_thread_change, thread};
pub(crate) use vector_store::{
    batch, file_content, found, read_attributes_change, read_batch, read_entry,
    read_new_vector_store, read_status, read_vector_store_change, store_file, vector_store,
};
