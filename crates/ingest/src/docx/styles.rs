//! Which paragraph styles are headings, and which are items of lists.

use std::collections::HashMap;

use crate::package::{Node, Xml};

/// What a paragraph's style makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    /// 1 is the outermost level.
    Heading(u8),
}

/// The styles of a document by their ids.
#[derive(Debug, Default)]
pub(super) struct Styles {
    styles: HashMap<String, Style>,
}

#[derive(Clone, Debug, Default)]
struct Style {
    role: Option<Role>,
    /// How deep in a list.
    list: Option<usize>,
    based_on: Option<String>,
}

/// Styles are based on each other a few times; more is a loop.
const MOST_BASES: usize = 16;

impl Styles {
    /// The styles of `word/styles.xml`, as far as it can be read.
    pub(super) fn of(text: &str) -> Self {
        let mut styles = HashMap::new();
        let mut xml = Xml::new(text);
        let mut id = String::new();
        while let Ok(Some(node)) = xml.next() {
            let Node::Open(tag) = node else { continue };
            let value = || tag.attribute("val").unwrap_or_default();
            if tag.name() == "style" {
                id = tag.attribute("styleId").unwrap_or_default();
                continue;
            }
            let style: &mut Style = styles.entry(id.clone()).or_default();
            match tag.name() {
                // Word keeps the names of its own styles in English, whatever its language.
                "name" => style.role = style.role.or_else(|| named_role(&value())),
                "basedOn" => style.based_on = Some(value()),
                "outlineLvl" => style.role = outline(&value()).or(style.role),
                "ilvl" => style.list = value().parse().ok(),
                "numId" => style.list = style.list.or(Some(0)),
                _ => {}
            }
        }
        Self { styles }
    }

    /// What style `id` makes of a paragraph. A document without styles names them by their ids.
    pub(super) fn role(&self, id: &str) -> Option<Role> {
        if self.styles.is_empty() {
            return named_role(id);
        }
        self.inherited(id, |style| style.role)
    }

    /// How deep in a list style `id` puts a paragraph, if it does.
    pub(super) fn list(&self, id: &str) -> Option<usize> {
        self.inherited(id, |style| style.list)
    }

    fn inherited<T>(&self, id: &str, property: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut style = self.styles.get(id)?;
        for _ in 0..MOST_BASES {
            if let Some(value) = property(style) {
                return Some(value);
            }
            style = self.styles.get(style.based_on.as_ref()?)?;
        }
        None
    }
}

/// The role of an outline level, which counts from 0; 9 is body text.
pub(super) fn outline(level: &str) -> Option<Role> {
    let level: u8 = level.parse().ok()?;
    (level < 9).then_some(Role::Heading(level + 1))
}

fn named_role(name: &str) -> Option<Role> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(Role::Title);
    }
    let level: u8 = name.strip_prefix("heading")?.trim().parse().ok()?;
    (1..=9).contains(&level).then_some(Role::Heading(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_a_heading_by_name_by_outline_or_by_its_base() {
        let styles = Styles::of(
            "<w:styles><w:style w:styleId='1'><w:name w:val='heading 2'/></w:style>\
             <w:style w:styleId='mine'><w:name w:val='Mine'/><w:basedOn w:val='1'/></w:style>\
             <w:style w:styleId='out'><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:style>\
             <w:style w:styleId='a'><w:basedOn w:val='a'/></w:style></w:styles>",
        );
        let roles = ["1", "mine", "out", "a", "gone"].map(|id| styles.role(id));
        let heading = |level| Some(Role::Heading(level));
        assert_eq!(roles, [heading(2), heading(2), heading(1), None, None]);
        assert_eq!(Styles::default().role("Heading3"), heading(3));
    }
}
