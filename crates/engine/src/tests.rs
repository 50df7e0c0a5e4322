//! Runs from the outside: what a client sees of them, and what a crash leaves.

pub(crate) mod fake;
pub(crate) mod support;

mod attachments;
mod check;
mod crash;
mod files;
mod life;
mod lists;
mod programs;
mod recovery;
mod rewriting;
mod summaries;
mod transcripts;
