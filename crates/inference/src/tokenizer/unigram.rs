//! SentencePiece's unigram model (Kudo 2018): a word is cut into the pieces whose scores sum up
//! highest.
//!
//! Gives the ids that Hugging Face's `tokenizers` gives for the same vocabulary, in an eighth of
//! the memory: there 250,000 pieces stand in a map, a list and a trie of maps.
//! A text is normalised, spaces become `▁`, each `▁` begins a word, and each word is cut on its own.

use unicode_normalization::char::{compose, decompose_canonical};
use unicode_segmentation::UnicodeSegmentation;

use super::Frame;
use crate::e5s1::Vocabulary;

/// What SentencePiece writes for a space.
const SPACE: char = '▁';
/// How much worse than the worst piece a character is that no piece holds.
const UNKNOWN_PENALTY: f64 = 10.0;
/// `tokenizers` looks up a grapheme as a whole only if it is shorter than this many bytes.
const WHOLE_GRAPHEME: usize = 6;

#[derive(Debug)]
pub(crate) struct Unigram {
    vocabulary: Vocabulary,
    /// Piece numbers at the places their hashes point to, linearly probed; a power of two many.
    slots: Vec<u32>,
    longest: usize,
    unknown_score: f64,
    /// Pieces that a text may name, like `<s>`, with their ids.
    controls: Vec<(String, u32)>,
}

const EMPTY: u32 = u32::MAX;

impl Unigram {
    pub(super) fn new(vocabulary: Vocabulary) -> Self {
        let count = vocabulary.scores.len();
        let least = vocabulary.scores.iter().copied().fold(f32::INFINITY, f32::min);
        let mut unigram = Self {
            vocabulary,
            slots: vec![EMPTY; (count * 2).next_power_of_two()],
            longest: 0,
            unknown_score: f64::from(least) - UNKNOWN_PENALTY,
            controls: Vec::new(),
        };
        for id in 0..count as u32 {
            unigram.insert(id);
        }
        unigram.controls = unigram.find_controls();
        unigram
    }

    fn insert(&mut self, id: u32) {
        let piece = self.piece(id);
        let (mut slot, length) = (self.slot(piece), piece.len());
        self.longest = self.longest.max(length);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = id;
    }

    /// A score is the logarithm of a probability, which only pieces that are no text have at 0.
    fn find_controls(&self) -> Vec<(String, u32)> {
        let Vocabulary { bos, eos, pad, unknown, ref scores, .. } = self.vocabulary;
        let named = [bos, eos, pad, unknown];
        let ids = (0..scores.len() as u32)
            .filter(|id| named.contains(id) || scores[*id as usize] == 0.0)
            .map(|id| (self.piece(id).to_owned(), id));
        ids.filter(|(piece, _)| !piece.is_empty()).collect()
    }

    fn piece(&self, id: u32) -> &str {
        let Vocabulary { text, starts, .. } = &self.vocabulary;
        let id = id as usize;
        &text[starts[id] as usize..starts[id + 1] as usize]
    }

    fn find(&self, piece: &str) -> Option<u32> {
        let mut slot = self.slot(piece);
        while self.slots[slot] != EMPTY {
            if self.piece(self.slots[slot]) == piece {
                return Some(self.slots[slot]);
            }
            slot = (slot + 1) % self.slots.len();
        }
        None
    }

    fn slot(&self, piece: &str) -> usize {
        // FNV-1a: a piece has some five bytes, and no one gains by making ours collide.
        let hash = piece.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        // The upper half is mixed better.
        (hash >> 32) as usize & (self.slots.len() - 1)
    }

    /// What the model wants around a text.
    pub(super) fn specials(&self) -> Frame {
        let Vocabulary { bos, eos, .. } = self.vocabulary;
        Frame { before: vec![bos], after: vec![eos], spaced: false }
    }

    /// The tokens of `text`, without special ones.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((place, control, id)) = self.first_control(rest) {
            self.encode_plain(&rest[..place], &mut ids);
            ids.push(id);
            rest = &rest[place + control.len()..];
        }
        self.encode_plain(rest, &mut ids);
        ids
    }

    /// Where `text` first names a special token, which, and its id.
    fn first_control(&self, text: &str) -> Option<(usize, &str, u32)> {
        text.char_indices().find_map(|(place, _)| {
            let here = self.controls.iter().filter(|(piece, _)| text[place..].starts_with(piece));
            let (piece, id) = here.max_by_key(|(piece, _)| piece.len())?;
            Some((place, piece.as_str(), *id))
        })
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        let normal = self.normalize(text);
        let mut start = 0;
        for (place, _) in normal.match_indices(SPACE).filter(|(place, _)| *place > 0) {
            self.encode_word(&normal[start..place], ids);
            start = place;
        }
        self.encode_word(&normal[start..], ids);
    }

    /// `text` as the pieces are written: characters replaced, spaces single and marked, one in
    /// front.
    fn normalize(&self, text: &str) -> String {
        let mut normal = String::with_capacity(text.len() + text.len() / 4);
        for grapheme in text.graphemes(true) {
            self.normalize_grapheme(grapheme, &mut normal);
        }
        let mut marked = String::with_capacity(normal.len() * 5 / 4);
        let mut after_space = false;
        for character in normal.chars() {
            let space = character == ' ';
            if !(space && after_space) {
                marked.push(if space { SPACE } else { character });
            }
            after_space = space;
        }
        if !marked.is_empty() && !marked.starts_with(SPACE) {
            marked.insert(0, SPACE);
        }
        marked
    }

    fn normalize_grapheme(&self, grapheme: &str, normal: &mut String) {
        let replacements = &self.vocabulary.replacements;
        if grapheme.len() < WHOLE_GRAPHEME {
            let mut characters = grapheme.chars();
            let (first, second) = (characters.next(), characters.next());
            if let Some(instead) = first.and_then(|first| replacements.get(&first)) {
                return normal.push_str(instead);
            }
            // The table of SentencePiece also has letters with their marks, and `tokenizers` lets
            // the shortest match stand for the whole grapheme, further marks and all.
            if let Some(whole) = first.zip(second).and_then(|(first, second)| join(first, second)) {
                return normal.push(whole);
            }
        }
        for character in grapheme.chars() {
            match replacements.get(&character) {
                Some(instead) => normal.push_str(instead),
                None => normal.push(character),
            }
        }
    }

    /// Appends the best cut of `word`: for each place in it, the best way to get there.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        let mut best: Vec<Option<Step>> = vec![None; word.len() + 1];
        let unknown = self.vocabulary.unknown;
        for (start, character) in word.char_indices() {
            let score = best[start].map_or(0.0, |step| step.score);
            let single = start + character.len_utf8();
            let mut known = false;
            for end in ends(word, start, self.longest) {
                let Some(id) = self.find(&word[start..end]) else { continue };
                known |= end == single;
                let score = score + f64::from(self.vocabulary.scores[id as usize]);
                improve(&mut best[end], Step { score, start, id });
            }
            if !known {
                let step = Step { score: score + self.unknown_score, start, id: unknown };
                improve(&mut best[single], step);
            }
        }
        let first = ids.len();
        let mut end = word.len();
        while let Some(step) = best[end] {
            // Neighbours that are both unknown are one unknown token.
            let repeats = ids.len() > first && step.id == unknown && ids.last() == Some(&unknown);
            if !repeats {
                ids.push(step.id);
            }
            end = step.start;
        }
        ids[first..].reverse();
    }
}

/// The best way known to some place in a word.
#[derive(Clone, Copy, Debug)]
struct Step {
    score: f64,
    /// Where its last piece begins.
    start: usize,
    /// Its last piece.
    id: u32,
}

fn improve(place: &mut Option<Step>, step: Step) {
    if place.is_none_or(|before| step.score > before.score) {
        *place = Some(step);
    }
}

/// Where pieces from `start` on may end, nearest first.
fn ends(word: &str, start: usize, longest: usize) -> impl Iterator<Item = usize> {
    let ends = word[start..].char_indices().map(move |(at, c)| start + at + c.len_utf8());
    ends.take_while(move |end| end - start <= longest)
}

/// A letter and its mark in one, if the letter has no mark yet.
fn join(letter: char, mark: char) -> Option<char> {
    let mut parts = 0;
    decompose_canonical(letter, |_| parts += 1);
    if parts == 1 { compose(letter, mark) } else { None }
}

#[cfg(test)]
mod tests;
