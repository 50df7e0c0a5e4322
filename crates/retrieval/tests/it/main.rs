//! Retrieval from the outside.

mod collections;
mod history;
mod indexes;
mod reembed;
mod stores;
mod support;
mod sweep;
