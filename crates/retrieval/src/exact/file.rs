//! The vector index on disk: two files that only grow, and a small head that says how far they count.
//!
//! ```text
//! vector-FINGERPRINT/
//!   head       JSON and its CRC: shape, generation, rows, watermark, deleted ranges, CRC of the codes
//!   codes.G    per row: chunk u64, scale f32, CRC of the exact row u32, one i8 a dimension (padded)
//!   rows.G     per row: one f16 a dimension
//! ```
//!
//! Rows are appended and synced, then the head is replaced by a rename: that is the commit. A crash
//! leaves bytes behind the head's count, which the next open cuts off. The codes are read whole and
//! checked at open; the exact rows are read, and checked, one by one when a search needs them.
//! They are read with `pread` and not mapped: a file that shrinks under a map ends the process,
//! and the few hundred reads of a search cost about as much as its page faults would.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use docent_core::{ChunkId, ChunkRange, ChunkSet, Error, Result, Seq, crash_point};
use half::f16;
use serde::{Deserialize, Serialize};

use super::VectorShape;
use super::rows::Rows;

const VERSION: u32 = 1;

/// Before the codes of a row: chunk, scale, checksum.
const PREFIX_BYTES: usize = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    fingerprint: String,
    dims: usize,
    /// Grows when the files are rewritten without their deleted rows.
    generation: u64,
    rows: usize,
    watermark: Seq,
    codes_crc: u32,
    removed: Vec<ChunkRange>,
}

#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    head: Head,
    /// Open once there is something on disk.
    rows: Option<File>,
    /// Exact rows not yet on disk, as their bytes.
    pending: Vec<u8>,
    removed: Vec<ChunkRange>,
}

impl Files {
    pub(super) fn open(path: PathBuf, shape: &VectorShape) -> Result<(Self, Rows)> {
        if shape.dims == 0 || shape.dims > usize::from(u16::MAX) / 2 {
            return Err(Error::invalid(format!(
                "{} has {} dimensions; 1 to {} are possible",
                shape.fingerprint,
                shape.dims,
                u16::MAX / 2
            )));
        }
        match Self::read_all(&path, shape) {
            Ok(Some(read)) => return Ok(read),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a damaged vector index is rebuilt"),
        }
        let mut files = Self::empty(path, shape);
        files.clear()?;
        Ok((files, Rows::new(shape.dims)))
    }

    fn empty(path: PathBuf, shape: &VectorShape) -> Self {
        let head = Head {
            version: VERSION,
            fingerprint: shape.fingerprint.to_string(),
            dims: shape.dims,
            generation: 0,
            rows: 0,
            watermark: Seq(0),
            codes_crc: 0,
            removed: vec![],
        };
        Self { path, head, rows: None, pending: vec![], removed: vec![] }
    }

    fn read_all(path: &Path, shape: &VectorShape) -> Result<Option<(Self, Rows)>> {
        let Some(head) = read_head(&path.join("head"))? else { return Ok(None) };
        let own = (VERSION, shape.fingerprint.as_str(), shape.dims);
        if (head.version, head.fingerprint.as_str(), head.dims) != own {
            return Err(Error::corrupt(format!(
                "{} holds version {} of {}'s vectors",
                path.display(),
                head.version,
                head.fingerprint
            )));
        }
        let mut rows = read_codes(&path.join(format!("codes.{}", head.generation)), &head)?;
        for range in &head.removed {
            rows.remove(*range);
        }
        let name = path.join(format!("rows.{}", head.generation));
        let exact = fs_err::OpenOptions::new().read(true).append(true).open(&name)?.into_file();
        let bytes = (head.rows * head.dims * 2) as u64;
        if exact.metadata()?.len() < bytes {
            return Err(Error::corrupt(format!("{} is too short", name.display())));
        }
        exact.set_len(bytes)?;
        let removed = head.removed.clone();
        let path = path.to_owned();
        Ok(Some((Self { path, head, rows: Some(exact), pending: vec![], removed }, rows)))
    }

    pub(super) fn watermark(&self) -> Seq {
        self.head.watermark
    }

    pub(super) fn pending_rows(&self) -> usize {
        self.pending.len() / (self.head.dims * 2)
    }

    /// Grows when rows get other numbers.
    pub(super) fn generation(&self) -> u64 {
        self.head.generation
    }

    /// Keeps an exact row until the next flush; returns its checksum.
    pub(super) fn append(&mut self, exact: &[f16]) -> u32 {
        let start = self.pending.len();
        self.pending.extend(exact.iter().flat_map(|value| value.to_le_bytes()));
        crc32fast::hash(&self.pending[start..])
    }

    pub(super) fn remove(&mut self, range: ChunkRange) {
        self.removed.push(range);
    }

    /// Reads exact row `number` and compares it with `check`.
    pub(super) fn read(&self, number: usize, check: u32, into: &mut [f16]) -> Result<()> {
        let bytes = self.head.dims * 2;
        let own;
        let row = match (number.checked_sub(self.head.rows), &self.rows) {
            (Some(pending), _) => &self.pending[pending * bytes..(pending + 1) * bytes],
            (None, Some(file)) => {
                let mut row = vec![0; bytes];
                read_at(file, &mut row, (number * bytes) as u64)?;
                own = row;
                &own
            }
            (None, None) => return Err(Error::internal("rows are counted but not open")),
        };
        if crc32fast::hash(row) != check {
            let name = self.path.join(format!("rows.{}", self.head.generation));
            return Err(Error::corrupt(format!("row {number} of {} is damaged", name.display())));
        }
        let (pairs, _) = row.as_chunks::<2>();
        for (value, pair) in into.iter_mut().zip(pairs) {
            *value = f16::from_le_bytes(*pair);
        }
        Ok(())
    }

    /// Makes every row of `rows` survive a crash, and the deletes, and `watermark`.
    pub(super) fn flush(&mut self, rows: &Rows, watermark: Seq) -> Result<()> {
        fs_err::create_dir_all(&self.path)?;
        let mut head = self.head.clone();
        if rows.len() > head.rows {
            let codes = self.append_to("codes", (head.rows * record_bytes(rows)) as u64)?;
            head.codes_crc = write_codes(codes, rows, head.rows, head.codes_crc)?;
            let mut exact = self.append_to("rows", (head.rows * head.dims * 2) as u64)?;
            exact.write_all(&self.pending)?;
            exact.sync_data()?;
            self.rows = Some(exact);
            head.rows = rows.len();
        }
        head.removed = ChunkSet::from_ranges(self.removed.iter().copied())
            .ranges()
            .iter()
            .map(|range| ChunkRange { start: ChunkId(range.start), end: ChunkId(range.end) })
            .collect();
        head.watermark = watermark;
        crash_point("index.before-head");
        write_head(&self.path, &head)?;
        self.removed.clone_from(&head.removed);
        self.head = head;
        self.pending.clear();
        Ok(())
    }

    /// Opens a file of this generation to append at `length`, where anything further is cut off.
    fn append_to(&self, name: &str, length: u64) -> Result<File> {
        let name = self.path.join(format!("{name}.{}", self.head.generation));
        let mut options = fs_err::OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&name)?.into_file();
        file.set_len(length)?;
        Ok(file)
    }

    /// Rewrites the files without deleted rows; returns the matrix that belongs to them.
    pub(super) fn compact(&mut self, rows: &Rows, shape: &VectorShape) -> Result<Rows> {
        let mut next = Self::empty(self.path.clone(), shape);
        next.head.generation = self.head.generation + 1;
        let mut kept = Rows::new(shape.dims);
        let mut exact = vec![f16::ZERO; shape.dims];
        for number in (0..rows.len()).filter(|&number| !rows.is_dead(number)) {
            self.read(number, rows.check(number), &mut exact)?;
            next.append(&exact);
            let (chunk, check) = (rows.chunk(number), rows.check(number));
            kept.push_codes(chunk, rows.scale(number), rows.codes(number), check);
        }
        next.flush(&kept, self.head.watermark)?;
        let old = self.head.generation;
        *self = next;
        for name in ["codes", "rows"] {
            // What cannot be removed now is garbage nobody reads.
            let _ = fs_err::remove_file(self.path.join(format!("{name}.{old}")));
        }
        Ok(kept)
    }

    pub(super) fn clear(&mut self) -> Result<()> {
        self.rows = None;
        if self.path.exists() {
            fs_err::remove_dir_all(&self.path)?;
        }
        self.pending.clear();
        self.removed.clear();
        self.head = Head {
            generation: self.head.generation + 1,
            rows: 0,
            watermark: Seq(0),
            codes_crc: 0,
            removed: vec![],
            ..self.head.clone()
        };
        Ok(())
    }
}

fn record_bytes(rows: &Rows) -> usize {
    PREFIX_BYTES + rows.stride
}

/// Appends the codes of rows `from..`; returns the checksum of the file so far.
fn write_codes(mut file: File, rows: &Rows, from: usize, crc: u32) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    let mut buffer = Vec::with_capacity(1 << 20);
    for number in from..rows.len() {
        buffer.extend(rows.chunk(number).0.to_le_bytes());
        buffer.extend(rows.scale(number).to_le_bytes());
        buffer.extend(rows.check(number).to_le_bytes());
        buffer.extend(rows.codes(number).iter().map(|code| code.cast_unsigned()));
        if buffer.len() >= 1 << 20 || number + 1 == rows.len() {
            hasher.update(&buffer);
            file.write_all(&buffer)?;
            buffer.clear();
        }
    }
    file.sync_data()?;
    Ok(hasher.finalize())
}

fn read_codes(path: &Path, head: &Head) -> Result<Rows> {
    let mut rows = Rows::new(head.dims);
    let mut file = BufReader::with_capacity(1 << 20, fs_err::File::open(path)?);
    let mut hasher = crc32fast::Hasher::new();
    let mut record = vec![0; record_bytes(&rows)];
    let mut codes = vec![0; rows.stride];
    for _ in 0..head.rows {
        file.read_exact(&mut record)?;
        hasher.update(&record);
        let (prefix, bytes) = record.split_at(PREFIX_BYTES);
        let mut chunk = [0; 8];
        chunk.copy_from_slice(&prefix[..8]);
        let (words, _) = prefix[8..].as_chunks::<4>();
        for (code, byte) in codes.iter_mut().zip(bytes) {
            *code = byte.cast_signed();
        }
        let (scale, check) = (f32::from_le_bytes(words[0]), u32::from_le_bytes(words[1]));
        rows.push_codes(ChunkId(u64::from_le_bytes(chunk)), scale, &codes, check);
    }
    if hasher.finalize() != head.codes_crc {
        return Err(Error::corrupt(format!("{} is damaged", path.display())));
    }
    Ok(rows)
}

fn read_head(path: &Path) -> Result<Option<Head>> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = || Error::corrupt(format!("{} is damaged", path.display()));
    let (json, crc) = text.trim_end().rsplit_once('\n').ok_or_else(damaged)?;
    if u32::from_str_radix(crc, 16).ok() != Some(crc32fast::hash(json.as_bytes())) {
        return Err(damaged());
    }
    serde_json::from_str(json).map(Some).map_err(|source| damaged().with_source(source))
}

/// Replaces the head. The rename is the commit point: before it a crash leaves the old count of
/// rows, after it the new one.
fn write_head(path: &Path, head: &Head) -> Result<()> {
    let json = serde_json::to_string(head)
        .map_err(|source| Error::internal("the head cannot be written").with_source(source))?;
    let staged = path.join("head.new");
    let mut file = fs_err::File::create(&staged)?;
    writeln!(file, "{json}\n{:08x}", crc32fast::hash(json.as_bytes()))?;
    file.sync_all()?;
    fs_err::rename(&staged, path.join("head"))?;
    sync_directory(path)
}

#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    Ok(fs_err::File::open(path)?.sync_all()?)
}

#[cfg(not(unix))]
pub(crate) fn sync_directory(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], offset: u64) -> Result<()> {
    Ok(std::os::unix::fs::FileExt::read_exact_at(file, into, offset)?)
}

#[cfg(windows)]
fn read_at(file: &File, mut into: &mut [u8], mut offset: u64) -> Result<()> {
    while !into.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, into, offset)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        into = &mut into[read..];
        offset += read as u64;
    }
    Ok(())
}
