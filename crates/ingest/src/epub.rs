//! EPUB books: the chapters of the spine as pages.

use std::collections::HashMap;

use docent_core::FileError;

use crate::document::invalid;
use crate::draft::Draft;
use crate::html::{Seen, Syntax};
use crate::package::{Node, Package, Xml, resolved};
use crate::{Document, Extractor, Limits};

/// Reads EPUB books.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EpubExtractor;

impl Extractor for EpubExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let mut package = Package::open(bytes, limits)?;
        let container = package.required("META-INF/container.xml", "EPUB book")?;
        let root = root_file(&container)
            .ok_or_else(|| invalid("META-INF/container.xml in it names no book"))?;
        let source = package.required(&root, "EPUB book")?;
        let book = Book::of(&source, &root);
        if book.chapters.is_empty() {
            return Err(invalid("the book has no chapters"));
        }
        let encrypted = encrypted_members(&mut package)?;
        let mut draft = Draft::new(limits);
        draft.title(&book.title);
        for chapter in &book.chapters {
            draft.begin_page()?;
            if encrypted.contains(chapter) {
                draft.warn_of_page(format!("{chapter} is encrypted (DRM) and left out"));
                continue;
            }
            match package.text(chapter) {
                Ok(Some(text)) => draft.lines(Seen::of(&text, Syntax::Xhtml).lines)?,
                Ok(None) => draft.warn_of_page(format!("{chapter} is missing")),
                Err(error) => draft.warn_of_page(error.message),
            }
        }
        if draft.is_empty() && !encrypted.is_empty() {
            return Err(invalid("the book is encrypted (DRM)"));
        }
        Ok(draft.finish())
    }
}

/// The member that describes the book.
fn root_file(container: &str) -> Option<String> {
    let mut xml = Xml::new(container);
    loop {
        if let Node::Open(tag) = xml.next().ok()??
            && tag.name() == "rootfile"
        {
            return Some(resolved("", &tag.attribute("full-path")?));
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    title: String,
    /// The members that hold the chapters, in reading order.
    chapters: Vec<String>,
}

impl Book {
    fn of(source: &str, root: &str) -> Self {
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut members = HashMap::new();
        let mut chapters = Vec::new();
        let mut xml = Xml::new(source);
        while let Ok(Some(node)) = xml.next() {
            let Node::Open(tag) = node else { continue };
            match tag.name() {
                "item" => {
                    let (id, href) = (tag.attribute("id"), tag.attribute("href"));
                    let member = resolved(folder, &decoded(&href.unwrap_or_default()));
                    members.insert(id.unwrap_or_default(), member);
                }
                "itemref" => {
                    let id = tag.attribute("idref").unwrap_or_default();
                    chapters.extend(members.get(&id).cloned());
                }
                _ => {}
            }
        }
        let title = Xml::new(source).text_of("title").unwrap_or_default();
        Self { title, chapters }
    }
}

/// The members that only their publisher's program can read.
fn encrypted_members(package: &mut Package<'_>) -> Result<Vec<String>, FileError> {
    let mut members = Vec::new();
    let text = package.text("META-INF/encryption.xml")?.unwrap_or_default();
    let mut xml = Xml::new(&text);
    while let Ok(Some(node)) = xml.next() {
        let Node::Open(tag) = node else { continue };
        if tag.name() == "CipherReference" {
            let address = tag.attribute("URI").unwrap_or_default();
            members.push(resolved("", &decoded(&address)));
        }
    }
    Ok(members)
}

/// An address without its fragment, `%20` and its like replaced.
fn decoded(address: &str) -> String {
    let address = address.split('#').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| byte == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded_and_lose_their_fragment() {
        assert_eq!(decoded("a%20b%C3%A4.xhtml#c"), "a bä.xhtml");
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn chapters_stand_in_the_order_of_the_spine() {
        let source = "<package><metadata><dc:title>Sea</dc:title></metadata><manifest>\
            <item id='b' href='b.xhtml'/><item id='a' href='../a.xhtml'/></manifest>\
            <spine><itemref idref='a'/><itemref idref='b'/><itemref idref='gone'/></spine></package>";
        let book = Book::of(source, "OEBPS/x/content.opf");
        assert_eq!(book.title, "Sea");
        assert_eq!(book.chapters, ["OEBPS/a.xhtml", "OEBPS/x/b.xhtml"]);
    }
}
