//! Presentations (PPTX): slides as pages, each with its title, text, tables, notes and comments.
//!
//! Charts and footers are left out, with a warning. Hidden slides are kept, with a warning.

mod slide;

use docent_core::FileError;

use crate::document::invalid;
use crate::draft::Draft;
use crate::package::{Node, Package, Relation, Xml};
use crate::{Document, Extractor, Limits, Line, LineKind};
use slide::{Shapes, Slide};

/// Reads presentations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PptxExtractor;

impl Extractor for PptxExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let mut package = Package::open(bytes, limits)?;
        let main = package.main_part("ppt/presentation.xml")?;
        let source = package.required(&main, "presentation")?;
        let relations = package.relations(&main)?;
        let mut draft = Draft::new(limits);
        if let Some(title) = package.core_title()? {
            draft.title(&title);
        }
        let slides = slides(&source, &relations);
        if slides.is_empty() {
            return Err(invalid("the presentation has no slides"));
        }
        let mut has_footers = false;
        for part in slides {
            draft.begin_page()?;
            match package.text(&part) {
                Ok(Some(text)) => {
                    has_footers |= read_slide(&mut draft, &mut package, &part, &text)?
                }
                Ok(None) => draft.warn_of_page(format!("the slide's part {part} is missing")),
                Err(error) => draft.warn_of_page(error.message),
            }
        }
        if has_footers {
            draft.warn("footers and dates of slides are left out");
        }
        Ok(draft.finish())
    }
}

/// The parts of the slides, in the order they are shown.
fn slides(presentation: &str, relations: &[Relation]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut xml = Xml::new(presentation);
    while let Ok(Some(node)) = xml.next() {
        let Node::Open(tag) = node else { continue };
        if tag.name() == "sldId" {
            let id = tag.prefixed("id").unwrap_or_default();
            let relation = relations.iter().find(|relation| relation.id == id);
            parts.extend(relation.map(|relation| relation.target.clone()));
        }
    }
    if parts.is_empty() {
        let slides = relations.iter().filter(|relation| relation.kind == "slide");
        parts.extend(slides.map(|relation| relation.target.clone()));
    }
    parts
}

/// Reads a slide and what belongs to it. Whether it has a footer.
fn read_slide(
    draft: &mut Draft<'_>,
    package: &mut Package<'_>,
    part: &str,
    text: &str,
) -> Result<bool, FileError> {
    let slide = Slide::of(text, Shapes::All);
    if !slide.title.is_empty() {
        draft.line(Line::new(slide.title, LineKind::Heading(1)))?;
    }
    draft.lines(slide.lines)?;
    if slide.is_hidden {
        draft.warn_of_page("the slide is hidden; its text is kept");
    }
    if let Some(at) = slide.damaged_at {
        draft.warn_of_page(format!("the slide is damaged at byte {at}; the rest is left out"));
    }
    read_linked(draft, package, part)?;
    Ok(slide.has_footer)
}

/// Reads what a slide links to: notes, comments, diagrams.
fn read_linked(
    draft: &mut Draft<'_>,
    package: &mut Package<'_>,
    part: &str,
) -> Result<(), FileError> {
    let mut charts = 0;
    for Relation { kind, target, .. } in package.relations(part)? {
        let mut text = || Ok::<_, FileError>(package.text(&target)?.unwrap_or_default());
        match kind.as_str() {
            "notesSlide" => say(draft, "Notes", Slide::of(&text()?, Shapes::Body).lines)?,
            "comments" => say(draft, "Comments", slide::comments(&text()?))?,
            "diagramData" => draft.lines(Slide::of(&text()?, Shapes::Body).lines)?,
            "chart" | "chartEx" => charts += 1,
            _ => {}
        }
    }
    if charts > 0 {
        draft.warn_of_page(format!("{charts} charts are left out"));
    }
    Ok(())
}

/// Adds `lines` with a word before them that says what they are.
fn say(draft: &mut Draft<'_>, what: &str, mut lines: Vec<Line>) -> Result<(), FileError> {
    if let Some(first) = lines.first_mut() {
        first.text = format!("{what}: {}", first.text);
    }
    draft.lines(lines)
}
