//! One slide: the paragraphs and tables of its shapes.

use crate::package::{Node, Tag, Xml};
use crate::table::{Grids, RowRole};
use crate::{Line, LineKind};

/// What a slide says.
#[derive(Debug, Default)]
pub(super) struct Slide {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
    pub(super) is_hidden: bool,
    /// Whether it has a footer or a date, in words, which every slide repeats.
    pub(super) has_footer: bool,
    pub(super) damaged_at: Option<u64>,
}

/// Which shapes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shapes {
    All,
    /// Those of a notes page that hold the notes: not the picture of the slide, not its number.
    Body,
}

/// The place a shape fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Title,
    Body,
    Footer,
    Other,
}

struct Reader {
    shapes: Shapes,
    slide: Slide,
    place: Place,
    paragraph: String,
    depth: usize,
    tables: Grids,
    /// Whether the table says that its first row names the columns.
    names_columns: bool,
    in_text: bool,
    skipped: u32,
}

/// Paragraphs deeper in a list are shown at this depth.
const MOST_DEPTH: usize = 8;

impl Slide {
    /// The slide, or another part with shapes, of `text`.
    pub(super) fn of(text: &str, shapes: Shapes) -> Self {
        let mut reader = Reader {
            shapes,
            slide: Self::default(),
            place: Place::Body,
            paragraph: String::new(),
            depth: 0,
            tables: Grids::default(),
            names_columns: false,
            in_text: false,
            skipped: 0,
        };
        let mut xml = Xml::new(text);
        loop {
            match xml.next() {
                Ok(Some(node)) => reader.node(&node),
                Ok(None) => break,
                Err(damage) => {
                    reader.slide.damaged_at = Some(damage.at);
                    break;
                }
            }
        }
        reader.finish()
    }
}

impl Reader {
    fn node(&mut self, node: &Node<'_>) {
        match node {
            Node::Open(_) if self.skipped > 0 => self.skipped += 1,
            Node::Close(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Open(tag) => self.open(tag),
            Node::Close(end) => self.close(end.name()),
            Node::Text(text) if self.in_text && self.skipped == 0 => self.paragraph.push_str(text),
            Node::Text(_) => {}
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        let is_set =
            |name| tag.attribute(name).is_some_and(|value| value == "1" || value == "true");
        match tag.name() {
            // The same once more, for readers that do not know the newer kind.
            "Fallback" => self.skipped = 1,
            "sld" => self.slide.is_hidden = tag.attribute("show").is_some_and(|show| show == "0"),
            "sp" | "graphicFrame" => self.place = Place::Other,
            "ph" => self.place = place(&tag.attribute("type").unwrap_or_default()),
            "pPr" => {
                let level = tag.attribute("lvl").and_then(|level| level.parse().ok());
                self.depth = level.unwrap_or(0).min(MOST_DEPTH);
            }
            "t" => self.in_text = true,
            "br" => self.end_line(),
            "tbl" => {
                self.names_columns = false;
                self.tables.begin();
            }
            "tblPr" => self.names_columns = is_set("firstRow"),
            "tr" => {
                self.tables.begin_row();
                // Of the rows that are told so, only the first is the header.
                let role = if self.names_columns { RowRole::Header } else { RowRole::Unknown };
                self.tables.set_role(role);
            }
            "tc" => {
                self.tables.begin_cell();
                if is_set("vMerge") {
                    self.tables.repeat_above();
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => {
                self.end_line();
                self.depth = 0;
            }
            "tbl" => {
                let lines = self.tables.end();
                lines.into_iter().for_each(|line| self.put(line));
            }
            _ => {}
        }
    }

    fn end_line(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match (self.place, self.shapes) {
            (Place::Footer, _) => self.slide.has_footer |= text.contains(char::is_alphabetic),
            (Place::Title, Shapes::All) => {
                let between = if self.slide.title.is_empty() { "" } else { " " };
                self.slide.title.extend([between, text]);
            }
            (Place::Title | Place::Other, Shapes::Body) => {}
            _ => {
                let indent = "  ".repeat(self.depth);
                self.put(Line::new(format!("{indent}{text}"), LineKind::Text));
            }
        }
    }

    fn put(&mut self, line: Line) {
        match self.tables.cell() {
            Some(cell) => cell.push(line),
            None => self.slide.lines.push(line),
        }
    }

    /// Ends what a damaged slide leaves open.
    fn finish(mut self) -> Slide {
        self.end_line();
        while !self.tables.is_empty() {
            let lines = self.tables.end();
            lines.into_iter().for_each(|line| self.put(line));
        }
        self.slide
    }
}

fn place(kind: &str) -> Place {
    match kind {
        "title" | "ctrTitle" => Place::Title,
        "dt" | "ftr" | "sldNum" | "hdr" => Place::Footer,
        "sldImg" => Place::Other,
        _ => Place::Body,
    }
}

/// The comments of a comments part, of the older or the newer kind.
pub(super) fn comments(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut xml = Xml::new(text);
    let mut current: Option<String> = None;
    while let Ok(Some(node)) = xml.next() {
        match node {
            Node::Open(tag) if matches!(tag.name(), "text" | "t") => current = Some(String::new()),
            Node::Text(text) => current.iter_mut().for_each(|current| current.push_str(&text)),
            Node::Close(_) => {
                let text = current.take().filter(|text| !text.trim().is_empty());
                lines.extend(text.map(|text| Line::new(text, LineKind::Text)));
            }
            Node::Open(_) => {}
        }
    }
    lines
}
