//! What a text is about: its telling words, in a form that two writings of one fact share.
//!
//! Words lose their case and common English endings; CJK text, which has no spaces, gives its
//! bigrams; words that any text has are left out. A rule of thumb that needs no dictionary.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A telling word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// What kind of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Written with letters.
    Letters,
    /// Has a digit: a number, a date, a part number.
    Number,
    /// Two neighbouring ideographs or syllables.
    Bigram,
}

impl Word {
    /// How much it counts: who gets a number wrong gets the fact wrong.
    pub(crate) fn weight(&self) -> f32 {
        match self.kind {
            Kind::Letters | Kind::Bigram => 1.0,
            Kind::Number => 2.0,
        }
    }
}

/// The telling words of `text`, in order, with repetitions.
pub(crate) fn telling(text: &str) -> Vec<Word> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut words = Vec::new();
    let mut before = None;
    for piece in text.split_word_bounds() {
        let Some(first) = piece.chars().next() else { continue };
        if is_cjk(first) {
            piece.chars().for_each(|c| push_bigram(&mut words, &mut before, c));
            continue;
        }
        before = None;
        if first.is_alphanumeric() {
            push_word(&mut words, piece);
        }
    }
    words
}

fn push_bigram(words: &mut Vec<Word>, before: &mut Option<char>, c: char) {
    if let Some(before) = *before {
        words.push(Word { text: [before, c].iter().collect(), kind: Kind::Bigram });
    }
    *before = is_cjk(c).then_some(c);
}

fn push_word(words: &mut Vec<Word>, piece: &str) {
    let kind = match piece.chars().any(|c| c.is_ascii_digit()) {
        true => Kind::Number,
        false => Kind::Letters,
    };
    if let Some(digits) = NUMBERS.iter().position(|number| *number == piece) {
        words.push(Word { text: (digits + 2).to_string(), kind: Kind::Number });
        return;
    }
    if kind == Kind::Letters && (COMMON.contains(&piece) || piece.chars().count() == 1) {
        return;
    }
    let text = if kind == Kind::Letters { stem(piece) } else { piece };
    words.push(Word { text: text.to_owned(), kind });
}

/// Whether words in this script are not set apart by spaces.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(u32::from(c),
        0x3005..=0x3007 | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF
        | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// The word without a common English ending, if enough is left of it.
fn stem(word: &str) -> &str {
    for ending in ["ings", "ing", "edly", "ies", "ied", "es", "ed", "ly", "s", "e"] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() >= 4
        {
            return stem;
        }
    }
    word
}

/// Number words from two on, which a paraphrase writes in digits or the other way round.
const NUMBERS: &[&str] =
    &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Words that say nothing about what a text is about.
const COMMON: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from", "had",
    "has", "have", "how", "if", "in", "into", "is", "it", "its", "may", "more", "most", "no",
    "not", "of", "on", "one", "only", "or", "other", "our", "over", "should", "so", "some", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "to", "under", "up", "was", "we", "were", "what", "when", "where", "which", "while", "who",
    "why", "will", "with", "would", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        telling(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_meet_across_case_endings_and_width() {
        assert_eq!(texts("The Pumps are CLOSED"), texts("pump closes"));
        assert_eq!(texts("80 °C"), ["80"]);
        assert_eq!(texts("水泵在80°C停止"), ["水泵", "泵在", "80", "停止"]);
    }
}
