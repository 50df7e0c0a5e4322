//! Source code: lines, kept to the letter.

use docent_core::FileError;

use crate::text::{decode, one_page};
use crate::{Document, Extractor, Flow, Language, Limits, Line, LineKind};

/// Reads source code of any language as lines that no folding touches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceExtractor {
    /// The language it is written in.
    pub(crate) language: Language,
}

impl Extractor for SourceExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (text, warnings) = decode(bytes, limits)?;
        let lines = text.lines().map(|line| Line::new(line, LineKind::Code)).collect();
        let flow = match self.language {
            // Mostly prose between marks, whose indentation means nothing.
            Language::Tex | Language::Xml => Flow::Lines,
            _ => Flow::Source,
        };
        Ok(Document { flow, ..one_page(None, lines, warnings) })
    }
}
