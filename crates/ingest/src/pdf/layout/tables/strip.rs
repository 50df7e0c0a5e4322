//! The white stripes that words on a line, or between two rules, leave free.

use super::super::Segment;
use super::cells::{Word, words};
use crate::pdf::glyphs::{Direction, Glyphs};

/// The least width of a stripe, in ems: wider than a stretched space between words mostly is, and
/// no wider than what stands between the columns of a narrow table.
const STRIPE: f32 = 0.9;

/// Each of them is compared with every word below it.
const MOST_STRIPES: usize = 30;

/// Words from left to right.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) words: Vec<Word>,
    pub(super) baseline: f32,
    pub(super) size: f32,
}

impl Strip {
    /// The words of `segments`; none if there are none, or some are turned or read from the right.
    pub(super) fn of<'a>(
        segments: impl Iterator<Item = &'a Segment> + Clone,
        glyphs: &Glyphs,
    ) -> Option<Self> {
        let is_plain = |segment: &Segment| {
            segment.direction == Direction::Across && !segment.is_rtl && segment.table.is_none()
        };
        if !segments.clone().all(is_plain) {
            return None;
        }
        let mut words: Vec<Word> = segments.flat_map(|segment| words(segment, glyphs)).collect();
        words.sort_by(|a, b| a.left.total_cmp(&b.left));
        let largest = words.iter().max_by(|a, b| a.size.total_cmp(&b.size))?;
        let (baseline, size) = (largest.baseline, largest.size);
        Some(Self { words, baseline, size })
    }

    /// The white stripes between its words; none if there are more than a table has.
    pub(super) fn stripes(&self) -> Vec<(f32, f32)> {
        let mut reach = self.words.first().map_or(0.0, |word| word.right);
        let mut stripes = Vec::new();
        for word in &self.words {
            if word.left - reach >= STRIPE * self.size {
                stripes.push((reach, word.left));
            }
            reach = reach.max(word.right);
        }
        if stripes.len() > MOST_STRIPES { Vec::new() } else { stripes }
    }

    /// What the words leave free of each of `stripes`; nothing of those they cross.
    pub(super) fn clear(&self, stripes: &[(f32, f32)]) -> Vec<(f32, f32)> {
        stripes.iter().filter_map(|stripe| self.clear_of(*stripe)).collect()
    }

    /// The words in the columns that `stripes` divide.
    pub(super) fn cells(&self, stripes: &[(f32, f32)]) -> CellRow<'_> {
        let mut cells = vec![Vec::new(); stripes.len() + 1];
        for word in &self.words {
            let column = stripes.partition_point(|(from, to)| (from + to) / 2.0 <= word.left);
            cells[column].push(word);
        }
        CellRow { cells, baseline: self.baseline, size: self.size }
    }

    fn clear_of(&self, (from, to): (f32, f32)) -> Option<(f32, f32)> {
        let mut reach = from;
        let mut widest = (from, from);
        let within = self.words.iter().filter(|word| word.right > from && word.left < to);
        for (left, right) in within.map(|word| (word.left, word.right)).chain([(to, to)]) {
            if left - reach > widest.1 - widest.0 {
                widest = (reach, left);
            }
            reach = reach.max(right);
        }
        (widest.1 - widest.0 >= STRIPE * self.size).then_some(widest)
    }
}

/// Words in their columns.
#[derive(Debug)]
pub(super) struct CellRow<'a> {
    pub(super) cells: Vec<Vec<&'a Word>>,
    pub(super) baseline: f32,
    pub(super) size: f32,
}

/// A step down within a cell, in ems.
pub(super) const CELL_STEP: f32 = 1.5;

impl CellRow<'_> {
    pub(super) fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.is_empty()).count()
    }

    /// Whether this line goes on with cells of the line before: it says little, and nothing in the
    /// first column.
    pub(super) fn continues(&self, before: &Self) -> bool {
        self.cells[0].is_empty()
            && self.filled() * 2 <= self.cells.len()
            && self.baseline - before.baseline < CELL_STEP * self.size
    }

    /// The left and right edge of the cell in `column`, if it has text.
    pub(super) fn edge(&self, column: usize) -> Option<(f32, f32)> {
        let cell = self.cells.get(column)?;
        Some((cell.first()?.left, cell.iter().map(|word| word.right).fold(f32::MIN, f32::max)))
    }

    /// The edges of its cells with text.
    pub(super) fn edges(&self) -> impl Iterator<Item = (f32, f32)> {
        (0..self.cells.len()).filter_map(|column| self.edge(column))
    }
}
