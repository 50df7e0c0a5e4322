//! The command as people and scripts meet it: the real binary on libraries of its own.

mod add;
mod ask;
mod chat;
mod documents;
mod eval;
mod formats;
mod help;
mod interrupt;
mod keys;
mod models;
mod other_embedder;
mod reembed;
mod search;
mod support;
mod transfer;
#[path = "../shared/upstream.rs"]
mod upstream;
