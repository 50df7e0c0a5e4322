//! Runs from the outside: what a client sees of them, and what a crash leaves.

pub(crate) mod support;

mod check;
mod crash;
mod files;
mod life;
mod recovery;
mod transcripts;
