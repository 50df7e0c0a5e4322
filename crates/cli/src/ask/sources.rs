//! Numbers for citations: `【4:0†source】` in the text becomes `[1]`, and the list says what 1 is.

use std::io::{self, Write};

use docent::{Annotation, AnnotationTarget, Citation, Message};
use serde::Serialize;

use crate::console::{BOLD, DIM, NAME, plain};
use crate::documents;

/// What an answer cites so far. The same quote has one number, however often it is cited.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Citation>);

impl Sources {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with its markers replaced; `annotations` are those that end in it.
    pub(super) fn numbered(&mut self, text: &str, annotations: &[Annotation]) -> String {
        let mut numbered = String::with_capacity(text.len());
        let mut rest = text;
        for annotation in annotations {
            let AnnotationTarget::FileCitation(citation) = &annotation.target else { continue };
            // The engine gives a marker out in one piece. Should it not, the number comes late.
            let (before, after) = rest.split_once(&*annotation.text).unwrap_or((rest, ""));
            numbered.push_str(before);
            numbered.push_str(&format!("[{}]", self.number(citation)));
            rest = after;
        }
        numbered.push_str(rest);
        numbered
    }

    fn number(&mut self, citation: &Citation) -> usize {
        let same = |known: &Citation| {
            (known.file, known.chunk, known.quote_start, &known.quote)
                == (citation.file, citation.chunk, citation.quote_start, &citation.quote)
        };
        let known = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(citation.clone());
            self.0.len() - 1
        });
        known + 1
    }

    /// One source a line, with its quote below.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, citation) in self.0.iter().enumerate() {
            let pages = documents::pages(citation.page_start, citation.page_end);
            let name = plain::line(&citation.filename);
            writeln!(out, "{BOLD}[{}]{BOLD:#} {NAME}{name}{NAME:#}, {pages}", index + 1)?;
            writeln!(out, "    {DIM}“{}”{DIM:#}", plain::joined(&citation.quote))?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Vec<JsonCitation<'_>> {
        let numbered = self.0.iter().enumerate();
        numbered.map(|(index, citation)| JsonCitation::new(index + 1, citation)).collect()
    }
}

/// The text of a whole message with its markers replaced.
pub(super) fn numbered_text(message: &Message) -> String {
    let annotations: Vec<Annotation> = message.annotations().cloned().collect();
    Sources::default().numbered(&message.text(), &annotations)
}

#[derive(Debug, Serialize)]
pub(super) struct JsonCitation<'a> {
    marker: String,
    file: &'a str,
    page_start: u32,
    page_end: u32,
    quote: &'a str,
    file_id: String,
}

impl<'a> JsonCitation<'a> {
    fn new(number: usize, citation: &'a Citation) -> Self {
        Self {
            marker: format!("[{number}]"),
            file: &citation.filename,
            page_start: citation.page_start,
            page_end: citation.page_end,
            quote: &citation.quote,
            file_id: citation.file.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use docent::ChunkId;

    use super::*;

    fn cites(marker: &str, quote: &str) -> Annotation {
        Annotation {
            text: marker.into(),
            start: 0,
            end: 0,
            target: AnnotationTarget::FileCitation(Citation {
                file: "file-0123456789abcdefghijABCD".parse().unwrap(),
                filename: "a.pdf".into(),
                page_start: 2,
                page_end: 3,
                quote: quote.into(),
                quote_start: 0,
                vector_store: "vs_0123456789abcdefghijABCD".parse().unwrap(),
                chunk: ChunkId(1),
            }),
        }
    }

    #[test]
    fn the_same_quote_keeps_its_number() {
        let mut sources = Sources::default();
        let first = sources.numbered(
            "A.【4:0†source】 B.【4:1†source】",
            &[cites("【4:0†source】", "a"), cites("【4:1†source】", "b")],
        );
        assert_eq!(first, "A.[1] B.[2]");
        assert_eq!(
            sources.numbered(" C.【4:0†source】", &[cites("【4:0†source】", "a")]),
            " C.[1]"
        );
        assert_eq!(sources.json().len(), 2);
    }

    #[test]
    fn the_list_names_file_pages_and_quote() {
        let mut sources = Sources::default();
        sources.numbered("x【4:0†source】", &[cites("【4:0†source】", "two\nlines\u{1b}")]);
        let mut out = Vec::new();
        sources.write(&mut anstream::StripStream::new(&mut out)).unwrap();
        let expected = "[1] a.pdf, pp. 2-3\n    “two lines\\u{1b}”\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
