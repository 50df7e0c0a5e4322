//! Cutting a clean text into chunks of equal length in tokens.
//!
//! The whole text is tokenized once (o200k_base, linear time on any input); a chunk is a window of
//! tokens, and windows advance by size less overlap. A border that falls into a character moves to
//! the character's end. Nothing prefers sentence or paragraph borders: the overlap keeps a sentence
//! whole in one of two neighbours, and equal windows are what the Assistants API promises.

mod windows;

use docent_core::{Chunk, ChunkingStrategy, PageStart};

use crate::{Clean, Heading};
use windows::{Window, windows};

/// Cuts `clean` into chunks that together hold every byte of its text.
///
/// Each chunk has at most [`max_chunk_size_tokens`](ChunkingStrategy::max_chunk_size_tokens) tokens
/// and begins [`chunk_overlap_tokens`](ChunkingStrategy::chunk_overlap_tokens) before the end of
/// the one before it, give or take the bytes of one character.
pub fn chunk(clean: &Clean, strategy: ChunkingStrategy) -> Vec<Chunk> {
    let page_starts = clean.map.page_starts();
    let mut headings = HeadingPath::new(&clean.headings);
    windows(&clean.text, strategy)
        .into_iter()
        .zip(0..)
        .map(|(window, ordinal)| Chunk {
            ordinal,
            text: clean.text[window.start..window.end].to_owned(),
            tokens: window.tokens,
            start: window.start as u64,
            pages: pages(&page_starts, &window),
            headings: headings.at(window.start),
        })
        .collect()
}

/// The pages of a window, relative to its beginning.
fn pages(page_starts: &[(usize, u32)], window: &Window) -> Vec<PageStart> {
    let next = page_starts.partition_point(|(at, _)| *at <= window.start);
    let first = next.checked_sub(1).map_or(1, |at| page_starts[at].1);
    let within = page_starts[next..].iter().take_while(|(at, _)| *at < window.end);
    std::iter::once(PageStart { at: 0, page: first })
        // A chunk has at most 4096 tokens, and no token is longer than 128 bytes: the offset fits.
        .chain(within.map(|&(at, page)| PageStart { at: (at - window.start) as u32, page }))
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
