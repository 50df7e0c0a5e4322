//! Documents that are ZIP archives of XML parts: Office Open XML and EPUB.

mod xml;

use std::io::{Cursor, Read};

use docent_core::FileError;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::Limits;
use crate::document::{invalid, unsupported};
use crate::limits::readable;
use crate::text::decode;
pub(crate) use xml::{Damage, Node, Tag, Xml};

/// An archive whose members are read one by one, as far as [`Limits::unpacked_bytes`] allows.
pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limits: &'a Limits,
    left: u64,
}

/// A link from one part to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The last word of its type, such as `officeDocument`.
    pub(crate) kind: String,
    /// The part's name in the archive.
    pub(crate) target: String,
}

impl<'a> Package<'a> {
    pub(crate) fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, FileError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            invalid(format!("the archive is damaged or cut off: {}", reason(&error)))
        })?;
        Ok(Self { archive, limits, left: limits.unpacked_bytes })
    }

    /// The names of all members.
    pub(crate) fn names(&self) -> Vec<String> {
        self.archive.file_names().flatten().map(|name| name.into_owned()).collect()
    }

    /// The bytes of a member; none if it is not there.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let member = match self.archive.by_name(name) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(invalid(format!("{name} in it is encrypted and needs a password")));
            }
            Err(error) => return Err(invalid(format!("{name} in it: {}", reason(&error)))),
        };
        let mut bytes = Vec::new();
        let read = member.take(self.left + 1).read_to_end(&mut bytes);
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| too_long(self.limits))?;
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => Err(invalid(format!("{name} in it is damaged: {error}"))),
        }
    }

    /// Refuses an archive whose members, those `which` names, unpack to more than is allowed.
    pub(crate) fn check_unpacked(&mut self, which: impl Fn(&str) -> bool) -> Result<(), FileError> {
        let mut left = self.limits.unpacked_bytes;
        for name in self.names().iter().filter(|name| which(name)) {
            let Ok(member) = self.archive.by_name(name) else { continue };
            // What is damaged is found out where it is needed.
            let bytes =
                std::io::copy(&mut member.take(left + 1), &mut std::io::sink()).unwrap_or(0);
            left = left.checked_sub(bytes).ok_or_else(|| too_long(self.limits))?;
        }
        Ok(())
    }

    /// The text of a member, which is UTF-8 or says what it is; none if it is not there.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, FileError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        // Marks take more room than text, so the limit on text is not for them.
        let limits = Limits { text_bytes: u64::MAX, ..self.limits.clone() };
        match decode(&bytes, &limits) {
            Ok((text, _)) => Ok(Some(text)),
            Err(_) if bytes.len() as u64 > (1 << 30) => Err(invalid(format!("{name} is too long"))),
            Err(_) => Err(invalid(format!("{name} in it is no text"))),
        }
    }

    /// The text of a member that must be there for the file to be `what`.
    pub(crate) fn required(&mut self, name: &str, what: &str) -> Result<String, FileError> {
        self.text(name)?.ok_or_else(|| unsupported(format!("no {what}: it has no part {name}")))
    }

    /// The links of a part; those of the package if `part` is empty.
    pub(crate) fn relations(&mut self, part: &str) -> Result<Vec<Relation>, FileError> {
        let (folder, file) =
            part.rsplit_once('/').map_or(("", part), |(folder, file)| (folder, file));
        let name = match folder {
            "" => format!("_rels/{file}.rels"),
            folder => format!("{folder}/_rels/{file}.rels"),
        };
        let Some(text) = self.text(&name)? else { return Ok(Vec::new()) };
        let mut relations = Vec::new();
        let mut xml = Xml::new(&text);
        // Links that stand after damage are lost, and what they lead to is missed where it is needed.
        while let Ok(Some(node)) = xml.next() {
            let Node::Open(tag) = node else { continue };
            let is_inside = tag.attribute("TargetMode").is_none_or(|mode| mode != "External");
            if tag.name() == "Relationship" && is_inside {
                let kind = tag.attribute("Type").unwrap_or_default();
                relations.push(Relation {
                    id: tag.attribute("Id").unwrap_or_default(),
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    target: resolved(folder, &tag.attribute("Target").unwrap_or_default()),
                });
            }
        }
        Ok(relations)
    }

    /// The main part of an Office document, or where it usually is.
    pub(crate) fn main_part(&mut self, usual: &str) -> Result<String, FileError> {
        let relations = self.relations("")?;
        let main = relations.into_iter().find(|relation| relation.kind == "officeDocument");
        Ok(main.map_or(usual.to_owned(), |relation| relation.target))
    }

    /// The title among an Office document's properties.
    pub(crate) fn core_title(&mut self) -> Result<Option<String>, FileError> {
        let Some(text) = self.text("docProps/core.xml")? else { return Ok(None) };
        Ok(Xml::new(&text).text_of("title"))
    }
}

/// The member that `target` leads to from a part in `folder`.
pub(crate) fn resolved(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|step| !step.is_empty()).collect(),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}

fn too_long(limits: &Limits) -> FileError {
    let limit = readable(limits.unpacked_bytes);
    invalid(format!("the file unpacks to more than {limit}; raise unpacked_bytes"))
}

fn reason(error: &ZipError) -> String {
    match error {
        ZipError::InvalidArchive(reason) => reason.to_string(),
        ZipError::CompressionMethodNotSupported(_) => "an unknown compression".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_folder_of_their_part() {
        let cases = [
            ("ppt/slides", "../media/a.xml", "ppt/media/a.xml"),
            ("word", "styles.xml", "word/styles.xml"),
            ("word", "/docProps/core.xml", "docProps/core.xml"),
            ("", "./word/document.xml", "word/document.xml"),
            ("a", "../../../b", "b"),
        ];
        for (folder, target, expected) in cases {
            assert_eq!(resolved(folder, target), expected);
        }
    }
}
