//! The body of a document, node by node.

use docent_core::FileError;

use super::notes::Notes;
use super::styles::{Role, Styles, outline};
use crate::draft::Draft;
use crate::package::{Node, Tag};
use crate::table::{Grids, RowRole};
use crate::{Line, LineKind};

/// Turns the nodes of `word/document.xml` into lines. Paragraphs stand within paragraphs (text
/// boxes) and tables within tables; both are kept on stacks of our own, so depth costs no stack.
pub(super) struct Body<'a, 'd> {
    draft: &'a mut Draft<'d>,
    styles: &'a Styles,
    notes: &'a Notes,
    paragraphs: Vec<Paragraph>,
    tables: Grids,
    /// How deep we are in an element that is left out.
    skipped: u32,
    in_text: bool,
    /// How deep we are in properties, where a tab is a place and no text.
    in_properties: u32,
    /// Notes that are said after the paragraph or table that refers to them.
    waiting: Vec<String>,
    note_count: u32,
    has_deletions: bool,
}

#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    role: Option<Role>,
    /// How deep it stands in a list.
    list: Option<usize>,
}

/// Lists that are nested deeper are shown at this depth.
const MOST_LIST_DEPTH: usize = 8;

impl<'a, 'd> Body<'a, 'd> {
    pub(super) fn new(draft: &'a mut Draft<'d>, styles: &'a Styles, notes: &'a Notes) -> Self {
        Self {
            draft,
            styles,
            notes,
            paragraphs: Vec::new(),
            tables: Grids::default(),
            skipped: 0,
            in_text: false,
            in_properties: 0,
            waiting: Vec::new(),
            note_count: 0,
            has_deletions: false,
        }
    }

    pub(super) fn node(&mut self, node: &Node<'_>) -> Result<(), FileError> {
        match node {
            Node::Open(_) if self.skipped > 0 => self.skipped += 1,
            Node::Close(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Text(_) if self.skipped > 0 => {}
            Node::Open(tag) => self.open(tag),
            Node::Close(end) => return self.close(end.name()),
            Node::Text(text) if self.in_text => self.push(text),
            Node::Text(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name() {
            "del" | "moveFrom" if self.in_properties == 0 => {
                self.skipped = 1;
                self.has_deletions = true;
            }
            // The same text box once more, for readers that do not know the newer kind; field
            // codes, whose result stands beside them; what properties were before a change.
            "Fallback" | "instrText" | "pPrChange" | "rPrChange" | "tblPrChange" => {
                self.skipped = 1
            }
            "p" => self.paragraphs.push(Paragraph::default()),
            "t" => self.in_text = true,
            "pPr" | "rPr" | "tblPr" | "sectPr" => self.in_properties += 1,
            "tbl" => self.tables.begin(),
            "tr" => self.tables.begin_row(),
            "tblHeader" if tag.is_on() => self.tables.set_role(RowRole::Header),
            "tc" => self.tables.begin_cell(),
            "gridSpan" => {
                let columns = tag.attribute("val").and_then(|val| val.parse().ok());
                self.tables.span(columns.unwrap_or(1), 1);
            }
            "vMerge" if tag.attribute("val").is_none_or(|val| val != "restart") => {
                self.tables.repeat_above();
            }
            name if self.in_properties > 0 => self.property(name, tag),
            "tab" => self.push("\t"),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            name => self.refer(name, tag),
        }
    }

    fn property(&mut self, name: &str, tag: &Tag<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        let value = || tag.attribute("val").unwrap_or_default();
        match name {
            "pStyle" => {
                paragraph.role = self.styles.role(&value()).or(paragraph.role);
                paragraph.list = self.styles.list(&value());
            }
            "outlineLvl" => paragraph.role = outline(&value()).or(paragraph.role),
            "ilvl" => paragraph.list = Some(value().parse().unwrap_or(0)),
            "numId" if value() == "0" => paragraph.list = None,
            "numId" => paragraph.list = paragraph.list.or(Some(0)),
            _ => {}
        }
    }

    /// Notes what a reference stands for.
    fn refer(&mut self, name: &str, tag: &Tag<'_>) {
        let id = tag.attribute("id").unwrap_or_default();
        let Some(note) = self.notes.referred(name, &id) else { return };
        let text = note.text.trim();
        if name == "commentReference" {
            self.waiting.push(format!("Comment ({}): {text}", note.author));
            return;
        }
        self.note_count += 1;
        let mark = format!("[{}]", self.note_count);
        self.waiting.push(format!("{mark} {text}"));
        self.push(&mark);
    }

    fn close(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "t" => self.in_text = false,
            "pPr" | "rPr" | "tblPr" | "sectPr" => {
                self.in_properties = self.in_properties.saturating_sub(1);
            }
            "p" => self.end_paragraph()?,
            "tbl" => self.end_table()?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self) -> Result<(), FileError> {
        let Some(Paragraph { text, role, list }) = self.paragraphs.pop() else { return Ok(()) };
        let indent = list.map_or(String::new(), |depth| {
            format!("{}- ", "  ".repeat(depth.min(MOST_LIST_DEPTH)))
        });
        let kind = match role {
            Some(Role::Title) => LineKind::Heading(1),
            Some(Role::Heading(level)) => LineKind::Heading(level),
            None => LineKind::Text,
        };
        if role == Some(Role::Title) {
            self.draft.title(&text);
        }
        let indent = if kind == LineKind::Text { indent.as_str() } else { "" };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        for (at, line) in lines.enumerate() {
            let before = if at == 0 { indent } else { "" };
            self.put(Line::new(format!("{before}{line}"), kind))?;
        }
        self.say_notes()
    }

    fn end_table(&mut self) -> Result<(), FileError> {
        let lines = self.tables.end();
        lines.into_iter().try_for_each(|line| self.put(line))?;
        self.say_notes()
    }

    /// Puts a line into the cell we are in, or into the document.
    fn put(&mut self, line: Line) -> Result<(), FileError> {
        match self.tables.cell() {
            Some(cell) => {
                cell.push(line);
                Ok(())
            }
            None => self.draft.line(line),
        }
    }

    fn say_notes(&mut self) -> Result<(), FileError> {
        if !self.tables.is_empty() || !self.paragraphs.is_empty() {
            return Ok(());
        }
        std::mem::take(&mut self.waiting).into_iter().try_for_each(|note| self.draft.text(note))
    }

    /// Ends what a damaged document leaves open.
    pub(super) fn finish(mut self) -> Result<(), FileError> {
        while !self.paragraphs.is_empty() {
            self.end_paragraph()?;
        }
        while !self.tables.is_empty() {
            self.end_table()?;
        }
        if self.has_deletions {
            self.draft.warn("text that tracked changes delete is left out");
        }
        Ok(())
    }
}
