//! Where in JSON a number stands, and how long it already is.
//!
//! A schema's grammar lets a number go on for ever, and a small model takes the offer. Past what an
//! `f64` or `i64` tells apart, digits say nothing, and an exponent can say more than any reader
//! holds (`1e999` is no number to most of them).

/// As many characters as an `i64` has at most.
const WHOLE: usize = 20;
/// As many characters of a fraction as an `f64` keeps apart from its neighbours.
const FRACTION: usize = 17;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    place: Place,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Between,
    Text {
        escaped: bool,
    },
    Number {
        length: usize,
        is_fraction: bool,
    },
}

impl Numbers {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.place = self.place.after(*byte);
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        matches!(self.place, Place::Number { .. })
    }

    /// Whether no number becomes too long by `bytes`.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        let mut place = self.place;
        bytes.iter().all(|byte| {
            let exponent = matches!(place, Place::Number { .. }) && matches!(byte, b'e' | b'E');
            place = place.after(*byte);
            let fits = match place {
                Place::Number { length, is_fraction: true } => length <= FRACTION,
                Place::Number { length, .. } => length <= WHOLE,
                _ => true,
            };
            fits && !exponent
        })
    }
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Text { escaped: true }, _) => Self::Text { escaped: false },
            (Self::Text { .. }, b'\\') => Self::Text { escaped: true },
            (Self::Text { .. }, b'"') => Self::Between,
            (Self::Text { .. }, _) => self,
            (_, b'"') => Self::Text { escaped: false },
            (
                Self::Number { length, is_fraction },
                b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-',
            ) => Self::Number { length: length + 1, is_fraction: is_fraction || byte == b'.' },
            (Self::Between, b'0'..=b'9' | b'-') => Self::Number { length: 1, is_fraction: false },
            _ => Self::Between,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(before: &str, next: &str) -> bool {
        let mut numbers = Numbers::default();
        numbers.push(before.as_bytes());
        numbers.fits(next.as_bytes())
    }

    #[test]
    fn a_number_ends_where_digits_no_longer_say_anything() {
        assert!(fits(r#"{"a":"#, "-9223372036854775808"));
        assert!(!fits(r#"{"a":-9223372036854775808"#, "0"));
        assert!(fits("[0.123456789012345", ","));
        assert!(!fits("[0.123456789012345", "6"));
        assert!(!fits("[1", "e9") && !fits("[1", "E"));
    }

    #[test]
    fn digits_in_texts_and_words_are_no_numbers() {
        assert!(fits(r#"{"a":"1"#, "234567890123456789012345"));
        assert!(fits(r#"{"a\""#, "1e5"));
        assert!(fits("[tru", "e") && fits("[1,fals", "e"));
        assert!(fits(r#"["\\","#, "12"));
    }
}
