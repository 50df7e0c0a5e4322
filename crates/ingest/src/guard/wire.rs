//! What parent and child say to each other: a length, a JSON header, and for a job the file's bytes.
//!
//! ```text
//! job:   u32 header length, header {format, limits, attempt, bytes}, then the file
//! reply: u32 header length, header {is_worn, bytes}, then the document or error as JSON
//! ```
//!
//! Both sides are the same build, so there is no version; a header that cannot be read ends the
//! child.

use std::io::{self, Read, Write};

use docent_core::FileError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Document, Format, Limits};

/// Which extractor behaviour is asked for: after a crash, another try with one parser only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Attempt {
    Whole,
    PrimaryParser,
    SecondParser,
}

#[cfg(feature = "pdf")]
impl Attempt {
    pub(super) fn parsers(self) -> crate::pdf::Parsers {
        match self {
            Self::Whole => crate::pdf::Parsers::Both,
            Self::PrimaryParser => crate::pdf::Parsers::Primary,
            Self::SecondParser => crate::pdf::Parsers::Second,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobHeader {
    pub(super) format: Format,
    pub(super) limits: Limits,
    pub(super) attempt: Attempt,
    pub(super) bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReplyHeader {
    /// Whether the child should be replaced: it has grown, or a thread of it is stuck.
    pub(super) is_worn: bool,
    pub(super) bytes: u64,
}

pub(super) type Reply = Result<Document, FileError>;

/// No header is longer.
const HEADER_BYTES: u32 = 64 << 10;

pub(super) fn write_message(
    to: &mut impl Write,
    header: &impl Serialize,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&header)?;
    to.write_all(body)?;
    to.flush()
}

/// The next header; none at the end of the stream.
pub(super) fn read_header<H: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<H>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length);
    if length > HEADER_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(serde_json::from_slice(&read_body(from, u64::from(length))?)?))
}

/// Exactly `length` bytes.
pub(super) fn read_body(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
