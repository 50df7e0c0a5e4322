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

use crate::table::{BETWEEN_CELLS, CELL_LINE_END};
use crate::{Bounds, Document, Flow, Line, LineKind};
use fold::{Folded, Folding, fold};
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
    /// Where the last row of a table is on its page.
    row_bounds: Option<Bounds>,
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
            row_bounds: None,
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
            (LineKind::Header | LineKind::Row, Flow::Paragraphs) => Folding::Cells,
            (_, Flow::Paragraphs) => Folding::Paragraph,
        };
        let mut start = None;
        let mut raw = self.raw_line_start;
        for part in line.text.split(CELL_LINE_END) {
            let folded = fold(part, folding);
            if !folded.text.is_empty() {
                match start {
                    Some(_) => self.join(&folded.text),
                    None => start = Some(self.begin_line(line, &folded.text)),
                }
                self.push(&folded, raw);
                self.raw_end = (self.page, (raw + part.len()) as u64);
            }
            raw += part.len() + CELL_LINE_END.len();
        }
        let Some(start) = start else {
            self.blank_lines += 1;
            return;
        };
        self.table_row(line, start..self.text.len());
        self.before = Some(line.kind);
        self.is_first_of_page = false;
        self.blank_lines = 0;
    }

    /// Goes to where `line` begins, whose text is `folded` or begins with it.
    fn begin_line(&mut self, line: &Line, folded: &str) -> usize {
        self.separate(line, folded);
        if let LineKind::Heading(level) = line.kind {
            self.heading(level, folded, line.starts_paragraph);
        }
        self.text.len()
    }

    fn push(&mut self, folded: &Folded, raw_start: usize) {
        let start = self.text.len();
        for (clean, raw) in &folded.steps {
            self.map.add(start + clean, self.page, (raw_start + raw) as u64);
        }
        self.text.push_str(&folded.text);
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
        let is_row = matches!(line.kind, LineKind::Header | LineKind::Row);
        let continues = line.kind == before
            && !is_row
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
        self.join(next);
    }

    /// Goes on with `next`, from which only paper separates the text so far.
    fn join(&mut self, next: &str) {
        let (page, raw) = self.raw_end;
        self.map.add(self.text.len(), page, raw);
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
        if !matches!(line.kind, LineKind::Header | LineKind::Row) {
            return;
        }
        let is_after_row = matches!(self.before, Some(LineKind::Header | LineKind::Row));
        let is_header = line.kind == LineKind::Header;
        let goes_on = is_after_row
            && (!is_header && !line.starts_paragraph
                || self.goes_on_from_page_before(line, &range));
        match self.tables.last_mut() {
            Some(table) if goes_on => table.rows.push(range),
            _ if is_header => self.tables.push(Table { header: Some(range), rows: Vec::new() }),
            _ => self.tables.push(Table { header: None, rows: vec![range] }),
        }
        self.row_bounds = line.bounds;
    }

    /// Whether the page begins within the table that the page before ends with: a table as wide,
    /// with no other text between, whose first row does not say the names again. It only looks
    /// like names because a first row is asked whether it could be.
    fn goes_on_from_page_before(&self, line: &Line, range: &Range<usize>) -> bool {
        let (Some(above), Some(here)) = (self.row_bounds, line.bounds) else { return false };
        let near = |a: f32, b: f32| (a - b).abs() < 2.0;
        let Some(table) = self.tables.last().filter(|_| self.is_first_of_page) else {
            return false;
        };
        let text = |row: &Range<usize>| &self.text[row.clone()];
        let cells = |row: &Range<usize>| text(row).matches(BETWEEN_CELLS).count();
        near(above.left, here.left)
            && near(above.right, here.right)
            && table
                .header
                .as_ref()
                .is_none_or(|names| text(names) != text(range) && cells(range) <= cells(names))
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
