//! The bytes of a header, in order, none believed before it is there.

use std::io::{BufReader, Read, Seek};

use docent_core::{Error, ErrorKind, Result};

use super::GgufValue;

/// A vocabulary of a quarter million texts with its merges has 15 MB.
const HEADER_BYTES: u64 = 256 << 20;

/// What is kept of a text: chat templates are the longest that anyone asks for.
const TEXT_BYTES: u64 = 1 << 20;

const NAME_BYTES: u64 = 1 << 16;

/// What is kept of an array.
const ARRAY_VALUES: usize = 256;

/// Nothing published has an array in an array.
const DEPTH: usize = 4;

/// A reader that knows how far it is.
#[derive(Debug)]
pub(super) struct Bytes<R> {
    reader: BufReader<R>,
    position: u64,
    /// Where it must end: with the file, or long before.
    end: u64,
    /// Since version 2 lengths have eight bytes.
    long: bool,
}

impl<R: Read + Seek> Bytes<R> {
    pub(super) fn new(reader: R, length: u64) -> Self {
        let end = length.min(HEADER_BYTES);
        Self { reader: BufReader::with_capacity(1 << 16, reader), position: 0, end, long: true }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads what a GGUF file begins with.
    pub(super) fn begin(&mut self) -> Result<()> {
        let magic = self.array::<4>().unwrap_or_default();
        if magic != *b"GGUF" {
            return Err(Error::invalid("it is no GGUF file: it does not begin with \"GGUF\""));
        }
        match self.u32()? {
            1 => self.long = false,
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => {
                return Err(Error::invalid("it is a GGUF file of a big-endian machine"));
            }
            version => {
                return Err(Error::invalid(format!("it is GGUF of version {version}, not 1 to 3")));
            }
        }
        Ok(())
    }

    /// How many `what` follow: each takes several bytes of what is left.
    pub(super) fn count(&mut self, most: u64, what: &str) -> Result<u64> {
        const LEAST_BYTES: u64 = 8;
        let count = self.length()?;
        if count > most || count.saturating_mul(LEAST_BYTES) > self.left() {
            return Err(Error::corrupt(format!("it claims {count} {what}")));
        }
        Ok(count)
    }

    /// The name of a key or a tensor.
    pub(super) fn name(&mut self) -> Result<String> {
        let length = self.length()?;
        if length > NAME_BYTES {
            return Err(Error::corrupt(format!("it has a name of {length} bytes")));
        }
        self.string(length)
    }

    /// A value with its type before it.
    pub(super) fn value(&mut self) -> Result<GgufValue> {
        let kind = self.u32()?;
        self.value_of(kind, 0)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A size of a tensor: four bytes in version 1, like all lengths there.
    pub(super) fn length(&mut self) -> Result<u64> {
        if self.long { self.u64() } else { Ok(self.u32()?.into()) }
    }

    fn value_of(&mut self, kind: u32, depth: usize) -> Result<GgufValue> {
        Ok(match kind {
            0 => GgufValue::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => GgufValue::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => GgufValue::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => GgufValue::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => GgufValue::Integer(self.u32()?.into()),
            5 => GgufValue::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => GgufValue::Float(f32::from_le_bytes(self.array()?).into()),
            7 => GgufValue::Bool(self.array::<1>()? != [0]),
            8 => GgufValue::Text(self.text()?),
            9 => self.values(depth + 1)?,
            10 => GgufValue::Integer(self.u64()?.into()),
            11 => GgufValue::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => GgufValue::Float(f64::from_le_bytes(self.array()?)),
            kind => return Err(Error::corrupt(format!("there is no value of type {kind}"))),
        })
    }

    fn values(&mut self, depth: usize) -> Result<GgufValue> {
        if depth > DEPTH {
            return Err(Error::corrupt("it has arrays in arrays in arrays"));
        }
        let kind = self.u32()?;
        let length = self.length()?;
        if length > self.left() {
            return Err(Error::corrupt(format!("it claims an array of {length} values")));
        }
        let mut first = Vec::new();
        if let Some(bytes) = fixed_bytes(kind) {
            let kept = length.min(ARRAY_VALUES as u64);
            for _ in 0..kept {
                first.push(self.value_of(kind, depth)?);
            }
            self.skip((length - kept).saturating_mul(bytes))?;
            return Ok(GgufValue::Array { length, first });
        }
        for at in 0..length {
            let value = self.value_of(kind, depth)?;
            if at < ARRAY_VALUES as u64 {
                first.push(value);
            }
        }
        Ok(GgufValue::Array { length, first })
    }

    fn text(&mut self) -> Result<Option<String>> {
        let length = self.length()?;
        if length <= TEXT_BYTES {
            return self.string(length).map(Some);
        }
        self.skip(length)?;
        Ok(None)
    }

    /// Some files have texts that are no UTF-8, and zeros behind them.
    fn string(&mut self, length: u64) -> Result<String> {
        self.check(length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches('\0').to_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.check(bytes.len() as u64)?;
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => cut_off(),
            _ => Error::from(error),
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.check(bytes)?;
        // It fits: what is left is less than 256 MB.
        self.reader.seek_relative(bytes as i64)?;
        self.position += bytes;
        Ok(())
    }

    fn left(&self) -> u64 {
        self.end - self.position
    }

    fn check(&self, bytes: u64) -> Result<()> {
        match bytes <= self.left() {
            true => Ok(()),
            false if self.end == HEADER_BYTES => {
                Err(Error::new(ErrorKind::Corrupt, "its header is longer than 256 MB"))
            }
            false => Err(cut_off()),
        }
    }
}

fn cut_off() -> Error {
    Error::corrupt("it is cut off within its header; fetch it again")
}

/// How many bytes a value of the type has, where that is always the same.
fn fixed_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
