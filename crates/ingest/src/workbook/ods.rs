//! What an ODS file claims to repeat.
//!
//! A cell or a row may say that it stands for a million; the library unfolds what it says. So the
//! rectangle of cells is weighed before.

use docent_core::FileError;

use crate::document::invalid;
use crate::package::{Node, Package, Tag, Xml};

/// Cells of the rectangle that a sheet's cells span. Each costs 32 bytes when it is unfolded.
const MOST_CELLS: u64 = 8 << 20;

/// Refuses a file one of whose sheets would unfold to too many cells.
pub(super) fn check(package: &mut Package<'_>) -> Result<(), FileError> {
    let Some(text) = package.text("content.xml")? else { return Ok(()) };
    match largest_sheet(&text) {
        cells if cells > MOST_CELLS => Err(invalid(format!(
            "a sheet spans {cells} cells; at most {MOST_CELLS} can be read from ODS, save it as XLSX"
        ))),
        _ => Ok(()),
    }
}

fn largest_sheet(content: &str) -> u64 {
    let mut xml = Xml::new(content);
    let (mut largest, mut sheet) = (0, Extent::default());
    // What is damaged, the library refuses.
    while let Ok(Some(node)) = xml.next() {
        match node {
            Node::Open(tag) => sheet.open(&tag),
            Node::Text(text) => sheet.cell_has_value |= !text.trim().is_empty(),
            Node::Close(end) => match end.name() {
                "table-cell" | "covered-table-cell" => sheet.end_cell(),
                "table-row" => sheet.end_row(),
                "table" => {
                    largest = largest.max(sheet.cells());
                    sheet = Extent::default();
                }
                _ => {}
            },
        }
    }
    largest.max(sheet.cells())
}

/// The rectangle of a sheet up to its last cell with a value.
#[derive(Debug, Default)]
struct Extent {
    rows: u64,
    columns: u64,
    blank_rows: u64,
    row_repeats: u64,
    row_columns: u64,
    blank_columns: u64,
    cell_repeats: u64,
    cell_has_value: bool,
}

impl Extent {
    fn open(&mut self, tag: &Tag<'_>) {
        let repeats = |name| {
            tag.attribute(name).and_then(|value| value.parse().ok()).unwrap_or(1_u64).min(1 << 32)
        };
        match tag.name() {
            "table-row" => {
                self.row_repeats = repeats("number-rows-repeated");
                (self.row_columns, self.blank_columns) = (0, 0);
            }
            "table-cell" | "covered-table-cell" => {
                self.cell_repeats = repeats("number-columns-repeated");
                let values = ["value", "string-value", "date-value", "time-value", "formula"];
                self.cell_has_value = values.iter().any(|name| tag.attribute(name).is_some());
            }
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        self.blank_columns = self.blank_columns.saturating_add(self.cell_repeats);
        if self.cell_has_value {
            self.row_columns += std::mem::take(&mut self.blank_columns);
        }
    }

    fn end_row(&mut self) {
        self.blank_rows = self.blank_rows.saturating_add(self.row_repeats);
        if self.row_columns > 0 {
            self.rows += std::mem::take(&mut self.blank_rows);
            self.columns = self.columns.max(self.row_columns);
        }
    }

    fn cells(&self) -> u64 {
        self.rows.saturating_mul(self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_rows_at_the_end_weigh_nothing() {
        let row = |repeats: u64, cell: &str| {
            format!(
                "<table:table-row table:number-rows-repeated='{repeats}'>{cell}</table:table-row>"
            )
        };
        let cell = "<table:table-cell office:value='1' table:number-columns-repeated='3'/>\
            <table:table-cell table:number-columns-repeated='16381'/>";
        let blank = row(1_048_576, "<table:table-cell table:number-columns-repeated='16384'/>");
        let sound = format!("<table:table>{}{blank}</table:table>", row(2, cell));
        assert_eq!(largest_sheet(&sound), 6);
        let bomb = format!("<table:table>{}{blank}{}</table:table>", row(1, cell), row(1, cell));
        assert_eq!(largest_sheet(&bomb), 3 * 1_048_578);
        assert!(largest_sheet(&row(u64::MAX, &cell.replace('3', "99999999999"))) > MOST_CELLS);
    }
}
