//! A document in the making, held to the limits while it grows.

use docent_core::{FileError, Warning};

use crate::document::{check_text_bytes, invalid};
use crate::{Document, Flow, Limits, Line, LineKind, Page};

/// Collects the pages of a document and refuses more than [`Limits`] allow.
pub(crate) struct Draft<'a> {
    limits: &'a Limits,
    document: Document,
    text_bytes: u64,
}

impl<'a> Draft<'a> {
    /// A document without pages, whose line ends are the author's.
    pub(crate) fn new(limits: &'a Limits) -> Self {
        let document =
            Document { title: None, pages: Vec::new(), flow: Flow::Lines, warnings: Vec::new() };
        Self { limits, document, text_bytes: 0 }
    }

    /// Names the document, unless it has a name or `title` is blank.
    pub(crate) fn title(&mut self, title: &str) {
        let title = title.trim();
        if self.document.title.is_none() && !title.is_empty() {
            self.document.title = Some(title.to_owned());
        }
    }

    /// Begins the next page.
    pub(crate) fn begin_page(&mut self) -> Result<(), FileError> {
        let number = self.page() + 1;
        if number > self.limits.pages {
            return Err(invalid(format!("the file has more than {} pages", self.limits.pages)));
        }
        self.document.pages.push(Page { number, lines: Vec::new(), quality: 1.0 });
        Ok(())
    }

    /// The number of the page that lines go to; 0 before the first.
    pub(crate) fn page(&self) -> u32 {
        self.document.pages.last().map_or(0, |page| page.number)
    }

    /// Adds a line to the page, which is begun if there is none.
    pub(crate) fn line(&mut self, line: Line) -> Result<(), FileError> {
        if self.document.pages.is_empty() {
            self.begin_page()?;
        }
        self.text_bytes += line.text.len() as u64 + 1;
        check_text_bytes(self.text_bytes, self.limits)?;
        if let Some(page) = self.document.pages.last_mut() {
            page.lines.push(line);
        }
        Ok(())
    }

    /// Adds lines of prose, headings or rows.
    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = Line>) -> Result<(), FileError> {
        lines.into_iter().try_for_each(|line| self.line(line))
    }

    /// Adds a line of prose.
    pub(crate) fn text(&mut self, text: impl Into<String>) -> Result<(), FileError> {
        self.line(Line::new(text, LineKind::Text))
    }

    /// Says what was left out of the whole file or is doubtful in it.
    pub(crate) fn warn(&mut self, message: impl Into<String>) {
        self.document.warnings.push(Warning { page: None, message: message.into() });
    }

    /// Says it of the page that lines go to.
    pub(crate) fn warn_of_page(&mut self, message: impl Into<String>) {
        let page = Some(self.page()).filter(|page| *page > 0);
        self.document.warnings.push(Warning { page, message: message.into() });
    }

    /// Adds what reading another way had to say.
    pub(crate) fn warnings(&mut self, warnings: Vec<Warning>) {
        self.document.warnings.extend(warnings);
    }

    /// Whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text_bytes == 0
    }

    /// The document, with one page at least.
    pub(crate) fn finish(mut self) -> Document {
        if self.document.pages.is_empty() {
            self.document.pages.push(Page { number: 1, lines: Vec::new(), quality: 1.0 });
        }
        self.document
    }
}
