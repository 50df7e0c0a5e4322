//! Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): sheets as pages, each a heading and rows of cells.
//!
//! XLSX and XLSB are read cell by cell, so that a sheet whose corners are far apart costs what is
//! in it. XLS and ODS come as a whole; what an ODS file claims to repeat is [weighed](ods) first.

mod cell;
mod ods;
mod sheet;

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};

use calamine::{Ods, Reader, Sheet, SheetType, SheetVisible, Xls, Xlsb, Xlsx};
use docent_core::FileError;

use crate::document::invalid;
use crate::draft::Draft;
use crate::package::Package;
use crate::{Document, Extractor, Limits};
use cell::{shown, shown_ref};
use sheet::SheetLines;

/// Reads spreadsheets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkbookExtractor;

type Bytes<'a> = Cursor<&'a [u8]>;

impl Extractor for WorkbookExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let mut draft = Draft::new(limits);
        if !bytes.starts_with(b"PK") {
            read(&mut draft, || Xls::new(Cursor::new(bytes)), dense)?;
            return Ok(draft.finish());
        }
        let mut package = Package::open(bytes, limits)?;
        // The library unpacks what it needs without a limit.
        package
            .check_unpacked(|name| !name.contains("media/") && !name.starts_with("Pictures/"))?;
        let names = package.names();
        if let Some(title) = package.core_title()? {
            draft.title(&title);
        }
        if names.iter().any(|name| name == "mimetype") {
            ods::check(&mut package)?;
            read(&mut draft, || Ods::new(Cursor::new(bytes)), dense)?;
        } else if names.iter().any(|name| name == "xl/workbook.bin") {
            read(&mut draft, || Xlsb::new(Cursor::new(bytes)), xlsb_cells)?;
        } else {
            read(&mut draft, || Xlsx::new(Cursor::new(bytes)), xlsx_cells)?;
        }
        complain(&mut draft, &names);
        Ok(draft.finish())
    }
}

/// Reads every sheet of the workbook that `open` gives. The library panics on some damage (a cell
/// reference beyond all numbers); what was read before is kept.
fn read<'a, W: Reader<Bytes<'a>>>(
    draft: &mut Draft<'_>,
    open: impl FnOnce() -> Result<W, W::Error>,
    cells: impl Fn(&mut W, &str, &mut SheetLines<'_, '_>) -> Result<(), SheetError>,
) -> Result<(), FileError>
where
    W::Error: std::fmt::Display,
{
    let work = AssertUnwindSafe(|| read_sheets(draft, open(), cells));
    match panic::catch_unwind(work) {
        Ok(outcome) => outcome,
        Err(_) if draft.is_empty() => Err(damaged("its parts contradict each other")),
        Err(_) => {
            draft.warn_of_page("the sheet is damaged; its other rows and sheets are left out");
            Ok(())
        }
    }
}

/// Reads every sheet with `cells`. A sheet that cannot be read is a warning.
fn read_sheets<'a, W: Reader<Bytes<'a>>>(
    draft: &mut Draft<'_>,
    workbook: Result<W, W::Error>,
    cells: impl Fn(&mut W, &str, &mut SheetLines<'_, '_>) -> Result<(), SheetError>,
) -> Result<(), FileError>
where
    W::Error: std::fmt::Display,
{
    let mut workbook = workbook.map_err(|error| damaged(&error.to_string()))?;
    let mut failed = None;
    for Sheet { name, typ, visible } in workbook.sheets_metadata().to_vec() {
        draft.begin_page()?;
        if typ != SheetType::WorkSheet {
            draft.warn_of_page(format!("{name} is no sheet of cells and is left out"));
            continue;
        }
        if visible != SheetVisible::Visible {
            draft.warn_of_page(format!("sheet {name} is hidden; its text is kept"));
        }
        let mut lines = SheetLines::new(draft, &name);
        let outcome = cells(&mut workbook, &name, &mut lines).and_then(|()| Ok(lines.finish()?));
        match outcome {
            Ok(()) => {}
            Err(SheetError::File(error)) => return Err(error),
            Err(SheetError::Sheet(reason)) => {
                draft.warn_of_page(format!("sheet {name} is damaged ({reason}); rows are missing"));
                failed = Some(reason);
            }
        }
    }
    match failed {
        Some(reason) if draft.is_empty() => Err(damaged(&reason)),
        _ => Ok(()),
    }
}

fn damaged(reason: &str) -> FileError {
    if reason.contains("password") {
        return invalid("the workbook is encrypted; save it without a password");
    }
    invalid(format!("the workbook is damaged: {reason}"))
}

/// What ends the reading of a sheet.
enum SheetError {
    /// The whole file is given up.
    File(FileError),
    /// The sheet is damaged.
    Sheet(String),
}

impl From<FileError> for SheetError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

fn of_sheet(error: impl std::fmt::Display) -> SheetError {
    SheetError::Sheet(error.to_string())
}

fn xlsx_cells(
    workbook: &mut Xlsx<Bytes<'_>>,
    name: &str,
    lines: &mut SheetLines<'_, '_>,
) -> Result<(), SheetError> {
    let mut cells = workbook.worksheet_cells_reader(name).map_err(of_sheet)?;
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(of_sheet)? {
        let text = shown_ref(&cell.value);
        if text.is_empty() && cell.formula.is_some() {
            lines.note_formula_without_value();
        }
        lines.cell(cell.pos, text)?;
    }
    Ok(())
}

fn xlsb_cells(
    workbook: &mut Xlsb<Bytes<'_>>,
    name: &str,
    lines: &mut SheetLines<'_, '_>,
) -> Result<(), SheetError> {
    let mut cells = workbook.worksheet_cells_reader(name).map_err(of_sheet)?;
    while let Some(cell) = cells.next_cell().map_err(of_sheet)? {
        lines.cell(cell.get_position(), shown_ref(cell.get_value()))?;
    }
    Ok(())
}

/// The cells of a format that is read a whole sheet at a time.
fn dense<'a, W: Reader<Bytes<'a>>>(
    workbook: &mut W,
    name: &str,
    lines: &mut SheetLines<'_, '_>,
) -> Result<(), SheetError>
where
    W::Error: std::fmt::Display,
{
    let range = workbook.worksheet_range(name).map_err(of_sheet)?;
    let (top, left) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        // A sheet has at most 2^20 rows and 2^14 columns.
        lines.cell((top + row as u32, left + column as u32), shown(value))?;
    }
    Ok(())
}

/// Says what else the workbook holds and is left out.
fn complain(draft: &mut Draft<'_>, names: &[String]) {
    let kinds = [
        ("xl/charts/chart", "charts"),
        ("xl/comments", "lists of comments"),
        ("xl/threadedComments/", "lists of comments that were answered"),
        ("xl/pivotTables/", "definitions of pivot tables"),
    ];
    for (prefix, what) in kinds {
        let count = names.iter().filter(|name| name.starts_with(prefix)).count();
        if count > 0 {
            draft.warn(format!("{count} {what} are left out"));
        }
    }
}
