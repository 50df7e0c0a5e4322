//! What lines there are beside the objects'.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docent_core::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Counts;
use crate::documents::Tracked;

/// The format this build writes and reads. What changes it: a line that an older build would
/// misread.
pub(super) const FORMAT: u32 = 1;

/// How much of a file is on one line.
pub(super) const PIECE_BYTES: usize = 48 << 10;

/// The kind of line that tells a document's path.
pub(super) const DOCUMENT: &str = "document";
/// The kind of the first line.
pub(super) const HEADER: &str = "docent_library";

#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "object", rename_all = "snake_case")]
pub(super) enum Line {
    DocentLibrary(Header),
    Bytes(Piece),
    Document(Document),
    End(End),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// Which build wrote it, for people.
    pub(super) docent: String,
    pub(super) created_at: Timestamp,
    pub(super) counts: Counts,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) counts: Counts,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Piece {
    base64: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) tracked: Tracked,
}

impl Piece {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { base64: STANDARD.encode(bytes) }
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = STANDARD.decode(&self.base64);
        bytes.map_err(|error| Error::invalid("it is no base64").with_source(error))
    }
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

#[derive(Deserialize)]
struct Tagged<T> {
    object: T,
}

/// What a line says it is.
pub(super) fn kind(line: &[u8]) -> Result<String> {
    let kind: Kind = serde_json::from_slice(line).map_err(unreadable)?;
    Ok(kind.r#type)
}

/// The object on a line.
pub(super) fn object<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    let tagged: Tagged<T> = serde_json::from_slice(line).map_err(unreadable)?;
    Ok(tagged.object)
}

/// A line of an object that a library keeps.
pub(super) fn record(line: &[u8]) -> Result<docent_core::Record> {
    serde_json::from_slice(line).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::invalid(format!("it cannot be read: {error}"))
}
