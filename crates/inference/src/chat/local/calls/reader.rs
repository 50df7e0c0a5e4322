//! Reads calls as they come, from text that a grammar holds to their form.

use serde_json::Value;

/// What a piece of text says of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::chat::local) enum CallEvent {
    /// A call of this tool begins.
    Begin(String),
    /// More of its arguments.
    Arguments(String),
}

/// Where in the text of calls we are.
#[derive(Debug, Default)]
pub(in crate::chat::local) struct CallReader {
    place: Place,
    string: Inside,
}

#[derive(Debug, Default)]
enum Place {
    /// Outside of any call.
    #[default]
    Between,
    /// In a call, before its arguments; what came of it so far.
    Head(Vec<u8>),
    /// In its arguments, so many braces and brackets deep; what is not shown yet.
    Arguments { depth: usize, unshown: Vec<u8> },
    /// Behind its arguments.
    Tail,
}

/// Whether the next byte is part of a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    String,
    Escape,
}

impl CallReader {
    pub(in crate::chat::local) fn push(&mut self, bytes: &[u8]) -> Vec<CallEvent> {
        let mut events: Vec<CallEvent> = Vec::new();
        for byte in bytes {
            events.extend(self.read(*byte));
        }
        events.extend(self.show());
        events
    }

    fn read(&mut self, byte: u8) -> Option<CallEvent> {
        let outside = self.string == Inside::Nothing;
        self.string = self.string.after(byte);
        match (&mut self.place, byte) {
            (Place::Between, b'{') => self.place = Place::Head(vec![byte]),
            (Place::Between, _) => self.string = Inside::Nothing,
            (Place::Head(head), b'{') if outside => {
                let name = name_in(head);
                self.place = Place::Arguments { depth: 1, unshown: vec![byte] };
                return name.map(CallEvent::Begin);
            }
            (Place::Head(_), b'}') if outside => self.place = Place::Between,
            (Place::Head(head), _) => head.push(byte),
            (Place::Arguments { depth, unshown }, _) => {
                unshown.push(byte);
                match byte {
                    b'{' | b'[' if outside => *depth += 1,
                    b'}' | b']' if outside => *depth -= 1,
                    _ => {}
                }
                if *depth == 0 {
                    let shown = self.show();
                    self.place = Place::Tail;
                    return shown;
                }
            }
            (Place::Tail, b'}') => self.place = Place::Between,
            (Place::Tail, _) => {}
        }
        None
    }

    /// What is there of arguments in whole characters.
    fn show(&mut self) -> Option<CallEvent> {
        let Place::Arguments { unshown, .. } = &mut self.place else { return None };
        let whole = match std::str::from_utf8(unshown) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = unshown.split_off(whole);
        let text = String::from_utf8(std::mem::replace(unshown, rest)).ok()?;
        (!text.is_empty()).then_some(CallEvent::Arguments(text))
    }
}

impl Inside {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Nothing, b'"') => Self::String,
            (Self::String, b'"') => Self::Nothing,
            (Self::String, b'\\') => Self::Escape,
            (Self::Escape, _) => Self::String,
            (inside, _) => inside,
        }
    }
}

/// The tool that `{"name": "…", "arguments":` calls.
fn name_in(head: &[u8]) -> Option<String> {
    let whole = format!("{}null}}", String::from_utf8_lossy(head));
    let head: Value = serde_json::from_str(&whole).ok()?;
    let name = head.get("name").or_else(|| head.get("tool"))?;
    name.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, cut: usize) -> Vec<(String, String)> {
        let mut reader = CallReader::default();
        let mut calls: Vec<(String, String)> = Vec::new();
        for event in text.as_bytes().chunks(cut).flat_map(|piece| reader.push(piece)) {
            match event {
                CallEvent::Begin(name) => calls.push((name, String::new())),
                CallEvent::Arguments(text) => calls.last_mut().unwrap().1.push_str(&text),
            }
        }
        calls
    }

    #[test]
    fn calls_are_read_from_every_form() {
        let call = |name: &str, arguments: &str| (name.to_owned(), arguments.to_owned());
        for (text, expected) in [
            (
                "\n{\"name\": \"a\", \"arguments\": {\"x\":\"}]\\\"{\"}}\n</tool_call>\n<tool_call>\n\
                 {\"name\": \"b\", \"arguments\": {}}\n</tool_call>",
                vec![call("a", "{\"x\":\"}]\\\"{\"}"), call("b", "{}")],
            ),
            (
                "[{\"name\": \"a\", \"arguments\": {\"y\":[{\"z\":1}]}}, {\"name\": \"é\", \
                 \"arguments\": {\"x\":\"一\"}}]",
                vec![call("a", "{\"y\":[{\"z\":1}]}"), call("é", "{\"x\":\"一\"}")],
            ),
            ("{\"name\": \"a\", \"parameters\": {}}", vec![call("a", "{}")]),
            ("{\"tool\": \"none\"}", vec![]),
        ] {
            for cut in [1, 2, 5, 1000] {
                assert_eq!(read(text, cut), expected, "{text} by {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\"\\\\:,nameé一 ]{0,60}", cut in 1usize..5) {
            let mut reader = CallReader::default();
            for piece in text.as_bytes().chunks(cut) {
                reader.push(piece);
            }
        }
    }
}
