//! From a document's lines to one clean text that still knows where every byte came from.
//!
//! Each line is [folded](fold) (NFKC, radicals, invisible characters), lines that only paper
//! separated are [joined](join), [running headers](furniture) are left out. [`TextMap`] leads from
//! an offset in the clean text back to page and raw offset.

mod fold;
mod furniture;
mod join;
mod map;

use std::collections::HashSet;
use std::ops::Range;

use crate::{Document, Flow, Line, LineKind};
use fold::{Folding, fold};
use join::{Join, Vocabulary};
pub use map::{Origin, TextMap};

/// A document's text, cleaned.
#[derive(Clone, Debug)]
pub struct Clean {
    /// The text. Lines end in `\n`; the last one has no end.
    pub text: String,
    /// Where its bytes came from.
    pub map: TextMap,
    /// Its headings, in order.
    pub headings: Vec<Heading>,
    /// Its tables, in order.
    pub tables: Vec<Table>,
    /// What its line ends meant in the document.
    pub flow: Flow,
}

/// Where a table stands in a clean text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The row that names the columns, without its line end.
    pub header: Option<Range<usize>>,
    /// The other rows, in order, each without its line end.
    pub rows: Vec<Range<usize>>,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Where it begins in the clean text, in bytes.
    pub at: usize,
    /// 1 is the outermost level.
    pub level: u8,
    /// Its text without marks.
    pub text: String,
}

/// The clean text of `document`.
pub fn clean(document: &Document) -> Clean {
    let furniture = match document.flow {
        Flow::Paragraphs => furniture::find(&document.pages),
        Flow::Lines | Flow::Source => HashSet::new(),
    };
    let vocabulary = match document.flow {
        Flow::Paragraphs => Vocabulary::of(&document.pages),
        Flow::Lines | Flow::Source => Vocabulary::default(),
    };
    let mut writer = Writer::new(document.flow, vocabulary);
    for (page_at, page) in document.pages.iter().enumerate() {
        writer.begin_page(page.number);
        for (line_at, line) in page.lines.iter().enumerate() {
            if !furniture.contains(&(page_at, line_at)) {
                writer.line(line);
            }
            writer.raw_line_start += line.text.len() + 1;
        }
    }
    writer.finish()
}

/// The longest heading we keep; what is longer is a paragraph in large type.
const MOST_HEADING_CHARS: usize = 200;

struct Writer {
    flow: Flow,
    vocabulary: Vocabulary,
    text: String,
    map: TextMap,
    headings: Vec<Heading>,
    tables: Vec<Table>,
    page: u32,
    /// Where the current line begins in its page's raw text, whose lines end in one byte each.
    raw_line_start: usize,
    /// The page and raw end of the line before, where what joining inserts is said to come from.
    raw_end: (u32, u64),
    /// The kind of the line before; none at the beginning.
    before: Option<LineKind>,
    is_first_of_page: bool,
    blank_lines: usize,
}

impl Writer {
    fn new(flow: Flow, vocabulary: Vocabulary) -> Self {
        Self {
            flow,
            vocabulary,
            text: String::new(),
            map: TextMap::default(),
            headings: Vec::new(),
            tables: Vec::new(),
            page: 1,
            raw_line_start: 0,
            raw_end: (1, 0),
            before: None,
            is_first_of_page: true,
            blank_lines: 0,
        }
    }

    fn begin_page(&mut self, number: u32) {
        self.page = number;
        self.raw_line_start = 0;
        self.is_first_of_page = true;
    }

    fn line(&mut self, line: &Line) {
        let folding = match (line.kind, self.flow) {
            (LineKind::Code, _) => Folding::Verbatim,
            (_, Flow::Lines | Flow::Source) => Folding::Line,
            (_, Flow::Paragraphs) => Folding::Paragraph,
        };
        let folded = fold(&line.text, folding);
        if folded.text.is_empty() {
            self.blank_lines += 1;
            return;
        }
        self.separate(line, &folded.text);
        if let LineKind::Heading(level) = line.kind {
            self.heading(level, &folded.text, line.starts_paragraph);
        }
        let start = self.text.len();
        for (clean, raw) in &folded.steps {
            self.map.add(start + clean, self.page, (self.raw_line_start + raw) as u64);
        }
        self.text.push_str(&folded.text);
        self.table_row(line, start..self.text.len());
        self.raw_end = (self.page, (self.raw_line_start + line.text.len()) as u64);
        self.before = Some(line.kind);
        self.is_first_of_page = false;
        self.blank_lines = 0;
    }

    /// Puts between the text so far and `next` what belongs there.
    fn separate(&mut self, line: &Line, next: &str) {
        let Some(before) = self.before else { return };
        let (page, raw) = self.raw_end;
        self.map.add(self.text.len(), page, raw);
        if self.flow != Flow::Paragraphs {
            // Code keeps its blank lines; elsewhere one is as good as many.
            let most = if line.kind == LineKind::Code { 3 } else { 1 };
            let ends = 1 + self.blank_lines.min(most);
            self.text.extend(std::iter::repeat_n('\n', ends));
            return;
        }
        let continues = line.kind == before
            && match self.is_first_of_page {
                true => join::goes_on_across_pages(&self.text, next),
                false => !line.starts_paragraph,
            };
        if !continues {
            let ends = if matches!(line.kind, LineKind::Heading(_)) { "\n\n" } else { "\n" };
            self.drop_last(join::SOFT_HYPHEN);
            self.text.push_str(ends);
            return;
        }
        match self.vocabulary.join(&self.text, next) {
            Join::Space => self.text.push(' '),
            Join::Nothing => {}
            Join::DropLast => {
                self.text.pop();
                self.map.truncate(self.text.len());
            }
        }
    }

    fn drop_last(&mut self, c: char) {
        if self.text.ends_with(c) {
            self.text.pop();
            self.map.truncate(self.text.len());
            let (page, raw) = self.raw_end;
            self.map.add(self.text.len(), page, raw);
        }
    }

    fn heading(&mut self, level: u8, text: &str, starts: bool) {
        let text = match self.flow {
            Flow::Lines | Flow::Source => text.trim().trim_matches('#').trim(),
            Flow::Paragraphs => text.trim(),
        };
        let goes_on =
            !starts && !self.is_first_of_page && self.before == Some(LineKind::Heading(level));
        match self.headings.last_mut() {
            Some(heading) if goes_on && heading.text.len() + text.len() < MOST_HEADING_CHARS => {
                heading.text.push(' ');
                heading.text.push_str(text);
            }
            _ => {
                let text: String = text.chars().take(MOST_HEADING_CHARS).collect();
                self.headings.push(Heading { at: self.text.len(), level, text });
            }
        }
    }

    /// Notes the line at `range` if it is a row of a table.
    fn table_row(&mut self, line: &Line, range: Range<usize>) {
        match line.kind {
            LineKind::Header => {
                self.tables.push(Table { header: Some(range), rows: Vec::new() });
            }
            LineKind::Row => {
                let goes_on = !line.starts_paragraph
                    && matches!(self.before, Some(LineKind::Header | LineKind::Row));
                match self.tables.last_mut() {
                    Some(table) if goes_on => table.rows.push(range),
                    _ => self.tables.push(Table { header: None, rows: vec![range] }),
                }
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Clean {
        let end =
            self.text.trim_end_matches(|c: char| c.is_whitespace() || c == join::SOFT_HYPHEN).len();
        self.text.truncate(end);
        self.map.truncate(end);
        self.headings.retain(|heading| heading.at < end);
        Clean {
            text: self.text,
            map: self.map,
            headings: self.headings,
            tables: self.tables,
            flow: self.flow,
        }
    }
}

#[cfg(test)]
mod tests;
