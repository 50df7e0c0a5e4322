//! What a cell shows.

use calamine::{Data, DataRef, ExcelDateTime};

/// A cell as text; empty if it is.
pub(super) fn shown(value: &Data) -> String {
    match value {
        Data::Float(number) => number_text(*number),
        Data::DateTime(time) => time_text(time),
        value => value.to_string(),
    }
}

/// The same for a cell that borrows its text.
pub(super) fn shown_ref(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number_text(*number),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::DateTime(time) => time_text(time),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// Spreadsheets show 15 digits, so that sums of tenths look like tenths.
fn number_text(number: f64) -> String {
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    if (1e-6..1e15).contains(&rounded.abs()) || rounded == 0.0 {
        return rounded.to_string();
    }
    format!("{rounded:e}")
}

fn time_text(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match (time.as_f64() < 1.0, hour == 0 && minute == 0 && second == 0) {
        (true, _) => clock,
        (false, true) => format!("{year:04}-{month:02}-{day:02}"),
        (false, false) => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn numbers_and_times_are_shown_as_people_write_them() {
        let time = |value, kind| shown(&Data::DateTime(ExcelDateTime::new(value, kind, false)));
        assert_eq!(shown(&Data::Float(0.1 + 0.2)), "0.3");
        assert_eq!(shown(&Data::Float(1200.0)), "1200");
        assert_eq!(shown(&Data::Float(-1e300)), "-1e300");
        assert_eq!(time(46_000.0, ExcelDateTimeType::DateTime), "2025-12-09");
        assert_eq!(time(46_000.5, ExcelDateTimeType::DateTime), "2025-12-09 12:00:00");
        assert_eq!(time(0.25, ExcelDateTimeType::DateTime), "06:00:00");
        assert_eq!(time(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        assert_eq!(shown(&Data::Float(f64::NAN)), "NaN");
        assert_eq!(shown_ref(&DataRef::Empty), "");
    }
}
