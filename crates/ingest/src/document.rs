//! What every format becomes: pages of lines.

use docent_core::{FileError, FileErrorCode, Warning};
use serde::{Deserialize, Serialize};

use crate::{Format, Limits};

/// Text as it stands in a file, before cleaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its title, if it names one.
    pub title: Option<String>,
    /// Its pages, in order; one for formats without pages.
    pub pages: Vec<Page>,
    /// What its line ends mean.
    pub flow: Flow,
    /// What was left out or is doubtful.
    pub warnings: Vec<Warning>,
}

/// What a line end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flow {
    /// The author set it; it is kept.
    Lines,
    /// A printer set it where the paper ended; lines are joined to paragraphs.
    Paragraphs,
    /// The author set it, and what is indented belongs to what stands above it: source code.
    Source,
}

/// A page, its lines in reading order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Its number, counted from 1.
    pub number: u32,
    /// Its lines.
    pub lines: Vec<Line>,
    /// How far its text can be trusted: 0 is garbage, 1 shows no sign of damage.
    pub quality: f32,
}

impl Page {
    /// The lines' lengths together, without line ends.
    pub fn text_bytes(&self) -> usize {
        self.lines.iter().map(|line| line.text.len()).sum()
    }
}

/// A line as it is printed or written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its text, without a line end.
    pub text: String,
    /// What it is.
    pub kind: LineKind,
    /// Whether it begins a paragraph. [`Flow::Paragraphs`] joins the lines that do not; a
    /// [row](LineKind::Row) that does begins a table of its own.
    pub starts_paragraph: bool,
    /// Where it is on its page, where the format knows.
    pub bounds: Option<Bounds>,
}

impl Line {
    /// A line of a format that has no places.
    pub fn new(text: impl Into<String>, kind: LineKind) -> Self {
        Self { text: text.into(), kind, starts_paragraph: true, bounds: None }
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineKind {
    /// Prose.
    Text,
    /// A heading; 1 is the outermost level.
    Heading(u8),
    /// Code, which no folding may touch.
    Code,
    /// The row that names the columns of a table. The table begins here.
    Header,
    /// A row of a table.
    Row,
}

/// Where a line is on its page, in points from the top left corner, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Its left edge.
    pub left: f32,
    /// Its right edge.
    pub right: f32,
    /// Its baseline.
    pub baseline: f32,
    /// The size of its type.
    pub size: f32,
}

/// Reads one format.
///
/// An implementation may assume nothing about `bytes`. It may panic, hang or blow up on bad input
/// only because it is called through a [`Guard`](crate::Guard).
pub trait Extractor: Send + Sync + std::fmt::Debug {
    /// The text of `bytes` with its pages.
    ///
    /// # Errors
    /// [`InvalidFile`](FileErrorCode::InvalidFile) with a reason for people.
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError>;
}

/// The extractor for `format`.
///
/// # Errors
/// [`UnsupportedFile`](FileErrorCode::UnsupportedFile) for a format this build leaves out.
pub fn extractor(format: Format) -> Result<Box<dyn Extractor>, FileError> {
    match format {
        #[cfg(feature = "pdf")]
        Format::Pdf => Ok(Box::new(crate::pdf::PdfExtractor::default())),
        #[cfg(not(feature = "pdf"))]
        Format::Pdf => Err(unsupported("a PDF file, and this build has no feature \"pdf\"")),
        Format::Html => Ok(Box::new(crate::html::HtmlExtractor)),
        Format::Markdown => Ok(Box::new(crate::markdown::MarkdownExtractor)),
        Format::Text => Ok(Box::new(crate::text::TextExtractor)),
        Format::Source(language) => Ok(Box::new(crate::code::SourceExtractor { language })),
        Format::Csv => Ok(Box::new(crate::delimited::DelimitedExtractor)),
        Format::JsonLines => Ok(Box::new(crate::json_lines::JsonLinesExtractor)),
        Format::Workbook => Ok(Box::new(crate::workbook::WorkbookExtractor)),
        Format::Docx => Ok(Box::new(crate::docx::DocxExtractor)),
        Format::Pptx => Ok(Box::new(crate::pptx::PptxExtractor)),
        Format::Epub => Ok(Box::new(crate::epub::EpubExtractor)),
    }
}

/// A format we read, but not this file.
pub(crate) fn invalid(message: impl Into<String>) -> FileError {
    FileError { code: FileErrorCode::InvalidFile, message: message.into() }
}

/// A format we do not read.
pub(crate) fn unsupported(message: impl Into<String>) -> FileError {
    FileError { code: FileErrorCode::UnsupportedFile, message: message.into() }
}

/// A fault of ours.
pub(crate) fn ours(message: impl Into<String>) -> FileError {
    FileError { code: FileErrorCode::ServerError, message: message.into() }
}

/// The chunker keeps offsets in 31 bits, whatever the limits say.
const MOST_TEXT_BYTES: u64 = 1 << 30;

/// Refuses text beyond `limits`.
pub(crate) fn check_text_bytes(bytes: u64, limits: &Limits) -> Result<(), FileError> {
    let most = limits.text_bytes.min(MOST_TEXT_BYTES);
    if bytes <= most {
        return Ok(());
    }
    let limit = crate::limits::readable(most);
    Err(invalid(format!("the text is longer than {limit}; split the file or raise text_bytes")))
}
