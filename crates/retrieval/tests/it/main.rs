//! Retrieval from the outside.

mod collections;
mod filters;
mod history;
mod indexes;
mod late;
mod reembed;
mod stores;
mod support;
mod sweep;
