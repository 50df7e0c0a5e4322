//! What a GGUF file says about itself, read without its weights.
//!
//! The file may be anyone's. Nothing it claims is believed before the bytes are there: counts and
//! lengths are held against what is left of the file, a header may have 256 MB, and of its arrays
//! (a vocabulary has hundreds of thousands of texts) only the length and the first values are kept.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

mod bytes;
mod info;
mod tensors;

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

use docent_core::{Error, Result};

use self::bytes::Bytes;
pub use self::info::{ChatTemplate, GgufInfo, KeptMemory, QuantizationShare};
pub use self::tensors::{Tensor, TensorType};

/// More of either no model has; the largest published have some two thousand tensors.
const MOST_KEYS: u64 = 1 << 16;
const MOST_TENSORS: u64 = 1 << 17;

/// The header of a GGUF file.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufHeader {
    /// What the file says, by key.
    pub metadata: BTreeMap<String, GgufValue>,
    /// Its tensors, in the file's order.
    pub tensors: Vec<Tensor>,
    /// How long the file is.
    pub file_bytes: u64,
}

/// A value of a header.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GgufValue {
    /// A number without a fraction.
    Integer(i128),
    /// A number with one.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A text; none if it was too long to keep.
    Text(Option<String>),
    /// An array.
    Array {
        /// How many values it has.
        length: u64,
        /// The first of them.
        first: Vec<GgufValue>,
    },
}

impl GgufHeader {
    /// Reads the header of the file at `path`, and sees that all tensors it names are in the file.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for a file that is no GGUF or of a version that
    /// is not read, [`Corrupt`](docent_core::ErrorKind::Corrupt) for one that is cut off or claims
    /// what cannot be; each names the file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        Self::parse(file, length).map_err(|error| error.context(path.display()))
    }

    fn parse(file: impl Read + Seek, length: u64) -> Result<Self> {
        let mut bytes = Bytes::new(file, length);
        bytes.begin()?;
        let tensors = bytes.count(MOST_TENSORS, "tensors")?;
        let keys = bytes.count(MOST_KEYS, "keys")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..keys {
            let key = bytes.name()?;
            let value =
                bytes.value().map_err(|error| error.context(format_args!("key {key:?}")))?;
            metadata.insert(key, value);
        }
        let tensors: Vec<Tensor> =
            (0..tensors).map(|_| Tensor::read(&mut bytes)).collect::<Result<_>>()?;
        let header = Self { metadata, tensors, file_bytes: length };
        header.check_length(bytes.position())?;
        Ok(header)
    }

    /// Every tensor lies within the file.
    fn check_length(&self, header_bytes: u64) -> Result<()> {
        let alignment = self.number("general.alignment").filter(|it| *it > 0).unwrap_or(32);
        let begin = header_bytes.div_ceil(alignment).saturating_mul(alignment);
        for tensor in &self.tensors {
            let Some(bytes) = tensor.bytes() else { continue };
            let end = begin.saturating_add(tensor.offset).saturating_add(bytes);
            if end > self.file_bytes {
                return Err(Error::corrupt(format!(
                    "it is cut off: tensor {:?} ends at byte {end} and the file has {}; fetch it \
                     again",
                    tensor.name, self.file_bytes
                )));
            }
        }
        Ok(())
    }

    /// The text at `key`, if it is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            GgufValue::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    /// The number at `key`, if it is one and is not negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key)? {
            GgufValue::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// How many values the array at `key` has, if it is one.
    pub fn length(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key)? {
            GgufValue::Array { length, .. } => Some(*length),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
