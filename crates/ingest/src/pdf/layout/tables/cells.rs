//! Words of a segment, and the lines that words make within a cell.

use super::super::{SHIFT, SPACE, Segment, bidi};
use crate::pdf::glyphs::{Glyph, Glyphs};

/// Glyphs that no space divides.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) baseline: f32,
    pub(super) size: f32,
    pub(super) text: String,
    pub(super) glyphs: std::ops::Range<usize>,
    pub(super) is_rtl: bool,
}

impl Word {
    fn begin(at: usize, glyph: &Glyph, segment: &Segment) -> Self {
        Self {
            left: glyph.x,
            right: glyph.end_x(),
            baseline: glyph.y,
            size: glyph.size,
            text: String::new(),
            glyphs: at..at,
            is_rtl: segment.is_rtl,
        }
    }

    fn add(&mut self, at: usize, glyph: &Glyph, text: &str) {
        self.left = self.left.min(glyph.x);
        self.right = self.right.max(glyph.end_x());
        if glyph.size > self.size {
            (self.size, self.baseline) = (glyph.size, glyph.y);
        }
        self.text.push_str(text);
        self.glyphs.end = at + 1;
    }

    /// The middle of its letters' height.
    pub(super) fn middle(&self) -> f32 {
        self.baseline - 0.3 * self.size
    }
}

/// The words of `segment`, in the order they are shown.
pub(super) fn words(segment: &Segment, glyphs: &Glyphs) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut last: Option<Glyph> = None;
    for at in segment.glyphs.clone() {
        let Some(glyph) = glyphs.all().get(at) else { break };
        let text = glyphs.text(glyph);
        if text.starts_with(char::is_whitespace) {
            last = None;
            continue;
        }
        let is_near = last.is_some_and(|last| is_near(&last, glyph, segment.is_rtl));
        match words.last_mut().filter(|_| is_near) {
            Some(word) => word.add(at, glyph, text),
            None => {
                let mut word = Word::begin(at, glyph, segment);
                word.add(at, glyph, text);
                words.push(word);
            }
        }
        last = Some(*glyph);
    }
    words
}

/// Whether no space is between two glyphs, which follow each other in the content.
fn is_near(last: &Glyph, glyph: &Glyph, is_rtl: bool) -> bool {
    let gap = SPACE * last.size.min(glyph.size);
    let follows = glyph.x - last.end_x() <= gap;
    // A leftward script is shown in either order.
    follows && (!is_rtl || last.x - glyph.end_x() <= gap)
}

/// Words on one baseline within a cell.
#[derive(Debug)]
pub(super) struct CellLine {
    pub(super) baseline: f32,
    pub(super) size: f32,
    words: Vec<Word>,
}

/// The lines of a cell.
#[derive(Debug, Default)]
pub(super) struct Cell {
    pub(super) lines: Vec<CellLine>,
}

impl Cell {
    pub(super) fn push(&mut self, word: Word) {
        /// Words come line by line; only a sub- or superscript goes back, and not far.
        const LOOK_BACK: usize = 3;
        let is_own = |line: &&mut CellLine| {
            (line.baseline - word.baseline).abs() < SHIFT * line.size.max(word.size)
        };
        match self.lines.iter_mut().rev().take(LOOK_BACK).find(is_own) {
            Some(line) => {
                if word.size > line.size {
                    (line.size, line.baseline) = (word.size, word.baseline);
                }
                line.words.push(word);
            }
            None => self.lines.push(CellLine {
                baseline: word.baseline,
                size: word.size,
                words: vec![word],
            }),
        }
    }

    pub(super) fn sort(&mut self) {
        self.lines.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
        for line in &mut self.lines {
            line.words.sort_by(|a, b| a.left.total_cmp(&b.left));
        }
    }

    /// The texts of its lines.
    pub(super) fn texts(&self, glyphs: &Glyphs) -> Vec<String> {
        self.lines.iter().map(|line| line.text(glyphs)).collect()
    }
}

impl CellLine {
    pub(super) fn text(&self, glyphs: &Glyphs) -> String {
        if self.words.iter().any(|word| word.is_rtl) {
            let places = self.words.iter().flat_map(|word| word.glyphs.clone());
            return bidi::logical(places, glyphs).trim().to_owned();
        }
        let texts: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        texts.join(" ")
    }
}
