//! Tables without cells of rules: lines whose words leave the same white stripes free.
//!
//! A line is followed downwards as long as its stripes stay free; they divide the columns. What
//! that finds is a table only if [nothing else](signs) it could be shows its sign.

mod signs;

use super::super::Row;
use super::cells::Cell;
use super::strip::{CellRow, Strip};
use super::{Table, TableRow};
use crate::pdf::glyphs::Glyphs;
use crate::pdf::rules::Rule;
pub(super) use signs::Signs;

/// A step down that is larger, in ems, leads out of the table.
const MOST_STEP: f32 = 2.6;

/// Longer tables are several; this keeps hostile pages cheap.
const MOST_LINES: usize = 300;

/// Puts a row of its own in the place of each table's rows.
pub(in super::super) fn find(rows: Vec<Row>, glyphs: &Glyphs, tables: &mut Vec<Table>) -> Vec<Row> {
    // Nearly all pages end here: no two lines that follow each other have wide gaps.
    if rows.windows(2).all(|pair| pair.iter().any(|row| row.segments.len() < 2)) {
        return rows;
    }
    let across = glyphs.rules.joined().0;
    let mut finder = Finder { glyphs, across, strips: Vec::new() };
    finder.strips.resize_with(rows.len(), || None);
    let mut found = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        match finder.table_at(&rows, at) {
            Ok((end, table)) => {
                found.push((at, end, table));
                at = end;
            }
            Err(next) => at = next,
        }
    }
    with_tables(rows, found, tables)
}

fn with_tables(
    rows: Vec<Row>,
    found: Vec<(usize, usize, Table)>,
    tables: &mut Vec<Table>,
) -> Vec<Row> {
    let mut kept = Vec::with_capacity(rows.len());
    let mut found = found.into_iter().peekable();
    for (at, row) in rows.into_iter().enumerate() {
        match found.peek() {
            Some((start, ..)) if at < *start => kept.push(row),
            Some((_, end, _)) => {
                if at + 1 == *end
                    && let Some((.., table)) = found.next()
                {
                    kept.push(Row::begin(table.segment(tables.len())));
                    tables.push(table);
                }
            }
            None => kept.push(row),
        }
    }
    kept
}

/// A run of lines with the stripes they share.
#[derive(Debug)]
struct Run {
    end: usize,
    stripes: Vec<(f32, f32)>,
}

struct Finder<'a> {
    glyphs: &'a Glyphs,
    /// The page's horizontal rules.
    across: Vec<Rule>,
    /// The rows' words, taken apart when first asked for.
    strips: Vec<Option<Option<Strip>>>,
}

impl Finder<'_> {
    /// The table that begins with row `at`, and the row it ends before; otherwise where to look
    /// next.
    fn table_at(&mut self, rows: &[Row], at: usize) -> Result<(usize, Table), usize> {
        if rows[at].segments.len() < 2 {
            return Err(at + 1);
        }
        let Some(run) = self.run(rows, at) else { return Err(at + 1) };
        // A title over several columns has fewer stripes than the line below it.
        if let Some(next) = self.run(rows, at + 1)
            && next.stripes.len() > run.stripes.len()
        {
            return Err(at + 1);
        }
        let end = run.end;
        self.table(at, run).ok_or(if end - at < 10 { at + 1 } else { end })
    }

    fn strip(&mut self, rows: &[Row], at: usize) -> Option<&Strip> {
        let row = rows.get(at)?;
        self.strips[at].get_or_insert_with(|| Strip::of(row.segments.iter(), self.glyphs)).as_ref()
    }

    /// The lines from `start` on that share stripes, three of them at least.
    fn run(&mut self, rows: &[Row], start: usize) -> Option<Run> {
        let mut stripes = self.strip(rows, start)?.stripes();
        if stripes.is_empty() {
            return None;
        }
        let mut end = start + 1;
        while end < rows.len().min(start + MOST_LINES) && self.strip(rows, end).is_some() {
            let [Some(Some(before)), Some(Some(next))] = &self.strips[end - 1..=end] else { break };
            if !follows(before, next) {
                break;
            }
            let clear = next.clear(&stripes);
            if clear.len() < stripes.len() {
                break;
            }
            stripes = clear;
            end += 1;
        }
        (end - start >= 3).then_some(Run { end, stripes })
    }

    fn table(&self, start: usize, run: Run) -> Option<(usize, Table)> {
        let mut lines = self.cell_rows(start, &run);
        while lines.len() > 1 {
            let [.., before, last] = lines.as_slice() else { break };
            if last.filled() >= 2 || last.continues(before) {
                break;
            }
            lines.pop();
        }
        let (top, bottom) = (lines.first()?, lines.last()?);
        let left =
            lines.iter().flat_map(CellRow::edges).map(|edge| edge.0).fold(f32::INFINITY, f32::min);
        let right = lines.iter().flat_map(CellRow::edges).map(|edge| edge.1).fold(0.0, f32::max);
        let rules: Vec<f32> = self
            .across
            .iter()
            .filter(|rule| rule.to.min(right) - rule.from.max(left) > 0.8 * (right - left))
            .map(|rule| rule.at)
            .filter(|at| {
                (top.baseline - 3.0 * top.size..bottom.baseline + 2.0 * bottom.size).contains(at)
            })
            .collect();
        let signs = Signs { lines: &lines, rules: rules.len(), glyphs: self.glyphs };
        if !signs.are_of_a_table() {
            return None;
        }
        let table = Table { rows: table_rows(&lines, &rules, self.glyphs), left, right };
        table.is_sound().then_some((start + lines.len(), table))
    }

    fn cell_rows(&self, start: usize, run: &Run) -> Vec<CellRow<'_>> {
        let strips = self.strips[start..run.end].iter().flatten().flatten();
        strips.map(|strip| strip.cells(&run.stripes)).collect()
    }
}

fn follows(before: &Strip, next: &Strip) -> bool {
    let step = (next.baseline - before.baseline) / next.size.max(before.size);
    (0.5..MOST_STEP).contains(&step) && (next.size / before.size - 1.0).abs() < 0.25
}

/// The lines as rows, those that belong together taken together: what stands between two rules
/// when there is a rule below every row, and what goes on with a cell.
fn table_rows(lines: &[CellRow<'_>], rules: &[f32], glyphs: &Glyphs) -> Vec<TableRow> {
    let is_ruled = |before: &CellRow<'_>, line: &CellRow<'_>| {
        rules.iter().any(|rule| (before.baseline..line.baseline).contains(rule))
    };
    let borders = lines.windows(2).filter(|pair| is_ruled(&pair[0], &pair[1])).count();
    let is_each_ruled = borders >= 3;
    let mut rows: Vec<Vec<&CellRow<'_>>> = Vec::new();
    for line in lines {
        let goes_on = |before: &&CellRow<'_>| match is_each_ruled {
            true => !is_ruled(before, line),
            false => line.continues(before) && !is_ruled(before, line),
        };
        match rows.last_mut() {
            Some(row) if row.last().is_some_and(goes_on) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    rows.iter().map(|lines| table_row(lines, glyphs)).collect()
}

fn table_row(lines: &[&CellRow<'_>], glyphs: &Glyphs) -> TableRow {
    let columns = lines.iter().map(|line| line.cells.len()).max().unwrap_or(0);
    let text = |column: usize| {
        let mut cell = Cell::default();
        let words = lines.iter().filter_map(|line| line.cells.get(column)).flatten();
        words.for_each(|word| cell.push((*word).clone()));
        cell.sort();
        cell.texts(glyphs)
    };
    TableRow {
        cells: (0..columns).map(text).collect(),
        baseline: lines.first().map_or(0.0, |line| line.baseline),
        size: lines.first().map_or(1.0, |line| line.size),
    }
}
