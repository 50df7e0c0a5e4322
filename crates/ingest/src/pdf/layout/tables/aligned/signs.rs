//! What tells a table from other things that are printed in columns.

use std::collections::HashMap;

use super::super::super::order::median;
use super::super::cells::Word;
use super::CellRow;
use crate::pdf::glyphs::Glyphs;
use crate::table::is_number;

/// Lines that share stripes, and what is looked for in them.
pub(in super::super) struct Signs<'a> {
    pub(in super::super) lines: &'a [CellRow<'a>],
    /// How many rules go across, above, between or below them.
    pub(in super::super) rules: usize,
    pub(in super::super) glyphs: &'a Glyphs,
}

impl Signs<'_> {
    pub(in super::super) fn are_of_a_table(&self) -> bool {
        self.has_rows() && !self.is_prose() && self.are_of_cells()
    }

    /// Whether these are cells, wherever they stand.
    pub(in super::super) fn are_of_cells(&self) -> bool {
        (0..self.columns()).all(|column| self.is_used(column) && self.is_aligned(column))
            && !self.has_leaders()
            && !self.is_list()
            && !self.ends_in_page_numbers()
            && !self.is_index()
            && !self.is_listing()
    }

    fn columns(&self) -> usize {
        self.lines.first().map_or(0, |line| line.cells.len())
    }

    /// Enough lines have several cells, and rules or numbers say that these are values: lists of
    /// names stand in columns too, as do terms with what they mean, and forms.
    fn has_rows(&self) -> bool {
        let full = self.lines.iter().filter(|line| line.filled() >= 2).count();
        let is_enough = full >= 3 && full * 10 >= self.lines.len() * 6;
        let has_values = match self.columns() {
            2 => full >= 4 && self.is_of_names(0) && self.has_numbers(1, is_number),
            columns => {
                self.has_names() && (0..columns).any(|column| self.has_numbers(column, has_digit))
            }
        };
        is_enough && (self.rules >= 2 || has_values)
    }

    /// Whether there are words along one edge, as there are not around a plot.
    fn has_names(&self) -> bool {
        let first = self
            .lines
            .first()
            .map_or(0, |line| line.cells.iter().filter(|cell| is_name(&text(cell))).count());
        first >= 2 || (0..self.columns()).any(|column| self.is_of_names(column))
    }

    /// Whether most cells of a column are words.
    fn is_of_names(&self, column: usize) -> bool {
        let texts = self.texts(column);
        texts.iter().filter(|text| is_name(text)).count() * 10 >= texts.len() * 7
    }

    /// Whether most cells of a column are numbers; the first one may be its name.
    fn has_numbers(&self, column: usize, is_number: fn(&str) -> bool) -> bool {
        let texts = self.texts(column);
        let numbers = texts.iter().filter(|text| is_number(text)).count();
        numbers >= 2 && numbers * 10 >= (texts.len() - 1) * 7
    }

    fn is_used(&self, column: usize) -> bool {
        let used = self.lines.iter().filter(|line| !line.cells[column].is_empty()).count();
        used >= 2 && used * 10 >= self.lines.len() * 4
    }

    /// Whether the cells of a column share their left edge, their right edge or their middle.
    fn is_aligned(&self, column: usize) -> bool {
        let edges = || self.lines.iter().filter_map(move |line| line.edge(column));
        let near = 0.5 * self.size();
        let share = |place: fn((f32, f32)) -> f32| {
            let mut places: Vec<f32> = edges().map(place).collect();
            places.sort_by(f32::total_cmp);
            let reach =
                |at: usize| places.partition_point(|other| *other <= places[at] + near) - at;
            let most = (0..places.len()).map(reach).max().unwrap_or(0);
            most * 10 >= places.len() * 7
        };
        share(|edge| edge.0) || share(|edge| edge.1) || share(|edge| (edge.0 + edge.1) / 2.0)
    }

    /// Whether two columns or more have lines as long as those of prose.
    fn is_prose(&self) -> bool {
        /// In ems; see the reading order's columns.
        const SHORTEST: f32 = 10.0;
        let is_wide = |column: &usize| {
            let widths = self.lines.iter().filter_map(|line| line.edge(*column));
            let widths = median(widths.map(|(left, right)| right - left));
            widths > SHORTEST * self.size()
        };
        (0..self.columns()).filter(is_wide).count() >= 2
    }

    /// Whether dots lead from a text to its page.
    fn has_leaders(&self) -> bool {
        let leads = |text: &String| {
            let dots = text.chars().filter(|c| matches!(c, '.' | '·' | '…' | '_')).count();
            text.contains("....") || text.contains(". . .") || dots > 4 && dots * 2 > text.len()
        };
        let has = |line: &&CellRow<'_>| line.cells.iter().any(|cell| leads(&text(cell)));
        self.lines.iter().filter(has).count() >= 2
    }

    /// Whether the first column has only bullets or ordinals.
    fn is_list(&self) -> bool {
        let is_mark = |text: &String| {
            let is_short = text.chars().count() <= 4;
            let has_mark = text.ends_with(['.', ')', ':']) || text.starts_with(['(', '[']);
            is_short && (has_mark || !text.chars().any(char::is_alphanumeric))
        };
        let first = self.texts(0);
        first.iter().filter(|text| is_mark(text)).count() * 2 > first.len()
    }

    /// Whether the last column looks like the page numbers of a table of contents: they grow, from
    /// the first line on.
    fn ends_in_page_numbers(&self) -> bool {
        let last = self.texts(self.columns() - 1);
        let is_page = |text: &String| {
            let is_roman = text.chars().all(|c| "ivxlc".contains(c));
            text.len() <= 4 && (is_roman || text.chars().all(|c| c.is_ascii_digit()))
        };
        let pages: Vec<u32> = last.iter().filter_map(|text| text.parse().ok()).collect();
        last.iter().all(is_page) && pages.is_sorted()
    }

    /// Whether the cells of two columns or more end as entries of an index do.
    fn is_index(&self) -> bool {
        let is_entry = |text: &String| {
            let stem = text.trim_end_matches(|c: char| c.is_ascii_digit() || "–-".contains(c));
            stem.len() < text.len() && stem.trim_end().ends_with(',')
        };
        let is_of_entries = |column: &usize| {
            let texts = self.texts(*column);
            texts.iter().filter(|text| is_entry(text)).count() * 5 >= texts.len() * 2
        };
        (0..self.columns()).filter(is_of_entries).count() >= 2
    }

    /// Whether all letters are equally wide, as they are in code and in what programs print.
    fn is_listing(&self) -> bool {
        let mut by_width = HashMap::<i32, usize>::new();
        let words = self.lines.iter().flat_map(|line| line.cells.iter().flatten());
        for glyph in words.flat_map(|word| word.glyphs.clone()).map(|at| &self.glyphs.all()[at]) {
            if self.glyphs.text(glyph).starts_with(|c: char| c.is_ascii_alphabetic()) {
                *by_width.entry((glyph.advance / glyph.size * 50.0).round() as i32).or_default() +=
                    1;
            }
        }
        let letters: usize = by_width.values().sum();
        let most = by_width.values().max().copied().unwrap_or(0);
        letters >= 8 && most * 20 >= letters * 19
    }

    fn size(&self) -> f32 {
        self.lines.first().map_or(1.0, |line| line.size)
    }

    /// The texts of a column's filled cells.
    fn texts(&self, column: usize) -> Vec<String> {
        let cells = self.lines.iter().map(|line| &line.cells[column]);
        cells.filter(|cell| !cell.is_empty()).map(|cell| text(cell)).collect()
    }
}

fn is_name(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    letters.map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<u32>() >= 2
}

fn has_digit(text: &str) -> bool {
    text.chars().any(char::is_numeric)
}

fn text(cell: &[&Word]) -> String {
    let words: Vec<&str> = cell.iter().map(|word| word.text.as_str()).collect();
    words.join(" ")
}
