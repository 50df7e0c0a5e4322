//! Chat models: four ways to answer in a conversation, behind one socket.
//!
//! | model | answers with | needs |
//! |---|---|---|
//! | [`Extractive`] | the passages' own sentences, each cited | nothing |
//! | `Local` | GGUF weights run by candle | feature `local-models`, a file |
//! | `Remote` | what an OpenAI-compatible endpoint says | feature `remote-models`, a URL |
//! | [`Scripted`] | what a test told it to | nothing |
//!
//! [`ConfiguredModels`](crate::ConfiguredModels) chooses among them by the names in `docent.toml`.

mod bounded;
mod extractive;
#[cfg(feature = "local-models")]
mod local;
#[cfg(feature = "remote-models")]
mod remote;
mod scripted;
mod tokens;

pub use bounded::{Bounded, Turns};
pub use extractive::Extractive;
#[cfg(feature = "local-models")]
pub use local::{Local, Weights};
#[cfg(feature = "remote-models")]
pub use remote::Remote;
pub use scripted::{Scripted, ScriptedReply, SeenRequest};
