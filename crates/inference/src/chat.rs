//! Chat models: four ways to answer in a conversation, behind one socket.
//!
//! | model | answers with | needs |
//! |---|---|---|
//! | [`Extractive`] | the passages' own sentences, each cited | nothing |
//! | [`Scripted`] | what a test told it to | nothing |
//!
//! [`ConfiguredModels`](crate::ConfiguredModels) chooses among them by the names in `docent.toml`.

mod extractive;
mod scripted;
mod tokens;

pub use extractive::Extractive;
pub use scripted::{Scripted, ScriptedReply, SeenRequest};
