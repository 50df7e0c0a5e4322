//! XML as a stream: elements by their local names, no tree, no recursion.
//!
//! Entities that a file declares itself are not expanded, so that none can grow.

use std::borrow::Cow;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// A text of XML, read from the beginning.
pub(crate) struct Xml<'x> {
    reader: Reader<&'x [u8]>,
}

/// What comes next in it. An empty element opens and closes.
#[derive(Debug)]
pub(crate) enum Node<'x> {
    Open(Tag<'x>),
    Close(End<'x>),
    Text(Cow<'x, str>),
}

/// The beginning of an element.
#[derive(Debug)]
pub(crate) struct Tag<'x>(BytesStart<'x>);

/// The end of an element.
#[derive(Debug)]
pub(crate) struct End<'x>(BytesEnd<'x>);

/// The text is no XML from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where, in bytes.
    pub(crate) at: u64,
}

impl<'x> Xml<'x> {
    pub(crate) fn new(text: &'x str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader }
    }

    /// The next node; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Node<'x>>, Damage> {
        loop {
            let event = self.reader.read_event();
            let event = event.map_err(|_| Damage { at: self.reader.error_position() })?;
            return Ok(Some(match event {
                Event::Start(start) | Event::Empty(start) => Node::Open(Tag(start)),
                Event::End(end) => Node::Close(End(end)),
                Event::Text(text) => Node::Text(text.into_inner()),
                Event::CData(text) => Node::Text(text.into_inner()),
                Event::GeneralRef(reference) => Node::Text(resolve(&reference)),
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            }));
        }
    }

    /// The text within the first element `name`, if it has any.
    pub(crate) fn text_of(mut self, name: &str) -> Option<String> {
        let mut text: Option<String> = None;
        loop {
            match self.next().ok()?? {
                Node::Open(tag) if tag.name() == name => text = Some(String::new()),
                Node::Close(end) if end.name() == name => {
                    return text.filter(|text| !text.trim().is_empty());
                }
                Node::Text(more) => text.iter_mut().for_each(|text| text.push_str(&more)),
                _ => {}
            }
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Cow<'static, str> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return c.to_string().into();
    }
    match resolve_xml_entity(reference) {
        Some(text) => text.into(),
        None => {
            let name: &str = reference;
            format!("&{name};").into()
        }
    }
}

impl Tag<'_> {
    /// Its name without a prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of an attribute, by its name without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.find(|key, _| key == name)
    }

    /// The same, only if the attribute has a prefix: `r:id` beside `id`.
    pub(crate) fn prefixed(&self, name: &str) -> Option<String> {
        self.find(|key, has_prefix| key == name && has_prefix)
    }

    /// Whether a switch such as `<w:b/>` or `<w:b w:val="0"/>` is on.
    pub(crate) fn is_on(&self) -> bool {
        let value = self.attribute("val");
        value.is_none_or(|value| !matches!(value.as_str(), "0" | "false" | "off" | "none"))
    }

    fn find(&self, is_wanted: impl Fn(&str, bool) -> bool) -> Option<String> {
        let attributes = self.0.attributes().with_checks(false).flatten().find(|attribute| {
            let key = attribute.key;
            is_wanted(key.local_name().into_inner(), key.prefix().is_some())
        });
        let attribute = attributes?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        Some(value.map_or_else(|_| attribute.value.to_string(), Cow::into_owned))
    }
}

impl End<'_> {
    /// Its name without a prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(xml: &str) -> (String, Option<Damage>) {
        let (mut xml, mut all) = (Xml::new(xml), String::new());
        loop {
            match xml.next() {
                Ok(Some(Node::Text(text))) => all.push_str(&text),
                Ok(Some(Node::Open(tag))) => {
                    all.push_str(&tag.attribute("b").unwrap_or_default());
                }
                Ok(Some(Node::Close(_))) => {}
                Ok(None) => return (all, None),
                Err(damage) => return (all, Some(damage)),
            }
        }
    }

    #[test]
    fn references_stand_for_their_text_and_declared_entities_do_not_grow() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><x b='1&lt;2'>&b;&amp;&#x6d77; & co<![CDATA[<y>]]></x>";
        assert_eq!(texts(bomb), ("1<2&b;&海 & co<y>".to_owned(), None));
    }

    #[test]
    fn damage_comes_after_what_stands_before_it() {
        let (text, damage) = texts("<a>kept<b></a>");
        assert_eq!(text, "kept");
        assert!(damage.is_some());
    }

    #[test]
    fn a_million_open_elements_end() {
        texts(&"<w:p>".repeat(200_000));
    }
}
