//! Aligned columns, as wide as their text, which may be Chinese.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{BOLD, plain};

/// What stands between two columns.
const GAP: &str = "  ";

/// The first column is never shortened below this.
const MIN_FIRST: usize = 16;

/// On which side of a column its text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One field of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text of anyone's: it is made safe to print, and one line.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: plain::joined(text.as_ref()), style: Style::new() }
    }

    /// A number that is not worth saying when it is zero.
    pub(crate) fn count(number: u64) -> Self {
        Self::new(if number == 0 { String::new() } else { number.to_string() })
    }

    pub(crate) fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// Rows under a head. A column in which every field is empty is left out.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(head: impl Into<Vec<(&'static str, Align)>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    /// Adds a row with a field for each column.
    pub(crate) fn push(&mut self, row: impl Into<Vec<Cell>>) {
        let row = row.into();
        debug_assert_eq!(row.len(), self.head.len(), "a row has a field for each column");
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table. With `max_width`, a long first column gives way; the last never does.
    pub(crate) fn write(&self, out: &mut dyn Write, max_width: Option<usize>) -> io::Result<()> {
        let mut widths = self.widths();
        if let (Some(max), Some(first)) = (max_width, widths.first().copied()) {
            let rest: usize = widths.iter().skip(1).map(|width| width + GAP.len()).sum();
            widths[0] = first.min(max.saturating_sub(rest).max(MIN_FIRST));
        }
        let head: Vec<Cell> =
            self.head.iter().map(|(title, _)| Cell::new(title).styled(BOLD)).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            self.write_row(out, row, &widths)?;
        }
        Ok(())
    }

    /// How wide each column is; 0 for one that is left out.
    fn widths(&self) -> Vec<usize> {
        let column = |index: usize| {
            self.rows.iter().map(move |row| row.get(index).map_or(0, |cell| cell.text.width()))
        };
        let width = |(index, (title, _)): (usize, &(&str, Align))| match column(index).max() {
            None | Some(0) => 0,
            Some(widest) => widest.max(title.width()),
        };
        self.head.iter().enumerate().map(width).collect()
    }

    fn write_row(&self, out: &mut dyn Write, row: &[Cell], widths: &[usize]) -> io::Result<()> {
        let shown: Vec<usize> = (0..row.len()).filter(|&index| widths[index] > 0).collect();
        // White space is written only before the next text, so that no line ends in it.
        let mut pending = 0;
        for index in shown {
            let (cell, width) = (&row[index], widths[index]);
            let text = shortened(&cell.text, width);
            let spare = width - text.width();
            let (before, after) = match self.head[index].1 {
                Align::Left => (0, spare),
                Align::Right => (spare, 0),
            };
            pending += before;
            if !text.is_empty() {
                let style = cell.style;
                write!(out, "{:pending$}{style}{text}{style:#}", "")?;
                pending = 0;
            }
            pending += after + GAP.len();
        }
        writeln!(out)
    }
}

/// `text` in at most `width` columns: the middle gives way, because names differ at both ends.
fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let head: String = fitting(text.chars(), room.div_ceil(2));
    let tail: String = fitting(text.chars().rev(), room / 2);
    let tail: String = tail.chars().rev().collect();
    format!("{head}…{tail}")
}

/// As many of `chars` as fit into `width` columns.
fn fitting(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            ("File", Align::Left),
            ("Pages", Align::Right),
            ("Never", Align::Left),
            ("Reason", Align::Left),
        ]);
        table.push([Cell::new("a.pdf"), Cell::count(3), Cell::new(""), Cell::new("")]);
        table.push([Cell::new("手册.pdf"), Cell::count(12), Cell::new(""), Cell::new("no\ntext")]);
        table
    }

    fn written(max_width: Option<usize>, table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut anstream::StripStream::new(&mut out), max_width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up_and_lines_end_in_text() {
        let expected = "\
File      Pages  Reason
a.pdf         3
手册.pdf     12  no text
";
        assert_eq!(written(None, &sample()), expected);
    }

    #[test]
    fn a_long_name_gives_way_in_its_middle() {
        assert_eq!(shortened("quarterly-report-2024.pdf", 12), "quarte…4.pdf");
        let wide = shortened("季度报告季度报告.pdf", 12);
        assert!(wide.width() <= 12 && wide.contains('…'), "{wide}");
        let mut table = Table::new([("File", Align::Left), ("Reason", Align::Left)]);
        table.push([Cell::new("x".repeat(200)), Cell::new("why")]);
        let longest = written(Some(60), &table).lines().map(UnicodeWidthStr::width).max();
        assert_eq!(longest, Some(60));
    }
}
