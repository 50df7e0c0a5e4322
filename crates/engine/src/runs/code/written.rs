//! The program that a model writes, read from its call's arguments as they come.

use serde_json::Value;

/// The program in a call's arguments, told as they come.
///
/// Models write `{"code": "…"}`, or the program as it is. Anything else is known for what it is
/// only in the end.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// All that was written.
    written: String,
    /// How much of it, in bytes, was told.
    read: usize,
    form: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Form {
    /// Nothing was told yet.
    #[default]
    Unknown,
    /// The program itself.
    Plain,
    /// A JSON string, begun.
    Text,
    /// The string has ended.
    Ended,
}

impl Program {
    /// What `fragment` adds to the program.
    pub(crate) fn push(&mut self, fragment: &str) -> String {
        self.written.push_str(fragment);
        if self.form == Form::Unknown {
            self.begin();
        }
        match self.form {
            Form::Plain => self.rest(),
            Form::Text => self.unescape(),
            _ => String::new(),
        }
    }

    /// What is left of the program once all was written.
    pub(crate) fn finish(&mut self) -> String {
        if self.form != Form::Unknown {
            return String::new();
        }
        let parsed: Option<Value> = serde_json::from_str(&self.written).ok();
        let code = parsed.as_ref().and_then(|arguments| arguments["code"].as_str());
        code.map_or_else(|| self.rest(), str::to_owned)
    }

    fn begin(&mut self) {
        let written = self.written.trim_start();
        let Some(object) = written.strip_prefix('{') else {
            if !written.is_empty() {
                self.form = Form::Plain;
            }
            return;
        };
        let value = object.trim_start().strip_prefix("\"code\"").map(str::trim_start);
        let value = value.and_then(|rest| rest.strip_prefix(':')).map(str::trim_start);
        if let Some(text) = value.and_then(|rest| rest.strip_prefix('"')) {
            self.read = self.written.len() - text.len();
            self.form = Form::Text;
        }
    }

    fn rest(&mut self) -> String {
        let rest = self.written[self.read..].to_owned();
        self.read = self.written.len();
        rest
    }

    /// More of a JSON string. An escape that is not whole waits; one that JSON does not know stands
    /// for itself, and so does a line break, which JSON forbids: models write both.
    fn unescape(&mut self) -> String {
        let mut text = String::new();
        while let Some(next) = self.written[self.read..].chars().next() {
            match next {
                '"' => {
                    self.form = Form::Ended;
                    break;
                }
                '\\' => {
                    let Some((character, length)) = escape(&self.written[self.read..]) else {
                        break;
                    };
                    text.push(character);
                    self.read += length;
                }
                other => {
                    text.push(other);
                    self.read += other.len_utf8();
                }
            }
        }
        text
    }
}

/// The character that the escape at the beginning of `text` stands for, and how long that is; none
/// if there may be more of it.
fn escape(text: &str) -> Option<(char, usize)> {
    let kind = text[1..].chars().next()?;
    let character = match kind {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode_escape(text),
        other => other,
    };
    Some((character, 1 + kind.len_utf8()))
}

/// `\u00e9`, or two of them for a character beyond 16 bits.
fn unicode_escape(text: &str) -> Option<(char, usize)> {
    const LENGTH: usize = "\\u00e9".len();
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u").and_then(|digits| digits.get(..4));
        digits.and_then(|digits| u16::from_str_radix(digits, 16).ok())
    };
    if text.len() < LENGTH {
        return None;
    }
    let first = unit(text).unwrap_or(0xfffd);
    if !(0xd800..0xdc00).contains(&first) {
        let length = text.ceil_char_boundary(LENGTH);
        return Some((char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER), length));
    }
    let rest = &text[LENGTH..];
    if rest.len() < LENGTH && ("\\u".starts_with(rest) || rest.starts_with("\\u")) {
        return None;
    }
    let pair = char::decode_utf16([Some(first), unit(rest)].into_iter().flatten()).next();
    match pair {
        Some(Ok(character)) => Some((character, 2 * LENGTH)),
        _ => Some((char::REPLACEMENT_CHARACTER, LENGTH)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runs::code::arguments;

    fn told(pieces: &[&str]) -> String {
        let mut program = Program::default();
        let mut told: String = pieces.iter().map(|piece| program.push(piece)).collect();
        told.push_str(&program.finish());
        told
    }

    #[test]
    fn a_program_is_told_as_it_comes() {
        let mut program = Program::default();
        let pieces = ["{\"co", "de\": \"print", "(1)\\", "nx = 1", "\"}"];
        let told: Vec<String> = pieces.iter().map(|piece| program.push(piece)).collect();
        assert_eq!(told, ["", "print", "(1)", "\nx = 1", ""]);
    }

    #[test]
    fn other_forms_are_programs_too() {
        assert_eq!(told(&["print", "(1)"]), "print(1)");
        assert_eq!(told(&["{\"why\": 1, ", "\"code\": \"x\"}"]), "x");
        assert_eq!(told(&["{1: 2}[", "1]"]), "{1: 2}[1]");
        assert_eq!(told(&["{\"code\": \"a\nb\\'\\u12"]), "a\nb'");
        assert_eq!(told(&["{\"code\": \"\\ud83d\\n\\u水水水水\"}"]).chars().last(), Some('水'));
        assert_eq!(told(&[]), "");
    }

    proptest! {
        #[test]
        fn any_program_is_told_whole_however_it_is_cut(code in any::<String>(), ascii: bool, step in 1usize..9) {
            let mut arguments = arguments(&code);
            if ascii {
                let units = code.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                arguments = format!("{{ \"code\" : \"{}\"}}", units.collect::<String>());
            }
            let chars: Vec<char> = arguments.chars().collect();
            let pieces: Vec<String> = chars.chunks(step).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(told(&pieces), code);
        }

        #[test]
        fn nothing_written_panics(pieces in prop::collection::vec("[{\"code:\\\\u0-9d水 ]{0,8}", 0..6)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            told(&pieces);
        }
    }
}
