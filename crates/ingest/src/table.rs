//! Tables: rows of cells as lines, and which row names the columns.
//!
//! A row is one line, its cells apart by ` | `, because a passage is read by people and by models
//! as text. The [header](LineKind::Header) is marked so that every chunk of the table can begin
//! with it.

mod grid;

use crate::{Line, LineKind};
pub(crate) use grid::Grids;

/// What stands between the cells of a row.
pub(crate) const BETWEEN_CELLS: &str = " | ";

/// What stands between the lines of a cell where a printer set them: cleaning joins them as it
/// joins those of a paragraph. U+2028, LINE SEPARATOR.
pub(crate) const CELL_LINE_END: &str = "\u{2028}";

/// Turns rows of cells into the lines of a table, one by one.
#[derive(Debug, Default)]
pub(crate) struct TableLines {
    rows: u64,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowRole {
    /// The file says that it names the columns.
    Header,
    /// The file does not say; the first row is looked at.
    Unknown,
}

impl TableLines {
    /// The next row as a line; none if no cell has text.
    pub(crate) fn row(&mut self, cells: &[impl AsRef<str>], role: RowRole) -> Option<Line> {
        let text = row_text(cells)?;
        let is_first = self.rows == 0;
        self.rows += 1;
        let is_header = is_first && (role == RowRole::Header || names_columns(cells));
        let kind = if is_header { LineKind::Header } else { LineKind::Row };
        Some(Line { starts_paragraph: is_first, ..Line::new(text, kind) })
    }
}

/// The cells of a row as one line: spaces and line ends within a cell become one space, empty
/// cells keep their place but for those at the end.
pub(crate) fn row_text(cells: &[impl AsRef<str>]) -> Option<String> {
    let last = cells.iter().rposition(|cell| !cell.as_ref().trim().is_empty())?;
    let mut text = String::new();
    for (at, cell) in cells[..=last].iter().enumerate() {
        if at > 0 {
            text.push_str(BETWEEN_CELLS);
        }
        for (word_at, word) in cell.as_ref().split_whitespace().enumerate() {
            if word_at > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    Some(text)
}

/// Whether a first row looks like the names of columns: texts that differ, no numbers but
/// successive years.
pub(crate) fn names_columns(cells: &[impl AsRef<str>]) -> bool {
    let named = || cells.iter().map(|cell| cell.as_ref().trim()).filter(|cell| !cell.is_empty());
    let numbers: Vec<&str> = named().filter(|cell| is_number(cell)).collect();
    let years: Vec<u32> = numbers.iter().filter_map(|number| year(number)).collect();
    let are_years = numbers.len() >= 2
        && years.len() == numbers.len()
        && years.is_sorted_by(|a, b| a < b) | years.is_sorted_by(|a, b| a > b);
    let texts = named().count() - numbers.len();
    let mut sorted: Vec<&str> = named().collect();
    sorted.sort_unstable();
    let differ = sorted.windows(2).all(|pair| pair[0] != pair[1]);
    texts > 0 && differ && (numbers.is_empty() || are_years)
}

/// Whether `cell` is an amount or a date: digits and the marks around them.
pub(crate) fn is_number(cell: &str) -> bool {
    let marks = |c: char| matches!(c, '.' | ',' | '-' | '+' | '/' | ':' | '%' | ' ' | '(' | ')');
    let is_mark = |c: char| marks(c) || matches!(c, '$' | '€' | '£' | '¥' | 'e' | 'E' | 'T' | 'Z');
    cell.chars().any(|c| c.is_ascii_digit())
        && cell.chars().all(|c| c.is_ascii_digit() || is_mark(c))
}

fn year(number: &str) -> Option<u32> {
    number.parse().ok().filter(|year| (1000..3000).contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_and_keeps_the_place_of_empty_cells() {
        let cells = ["a\n b", "", " c ", " ", ""];
        assert_eq!(row_text(&cells).as_deref(), Some("a b |  | c"));
        assert_eq!(row_text(&["", " \n"]), None);
    }

    #[test]
    fn names_of_columns_are_told_from_values() {
        for header in [&["id", "name"][..], &["", "2019", "2020", "total"], &["Name", "", "City"]] {
            assert!(names_columns(header), "{header:?}");
        }
        let values = [
            &["Anna", "33", "Oslo"][..],
            &["1", "2"],
            &["a", "2026-01-02"],
            &["x", "x"],
            &["", ""],
            &["Oslo", "1999"],
        ];
        for values in values {
            assert!(!names_columns(values), "{values:?}");
        }
    }

    #[test]
    fn only_the_first_row_can_be_the_header() {
        let mut lines = TableLines::default();
        let kinds = [["", ""], ["name", "age"], ["Anna", "x"]]
            .map(|row| lines.row(&row, RowRole::Unknown).map(|line| line.kind));
        assert_eq!(kinds, [None, Some(LineKind::Header), Some(LineKind::Row)]);
    }
}
