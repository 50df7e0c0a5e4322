//! Tables, told by where things stand: within [ruled](grid) cells, between [rules](bands) below
//! each row, or [aligned](aligned) under each other with white space between.
//!
//! A PDF does not say what is a table. What is in doubt stays the text it is: a missed table costs
//! the names of its columns, prose taken for one is torn apart. So a table has at least two columns
//! and, without rules, three rows; and whatever else is printed in columns (prose, contents,
//! listings, lists) has a sign of its own that is looked for.

mod aligned;
mod bands;
mod cells;
mod grid;
mod strip;

use super::Segment;
use crate::pdf::glyphs::{Direction, Glyphs};
use crate::table::{BETWEEN_CELLS, CELL_LINE_END, names_columns};
use crate::{Bounds, Line, LineKind};
pub(super) use aligned::find as aligned;

/// A page with more tables shows a drawing.
const MOST_GRIDS: usize = 64;

/// A cell of more lines is a part of a page, not a value.
const MOST_CELL_LINES: usize = 8;

/// A table, its first row the uppermost.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<TableRow>,
    left: f32,
    right: f32,
}

#[derive(Debug)]
struct TableRow {
    /// The lines of each cell.
    cells: Vec<Vec<String>>,
    /// The first line's.
    baseline: f32,
    size: f32,
}

impl TableRow {
    fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.is_empty()).count()
    }

    fn line(&self, table: &Table, kind: LineKind) -> Option<Line> {
        let cells = self.texts();
        let filled = cells.iter().rposition(|cell| !cell.is_empty())?;
        let bounds = Bounds {
            left: table.left,
            right: table.right,
            baseline: self.baseline,
            size: self.size,
        };
        let text = match kind {
            LineKind::Text => cells.concat(),
            _ => cells[..=filled].join(BETWEEN_CELLS),
        };
        Some(Line { text, kind, starts_paragraph: false, bounds: Some(bounds) })
    }

    fn texts(&self) -> Vec<String> {
        self.cells.iter().map(|cell| cell.join(CELL_LINE_END)).collect()
    }
}

impl Table {
    /// Its rows as lines. A title over the columns is no row.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        let first = self.rows.iter().position(|row| row.filled() >= 2).unwrap_or(0);
        self.rows.iter().enumerate().filter_map(move |(at, row)| {
            let kind = match at {
                _ if at < first => LineKind::Text,
                _ if at == first && names_columns(&row.texts()) => LineKind::Header,
                _ => LineKind::Row,
            };
            Some(Line { starts_paragraph: at <= first, ..row.line(self, kind)? })
        })
    }

    /// Leaves out the columns without any text: a rule above the table may be wider than it is.
    fn without_empty_columns(mut self) -> Self {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let mut is_used = vec![false; columns];
        for row in &self.rows {
            for (is_used, cell) in is_used.iter_mut().zip(&row.cells) {
                *is_used |= !cell.is_empty();
            }
        }
        for row in &mut self.rows {
            let mut used = is_used.iter();
            row.cells.retain(|_| used.next().is_some_and(|is_used| *is_used));
        }
        self
    }

    /// Whether two rows have two cells with text at least, most of them words or numbers, and none
    /// has what only a page has.
    fn is_sound(&self) -> bool {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let is_used = |column: &usize| {
            let fills =
                |row: &&TableRow| row.cells.get(*column).is_some_and(|cell| !cell.is_empty());
            self.rows.iter().filter(fills).count() >= 2
        };
        let filled = || self.rows.iter().flat_map(|row| &row.cells).filter(|cell| !cell.is_empty());
        let is_said =
            |cell: &&Vec<String>| cell.iter().any(|line| line.chars().any(char::is_alphanumeric));
        self.rows.iter().filter(|row| row.filled() >= 2).count() >= 2
            && filled().filter(is_said).count() * 2 > filled().count()
            && (0..columns).filter(is_used).count() >= 2
            && self.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.len() <= MOST_CELL_LINES)
    }

    /// What stands for the table while the page is put in order.
    fn segment(&self, at: usize) -> Segment {
        let first = self.rows.first();
        Segment {
            direction: Direction::Across,
            left: self.left,
            right: self.right,
            baseline: first.map_or(0.0, |row| row.baseline),
            size: first.map_or(1.0, |row| row.size),
            glyphs: 0..0,
            text: String::new(),
            is_rtl: false,
            table: Some(at),
        }
    }
}

/// Takes the segments of ruled tables out of `segments` and leaves one in their place for each
/// table.
pub(super) fn take_ruled(
    segments: Vec<Segment>,
    glyphs: &Glyphs,
    tables: &mut Vec<Table>,
) -> Vec<Segment> {
    let (mut across, down) = glyphs.rules.joined();
    let mut grids = grid::find(&across, &down);
    across.retain(|rule| !grids.iter().any(|grid| grid.has(rule)));
    grids.extend(bands::find(&across, &segments, glyphs));
    grids.truncate(MOST_GRIDS);
    if grids.is_empty() {
        return segments;
    }
    let places: Vec<Option<usize>> =
        segments.iter().map(|segment| grids.iter().position(|grid| grid.holds(segment))).collect();
    let table = |at: usize| {
        let own = segments.iter().zip(&places).filter(|(_, place)| **place == Some(at));
        let own: Vec<&Segment> = own.map(|(segment, _)| segment).collect();
        grids[at].table(&own, glyphs)
    };
    let mut found: Vec<Option<Table>> = (0..grids.len()).map(table).collect();
    let is_table: Vec<bool> = found.iter().map(Option::is_some).collect();
    let mut rest = Vec::with_capacity(segments.len());
    for (segment, place) in segments.into_iter().zip(places) {
        let Some(place) = place.filter(|place| is_table[*place]) else {
            rest.push(segment);
            continue;
        };
        if let Some(table) = found[place].take() {
            rest.push(table.segment(tables.len()));
            tables.push(table);
        }
    }
    rest
}

#[cfg(test)]
mod tests;
