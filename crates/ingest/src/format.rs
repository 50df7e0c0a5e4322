//! What a file is, by its content.
//!
//! Names lie: a PDF called `report.txt` is a PDF. Only between formats that are all plain text
//! (prose, Markdown, source code, CSV) does the name break the tie.

mod binary;
mod container;
mod language;

use docent_core::FileError;
use serde::{Deserialize, Serialize};

use crate::document::{invalid, unsupported};
use binary::{binary_name, is_mostly_binary};
use container::container;
pub use language::Language;

/// A format we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Portable Document Format.
    Pdf,
    /// Markdown (CommonMark with tables).
    Markdown,
    /// HTML.
    Html,
    /// Prose without markup.
    Text,
    /// Source code.
    Source(Language),
    /// Rows of cells between commas, semicolons, tabs or bars.
    Csv,
    /// A JSON record a line.
    JsonLines,
    /// A spreadsheet: XLSX, XLSM, XLSB, XLS or ODS.
    Workbook,
    /// A Word document (DOCX).
    Docx,
    /// A presentation (PPTX).
    Pptx,
    /// An EPUB book.
    Epub,
}

/// How many bytes at the beginning of a file tell its format.
const HEAD_BYTES: usize = 64 << 10;

/// The format of `bytes`; `filename` breaks ties between formats that are plain text.
///
/// # Errors
/// [`InvalidFile`](docent_core::FileErrorCode::InvalidFile) for an empty file,
/// [`UnsupportedFile`](docent_core::FileErrorCode::UnsupportedFile) for a format we do not read,
/// naming it.
pub fn sniff(bytes: &[u8], filename: &str) -> Result<Format, FileError> {
    if bytes.is_empty() {
        return Err(invalid("the file is empty"));
    }
    if is_pdf(bytes) {
        return Ok(Format::Pdf);
    }
    if let Some(format) = container(bytes)? {
        return Ok(format);
    }
    if let Some(name) = binary_name(bytes) {
        return Err(unsupported(format!("{name}, which cannot be read yet")));
    }
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if is_mostly_binary(head) {
        return Err(unsupported("binary data of an unknown format"));
    }
    let mut head = String::from_utf8_lossy(head).into_owned();
    if bytes.len() > HEAD_BYTES {
        // The last line is cut off.
        head.truncate(head.rfind('\n').unwrap_or(head.len()));
    }
    Ok(sniff_text(&head, filename))
}

/// Readers accept a PDF header anywhere in the first kilobyte (ISO 32000-1, annex H, 3.4.1).
fn is_pdf(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    head.windows(5).any(|window| window == b"%PDF-")
}

fn sniff_text(head: &str, filename: &str) -> Format {
    let suffix = filename.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_ascii_lowercase();
    if is_html(head) {
        return Format::Html;
    }
    if let Some(language) = Language::of_suffix(&suffix).or_else(|| Language::of_shebang(head)) {
        return Format::Source(language);
    }
    match suffix.as_str() {
        "csv" | "tsv" | "tab" => Format::Csv,
        "jsonl" | "ndjson" => Format::JsonLines,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => Format::Markdown,
        "htm" | "html" | "xhtml" if head.contains("</") => Format::Html,
        _ if looks_like_json_lines(head) => Format::JsonLines,
        _ if looks_like_columns(head) => Format::Csv,
        _ if looks_like_markdown(head) => Format::Markdown,
        _ => Format::Text,
    }
}

/// Whether a document, not a fragment, of HTML begins here: the first element is one that only
/// HTML has at its top.
fn is_html(head: &str) -> bool {
    let mut rest = head.trim_start_matches('\u{feff}').trim_start();
    loop {
        rest = match rest {
            _ if rest.starts_with("<!--") => after(rest, "-->"),
            _ if rest.starts_with("<?xml") => after(rest, "?>"),
            _ => break,
        };
    }
    let start: String = rest.chars().take(15).collect::<String>().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag))
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| text[at + end.len()..].trim_start())
}

/// Whether the first lines are JSON records, two at least.
fn looks_like_json_lines(head: &str) -> bool {
    let mut lines = head.lines().filter(|line| !line.trim().is_empty()).take(3);
    let (first, second) = (lines.next(), lines.next());
    let is_record = |line: Option<&str>| line.is_some_and(crate::json_lines::is_record);
    is_record(first) && is_record(second) && lines.all(|line| is_record(Some(line)))
}

/// Whether the first lines are cut by the same number of tabs, two at least. Other delimiters occur
/// in prose, so those are left to the name.
fn looks_like_columns(head: &str) -> bool {
    let lines = head.lines().take(20);
    let tabs: Vec<usize> = lines.map(|line| line.matches('\t').count()).collect();
    tabs.len() >= 4 && tabs[0] >= 2 && tabs.iter().all(|count| *count == tabs[0])
}

/// Whether at least two kinds of Markdown's marks occur, one of them a heading or a fence: a
/// lone `#` or `-` occurs in any text.
fn looks_like_markdown(head: &str) -> bool {
    let any = |is_mark: &dyn Fn(&str) -> bool| head.lines().take(400).any(is_mark);
    let heading = any(&is_atx_heading);
    let fence = any(&|line| line.starts_with("```"));
    let link = any(&|line| line.contains("]("));
    let list = any(&|line| line.starts_with("- ") || line.starts_with("* "));
    let strong = any(&|line| line.contains("**"));
    let table = any(&|line| line.starts_with("|--") || line.starts_with("| --"));
    let marks = [heading, fence, link, list, strong, table];
    let begins_with_heading = head.trim_start().lines().next().is_some_and(is_atx_heading);
    begins_with_heading || (heading || fence) && marks.into_iter().filter(|&mark| mark).count() >= 2
}

fn is_atx_heading(line: &str) -> bool {
    let text = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - text.len())) && text.starts_with(' ') && !text.trim().is_empty()
}

#[cfg(test)]
mod tests;
