//! What a program prints: kept to a limit, and passed on as it comes.

use std::sync::mpsc::{self, Receiver, SyncSender};

/// How many writes may wait to be read before the program does.
const WAITING: usize = 64;

/// The guest's end of its two streams.
#[derive(Debug, Default)]
pub(super) struct Output {
    listener: Option<SyncSender<Vec<u8>>>,
    room: usize,
    dropped_bytes: u64,
}

impl Output {
    /// An output that takes `limit` bytes and drops the rest, and where they arrive.
    pub(super) fn to_channel(limit: usize) -> (Self, Receiver<Vec<u8>>) {
        let (listener, written) = mpsc::sync_channel(WAITING);
        (Self { listener: Some(listener), room: limit, dropped_bytes: 0 }, written)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let mut kept = bytes.len();
        if kept > self.room {
            // The last character is kept whole or not at all, and nothing after it.
            kept = self.room - cut_short(&bytes[..self.room]);
            self.room = kept;
        }
        self.room -= kept;
        self.dropped_bytes += (bytes.len() - kept) as u64;
        // Nobody listens between programs, and to what is printed then.
        if let Some(listener) = self.listener.as_ref().filter(|_| kept > 0) {
            let _ = listener.send(bytes[..kept].to_vec());
        }
    }

    pub(super) fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }
}

/// Turns bytes that come in pieces into text; a character that is cut in two waits for its rest.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    waiting: Vec<u8>,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let whole = self.waiting.len() - cut_short(&self.waiting);
        let text = String::from_utf8_lossy(&self.waiting[..whole]).into_owned();
        self.waiting.drain(..whole);
        text
    }

    /// What is left, which is no character.
    pub(super) fn finish(self) -> String {
        String::from_utf8_lossy(&self.waiting).into_owned()
    }
}

/// How many bytes at the end are the beginning of a character.
fn cut_short(bytes: &[u8]) -> usize {
    for len in 1..=bytes.len().min(3) {
        let tail = &bytes[bytes.len() - len..];
        if let Err(error) = std::str::from_utf8(tail)
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return len;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_counted_and_dropped() {
        let (mut output, written) = Output::to_channel(5);
        output.write(b"abc");
        output.write(b"defg");
        output.write(b"h");
        assert_eq!(output.dropped_bytes(), 3);
        drop(output);
        assert_eq!(written.iter().collect::<Vec<_>>(), [b"abc".to_vec(), b"de".to_vec()]);
    }

    #[test]
    fn the_limit_cuts_no_character() {
        let (mut output, written) = Output::to_channel(5);
        output.write("图图图".as_bytes());
        output.write(b"ab");
        assert_eq!(output.dropped_bytes(), 8);
        drop(output);
        assert_eq!(written.iter().collect::<Vec<_>>(), ["图".as_bytes().to_vec()]);
    }

    #[test]
    fn text_is_the_same_however_its_bytes_are_cut() {
        let text = "a 图 🦀 é";
        for cut in 0..text.len() {
            let mut decoder = Decoder::default();
            let (head, tail) = text.as_bytes().split_at(cut);
            let joined = decoder.push(head) + &decoder.push(tail) + &decoder.finish();
            assert_eq!(joined, text, "{cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"a\xff\xe5"), "a\u{fffd}");
        assert_eq!(decoder.push(b"b"), "\u{fffd}b");
        assert_eq!(decoder.finish(), "");
    }
}
