//! Tables whose cells are gathered before it is known whether they are tables: pages and forms are
//! often laid out with them.

use super::{RowRole, TableLines};
use crate::{Line, LineKind};

/// The tables that are open, one within the other.
#[derive(Debug, Default)]
pub(crate) struct Grids {
    open: Vec<Grid>,
    /// Tables that are nested too deeply to be told apart.
    ignored: u32,
}

/// Tables nested deeper are read as part of the cell they are in: each level moves every line.
const MOST_NESTED: usize = 16;

/// A cell that spans more columns or rows than this does so by mistake or to hurt.
const MOST_SPAN: usize = 64;

/// A longer text is not said again in the rows that a cell spans.
const MOST_REPEATED_BYTES: usize = 200;

/// A cell of more lines is a part of a page, not a value.
const MOST_CELL_LINES: usize = 8;

impl Grids {
    pub(crate) fn begin(&mut self) {
        match self.open.len() < MOST_NESTED {
            true => self.open.push(Grid::default()),
            false => self.ignored += 1,
        }
    }

    /// Ends a table; its lines, which belong to the cell that is the current one now, or to the
    /// page.
    pub(crate) fn end(&mut self) -> Vec<Line> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Vec::new();
        }
        self.open.pop().map(Grid::lines).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn begin_row(&mut self) {
        self.with(Grid::begin_row);
    }

    /// Says what the current row is.
    pub(crate) fn set_role(&mut self, role: RowRole) {
        self.with(|grid| {
            if let Some(row) = grid.rows.last_mut() {
                row.role = role;
            }
        });
    }

    /// Begins a cell, and a row if there is none.
    pub(crate) fn begin_cell(&mut self) {
        self.with(Grid::begin_cell);
    }

    /// Whether the current row has no cell yet.
    pub(crate) fn is_at_first_cell(&self) -> bool {
        let row = self.open.last().and_then(|grid| grid.rows.last());
        row.is_none_or(|row| row.cells.is_empty())
    }

    /// Makes the current cell span `columns` and `rows`, so that others keep their places.
    pub(crate) fn span(&mut self, columns: usize, rows: usize) {
        self.with(|grid| grid.span(columns, rows));
    }

    /// Says in the current cell what the cell above it says, of which it is a part.
    pub(crate) fn repeat_above(&mut self) {
        self.with(|grid| {
            let column = grid.rows.last().map_or(0, |row| row.cells.len().saturating_sub(1));
            let above = grid.above(column);
            if let Some(cell) = grid.cell() {
                *cell = above;
            }
        });
    }

    /// The current cell, if there is one.
    pub(crate) fn cell(&mut self) -> Option<&mut Vec<Line>> {
        self.open.last_mut()?.cell()
    }

    fn with(&mut self, change: impl FnOnce(&mut Grid)) {
        if let (Some(grid), 0) = (self.open.last_mut(), self.ignored) {
            change(grid);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Grid {
    rows: Vec<Row>,
    /// How many columns the current cell takes beside its own.
    more_columns: usize,
    /// For each column, for how many further rows a cell reaches down.
    reaching_down: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Row {
    role: RowRole,
    cells: Vec<Vec<Line>>,
}

impl Grid {
    fn begin_row(&mut self) {
        self.end_row();
        self.rows.push(Row { role: RowRole::Unknown, cells: Vec::new() });
    }

    /// Fills the columns at the end of a row that cells above reach down to.
    fn end_row(&mut self) {
        self.end_cell();
        let filled = self.rows.last().map_or(0, |row| row.cells.len());
        if self.reaching_down.iter().skip(filled).any(|rows| *rows > 0) {
            self.fill_to(self.reaching_down.len());
        }
    }

    fn begin_cell(&mut self) {
        if self.rows.is_empty() {
            self.begin_row();
        }
        self.end_cell();
        self.fill_to(usize::MAX);
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(Vec::new());
        }
    }

    /// Gives the current cell the further columns it spans.
    fn end_cell(&mut self) {
        let more = std::mem::take(&mut self.more_columns);
        if let Some(row) = self.rows.last_mut() {
            row.cells.extend(std::iter::repeat_n(Vec::new(), more));
        }
    }

    /// Fills the next columns, before `end`, that cells above reach down to; all columns before
    /// `end` if that is known.
    fn fill_to(&mut self, end: usize) {
        loop {
            let column = self.rows.last().map_or(0, |row| row.cells.len());
            let rows = self.reaching_down.get(column).copied().unwrap_or(0);
            if column >= end || rows == 0 && end == usize::MAX {
                return;
            }
            let cell = if rows > 0 { self.above(column) } else { Vec::new() };
            if rows > 0 {
                self.reaching_down[column] -= 1;
            }
            if let Some(row) = self.rows.last_mut() {
                row.cells.push(cell);
            }
        }
    }

    fn span(&mut self, columns: usize, rows: usize) {
        let Some(row) = self.rows.last() else { return };
        let Some(column) = row.cells.len().checked_sub(1) else { return };
        self.more_columns = columns.min(MOST_SPAN).saturating_sub(1);
        let further_rows = rows.min(MOST_SPAN).saturating_sub(1);
        let end = column + 1 + self.more_columns;
        if further_rows > 0 {
            self.reaching_down.resize(self.reaching_down.len().max(end), 0);
            self.reaching_down[column..end].fill(further_rows);
        }
    }

    /// What the row above says in `column`, if that is short.
    fn above(&self, column: usize) -> Vec<Line> {
        let above = self.rows.len().checked_sub(2).and_then(|at| self.rows[at].cells.get(column));
        let bytes = |lines: &[Line]| lines.iter().map(|line| line.text.len()).sum::<usize>();
        above.filter(|lines| bytes(lines) <= MOST_REPEATED_BYTES).cloned().unwrap_or_default()
    }

    fn cell(&mut self) -> Option<&mut Vec<Line>> {
        self.rows.last_mut()?.cells.last_mut()
    }

    /// The rows as lines; the cells one after the other if this is no table.
    fn lines(mut self) -> Vec<Line> {
        self.end_row();
        if self.is_layout() {
            return self.rows.into_iter().flat_map(|row| row.cells).flatten().collect();
        }
        let mut lines = TableLines::default();
        let row = |row: Row| {
            let text = |cell: &Vec<Line>| {
                cell.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ")
            };
            let cells: Vec<String> = row.cells.iter().map(text).collect();
            lines.row(&cells, row.role)
        };
        self.rows.into_iter().filter_map(row).collect()
    }

    /// Whether no row has two cells with text, or a cell has what only a page has.
    fn is_layout(&self) -> bool {
        let filled = |row: &Row| row.cells.iter().filter(|cell| !cell.is_empty()).count();
        let is_of_page = |cell: &Vec<Line>| {
            cell.len() > MOST_CELL_LINES || cell.iter().any(|line| line.kind != LineKind::Text)
        };
        self.rows.iter().all(|row| filled(row) < 2)
            || self.rows.iter().flat_map(|row| &row.cells).any(is_of_page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of cells `text` or `text:columns:rows`.
    fn lines(rows: &[&[&str]]) -> Vec<String> {
        let mut grids = Grids::default();
        grids.begin();
        for row in rows {
            grids.begin_row();
            for cell in *row {
                let mut parts = cell.split(':');
                let text = parts.next().unwrap();
                let mut number = || parts.next().map_or(1, |part| part.parse().unwrap());
                let (columns, rows) = (number(), number());
                grids.begin_cell();
                grids.span(columns, rows);
                if !text.is_empty() {
                    grids.cell().unwrap().push(Line::new(text, LineKind::Text));
                }
            }
        }
        grids.end().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn cells_keep_their_columns_when_others_span_several() {
        let rows: &[&[&str]] = &[
            &["region", "2019:2", "note"],
            &["north:1:2", "1", "2", "x:1:2"],
            &["3", "4"],
            &["south", "5"],
        ];
        let expected =
            ["region | 2019 |  | note", "north | 1 | 2 | x", "north | 3 | 4 | x", "south | 5"];
        assert_eq!(lines(rows), expected);
    }

    #[test]
    fn what_is_laid_out_with_a_table_is_no_table() {
        assert_eq!(lines(&[&["a sidebar"], &["a text", ""]]), ["a sidebar", "a text"]);
    }

    #[test]
    fn absurd_spans_and_depths_end() {
        assert_eq!(lines(&[&["a:4000000000:4000000000", "b"]]).len(), 1);
        let mut grids = Grids::default();
        (0..1000).for_each(|_| grids.begin());
        grids.begin_cell();
        (0..1000).for_each(|_| drop(grids.end()));
        assert!(grids.is_empty());
    }
}
