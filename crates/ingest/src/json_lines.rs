//! JSON Lines: a record a line, shown as `name: value` pairs.
//!
//! The names stand in every record, so a row of this table needs no header. What JSON escapes is
//! shown as the text it stands for.

use std::fmt;

use docent_core::FileError;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::draft::Draft;
use crate::table::{BETWEEN_CELLS, row_text};
use crate::text::decode;
use crate::{Document, Extractor, Limits, Line, LineKind};

/// Reads JSON Lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JsonLinesExtractor;

impl Extractor for JsonLinesExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (text, warnings) = decode(bytes, limits)?;
        let mut draft = Draft::new(limits);
        draft.warnings(warnings);
        let (mut broken, mut vectors) = (Vec::new(), 0);
        for (number, line) in (1_u64..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let (row, left_out) = match record(line) {
                Ok(record) => (record.row(), record.vectors),
                Err(_) => {
                    broken.push(number);
                    (row_text(&[line]), 0)
                }
            };
            vectors += left_out;
            if let Some(row) = row {
                let starts_paragraph = draft.is_empty();
                draft.line(Line { starts_paragraph, ..Line::new(row, LineKind::Row) })?;
            }
        }
        complain(&mut draft, &broken, vectors);
        Ok(draft.finish())
    }
}

fn complain(draft: &mut Draft<'_>, broken: &[u64], vectors: u64) {
    if let Some(first) = broken.first() {
        let others = match broken.len() {
            1 => String::new(),
            count => format!(", as are {} more lines", count - 1),
        };
        draft.warn(format!("line {first} is no JSON and is kept as it stands{others}"));
    }
    if vectors > 0 {
        draft.warn(format!("{vectors} lists of more than {MOST_NUMBERS} numbers are left out"));
    }
}

/// Whether `line` is one JSON object.
pub(crate) fn is_record(line: &str) -> bool {
    line.trim_start().starts_with('{') && record(line).is_ok()
}

/// A longer list of numbers is a vector, which nobody reads.
const MOST_NUMBERS: usize = 64;

/// A record, flattened.
#[derive(Debug, Default)]
struct Record {
    /// Names joined by dots, and values, in the order of the file.
    fields: Vec<(String, String)>,
    /// How many lists of numbers were left out.
    vectors: u64,
}

impl Record {
    fn row(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.fields.iter().map(|(name, value)| pair(name, value)).collect();
        row_text(&[pairs.join(BETWEEN_CELLS)])
    }

    /// Adds a value; those of one list go together.
    fn push(&mut self, name: &str, value: &str) {
        match self.fields.last_mut() {
            _ if value.trim().is_empty() => {}
            Some((last, values)) if last == name => {
                values.push_str(", ");
                values.push_str(value);
            }
            _ => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }
}

fn pair(name: &str, value: &str) -> String {
    if name.is_empty() { value.to_owned() } else { format!("{name}: {value}") }
}

fn record(line: &str) -> serde_json::Result<Record> {
    let mut record = Record::default();
    let mut json = serde_json::Deserializer::from_str(line);
    Value { name: String::new(), record: &mut record }.deserialize(&mut json)?;
    json.end()?;
    Ok(record)
}

/// What a value is: the elements of a list that are all numbers may be a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Other,
}

/// Adds the value that comes next to a record. Keeps the order of the file, which a map would not.
struct Value<'a> {
    name: String,
    record: &'a mut Record,
}

impl Value<'_> {
    fn push(self, value: &str, kind: Kind) -> Kind {
        self.record.push(&self.name, value);
        kind
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(self.push(&value.to_string(), Kind::Other))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(self.push(&value.to_string(), Kind::Number))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(self.push(&value.to_string(), Kind::Number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(self.push(&value.to_string(), Kind::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(self.push(value, Kind::Other))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let Self { name, record } = self;
        let fields = record.fields.len();
        let last_bytes = record.fields.last().map_or(0, |(_, value)| value.len());
        let (mut count, mut is_vector) = (0, true);
        while let Some(kind) =
            list.next_element_seed(Value { name: name.clone(), record: &mut *record })?
        {
            count += 1;
            is_vector &= kind == Kind::Number;
        }
        if is_vector && count > MOST_NUMBERS {
            record.fields.truncate(fields);
            if let Some((_, value)) = record.fields.last_mut() {
                value.truncate(last_bytes);
            }
            record.vectors += 1;
        }
        Ok(Kind::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let name = match self.name.as_str() {
                "" => key,
                outer => format!("{outer}.{key}"),
            };
            map.next_value_seed(Value { name, record: &mut *self.record })?;
        }
        Ok(Kind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(text: &str) -> (Vec<String>, Vec<String>) {
        let document = JsonLinesExtractor.extract(text.as_bytes(), &Limits::default()).unwrap();
        let lines = document.pages.into_iter().flat_map(|page| page.lines);
        let warnings = document.warnings.into_iter().map(|warning| warning.message);
        (lines.map(|line| line.text).collect(), warnings.collect())
    }

    #[test]
    fn records_are_shown_with_their_names_in_the_order_of_the_file() {
        let text = "{\"name\":\"\\u6d77\\nsea\",\"id\":7,\"none\":null,\"at\":{\"lat\":1.5,\"tags\":[\"a\",\"b\"]}}\n\n[1,2]\n\"x\"\n";
        let (lines, warnings) = extract(text);
        let first = "name: 海 sea | id: 7 | at.lat: 1.5 | at.tags: a, b";
        assert_eq!(lines, [first, "1, 2", "x"]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_line_that_is_no_json_is_kept_and_told() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let (lines, warnings) = extract(&format!("{{\"a\":1}}\n{{\"a\":2}}\n{{\"a\":\n{deep}\n"));
        assert_eq!(lines, ["a: 1", "a: 2", "{\"a\":", &deep]);
        assert_eq!(warnings, ["line 3 is no JSON and is kept as it stands, as are 1 more lines"]);
    }

    #[test]
    fn vectors_are_left_out_and_told() {
        let vector = vec!["0.25"; 100].join(",");
        let (lines, warnings) = extract(&format!("{{\"id\":1,\"v\":[{vector}],\"t\":\"x\"}}\n"));
        assert_eq!(lines, ["id: 1 | t: x"]);
        assert_eq!(warnings, ["1 lists of more than 64 numbers are left out"]);
    }
}
