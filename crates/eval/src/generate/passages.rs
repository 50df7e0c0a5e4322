//! Documents cut into passages that a person would call one: a section, or a part of a long one.

use std::collections::HashSet;

use super::SourceDocument;

/// How many words, or characters of Chinese and Japanese, a passage may have before it is cut.
const FULL: usize = 100;

/// What has fewer is no section but a line of a table of contents.
const FEWEST: usize = 20;

/// What is found or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Its document's place.
    pub document: usize,
    /// Its place in its document, from 0.
    pub ordinal: usize,
    /// What it says.
    pub text: String,
    /// The heading it begins with, where that says something.
    pub heading: Option<String>,
}

/// Every passage of every document, in order.
pub(super) fn cut(documents: &[SourceDocument]) -> Vec<Passage> {
    let mut passages = vec![];
    for (at, document) in documents.iter().enumerate() {
        let headings: HashSet<&str> = document.headings.iter().map(|it| it.trim()).collect();
        let mut open = Open::default();
        for line in document.text.split_inclusive('\n') {
            let plain = line.trim().trim_start_matches('#').trim();
            if headings.contains(plain) {
                open.close(at, &mut passages);
                open.heading = telling(plain);
            }
            for sentence in sentences(line) {
                open.text.push_str(sentence);
                open.units += units(sentence);
                if open.units >= FULL {
                    open.close(at, &mut passages);
                }
            }
        }
        open.close(at, &mut passages);
    }
    passages
}

#[derive(Default)]
struct Open {
    text: String,
    units: usize,
    heading: Option<String>,
}

impl Open {
    /// What is too short to be a passage begins the next one, which may have a heading of its own.
    fn close(&mut self, document: usize, passages: &mut Vec<Passage>) {
        if self.units < FEWEST {
            self.heading = None;
            return;
        }
        let Self { text, heading, .. } = std::mem::take(self);
        let last = passages.last().filter(|last| last.document == document);
        let ordinal = last.map_or(0, |last| last.ordinal + 1);
        passages.push(Passage { document, ordinal, text: text.trim().to_owned(), heading });
    }
}

/// The heading without its number, if what is left is enough to ask for.
fn telling(heading: &str) -> Option<String> {
    let numbered = |c: char| c.is_numeric() || ".()、 \t-–".contains(c);
    let text = heading.trim_start_matches(numbered).trim();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let han = text.chars().filter(|c| is_han(*c)).count();
    let enough = han >= 4 || (letters >= 8 && units(text) >= 2);
    (enough && units(text) <= 30).then(|| text.to_owned())
}

/// A line, cut after what ends a sentence.
fn sentences(line: &str) -> Vec<&str> {
    let mut cut = vec![];
    let mut start = 0;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let followed = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
        let ends = matches!(c, '\u{3002}' | '\u{ff01}' | '\u{ff1f}')
            || (matches!(c, '.' | '!' | '?') && followed);
        if ends {
            cut.push(&line[start..at + c.len_utf8()]);
            start = at + c.len_utf8();
        }
    }
    cut.push(&line[start..]);
    cut
}

/// Words, and characters where words are not set apart.
pub(super) fn units(text: &str) -> usize {
    let mut units = 0;
    let mut in_word = false;
    for c in text.chars() {
        let in_this = c.is_alphanumeric() && !is_han(c);
        units += usize::from(is_han(c) || (in_this && !in_word));
        in_word = in_this;
    }
    units
}

/// Chinese characters and Japanese kana, which stand side by side without spaces.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
