//! The part of a passage that shows why it was found.
//!
//! It is for the eye only: words are matched by their beginnings, Chinese, Japanese and Korean by
//! pairs of characters. What really found a passage is in `--explain`.

use std::collections::BTreeSet;
use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::console::{BOLD, plain};

/// How much text is shown of a passage, in bytes.
const LENGTH: usize = 320;

/// How much of it stands before the first match.
const BEFORE: usize = 48;

/// Shorter words match only whole.
const MIN_STEM: usize = 4;

/// Width of the indent in front of each line.
const INDENT: usize = 3;

/// What a query looks for.
pub(super) struct Terms {
    words: Vec<String>,
    /// Pairs of characters.
    pairs: Vec<String>,
}

impl Terms {
    pub(super) fn of(query: &str) -> Self {
        let mut terms = Self { words: Vec::new(), pairs: Vec::new() };
        for (_, word) in words(query) {
            let chars: Vec<char> = word.chars().collect();
            if chars.iter().copied().any(is_unspaced) {
                terms.pairs.extend(chars.windows(2).map(|pair| pair.iter().collect::<String>()));
            } else {
                terms.words.push(stem(&word.to_lowercase()).to_owned());
            }
        }
        terms
    }

    /// The lines of the part of `text` that holds most of the terms, made safe to print.
    pub(super) fn excerpt(&self, text: &str, width: Option<usize>) -> Vec<String> {
        let part = &text[self.best_part(text)];
        let ellipsis = |missing: bool| if missing { "…" } else { "" };
        let begins = part.as_ptr() == text.as_ptr();
        let ends = part.as_ptr() as usize + part.len() == text.as_ptr() as usize + text.len();
        let line = format!("{}{}{}", ellipsis(!begins), plain::joined(part), ellipsis(!ends));
        match width {
            Some(width) => wrapped(&line, width.saturating_sub(INDENT).max(20)),
            None => vec![line],
        }
    }

    /// `line` with the terms in bold.
    pub(super) fn highlighted(&self, line: &str) -> String {
        let (mut styled, mut done) = (String::new(), 0);
        for (range, _) in self.matches(line) {
            if range.start >= done {
                styled.push_str(&line[done..range.start]);
                styled.push_str(&format!("{BOLD}{}{BOLD:#}", &line[range.clone()]));
                done = range.end;
            }
        }
        styled.push_str(&line[done..]);
        styled
    }

    /// Where terms are, in order, and which.
    fn matches(&self, text: &str) -> Vec<(Range<usize>, usize)> {
        let by_word = words(text).filter_map(|(start, word)| {
            let lower = word.to_lowercase();
            let fits = |term: &String| {
                if term.len() < MIN_STEM { lower == *term } else { lower.starts_with(term) }
            };
            Some((start..start + word.len(), self.words.iter().position(fits)?))
        });
        let by_pair = self.pairs.iter().enumerate().flat_map(|(index, pair)| {
            let index = self.words.len() + index;
            text.match_indices(pair).map(move |(at, pair)| (at..at + pair.len(), index))
        });
        let mut matches: Vec<_> = by_word.chain(by_pair).collect();
        matches.sort_unstable_by_key(|(range, index)| (range.start, *index));
        matches
    }

    /// The part of [`LENGTH`] with most different terms, the first of equals.
    fn best_part(&self, text: &str) -> Range<usize> {
        let matches = self.matches(text);
        let different = |first: usize| {
            let end = matches[first].0.start + LENGTH - BEFORE;
            let inside = matches[first..].iter().take_while(|(range, _)| range.end <= end);
            inside.map(|(_, index)| index).collect::<BTreeSet<_>>().len()
        };
        let best = (0..matches.len()).rev().max_by_key(|&first| different(first));
        let from = best.map_or(0, |first| matches[first].0.start.saturating_sub(BEFORE));
        let start = if from == 0 { 0 } else { word_start(text, from) };
        let end = text.floor_char_boundary(start + LENGTH);
        start..end
    }
}

/// Runs of letters and digits, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = text.as_ptr() as usize;
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - base, word))
}

/// A crude stem, so that "warranties" finds "warranty": without the last three letters, but not
/// shorter than [`MIN_STEM`].
fn stem(word: &str) -> &str {
    let kept = word.chars().count().saturating_sub(3).max(MIN_STEM);
    word.char_indices().nth(kept).map_or(word, |(end, _)| &word[..end])
}

/// Whether `c` is of a script written without spaces.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The beginning of the first word at or after `from`; near enough if there is none soon.
fn word_start(text: &str, from: usize) -> usize {
    let from = text.ceil_char_boundary(from);
    let space = text[from..].char_indices().take(24).find(|(_, c)| c.is_whitespace());
    space.map_or(from, |(at, c)| from + at + c.len_utf8())
}

/// `text` in lines of at most `width` columns, broken at spaces or between characters of scripts
/// without them.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        if !line.is_empty() && line.width() + piece.trim_end().width() > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line.push_str(piece);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// `text` cut where a line may end.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(|c: char| c == ' ' || c.width() == Some(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_with_most_terms_is_shown() {
        let filler = "nothing to see here, move along. ".repeat(30);
        let text = format!("{filler}The warranty lasts. {filler}The warranty period is two years.");
        let lines = Terms::of("warranty period").excerpt(&text, None);
        assert!(lines[0].starts_with('…') && lines[0].ends_with("two years."), "{lines:?}");
    }

    #[test]
    fn a_short_passage_is_shown_whole() {
        let lines = Terms::of("nothing of it").excerpt("It is\nshort.", None);
        assert_eq!(lines, ["It is short."]);
    }

    #[test]
    fn chinese_is_matched_by_pairs_and_wrapped_between_characters() {
        let terms = Terms::of("保修期");
        let text = "产品的保修期为两年。".repeat(4);
        assert_eq!(terms.matches(&text).len(), 8);
        let lines = terms.excerpt(&text, Some(30));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.width() <= 27), "{lines:?}");
    }

    #[test]
    fn a_cut_never_falls_into_a_character() {
        for at in 0..40 {
            let text = format!("{}{}", "x".repeat(at), "漢字 🙂é ".repeat(200));
            Terms::of("漢字 é").excerpt(&text, Some(40));
            Terms::of("absent").excerpt(&text, Some(40));
        }
    }

    #[test]
    fn terms_stand_out() {
        let shown = Terms::of("warranties").highlighted("the Warranty, war");
        assert_eq!(shown, format!("the {BOLD}Warranty{BOLD:#}, war"));
    }
}
