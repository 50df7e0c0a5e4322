//! Original bytes, kept by the hash of their content.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The SHA-256 of a file's bytes, printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobHash(pub [u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for BlobHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex(text).map(Self).ok_or_else(|| Error::invalid("not 64 hexadecimal digits"))
    }
}

impl TryFrom<String> for BlobHash {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<BlobHash> for String {
    fn from(hash: BlobHash) -> Self {
        hash.to_string()
    }
}

/// Exactly `2 * N` lower-case hexadecimal digits as bytes.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// A blob's name and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Keeps files' original bytes. Written, synced and only then mentioned by a transaction.
///
/// Every implementation passes `docent_store::conformance::blobs`.
pub trait Blobs: Send + Sync + fmt::Debug {
    /// Keeps all that `source` yields; durable once it returns. The same bytes are kept once.
    fn put(&self, source: &mut dyn io::Read) -> Result<BlobInfo>;

    /// The bytes named `hash`; [`NotFound`](crate::ErrorKind::NotFound) if they are not kept.
    fn open(&self, hash: BlobHash) -> Result<Box<dyn io::Read + Send>>;

    /// Forgets the bytes named `hash`; says whether they were kept.
    fn delete(&self, hash: BlobHash) -> Result<bool>;

    /// Every blob kept, in order of its name.
    fn list(&self) -> Result<Vec<BlobInfo>>;
}
