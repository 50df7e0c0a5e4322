//! From the cells of a sheet to lines: where a table begins and which row names its columns.
//!
//! People write titles above a table and notes below, and leave rows blank. A row of one cell
//! outside a table, or after a blank row, is a line of text; a table begins with the first row of
//! several cells. After a blank row a new table begins only where a row of names follows a table
//! that has numbers, else the old one goes on, with its names said again after a text.

use docent_core::FileError;

use crate::draft::Draft;
use crate::table::{RowRole, TableLines, is_number, names_columns};
use crate::{Line, LineKind};

/// Takes the cells of one sheet in the order they are stored.
pub(super) struct SheetLines<'a, 'd> {
    draft: &'a mut Draft<'d>,
    /// The sheet's name, until it was said.
    name: Option<&'a str>,
    row: Option<u32>,
    cells: Vec<(u32, String)>,
    /// The first column of the table.
    left: u32,
    table: TableLines,
    place: Place,
    /// The names of the table's columns.
    names: Option<String>,
    has_numbers: bool,
    last_row: Option<u32>,
    formulas_without_value: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeTable,
    InTable,
    /// A text interrupted the table.
    AfterText,
}

/// Wider gaps between cells are shown as one empty cell.
const MOST_GAP: u32 = 32;

impl<'a, 'd> SheetLines<'a, 'd> {
    pub(super) fn new(draft: &'a mut Draft<'d>, name: &'a str) -> Self {
        Self {
            draft,
            name: Some(name),
            row: None,
            cells: Vec::new(),
            left: 0,
            table: TableLines::default(),
            place: Place::BeforeTable,
            names: None,
            has_numbers: false,
            last_row: None,
            formulas_without_value: 0,
        }
    }

    /// The next cell at `(row, column)`.
    pub(super) fn cell(&mut self, at: (u32, u32), text: String) -> Result<(), FileError> {
        let (row, column) = at;
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.row != Some(row) {
            self.end_row()?;
            self.row = Some(row);
        }
        self.cells.push((column, text));
        Ok(())
    }

    pub(super) fn note_formula_without_value(&mut self) {
        self.formulas_without_value += 1;
    }

    pub(super) fn finish(mut self) -> Result<(), FileError> {
        self.end_row()?;
        if self.formulas_without_value > 0 {
            self.draft.warn_of_page(format!(
                "{} formulas have no stored result and are left out; open and save the file in a \
                 spreadsheet program",
                self.formulas_without_value
            ));
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), FileError> {
        let mut cells = std::mem::take(&mut self.cells);
        let Some(row) = self.row.take().filter(|_| !cells.is_empty()) else { return Ok(()) };
        cells.sort_by_key(|(column, _)| *column);
        let after_blank = self.last_row.is_none_or(|last| row > last.saturating_add(1));
        self.last_row = Some(row);
        if let Some(name) = self.name.take() {
            self.draft.line(Line::new(name, LineKind::Heading(1)))?;
        }
        let is_inside = self.place == Place::InTable && !after_blank;
        if let ([(_, text)], false) = (cells.as_slice(), is_inside) {
            if self.place == Place::InTable {
                self.place = Place::AfterText;
            }
            return self.draft.text(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        self.table_row(&cells, after_blank)
    }

    fn table_row(&mut self, cells: &[(u32, String)], after_blank: bool) -> Result<(), FileError> {
        let texts: Vec<&str> = cells.iter().map(|(_, text)| text.as_str()).collect();
        let is_new = after_blank && self.has_numbers && names_columns(&texts);
        if self.place == Place::BeforeTable || is_new {
            self.table = TableLines::default();
            self.left = cells.first().map_or(0, |(column, _)| *column);
            (self.names, self.has_numbers) = (None, false);
        } else if self.place == Place::AfterText {
            self.table = TableLines::default();
            if let Some(line) =
                self.names.iter().find_map(|n| self.table.row(&[n], RowRole::Header))
            {
                self.draft.line(line)?;
            }
        }
        self.place = Place::InTable;
        self.has_numbers |= texts.iter().any(|text| is_number(text));
        let Some(line) = self.table.row(&self.placed(cells), RowRole::Unknown) else {
            return Ok(());
        };
        if line.kind == LineKind::Header {
            self.names = Some(line.text.clone());
        }
        self.draft.line(line)
    }

    /// The cells with empty ones between them, so that each stands under its name.
    fn placed(&self, cells: &[(u32, String)]) -> Vec<String> {
        let mut placed = Vec::new();
        let mut next = self.left;
        for (column, text) in cells {
            let gap = column.saturating_sub(next);
            let shown = if gap > MOST_GAP { 1 } else { gap };
            placed.extend(std::iter::repeat_n(String::new(), shown as usize));
            placed.push(text.clone());
            next = column.saturating_add(1);
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn lines(rows: &[(u32, &[&str])]) -> Vec<(LineKind, String)> {
        let limits = Limits::default();
        let mut draft = Draft::new(&limits);
        let mut sheet = SheetLines::new(&mut draft, "Sales");
        for (row, cells) in rows {
            for (column, text) in (0..).zip(*cells) {
                sheet.cell((*row, column), (*text).to_owned()).unwrap();
            }
        }
        sheet.finish().unwrap();
        let page = draft.finish().pages.remove(0);
        page.lines.into_iter().map(|line| (line.kind, line.text)).collect()
    }

    #[test]
    fn a_title_a_table_a_note_and_another_table() {
        let found = lines(&[
            (0, &["Sales by region"]),
            (2, &["region", "", "2024"]),
            (3, &["north", "x", "1"]),
            (4, &["group"]),
            (6, &["a note"]),
            (7, &["south", "y", "2"]),
            (9, &["city", "mayor"]),
            (10, &["Oslo", "Anna"]),
        ]);
        let text: Vec<(LineKind, &str)> = found.iter().map(|(k, t)| (*k, t.as_str())).collect();
        let expected = [
            (LineKind::Heading(1), "Sales"),
            (LineKind::Text, "Sales by region"),
            (LineKind::Row, "region |  | 2024"),
            (LineKind::Row, "north | x | 1"),
            (LineKind::Row, "group"),
            (LineKind::Text, "a note"),
            (LineKind::Row, "south | y | 2"),
            (LineKind::Header, "city | mayor"),
            (LineKind::Row, "Oslo | Anna"),
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn the_names_are_said_again_after_a_text() {
        let found = lines(&[
            (0, &["region", "sum"]),
            (1, &["north", "1"]),
            (3, &["Overseas"]),
            (4, &["islands", "2"]),
        ]);
        let text: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        let expected =
            ["Sales", "region | sum", "north | 1", "Overseas", "region | sum", "islands | 2"];
        assert_eq!(text, expected);
    }

    #[test]
    fn corners_far_apart_cost_nothing() {
        let limits = Limits::default();
        let mut draft = Draft::new(&limits);
        let mut sheet = SheetLines::new(&mut draft, "x");
        for at in [(0, 0), (0, 16_383), (1_048_575, 0), (1_048_575, 16_383)] {
            sheet.cell(at, "a".to_owned()).unwrap();
        }
        sheet.finish().unwrap();
        assert_eq!(draft.finish().pages[0].lines[1].text, "a |  | a");
    }
}
