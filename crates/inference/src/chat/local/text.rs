//! From tokens' bytes to text that can be shown: whole characters, nothing of a stop text.

/// Collects bytes and lets go what is certain.
#[derive(Debug, Default)]
pub(super) struct TextStream {
    /// Bytes of a character that is not whole yet.
    bytes: Vec<u8>,
    /// Text that may turn out to begin a stop text.
    held: String,
    stops: Vec<String>,
    drops_space: bool,
}

impl TextStream {
    pub(super) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, ..Self::default() }
    }

    /// The same without a space at the very beginning.
    pub(super) fn without_first_space(self) -> Self {
        Self { drops_space: true, ..self }
    }

    /// What can be shown now, and whether a stop text was reached.
    pub(super) fn push(&mut self, bytes: &[u8]) -> (String, bool) {
        let bytes = if self.drops_space { self.drop_space(bytes) } else { bytes };
        self.bytes.extend_from_slice(bytes);
        let decoded = self.take_whole_characters();
        self.held.push_str(&decoded);
        let stop = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = stop {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.held.len() - self.length_of_possible_stop();
        let rest = self.held.split_off(keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, now that nothing follows.
    pub(super) fn finish(mut self) -> String {
        self.held.push_str(&String::from_utf8_lossy(&self.bytes));
        self.held
    }

    fn drop_space<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        // A token without bytes leaves the beginning where it was.
        self.drops_space = bytes.is_empty();
        bytes.strip_prefix(b" ").unwrap_or(bytes)
    }

    /// A model may write bytes that are no UTF-8; each such part becomes U+FFFD.
    fn take_whole_characters(&mut self) -> String {
        let mut text = String::new();
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(bad) = error.error_len() else {
                        self.bytes = after.to_vec();
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[bad..];
                }
            }
        }
        text
    }

    /// The longest end of the held text with which some stop text begins.
    fn length_of_possible_stop(&self) -> usize {
        let longest = |stop: &String| {
            let ends = stop.char_indices().map(|(at, _)| at).skip(1);
            ends.filter(|end| self.held.ends_with(&stop[..*end])).max()
        };
        self.stops.iter().filter_map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(text: &[u8], stops: &[&str], cut: usize) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let mut shown = String::new();
        for piece in text.chunks(cut) {
            let (text, stopped) = stream.push(piece);
            shown.push_str(&text);
            if stopped {
                return (shown, true);
            }
        }
        (shown + &stream.finish(), false)
    }

    #[test]
    fn a_stop_text_is_never_shown_not_even_its_beginning() {
        for cut in 1..9 {
            assert_eq!(
                run("一二 END three".as_bytes(), &["END", "thr"], cut),
                ("一二 ".into(), true)
            );
            assert_eq!(run(b"EN END", &["ENDX"], cut), ("EN END".into(), false));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(run(b"a\xffb\xe4\xb8", &[], 1), ("a\u{fffd}b\u{fffd}".into(), false));
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "[aé一\u{1f600}b]{0,40}", cut in 1usize..7) {
            prop_assert_eq!(run(text.as_bytes(), &["ab一"], cut), run(text.as_bytes(), &["ab一"], 1000));
            prop_assert_eq!(run(text.as_bytes(), &[], cut).0, text);
        }
    }
}
