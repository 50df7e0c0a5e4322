//! Server-sent events, as the WHATWG's HTML standard (section 9.2) defines their parsing.
//!
//! Only `data` matters here. Bytes may be cut anywhere, inside a character or between the two
//! bytes of a line end; a line is decoded only when it is whole.

/// A line longer than this is an attack or a fault, not an answer.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Collects bytes into events.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    line: Vec<u8>,
    data: Option<String>,
    after_carriage_return: bool,
    begun: bool,
}

/// A line without an end.
#[derive(Debug, PartialEq)]
pub(super) struct LineTooLong;

impl EventStream {
    /// The data of each event that `bytes` complete, in order.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, LineTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends_crlf = byte == b'\n' && std::mem::take(&mut self.after_carriage_return);
            match byte {
                b'\n' if ends_crlf => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ if self.line.len() == MAX_LINE_BYTES => return Err(LineTooLong),
                _ => self.line.push(byte),
            }
            self.after_carriage_return = byte == b'\r';
        }
        Ok(events)
    }

    /// The event that the end of the stream completes. The standard drops it; real servers leave
    /// out the last blank line.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.end_line().or_else(|| self.data.take())
    }

    fn end_line(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if self.begun { &line } else { line.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            return self.data.take();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(stream: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut parser = EventStream::default();
        let mut found = Vec::new();
        let mut rest = stream;
        for cut in cuts {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            found.extend(parser.push(now).unwrap());
            rest = later;
        }
        found.extend(parser.push(rest).unwrap());
        found.extend(parser.finish());
        found
    }

    const STREAM: &str = "\u{feff}: hello\r\ndata: one\r\n\r\nevent: x\ndata: two\ndata:lines\n\n:\n\n\
                          id: 4\rdata: 三\u{1f600}\r\rdata\n\ndata: [DONE]";

    #[test]
    fn every_kind_of_line_end_comment_and_field_is_understood() {
        let expected = ["one", "two\nlines", "三\u{1f600}", "", "[DONE]"];
        assert_eq!(events(STREAM.as_bytes(), &[]), expected);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut parser = EventStream::default();
        let megabyte = vec![b'a'; 1 << 20];
        let results: Vec<_> = (0..17).map(|_| parser.push(&megabyte)).collect();
        assert_eq!(results[15], Ok(vec![]));
        assert_eq!(results[16], Err(LineTooLong));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cuts in prop::collection::vec(0usize..9, 0..40)) {
            prop_assert_eq!(events(STREAM.as_bytes(), &cuts), events(STREAM.as_bytes(), &[]));
        }
    }
}
