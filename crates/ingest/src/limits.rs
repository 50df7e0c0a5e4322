//! What one file may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one file may cost before it is given up, with a reason on the file.
///
/// ```
/// use docent_ingest::Limits;
///
/// let strict = Limits { pages: 500, ..Limits::default() };
/// assert!(strict.wall > std::time::Duration::ZERO);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time for one extraction. Protects against parsers that loop: a page tree that contains
    /// itself, a content stream that draws itself. A [`ProcessGuard`](crate::ProcessGuard) allows
    /// the same amount of processor time.
    pub wall: Duration,
    /// Memory of the extracting process, counted as address space. Protects against bombs: a few
    /// kilobytes of compressed objects that unfold to gigabytes. A
    /// [`ThreadGuard`](crate::ThreadGuard) cannot enforce it.
    pub memory_bytes: u64,
    /// Length of the file. Protects our own memory, where the file is held whole, and the pipe to
    /// the extracting process.
    pub file_bytes: u64,
    /// Length of what an archive's members unpack to, of those that are read. Protects against a few
    /// kilobytes that unfold to gigabytes, also where memory is not limited.
    pub unpacked_bytes: u64,
    /// Pages of one document. Protects against generated page trees, each page of which costs a
    /// warning and a layout.
    pub pages: u32,
    /// Length of the extracted text. Protects everything that comes after: cleaning, chunks (which
    /// hold the text twice at the default overlap), indexes, embedding. The default is a little
    /// more than the Assistants API's own five million tokens a file.
    pub text_bytes: u64,
    /// Glyphs of one page. Protects the layout, which sorts them, against a page that shows
    /// millions of glyphs through nested forms.
    pub page_glyphs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(60),
            memory_bytes: 1 << 30,
            file_bytes: 512 << 20,
            unpacked_bytes: 256 << 20,
            pages: 20_000,
            text_bytes: 32 << 20,
            page_glyphs: 1 << 20,
        }
    }
}

/// A length for people: `32 MiB`, `1.5 KiB`, `12 bytes`.
pub(crate) fn readable(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) if bytes.is_multiple_of(size) => format!("{} {unit}", bytes / size),
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / size as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_for_people() {
        assert_eq!([12, 1536, 32 << 20].map(readable), ["12 bytes", "1.5 KiB", "32 MiB"]);
    }
}
