//! Folding a line: one spelling for what looks and means the same.

mod radicals;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

use super::join::SOFT_HYPHEN;
use crate::text::is_stray_control;
use radicals::unified;

/// How much of a line may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folding {
    /// Printed text: NFKC, one space for many, none at the ends.
    Paragraph,
    /// Written text: NFKC; spaces within a line are the author's.
    Line,
    /// Printed cells, or a part of them that a line ends: as a line, but a hyphen at the end that
    /// only shows there stays, as in a paragraph.
    Cells,
    /// Code: only control characters go.
    Verbatim,
}

/// A folded line.
pub(super) struct Folded {
    pub(super) text: String,
    /// `(clean, raw)`: from `clean` on, both offsets grow together from `raw`.
    pub(super) steps: Vec<(usize, usize)>,
}

/// Folds `line`, which has no line ends.
pub(super) fn fold(line: &str, folding: Folding) -> Folded {
    let mut folder = Folder { folding, text: String::with_capacity(line.len()), steps: Vec::new() };
    if folding == Folding::Verbatim || is_nfkc_quick(line.chars()) == IsNormalized::Yes {
        for (raw, c) in line.char_indices() {
            folder.push(raw, c);
        }
    } else {
        // Normalisation does not reach across the borders of grapheme clusters, so each can be
        // folded alone and its origin kept.
        for (raw, cluster) in line.grapheme_indices(true) {
            cluster.nfkc().for_each(|c| folder.push(raw, c));
        }
    }
    let end = folder.text.trim_end().len();
    folder.text.truncate(end);
    folder.steps.retain(|(clean, _)| *clean < end);
    // Within a line a soft hyphen means nothing; at its end it tells `join` that a word was broken.
    let kept = line.trim_end();
    let is_joined = matches!(folding, Folding::Paragraph | Folding::Cells);
    if is_joined && kept.ends_with(SOFT_HYPHEN) && end > 0 {
        folder.steps.push((end, kept.len() - SOFT_HYPHEN.len_utf8()));
        folder.text.push(SOFT_HYPHEN);
    }
    Folded { text: folder.text, steps: folder.steps }
}

struct Folder {
    folding: Folding,
    text: String,
    steps: Vec<(usize, usize)>,
}

impl Folder {
    fn push(&mut self, raw: usize, c: char) {
        let Some(c) = self.folded(c) else { return };
        let clean = self.text.len();
        let in_step = self.steps.last().is_some_and(|(c, r)| clean - c + r == raw);
        if !in_step {
            self.steps.push((clean, raw));
        }
        self.text.push(c);
    }

    /// What becomes of `c`; none if it is left out.
    fn folded(&self, c: char) -> Option<char> {
        if c.is_ascii_graphic() {
            return Some(c);
        }
        if is_stray_control(c) || matches!(c, '\u{b}' | '\u{c}' | '\u{1b}' | '\u{85}' | '\r' | '\n')
        {
            return None;
        }
        match self.folding {
            Folding::Verbatim => Some(c),
            _ if is_invisible(c) => None,
            Folding::Line | Folding::Cells => {
                Some(if c.is_whitespace() && c != '\t' { ' ' } else { unified(c) })
            }
            Folding::Paragraph if c.is_whitespace() => {
                let is_first = self.text.is_empty() || self.text.ends_with(' ');
                (!is_first).then_some(' ')
            }
            Folding::Paragraph => Some(unified(c)),
        }
    }
}

/// Characters that are not seen and mean nothing for search: zero-width spaces, byte order marks,
/// and the controls of bidirectional text, which could hide what a line says. The joiners stay:
/// they shape words in Persian, Hindi and emoji.
fn is_invisible(c: char) -> bool {
    matches!(c,
        SOFT_HYPHEN | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}
