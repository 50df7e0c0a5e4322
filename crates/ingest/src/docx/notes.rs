//! Footnotes, endnotes and comments, by what refers to them.

use std::collections::HashMap;

use crate::package::{Node, Xml};

/// The notes of a document, by the name of their element and their id.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<(String, String), Note>);

/// A note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) author: String,
    pub(super) text: String,
}

impl Notes {
    /// Adds the notes of a part, as far as it can be read.
    pub(super) fn read(&mut self, text: &str) {
        let mut xml = Xml::new(text);
        let mut current: Option<((String, String), Note)> = None;
        let mut in_text = false;
        while let Ok(Some(node)) = xml.next() {
            match &node {
                Node::Open(tag) if matches!(tag.name(), "footnote" | "endnote" | "comment") => {
                    // A separator is no note of the author's.
                    let is_note = tag.attribute("type").is_none_or(|kind| kind == "normal");
                    let key = (tag.name().to_owned(), tag.attribute("id").unwrap_or_default());
                    let author = tag.attribute("author").unwrap_or_default();
                    current = is_note.then(|| (key, Note { author, text: String::new() }));
                }
                Node::Open(tag) => in_text = tag.name() == "t",
                Node::Text(text) if in_text => {
                    current.iter_mut().for_each(|(_, note)| note.text.push_str(text));
                }
                Node::Close(end) => match end.name() {
                    "t" => in_text = false,
                    "p" => current.iter_mut().for_each(|(_, note)| note.text.push(' ')),
                    "footnote" | "endnote" | "comment" => self.0.extend(current.take()),
                    _ => {}
                },
                Node::Text(_) => {}
            }
        }
    }

    /// The note that a reference such as `footnoteReference` with `id` stands for.
    pub(super) fn referred(&self, reference: &str, id: &str) -> Option<&Note> {
        let kind = reference.strip_suffix("Reference")?;
        self.0.get(&(kind.to_owned(), id.to_owned()))
    }
}

/// Whether a part has text with letters in it: more than a page number.
pub(super) fn has_words(text: &str) -> bool {
    let mut xml = Xml::new(text);
    let mut in_text = false;
    while let Ok(Some(node)) = xml.next() {
        match node {
            Node::Open(tag) => in_text = tag.name() == "t",
            Node::Close(_) => in_text = false,
            Node::Text(text) if in_text && text.chars().any(char::is_alphabetic) => return true,
            Node::Text(_) => {}
        }
    }
    false
}
