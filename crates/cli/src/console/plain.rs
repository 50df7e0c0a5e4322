//! Text of strangers (file names, documents, models) made safe to print on a terminal.
//!
//! A file may be called `ESC ] 0 ; …` and a document may hold anything. Control characters would
//! move the cursor, change the title or hide lines; bidirectional controls would show text in
//! another order than it has. Both are printed as what they are: `\u{1b}`.

use std::borrow::Cow;

/// One line: line breaks are escaped too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_control(c) || matches!(c, '\n' | '\t'))
}

/// Several lines: line breaks and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, is_control)
}

/// One line out of several: every run of white space becomes a space.
pub(crate) fn joined(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    line(&words.join(" ")).into_owned()
}

fn escape(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// Unicode's controls but for line break and tab, its bidirectional controls, its own line breaks.
fn is_control(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_is_shown_instead() {
        assert_eq!(line("a\u{1b}]0;b\u{7}.pdf"), "a\\u{1b}]0;b\\u{7}.pdf");
        assert_eq!(line("two\nlines"), "two\\u{a}lines");
        assert_eq!(lines("two\nlines\r\u{9b}2J"), "two\nlines\\u{d}\\u{9b}2J");
        assert_eq!(line("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(joined(" a \r\n b\u{8}"), "a b\\u{8}");
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        assert!(matches!(line("报告 – Größe 🙂.pdf"), Cow::Borrowed(_)));
    }
}
