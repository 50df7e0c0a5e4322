//! Joining the lines that only paper separated.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Page;
use crate::table::CELL_LINE_END;

/// Marks where a word may be broken; seen only at the end of a line.
pub(super) const SOFT_HYPHEN: char = '\u{ad}';

/// What goes between two lines of a paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// A space.
    Space,
    /// Nothing: the scripts have no spaces, or the hyphen belongs to the word.
    Nothing,
    /// Nothing, and the hyphen goes.
    DropLast,
}

/// The words a document uses, by which a hyphen at a line's end is judged.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// Hashes, because a document's words would double its memory. A false hit costs a hyphen.
    words: HashSet<u64>,
}

impl Vocabulary {
    pub(super) fn of(pages: &[Page]) -> Self {
        let mut words = HashSet::new();
        let lines = pages.iter().flat_map(|page| &page.lines);
        for part in lines.flat_map(|line| line.text.split(CELL_LINE_END)) {
            // The last word may be half of one.
            let whole = part.trim_end().rsplit_once(' ').map_or("", |(whole, _)| whole);
            for word in whole.split(' ') {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                if word.contains(is_hyphen) || word.len() > 2 {
                    words.insert(hash(word.chars()));
                }
            }
        }
        Self { words }
    }

    /// How to go on from `text` to the line `next`.
    pub(super) fn join(&self, text: &str, next: &str) -> Join {
        let (Some(last), Some(first)) = (text.chars().next_back(), next.chars().next()) else {
            return Join::Nothing;
        };
        if last == SOFT_HYPHEN {
            return Join::DropLast;
        }
        if is_hyphen(last) {
            return self.join_hyphenated(&text[..text.len() - last.len_utf8()], next);
        }
        let is_one_word = is_hangul(last) && is_hangul(first) && self.is_broken_word(text, next);
        if is_one_word || is_unspaced(last) && is_unspaced(first) {
            return Join::Nothing;
        }
        Join::Space
    }

    /// Whether the last word of `text` and the first of `next` are one elsewhere in the document,
    /// and are not both words of their own.
    fn is_broken_word(&self, text: &str, next: &str) -> bool {
        let head = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        let tail = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        self.has(head.chars().chain(tail.chars()))
            && !(self.has(head.chars()) && self.has(tail.chars()))
    }

    /// Drops the hyphen when the two halves make a word: the document uses it elsewhere, or at
    /// least does not use both halves as words of their own.
    fn join_hyphenated(&self, text: &str, next: &str) -> Join {
        let head =
            text.rsplit(|c: char| !c.is_alphanumeric() && !is_hyphen(c)).next().unwrap_or("");
        let tail = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        if head.is_empty() || tail.is_empty() {
            // A dash between words, or an option such as `--all` at a line's end.
            return if head.is_empty() { Join::Space } else { Join::Nothing };
        }
        let is_word = |word: &str| word.chars().all(char::is_alphabetic);
        let starts_small = tail.starts_with(char::is_lowercase);
        if !starts_small || !is_word(tail) || !head.ends_with(char::is_lowercase) {
            return Join::Nothing;
        }
        if self.has(head.chars().chain(tail.chars())) {
            return Join::DropLast;
        }
        if head.contains(is_hyphen) || self.has(head.chars().chain(['-']).chain(tail.chars())) {
            return Join::Nothing;
        }
        let are_words = self.has(head.chars()) && self.has(tail.chars());
        if are_words { Join::Nothing } else { Join::DropLast }
    }

    fn has(&self, word: impl Iterator<Item = char>) -> bool {
        self.words.contains(&hash(word))
    }
}

fn hash(word: impl Iterator<Item = char>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for c in word {
        let c = if is_hyphen(c) { '-' } else { c };
        c.to_lowercase().for_each(|c| c.hash(&mut hasher));
    }
    hasher.finish()
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

/// Whether the script of `c` puts no space between words, so that a line break stands for
/// nothing: Han, kana and their punctuation, Thai, Lao, Khmer, Myanmar.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{312f}' | '\u{3190}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}' | '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Korean has spaces between words, but lines break within words too.
fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}')
}

/// Whether a paragraph goes on from the end of one page to the top of the next.
pub(super) fn goes_on_across_pages(text: &str, next: &str) -> bool {
    let (Some(last), Some(first)) = (text.chars().next_back(), next.chars().next()) else {
        return false;
    };
    let is_open = last.is_alphanumeric()
        || matches!(last, ',' | ';' | SOFT_HYPHEN | '、' | '，')
        || is_hyphen(last);
    is_open && (first.is_lowercase() || is_unspaced(first) && first.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Line, LineKind};

    fn vocabulary(text: &str) -> Vocabulary {
        let lines = vec![Line::new(format!("{text} end"), LineKind::Text)];
        Vocabulary::of(&[Page { number: 1, lines, quality: 1.0 }])
    }

    #[test]
    fn a_hyphen_goes_only_where_a_word_was_broken() {
        let used =
            vocabulary("the document is well-known to a user and defined, self-made, 데비안");
        let cases = [
            ("the docu-", "ment says", Join::DropLast),
            ("a long expla-", "nation", Join::DropLast),
            ("is well-", "known to", Join::Nothing),
            ("a user-", "defined type", Join::Nothing),
            ("Jean-", "Paul", Join::Nothing),
            ("pages 10-", "12", Join::Nothing),
            ("state-of-the-", "art", Join::Nothing),
            ("either -", "or", Join::Space),
            ("soft\u{ad}", "ware", Join::DropLast),
            ("plain", "words", Join::Space),
            ("中文", "文本", Join::Nothing),
            ("中文", "text", Join::Space),
            ("한국", "어", Join::Space),
            ("데비", "안 설명", Join::Nothing),
        ];
        for (text, next, expected) in cases {
            assert_eq!(used.join(text, next), expected, "{text}|{next}");
        }
    }
}
