//! The Assistants API's JSON: what requests may say, what answers look like.
//!
//! Reading is strict. Every parameter is taken from its [`Object`] by name, and what is left over
//! in the end is an error, so nothing a client asks for is silently ignored. Answers are made as
//! JSON values, one function an object.

mod assistant;
mod fields;
mod file;
mod format;
mod list;
mod message;
mod metadata;
mod model;
mod run;
mod sse;
mod step;
mod thread;
mod tools;

pub(crate) use assistant::{assistant, read_assistant_change, read_new_assistant};
pub(crate) use fields::{Field, Given, Object};
pub(crate) use file::{file, read_purpose};
pub(crate) use list::{Query, deleted, listed, window};
pub(crate) use message::{message, read_message};
pub(crate) use model::model;
pub(crate) use run::{NewThreadAndRun, read_new_run, read_new_thread_and_run, read_outputs, run};
pub(crate) use sse::{Frame, error_frame, frames, thread_created};
pub(crate) use step::{Include, step};
pub(crate) use thread::{read_new_thread, read_thread_change, thread};
