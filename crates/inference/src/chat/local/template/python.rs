//! What Python would print: templates were written against it, and models trained on it.

use std::fmt::Write;

use docent_core::Clock;
use jiff::fmt::strtime;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value};

/// `{{ value }}`.
pub(super) fn print(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text),
        None => out.write_str(&str(value)),
    }
    .map_err(Error::from)
}

/// `value | string`.
pub(super) fn string(value: &Value) -> Value {
    match value.kind() {
        ValueKind::String => value.clone(),
        _ => str(value).into(),
    }
}

/// `value is iterable`, which None is not.
pub(super) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// `value is sequence`: what has a length and items, so texts and dicts, too.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}

/// The date of the machine's clock, in UTC.
pub(super) fn strftime(clock: &dyn Clock, format: &str) -> Result<String, Error> {
    let millis = i64::try_from(clock.now().millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .and_then(|now| strtime::format(format, &now.to_zoned(jiff::tz::TimeZone::UTC)))
        .map_err(|error| invalid("a date cannot be written").with_source(error))
}

/// `value | tojson`, which transformers makes `json.dumps` without escapes for HTML.
pub(super) fn to_json(value: &Value, args: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    let option = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        let named: Option<Value> = named.get(name)?;
        Ok(args.get(at).cloned().or(named).filter(|value| !value.is_none()))
    };
    let indent = option(1, "indent")?.map(usize::try_from).transpose()?;
    let separators = option(2, "separators")?;
    let part = |at: usize, default: &str| -> Result<String, Error> {
        match &separators {
            Some(both) => Ok(both.get_item(&at.into())?.to_string()),
            None => Ok(default.to_owned()),
        }
    };
    let mut json = Json {
        indent: indent.map(|spaces| " ".repeat(spaces.min(MAX_INDENT))),
        between: part(0, if indent.is_some() { "," } else { ", " })?,
        colon: part(1, ": ")?,
        ascii: option(0, "ensure_ascii")?.is_some_and(|value| value.is_true()),
        sorted: option(3, "sort_keys")?.is_some_and(|value| value.is_true()),
        ..Json::default()
    };
    named.assert_all_used()?;
    json.value(value, 0)?;
    Ok(json.out.into())
}

/// `json.dumps(value, ensure_ascii=False)`.
pub(super) fn to_json_text(value: &Value) -> Result<String, Error> {
    let mut json = Json::default();
    json.value(value, 0)?;
    Ok(json.out)
}

/// An indent is a number in a stranger's template.
const MAX_INDENT: usize = 32;
/// Deeper than any JSON that was read from text here.
const MAX_DEPTH: usize = 160;

struct Json {
    out: String,
    indent: Option<String>,
    between: String,
    colon: String,
    ascii: bool,
    sorted: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            out: String::new(),
            indent: None,
            between: ", ".to_owned(),
            colon: ": ".to_owned(),
            ascii: false,
            sorted: false,
        }
    }
}

impl Json {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(invalid("tojson: nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            kind => return Err(invalid(format!("tojson: a value of kind {kind} is no JSON"))),
        }
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sorted {
            keys.sort();
        }
        self.out.push('{');
        for (at, key) in keys.iter().enumerate() {
            self.line(at, depth + 1);
            match key.as_str() {
                Some(text) => self.string(text),
                None => self.string(&str(key)),
            }
            self.out.push_str(&self.colon);
            self.value(&map.get_item(key)?, depth + 1)?;
        }
        self.close('}', keys.is_empty(), depth);
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        let mut empty = true;
        self.out.push('[');
        for (at, item) in list.try_iter()?.enumerate() {
            empty = false;
            self.line(at, depth + 1);
            self.value(&item, depth + 1)?;
        }
        self.close(']', empty, depth);
        Ok(())
    }

    /// Before the item `at`: what divides it from the last, and its own line.
    fn line(&mut self, at: usize, depth: usize) {
        if at > 0 {
            self.out.push_str(&self.between);
        }
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn close(&mut self, bracket: char, empty: bool, depth: usize) {
        if !empty {
            self.line(0, depth);
        }
        self.out.push(bracket);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ' '..='~' => self.out.push(char),
                _ if char >= ' ' && !self.ascii => self.out.push(char),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        // Writing to a string cannot fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
            }
        }
        self.out.push('"');
    }
}

/// `str(value)`.
fn str(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        _ => repr(value, 0),
    }
}

fn repr(value: &Value, depth: usize) -> String {
    let items =
        |open: char, items: Vec<String>, close: char| format!("{open}{}{close}", items.join(", "));
    match value.kind() {
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::Number => number(value),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Map | ValueKind::Seq if depth > MAX_DEPTH => "...".to_owned(),
        ValueKind::Seq => {
            let parts = value.try_iter().into_iter().flatten();
            items('[', parts.map(|item| repr(&item, depth + 1)).collect(), ']')
        }
        ValueKind::Map => {
            let keys = value.try_iter().into_iter().flatten();
            let pair = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                format!("{}: {}", repr(&key, depth + 1), repr(&item, depth + 1))
            };
            items('{', keys.map(pair).collect(), '}')
        }
        _ => value.to_string(),
    }
}

/// Python quotes with `'` unless only `"` needs no escape.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char == quote => out.extend(['\\', char]),
            char if char < ' ' || char == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push(quote);
    out
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => float(number),
        _ => value.to_string(),
    }
}

/// The shortest digits that say the number, with an exponent where Python writes one.
fn float(number: f64) -> String {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return if number.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
