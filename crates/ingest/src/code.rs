//! Source code: lines, kept to the letter.

use docent_core::FileError;

use crate::text::{decode, one_page};
use crate::{Document, Extractor, Limits, Line, LineKind};

/// Reads source code of any language as lines that no folding touches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceExtractor;

impl Extractor for SourceExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (text, warnings) = decode(bytes, limits)?;
        let lines = text.lines().map(|line| Line::new(line, LineKind::Code)).collect();
        Ok(one_page(None, lines, warnings))
    }
}
