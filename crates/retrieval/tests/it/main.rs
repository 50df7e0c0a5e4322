//! Retrieval from the outside.

mod between;
mod collections;
mod filters;
mod history;
mod indexes;
mod late;
mod meanwhile;
mod reembed;
mod stores;
mod support;
mod sweep;
