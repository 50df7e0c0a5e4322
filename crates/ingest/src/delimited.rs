//! CSV and its kin: rows of cells between commas, semicolons, tabs or bars.

use csv::{ReaderBuilder, StringRecord};
use docent_core::FileError;

use crate::draft::Draft;
use crate::table::{RowRole, TableLines};
use crate::text::decode;
use crate::{Document, Extractor, Limits};

/// Reads comma-separated values and their kin.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DelimitedExtractor;

impl Extractor for DelimitedExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (text, warnings) = decode(bytes, limits)?;
        let (text, told) = told_delimiter(&text);
        let delimiter = told.unwrap_or_else(|| likely_delimiter(text));
        let mut draft = Draft::new(limits);
        draft.warnings(warnings);
        let mut lines = TableLines::default();
        let mut records = Records::new(text, delimiter);
        while let Some(record) = records.next()? {
            let cells: Vec<&str> = record.iter().collect();
            if let Some(line) = lines.row(&cells, RowRole::Unknown) {
                draft.line(line)?;
            }
        }
        records.complaints().into_iter().for_each(|complaint| draft.warn(complaint));
        Ok(draft.finish())
    }
}

/// The delimiter that a spreadsheet program wrote into a first line `sep=;`, and the rest.
fn told_delimiter(text: &str) -> (&str, Option<u8>) {
    let told = text.split_once('\n').and_then(|(first, rest)| {
        let delimiter = first.trim_end_matches('\r').strip_prefix("sep=")?;
        Some((rest, *delimiter.as_bytes().first().filter(|byte| byte.is_ascii())?))
    });
    told.map_or((text, None), |(rest, delimiter)| (rest, Some(delimiter)))
}

/// How many records tell the delimiter.
const SAMPLE_RECORDS: usize = 50;

/// The delimiter that cuts most of the first records into as many cells as the first one, which
/// has two at least.
fn likely_delimiter(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let records = reader(text, delimiter, true).into_records().take(SAMPLE_RECORDS);
        let widths: Vec<usize> = records.flatten().map(|record| record.len()).collect();
        let first = widths.first().copied().filter(|width| *width > 1)?;
        let same = widths.iter().filter(|width| **width == first).count();
        Some((same, first))
    };
    let scored = [b'|', b'\t', b';', b','].map(|delimiter| (score(delimiter), delimiter));
    let best = scored.into_iter().filter_map(|(score, delimiter)| Some((score?, delimiter))).max();
    best.map_or(b',', |(_, delimiter)| delimiter)
}

fn reader(text: &str, delimiter: u8, quoting: bool) -> csv::Reader<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting);
    builder.from_reader(text.as_bytes())
}

/// The records of a text. A quote that is never closed costs its line, not the rest of the file.
struct Records<'a> {
    text: &'a str,
    delimiter: u8,
    reader: csv::Reader<&'a [u8]>,
    /// Where the reader began.
    base: usize,
    /// Where the next record begins.
    at: usize,
    /// Quotes from `at` on. Odd: one of them is never closed.
    quotes: usize,
    record: StringRecord,
    width: Option<usize>,
    uneven: Vec<usize>,
    open_quotes: Vec<usize>,
}

impl<'a> Records<'a> {
    fn new(text: &'a str, delimiter: u8) -> Self {
        Self {
            text,
            delimiter,
            reader: reader(text, delimiter, true),
            base: 0,
            at: 0,
            quotes: quotes(text),
            record: StringRecord::new(),
            width: None,
            uneven: Vec::new(),
            open_quotes: Vec::new(),
        }
    }

    /// The next record; none at the end.
    fn next(&mut self) -> Result<Option<&StringRecord>, FileError> {
        let damaged = |error: csv::Error| crate::document::invalid(format!("damaged: {error}"));
        let text = self.text;
        if !self.reader.read_record(&mut self.record).map_err(damaged)? {
            return Ok(None);
        }
        let mut end = self.base + self.reader.position().byte() as usize;
        self.at +=
            text[self.at..end].len() - text[self.at..end].trim_start_matches(['\r', '\n']).len();
        let first_line = text[self.at..end].find('\n').map(|at| self.at + at + 1);
        let is_open = self.quotes % 2 == 1 && first_line.is_some_and(|line| line < end);
        if let Some(line_end) = first_line.filter(|_| is_open) {
            self.open_quotes.push(self.at);
            let line = &text[self.at..line_end];
            reader(line, self.delimiter, false).read_record(&mut self.record).map_err(damaged)?;
            end = line_end;
            self.base = end;
            self.reader = reader(&text[end..], self.delimiter, true);
        }
        let width = *self.width.get_or_insert(self.record.len());
        if self.record.len() != width {
            self.uneven.push(self.at);
        }
        self.quotes -= quotes(&text[self.at..end]);
        self.at = end;
        Ok(Some(&self.record))
    }

    /// What is wrong with the records read so far.
    fn complaints(&self) -> Vec<String> {
        let line = |at: &usize| 1 + self.text[..*at].matches('\n').count();
        let open = self.open_quotes.first().map(|at| {
            format!("line {} opens a quote that is never closed; it is read as text", line(at))
        });
        let uneven = self.uneven.first().map(|at| {
            let (count, line) = (self.uneven.len(), line(at));
            format!("{count} rows have more or fewer cells than the first; one is line {line}")
        });
        open.into_iter().chain(uneven).collect()
    }
}

fn quotes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'"').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LineKind;

    fn extract(text: &str) -> Document {
        DelimitedExtractor.extract(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn lines(text: &str) -> Vec<String> {
        extract(text).pages.remove(0).lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn each_delimiter_is_told_by_the_rows() {
        let expected = ["name | size", "a, b | 1,5", "c | 2"];
        for text in [
            "name,size\n\"a, b\",\"1,5\"\nc,2\n",
            "name;size\r\na, b;1,5\r\nc;2\r\n",
            "name\tsize\na, b\t1,5\n\nc\t2",
            "sep=|\nname|size\na, b|1,5\nc|2\n",
        ] {
            assert_eq!(lines(text), expected, "{text}");
            assert_eq!(extract(text).pages[0].lines[0].kind, LineKind::Header);
        }
    }

    #[test]
    fn cells_may_have_several_lines_and_rows_other_widths() {
        let document = extract("a,b\n\"two\nlines\",2\n1,2,3\n");
        assert_eq!(document.pages[0].lines[1].text, "two lines | 2");
        let warnings: Vec<&str> = document.warnings.iter().map(|w| w.message.as_str()).collect();
        assert_eq!(warnings, ["1 rows have more or fewer cells than the first; one is line 4"]);
    }

    #[test]
    fn an_unclosed_quote_costs_its_line_only() {
        let document = extract("a,b\n1,2\n\"open,3\n\"shut\",4\n5,6\n");
        let lines: Vec<&str> = document.pages[0].lines.iter().map(|l| l.text.as_str()).collect();
        assert_eq!(lines, ["a | b", "1 | 2", "\"open | 3", "shut | 4", "5 | 6"]);
        assert!(document.warnings[0].message.contains("line 3 opens a quote"));
    }

    #[test]
    fn rows_without_names_have_no_header() {
        assert_eq!(extract("1,Anna\n2,Bo\n").pages[0].lines[0].kind, LineKind::Row);
    }
}
