//! What stands in a ZIP archive or an OLE file, told without opening it: this runs outside the
//! guard, so nothing is parsed, only looked for.

use docent_core::FileError;

use super::Format;
use crate::document::{invalid, unsupported};

/// The format of an archive or OLE file we read; none for other files.
pub(super) fn container(bytes: &[u8]) -> Result<Option<Format>, FileError> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip(bytes).map(Some);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return ole(bytes).map(Some);
    }
    Ok(None)
}

/// The names of members stand at the beginning of an archive and again at its end.
fn zip(bytes: &[u8]) -> Result<Format, FileError> {
    let head = &bytes[..bytes.len().min(8 << 10)];
    let tail = &bytes[bytes.len().saturating_sub(64 << 10)..];
    let holds = |part: &[u8], name: &[u8]| part.windows(name.len()).any(|window| window == name);
    let has = |name: &[u8]| holds(head, name) || holds(tail, name);
    // A file that is cut off has only its beginning, where any of these may stand.
    let is_office = has(b"[Content_Types].xml") || has(b"_rels/.rels") || has(b"docProps/");
    let is_open_document =
        |kind: &[u8]| holds(head, b"mimetypeapplication/vnd.oasis") && holds(head, kind);
    match () {
        () if holds(head, b"application/epub+zip") => Ok(Format::Epub),
        () if is_open_document(b"opendocument.spreadsheet") => Ok(Format::Workbook),
        () if is_open_document(b"opendocument.text") => Err(unread("an OpenDocument text (ODT)")),
        () if is_open_document(b"opendocument") => Err(unread("an OpenDocument file")),
        () if is_office && has(b"word/") => Ok(Format::Docx),
        () if is_office && has(b"ppt/") => Ok(Format::Pptx),
        () if is_office && has(b"xl/") => Ok(Format::Workbook),
        () if has(b"META-INF/container.xml") => Ok(Format::Epub),
        () if has(b"META-INF/MANIFEST.MF") => Err(unread("a Java archive")),
        () => Err(unread("a ZIP archive")),
    }
}

/// The streams of an OLE file (MS-CFB, 2.6.1): entries of 128 bytes, each beginning with a name in
/// UTF-16.
fn ole(bytes: &[u8]) -> Result<Format, FileError> {
    let has = |name: &str| {
        let wide: Vec<u8> =
            name.encode_utf16().chain([0]).flat_map(|unit| unit.to_le_bytes()).collect();
        bytes.chunks(128).any(|entry| entry.starts_with(&wide))
    };
    match () {
        () if has("EncryptedPackage") => {
            Err(invalid("the document is encrypted; save it without a password"))
        }
        () if has("Workbook") || has("Book") => Ok(Format::Workbook),
        () if has("WordDocument") => {
            Err(unsupported("an old Word document (DOC), which cannot be read; save it as DOCX"))
        }
        () if has("PowerPoint Document") => {
            Err(unsupported("an old presentation (PPT), which cannot be read; save it as PPTX"))
        }
        () => Err(unread("an old Microsoft Office document (OLE)")),
    }
}

fn unread(name: &str) -> FileError {
    unsupported(format!("{name}, which cannot be read yet"))
}
