//! Ruled tables: rules that meet make a grid, and words go where they stand in it.

use super::super::Segment;
use super::cells::{Cell, CellLine, words};
use super::{Table, TableRow};
use crate::pdf::glyphs::{Direction, Glyphs};
use crate::pdf::rules::{Rule, TOUCH};

/// More grids than this are a drawing; so are more rows and columns.
const MOST_GRIDS: usize = 32;
const MOST_ROWS: usize = 500;
const MOST_COLUMNS: usize = 40;

/// A longer text is not said again in the rows that its cell spans.
const MOST_REPEATED_BYTES: usize = 200;

/// Cells between rules.
#[derive(Debug)]
pub(super) struct Grid {
    /// The borders of its columns, from left to right.
    xs: Vec<f32>,
    /// The borders of its rows, from top to bottom.
    ys: Vec<f32>,
    /// For each cell, row by row, whether a rule is above it.
    is_ruled_above: Vec<bool>,
    /// Whether one is on its left.
    is_ruled_left: Vec<bool>,
}

/// The grids of rules that meet.
pub(super) fn find(across: &[Rule], down: &[Rule]) -> Vec<Grid> {
    meeting(across, down)
        .into_iter()
        .filter_map(|(across, down)| Grid::of(&across, &down))
        .take(MOST_GRIDS)
        .collect()
}

/// The rules in groups of those that meet, directly or through others.
fn meeting(across: &[Rule], down: &[Rule]) -> Vec<(Vec<Rule>, Vec<Rule>)> {
    let mut group: Vec<Option<usize>> = vec![None; down.len()];
    let mut is_taken = vec![false; across.len()];
    let mut groups: Vec<(Vec<Rule>, Vec<Rule>)> = Vec::new();
    for first in 0..down.len() {
        if group[first].is_some() {
            continue;
        }
        let at = groups.len();
        group[first] = Some(at);
        groups.push((Vec::new(), Vec::new()));
        let mut waiting = vec![first];
        while let Some(next) = waiting.pop() {
            groups[at].1.push(down[next]);
            for (rule, is_taken) in across.iter().zip(&mut is_taken) {
                if *is_taken || !rule.meets(&down[next]) {
                    continue;
                }
                *is_taken = true;
                groups[at].0.push(*rule);
                for (other, _) in down.iter().enumerate().filter(|(_, other)| rule.meets(other)) {
                    if group[other].is_none() {
                        group[other] = Some(at);
                        waiting.push(other);
                    }
                }
            }
        }
    }
    groups
}

/// The borders at `at`, and those that rules at a right angle reach out to.
fn borders(rules: &[Rule], others: &[Rule]) -> Vec<f32> {
    let from = others.iter().map(|rule| rule.from).fold(f32::INFINITY, f32::min);
    let to = others.iter().map(|rule| rule.to).fold(f32::NEG_INFINITY, f32::max);
    let mut all: Vec<f32> = rules.iter().map(|rule| rule.at).chain([from, to]).collect();
    all.sort_by(f32::total_cmp);
    all.dedup_by(|next, kept| *next - *kept <= TOUCH);
    all
}

impl Grid {
    fn of(across: &[Rule], down: &[Rule]) -> Option<Self> {
        let (xs, ys) = (borders(down, across), borders(across, down));
        let (columns, rows) = (xs.len().checked_sub(1)?, ys.len().checked_sub(1)?);
        if !(2..=MOST_COLUMNS).contains(&columns) || !(1..=MOST_ROWS).contains(&rows) {
            return None;
        }
        let mut is_ruled_above = vec![false; rows * columns];
        for rule in across {
            let Some(row) = border_at(&ys, rule.at).filter(|row| *row < rows) else { continue };
            for column in 0..columns {
                is_ruled_above[row * columns + column] |= rule.covers(middle(&xs, column));
            }
        }
        let mut is_ruled_left = vec![false; rows * columns];
        for rule in down {
            let Some(column) = border_at(&xs, rule.at).filter(|at| *at < columns) else { continue };
            for row in 0..rows {
                is_ruled_left[row * columns + column] |= rule.covers(middle(&ys, row));
            }
        }
        let grid = Self { xs, ys, is_ruled_above, is_ruled_left };
        grid.is_regular().then_some(grid)
    }

    /// A grid without cells that span others.
    pub(super) fn whole(xs: Vec<f32>, ys: Vec<f32>) -> Self {
        let cells = (xs.len() - 1) * (ys.len() - 1);
        Self { xs, ys, is_ruled_above: vec![true; cells], is_ruled_left: vec![true; cells] }
    }

    /// Whether `rule`, a horizontal one, is a part of it.
    pub(super) fn has(&self, rule: &Rule) -> bool {
        let covers = |borders: &[f32], from: f32, to: f32| {
            borders.first().is_some_and(|first| *first <= to + TOUCH)
                && borders.last().is_some_and(|last| from <= last + TOUCH)
        };
        covers(&self.ys, rule.at, rule.at) && covers(&self.xs, rule.from, rule.to)
    }

    fn rows(&self) -> usize {
        self.ys.len() - 1
    }

    fn columns(&self) -> usize {
        self.xs.len() - 1
    }

    /// Whether most borders between columns go through most rows: those of forms do not.
    fn is_regular(&self) -> bool {
        let inner = self.rows() * (self.columns() - 1);
        let is_inner = |at: &usize| !at.is_multiple_of(self.columns());
        let ruled = (0..self.is_ruled_left.len())
            .filter(is_inner)
            .filter(|at| self.is_ruled_left[*at])
            .count();
        ruled * 10 >= inner * 7
    }

    /// Whether `segment` stands within.
    pub(super) fn holds(&self, segment: &Segment) -> bool {
        let middle = segment.baseline - 0.3 * segment.size;
        let left = segment.left + 0.3 * segment.size;
        segment.direction == Direction::Across
            && place(&self.ys, middle).is_some()
            && place(&self.xs, left).is_some()
    }

    /// For each cell, the one that holds what stands there: the first of those between which no
    /// rule is.
    fn holders(&self) -> Vec<usize> {
        let columns = self.columns();
        let mut first_of_row: Vec<usize> = (0..self.is_ruled_left.len()).collect();
        for at in (0..first_of_row.len()).filter(|at| !at.is_multiple_of(columns)) {
            if !self.is_ruled_left[at] {
                first_of_row[at] = first_of_row[at - 1];
            }
        }
        let mut holders = first_of_row.clone();
        let mut above: Vec<usize> = (0..holders.len()).collect();
        for at in columns..holders.len() {
            if !self.is_ruled_above[at] {
                above[at] = above[at - columns];
                holders[at] = first_of_row[above[at]];
            }
        }
        holders
    }

    /// The table of what stands within; none if it is not one after all.
    pub(super) fn table(&self, segments: &[&Segment], glyphs: &Glyphs) -> Option<Table> {
        let mut cells: Vec<Cell> = Vec::new();
        cells.resize_with(self.rows() * self.columns(), Cell::default);
        let holders = self.holders();
        let is_leftward =
            segments.iter().filter(|segment| segment.is_rtl).count() * 2 > segments.len();
        for word in segments.iter().flat_map(|segment| words(segment, glyphs)) {
            let row = nearest(&self.ys, word.middle());
            // A word that is too long for its cell belongs to where it begins.
            let column = nearest(&self.xs, word.left + 0.3 * word.size);
            cells[holders[row * self.columns() + column]].push(word);
        }
        cells.iter_mut().for_each(Cell::sort);
        if !self.is_filled(&cells, &holders) {
            return None;
        }
        let mut rows = match self.rows() {
            1 | 2 => self.undivided_rows(&cells, glyphs)?,
            _ => self.table_rows(&cells, glyphs),
        };
        if is_leftward {
            rows.iter_mut().for_each(|row| row.cells.reverse());
        }
        let table = Table { rows, left: self.xs[0], right: self.xs[self.columns()] };
        Some(table.without_empty_columns()).filter(Table::is_sound)
    }

    /// Whether two cells in five have text, those that span others counted once: those of a plot
    /// have not.
    fn is_filled(&self, cells: &[Cell], holders: &[usize]) -> bool {
        let own = holders.iter().enumerate().filter(|(at, holder)| at == *holder).count();
        let filled = cells.iter().filter(|cell| !cell.lines.is_empty()).count();
        filled * 5 >= own * 2
    }

    /// The rows where no rule divides the body. Its lines do, if it has several and that is clear.
    fn undivided_rows(&self, cells: &[Cell], glyphs: &Glyphs) -> Option<Vec<TableRow>> {
        let (names, body) = cells.split_at(cells.len() - self.columns());
        let mut rows = divided(body, glyphs)?;
        if !names.is_empty() {
            rows.insert(0, whole(names, glyphs));
        }
        Some(rows)
    }

    fn table_rows(&self, cells: &[Cell], glyphs: &Glyphs) -> Vec<TableRow> {
        let mut rows: Vec<TableRow> = Vec::with_capacity(self.rows());
        for (at, row) in cells.chunks(self.columns()).enumerate() {
            let mut next = whole(row, glyphs);
            for column in 0..self.columns() {
                let goes_on = at > 0 && !self.is_ruled_above[at * self.columns() + column];
                let above = rows.last().map(|above| &above.cells[column]);
                let is_short = |cell: &&Vec<String>| {
                    cell.iter().map(String::len).sum::<usize>() <= MOST_REPEATED_BYTES
                };
                if let Some(above) = above.filter(|_| goes_on).filter(is_short) {
                    next.cells[column].clone_from(above);
                }
            }
            rows.push(next);
        }
        rows.retain(|row| row.filled() > 0);
        rows
    }
}

/// A row of cells, with all their lines.
fn whole(cells: &[Cell], glyphs: &Glyphs) -> TableRow {
    let first = cells
        .iter()
        .filter_map(|cell| cell.lines.first())
        .min_by(|a, b| a.baseline.total_cmp(&b.baseline));
    TableRow {
        cells: cells.iter().map(|cell| cell.texts(glyphs)).collect(),
        baseline: first.map_or(0.0, |line| line.baseline),
        size: first.map_or(1.0, |line| line.size),
    }
}

/// A row of cells as one row for each of their lines, if every line begins in the first column.
fn divided(cells: &[Cell], glyphs: &Glyphs) -> Option<Vec<TableRow>> {
    let first = cells.first()?;
    if first.lines.len() <= 1 {
        return Some(vec![whole(cells, glyphs)]);
    }
    let row = |line: &CellLine| TableRow {
        cells: vec![Vec::new(); cells.len()],
        baseline: line.baseline,
        size: line.size,
    };
    let mut rows: Vec<TableRow> = first.lines.iter().map(row).collect();
    for (column, cell) in cells.iter().enumerate() {
        for line in &cell.lines {
            let near = 0.4 * line.size;
            let at = rows.partition_point(|row| row.baseline < line.baseline - near);
            let row = rows.get_mut(at).filter(|row| row.baseline - line.baseline < near)?;
            row.cells[column].push(line.text(glyphs));
        }
    }
    Some(rows)
}

fn middle(borders: &[f32], at: usize) -> f32 {
    (borders[at] + borders[at + 1]) / 2.0
}

/// The border at `place`.
fn border_at(borders: &[f32], place: f32) -> Option<usize> {
    borders.iter().position(|border| (border - place).abs() <= TOUCH)
}

/// Between which borders `place` is.
fn place(borders: &[f32], place: f32) -> Option<usize> {
    let after = borders.partition_point(|border| *border <= place);
    (after < borders.len()).then_some(after).and_then(|after| after.checked_sub(1))
}

/// The same; between the outermost ones if it is outside.
fn nearest(borders: &[f32], place: f32) -> usize {
    let after = borders.partition_point(|border| *border <= place);
    after.saturating_sub(1).min(borders.len().saturating_sub(2))
}
