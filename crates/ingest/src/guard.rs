//! Where extraction runs, so that one bad file cannot hurt the process.

mod process;
mod serve;
mod thread;
mod wire;

use std::fmt;

use docent_core::FileError;

use crate::{Document, Format, Limits};
pub use process::ProcessGuard;
pub use serve::serve_extraction;
pub use thread::ThreadGuard;

/// Runs an extraction so that a panic, a hang or a memory blow-up cannot hurt the caller.
///
/// | | panic | hang | stack overflow | memory |
/// |---|---|---|---|---|
/// | [`ThreadGuard`] | caught | left behind, a few at most | ends the process | not limited |
/// | [`ProcessGuard`] | caught | killed | caught | limited |
pub trait Guard: Send + Sync + fmt::Debug {
    /// Extracts `bytes` as `format` and returns within about [`Limits::wall`].
    ///
    /// # Errors
    /// The extractor's own, or why it was stopped.
    fn extract(
        &self,
        format: Format,
        bytes: Vec<u8>,
        limits: &Limits,
    ) -> Result<Document, FileError>;
}

/// Recursive descent into nested objects needs stack; the memory is only touched when used.
const STACK_BYTES: usize = 256 << 20;
