//! Word documents (DOCX): paragraphs, headings, lists, tables, notes and comments.
//!
//! Word decides where its pages end when it shows them, so the file knows none: a document is one
//! page. Deleted text of tracked changes, page headers and charts are left out, with a warning.

mod body;
mod notes;
mod styles;

use docent_core::FileError;

use crate::document::invalid;
use crate::draft::Draft;
use crate::package::{Damage, Package, Relation, Xml};
use crate::{Document, Extractor, Limits};
use body::Body;
use notes::Notes;
use styles::Styles;

/// Reads Word documents.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DocxExtractor;

impl Extractor for DocxExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let mut package = Package::open(bytes, limits)?;
        let main = package.main_part("word/document.xml")?;
        let source = package.required(&main, "Word document")?;
        let relations = package.relations(&main)?;
        let styles = part(&mut package, &relations, "styles")?;
        let styles = styles.map_or_else(Styles::default, |text| Styles::of(&text));
        let mut notes = Notes::default();
        for kind in ["footnotes", "endnotes", "comments"] {
            if let Some(text) = part(&mut package, &relations, kind)? {
                notes.read(&text);
            }
        }
        let mut draft = Draft::new(limits);
        if let Some(title) = package.core_title()? {
            draft.title(&title);
        }
        if let Some(damage) = read_body(Body::new(&mut draft, &styles, &notes), &source)? {
            let complaint = format!("{main} in it is damaged at byte {}", damage.at);
            if draft.is_empty() {
                return Err(invalid(complaint));
            }
            draft.warn(format!("{complaint}; what follows is left out"));
        }
        complain(&mut draft, &mut package, &relations)?;
        Ok(draft.finish())
    }
}

/// Reads the body up to its end, or to where it is damaged.
fn read_body(mut body: Body<'_, '_>, source: &str) -> Result<Option<Damage>, FileError> {
    let mut xml = Xml::new(source);
    let damage = loop {
        match xml.next() {
            Ok(Some(node)) => body.node(&node)?,
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    body.finish()?;
    Ok(damage)
}

fn part(
    package: &mut Package<'_>,
    relations: &[Relation],
    kind: &str,
) -> Result<Option<String>, FileError> {
    match relations.iter().find(|relation| relation.kind == kind) {
        Some(relation) => package.text(&relation.target),
        None => Ok(None),
    }
}

/// Says what else the document links to and is left out.
fn complain(
    draft: &mut Draft<'_>,
    package: &mut Package<'_>,
    relations: &[Relation],
) -> Result<(), FileError> {
    let mut has_furniture = false;
    for relation in relations.iter().filter(|it| matches!(it.kind.as_str(), "header" | "footer")) {
        let text = package.text(&relation.target)?.unwrap_or_default();
        has_furniture |= notes::has_words(&text);
    }
    if has_furniture {
        draft.warn("page headers and footers are left out");
    }
    let kinds = [
        ("chart", "charts"),
        ("diagramData", "diagrams"),
        ("oleObject", "embedded objects"),
        ("package", "embedded files"),
        ("aFChunk", "inserted documents"),
    ];
    for (kind, name) in kinds {
        let count = relations.iter().filter(|relation| relation.kind == kind).count();
        if count > 0 {
            draft.warn(format!("{count} {name} are left out"));
        }
    }
    Ok(())
}
