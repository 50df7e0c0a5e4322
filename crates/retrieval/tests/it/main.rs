//! Retrieval from the outside.

mod collections;
mod filters;
mod history;
mod indexes;
mod reembed;
mod stores;
mod support;
mod sweep;
