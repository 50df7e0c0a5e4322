//! PDF: glyphs in places become lines in reading order.
//!
//! Two parsers feed one layout. hayro's interpreter is fast and never panicked on the
//! files we have; pdf-extract (over lopdf) is asked for the pages on which hayro's result looks
//! damaged, and for whole files hayro cannot open. Both give glyphs with positions only, so spaces,
//! lines, columns and paragraphs are ours and the same for both. `docs/pdf.md` has the measurements
//! behind this choice.

mod glyphs;
mod headings;
mod layout;
mod primary;
mod quality;
mod rules;
mod second;

use docent_core::{FileError, Warning};

use crate::document::{check_text_bytes, invalid};
use crate::{Document, Extractor, Flow, Limits, Page};
use glyphs::Glyphs;
use quality::Quality;
pub use second::stuck_parsers;

/// Which parsers may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Parsers {
    /// hayro, and pdf-extract where its result looks damaged.
    #[default]
    Both,
    /// hayro alone.
    Primary,
    /// pdf-extract alone.
    Second,
}

/// Reads PDF.
#[derive(Clone, Copy, Debug, Default)]
pub struct PdfExtractor {
    /// Which parsers may be used; for measurements, and for another try after a crash.
    pub parsers: Parsers,
}

/// What a parser makes of a file.
struct Parsed {
    title: Option<String>,
    pages: Vec<ParsedPage>,
}

/// What a parser makes of a page.
struct ParsedPage {
    page: Page,
    quality: Quality,
}

impl ParsedPage {
    fn new(number: u32, glyphs: &Glyphs) -> Self {
        let lines = layout::lines(glyphs);
        let quality = Quality::of(&lines, glyphs);
        Self { page: Page { number, lines, quality: quality.score }, quality }
    }
}

impl Extractor for PdfExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let mut parsed = match self.parsers {
            Parsers::Primary => primary::parse(bytes, limits)?,
            Parsers::Second => second::parse(bytes, limits, None)?,
            Parsers::Both => parse_with_both(bytes, limits)?,
        };
        if parsed.pages.is_empty() {
            return Err(invalid("the PDF has no pages"));
        }
        headings::mark(&mut parsed.pages);
        let warnings = warnings(&parsed.pages);
        let pages: Vec<Page> = parsed.pages.into_iter().map(|parsed| parsed.page).collect();
        check_text_bytes(pages.iter().map(|page| page.text_bytes() as u64).sum(), limits)?;
        Ok(Document { title: parsed.title, pages, flow: Flow::Paragraphs, warnings })
    }
}

/// The second parser is asked about pages below this; above it, it was worse as often as better.
const GATE: f32 = 0.75;

fn parse_with_both(bytes: &[u8], limits: &Limits) -> Result<Parsed, FileError> {
    let mut parsed = match primary::parse(bytes, limits) {
        Ok(parsed) => parsed,
        // The primary's reason is the better one when both fail.
        Err(error) => return second::parse(bytes, limits, None).map_err(|_| error),
    };
    let doubtful: Vec<u32> = parsed
        .pages
        .iter()
        .filter(|parsed| parsed.quality.score < GATE)
        .map(|parsed| parsed.page.number)
        .collect();
    if doubtful.is_empty() {
        return Ok(parsed);
    }
    let Ok(second) = second::parse(bytes, limits, Some(doubtful)) else { return Ok(parsed) };
    for candidate in second.pages {
        let Some(page) = parsed.pages.get_mut(candidate.page.number as usize - 1) else { continue };
        if candidate.quality.score > page.quality.score && candidate.page.text_bytes() > 0 {
            *page = candidate;
        }
    }
    Ok(parsed)
}

fn warnings(pages: &[ParsedPage]) -> Vec<Warning> {
    let warning = |parsed: &ParsedPage| {
        let message = parsed.quality.complaint()?;
        Some(Warning { page: Some(parsed.page.number), message })
    };
    pages.iter().filter_map(warning).collect()
}

#[cfg(test)]
#[path = "../tests/guarded/handmade.rs"]
mod handmade;
#[cfg(test)]
mod tests;
