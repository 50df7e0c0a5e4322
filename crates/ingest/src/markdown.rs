//! Markdown: its own source as text, its headings as structure.
//!
//! The source is kept because citations quote it and because it reads well; rendering it would
//! move every offset for nothing.

use std::ops::Range;

use docent_core::FileError;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::text::{decode, one_page};
use crate::{Document, Extractor, Limits, Line, LineKind};

/// Reads Markdown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MarkdownExtractor;

impl Extractor for MarkdownExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (source, warnings) = decode(bytes, limits)?;
        let structure = Structure::of(&source);
        let mut lines = Vec::new();
        let mut at = 0;
        for line in source.split_inclusive('\n') {
            let text = line.trim_end_matches(['\n', '\r']);
            lines.push(Line::new(text, structure.kind_of(at..at + line.len())));
            at += line.len();
        }
        Ok(one_page(structure.title, lines, warnings))
    }
}

/// Where headings and code stand in a source.
#[derive(Default)]
struct Structure {
    title: Option<String>,
    /// In order, none touching another.
    marked: Vec<(Range<usize>, LineKind)>,
}

impl Structure {
    fn of(source: &str) -> Self {
        let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        let mut structure = Self::default();
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    heading = Some(String::new());
                    structure.mark(range, LineKind::Heading(depth(level)));
                }
                Event::Start(Tag::CodeBlock(_)) => structure.mark(range, LineKind::Code),
                Event::Text(text) | Event::Code(text) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&text));
                }
                Event::End(TagEnd::Heading(HeadingLevel::H1)) if structure.title.is_none() => {
                    structure.title = heading.take().filter(|title| !title.trim().is_empty());
                }
                Event::End(TagEnd::Heading(_)) => heading = None,
                _ => {}
            }
        }
        structure
    }

    fn mark(&mut self, range: Range<usize>, kind: LineKind) {
        if self.marked.last().is_none_or(|(last, _)| last.end <= range.start) {
            self.marked.push((range, kind));
        }
    }

    /// The kind of a line. A heading is the line it begins on; the underline of a setext heading
    /// is no heading of its own. Code is every line of its block.
    fn kind_of(&self, line: Range<usize>) -> LineKind {
        let next = self.marked.partition_point(|(range, _)| range.end <= line.start);
        match self.marked.get(next) {
            Some((range, kind @ LineKind::Heading(_))) if line.contains(&range.start) => *kind,
            Some((range, LineKind::Code)) if range.start < line.end => LineKind::Code,
            _ => LineKind::Text,
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    level as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(String, LineKind)> {
        let document = MarkdownExtractor.extract(source.as_bytes(), &Limits::default()).unwrap();
        let lines = document.pages.into_iter().flat_map(|page| page.lines);
        lines
            .map(|line| (line.text, line.kind))
            .filter(|(_, kind)| *kind != LineKind::Text)
            .collect()
    }

    #[test]
    fn headings_and_code_are_marked_and_the_first_h1_is_the_title() {
        let source = "intro\n\n# The *Sea* of `x`\r\ntext\n\n## Waves\n\n```rust\n# no heading\n```\nSetext\n===\n";
        let document = MarkdownExtractor.extract(source.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(document.title.as_deref(), Some("The Sea of x"));
        let expected = [
            ("# The *Sea* of `x`", LineKind::Heading(1)),
            ("## Waves", LineKind::Heading(2)),
            ("```rust", LineKind::Code),
            ("# no heading", LineKind::Code),
            ("```", LineKind::Code),
            ("Setext", LineKind::Heading(1)),
        ];
        assert_eq!(kinds(source), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn deep_nesting_ends() {
        for mark in [">", "- ", "[", "*"] {
            kinds(&mark.repeat(20_000));
        }
    }
}
