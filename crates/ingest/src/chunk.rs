//! Cutting a clean text into chunks.
//!
//! Prose becomes windows of equal length. Its whole text is tokenized once (o200k_base, linear time on any input); a chunk is a window of
//! tokens, and windows advance by size less overlap. A border that falls into a character moves to
//! the character's end. Nothing prefers sentence or paragraph borders: the overlap keeps a sentence
//! whole in one of two neighbours, and equal windows are what the Assistants API promises.
//!
//! Rows of tables and blocks of source code are not cut while a chunk can hold them; chunks are
//! filled with as many as fit and share none. A chunk that begins within a table begins with the
//! names of its columns, said again.

mod pieces;
mod source;
mod windows;

use std::ops::Range;

use docent_core::{Chunk, ChunkingStrategy, PageStart};

use crate::{Clean, Heading};
use pieces::{Piece, pieces};

/// Cuts `clean` into chunks that together hold every byte of its text.
///
/// Each chunk has at most [`max_chunk_size_tokens`](ChunkingStrategy::max_chunk_size_tokens) tokens.
/// In prose it begins [`chunk_overlap_tokens`](ChunkingStrategy::chunk_overlap_tokens) before the
/// end of the one before it, give or take the bytes of one character.
///
/// [`Chunk::start`] counts the names of columns that are said again, so chunks laid one over the
/// other give a text in which they stand as often.
pub fn chunk(clean: &Clean, strategy: ChunkingStrategy) -> Vec<Chunk> {
    let page_starts = clean.map.page_starts();
    let mut headings = HeadingPath::new(&clean.headings);
    let mut repeated_bytes = 0;
    let mut chunks = Vec::new();
    for (piece, ordinal) in pieces(clean, strategy).into_iter().zip(0..) {
        let mut text = piece.header.clone().map_or(String::new(), |names| {
            let names = &clean.text[names];
            format!("{names}\n")
        });
        let before = text.len();
        text.push_str(&clean.text[piece.range.clone()]);
        chunks.push(Chunk {
            ordinal,
            text,
            tokens: piece.tokens,
            start: (piece.range.start + repeated_bytes) as u64,
            pages: pages(&page_starts, &piece, before),
            headings: headings.at(piece.range.start),
        });
        repeated_bytes += before;
    }
    chunks
}

/// The whole text that `chunks` were cut into.
pub(crate) fn laid_out(chunks: &[Chunk]) -> String {
    let mut text = String::new();
    for chunk in chunks {
        let own = text.len().saturating_sub(chunk.start as usize);
        text.push_str(chunk.text.get(own..).unwrap_or_default());
    }
    text
}

/// The pages of a piece, relative to the beginning of its chunk, which has `before` bytes of
/// repeated names.
fn pages(page_starts: &[(usize, u32)], piece: &Piece, before: usize) -> Vec<PageStart> {
    let Range { start, end } = piece.range;
    let next = page_starts.partition_point(|(at, _)| *at <= start);
    let first = next.checked_sub(1).map_or(1, |at| page_starts[at].1);
    let within = page_starts[next..].iter().take_while(|(at, _)| *at < end);
    std::iter::once(PageStart { at: 0, page: first })
        // A chunk has at most 4096 tokens, and no token is longer than 128 bytes: the offset fits.
        .chain(within.map(|&(at, page)| PageStart { at: (before + at - start) as u32, page }))
        .collect()
}

/// The headings a place stands under, found by walking forward.
struct HeadingPath<'a> {
    rest: std::iter::Peekable<std::slice::Iter<'a, Heading>>,
    open: Vec<&'a Heading>,
}

impl<'a> HeadingPath<'a> {
    fn new(headings: &'a [Heading]) -> Self {
        Self { rest: headings.iter().peekable(), open: Vec::new() }
    }

    /// The path at `offset`, outermost first. Called with growing offsets.
    fn at(&mut self, offset: usize) -> Vec<String> {
        while let Some(heading) = self.rest.next_if(|heading| heading.at <= offset) {
            self.open.retain(|outer| outer.level < heading.level);
            self.open.push(heading);
        }
        self.open.iter().map(|heading| heading.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
