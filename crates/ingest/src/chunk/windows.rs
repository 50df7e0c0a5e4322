//! Windows of tokens over a text.

use std::ops::Range;

use bpe_openai::{Tokenizer, o200k_base};
use docent_core::ChunkingStrategy;

/// A stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tokens: u32,
}

/// The windows of `text`; none for an empty text.
pub(super) fn windows(text: &str, strategy: ChunkingStrategy) -> Vec<Window> {
    let tokenizer = o200k_base();
    let tokens = Tokens::of(text, tokenizer);
    let size = strategy.max_chunk_size_tokens() as usize;
    let overlap = strategy.chunk_overlap_tokens() as usize;
    let mut windows = Vec::new();
    let mut first = 0;
    while first < tokens.len() {
        let last = (first + size).min(tokens.len());
        let (window, end) = cut(text, &tokens, first..last, size, tokenizer);
        windows.push(window);
        if end == tokens.len() {
            break;
        }
        // `end` is at least half a window past `first`, the overlap at most half: this advances.
        first = (end - overlap).max(first + 1);
    }
    windows
}

/// The window of `range` tokens, or a little less, and the token it ends before. Cut off from what
/// surrounds it, a text can have a token more or less than it had as a part. That happens only where
/// a border divides a word or follows a space, so only such windows are counted again.
fn cut(
    text: &str,
    tokens: &Tokens,
    range: Range<usize>,
    size: usize,
    tokenizer: &Tokenizer,
) -> (Window, usize) {
    let Range { start: first, mut end } = range;
    let start_byte = tokens.border(text, first);
    loop {
        let end_byte = tokens.border(text, end);
        let is_whole = tokens.is_word_border(first)
            && tokens.is_word_border(end)
            && !text[..end_byte].ends_with(char::is_whitespace);
        let count =
            if is_whole { end - first } else { tokenizer.count(&text[start_byte..end_byte]) };
        // More than half a window is always kept, so that the next one begins after this one.
        if count <= size || end - first <= size / 2 + 1 {
            let window = Window { start: start_byte, end: end_byte, tokens: count as u32 };
            return (window, tokens.at_or_after(end, end_byte));
        }
        end = (end - (count - size)).max(first + size / 2 + 1);
    }
}

/// A text's tokens: where each begins, and whether a word (a piece the tokenizer looks at by
/// itself) begins there.
struct Tokens {
    /// The offset, doubled, plus one if a word begins there. A token costs us four bytes, as much
    /// as its text.
    starts: Vec<u32>,
    text_bytes: usize,
}

impl Tokens {
    fn of(text: &str, tokenizer: &Tokenizer) -> Self {
        let mut starts = Vec::with_capacity(text.len() / 4);
        let mut at = 0;
        for word in tokenizer.split(text) {
            let mut is_word_start = true;
            for token in tokenizer.bpe.encode_via_backtracking(word.as_bytes()) {
                starts.push((at as u32) << 1 | u32::from(is_word_start));
                at += tokenizer.bpe.token_len(token);
                is_word_start = false;
            }
        }
        Self { starts, text_bytes: text.len() }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where token `at` begins, moved to the next character if it begins within one.
    fn border(&self, text: &str, at: usize) -> usize {
        let byte = self.starts.get(at).map_or(self.text_bytes, |start| (start >> 1) as usize);
        text.ceil_char_boundary(byte)
    }

    /// The first token, from `at` on, that begins at `byte` or later: a border that moved to the end
    /// of a character took the tokens within it along.
    fn at_or_after(&self, at: usize, byte: usize) -> usize {
        let within = self.starts[at..].iter().take_while(|start| ((**start >> 1) as usize) < byte);
        at + within.count()
    }

    fn is_word_border(&self, at: usize) -> bool {
        self.starts.get(at).is_none_or(|start| start & 1 == 1)
    }
}
