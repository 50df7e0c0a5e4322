//! Links to files that programs made, as models write them: `sandbox:/mnt/data/sales.csv`, by itself
//! or as `[sales](sandbox:/mnt/data/sales.csv)`.
//!
//! Names may have spaces, parentheses and any script, so where a bare link ends is a guess: a link
//! has [candidates](Link::candidates), and the first that is a file's name wins.

use docent_core::SandboxPath;

/// What every link begins with.
const BEGINNING: &str = "sandbox:/mnt/data/";

/// No path is longer: eight names of 255 bytes, written with escapes.
const LONGEST: usize = 3 * 8 * 256;

/// What no bare link goes beyond: brackets, quotes, and the punctuation of a script without spaces.
const ENDS: &str = "()[]<>{}\"'`|【】「」《》“”‘’，。；：！？、（）";

/// A link, as far as it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// As it is written.
    pub(crate) text: String,
}

/// What the beginning of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No link.
    None,
    /// It depends on what follows.
    Incomplete,
    /// A link of so many bytes.
    Link(usize),
}

/// How far the link at the beginning of `text` may go, which stands behind `before`.
pub(crate) fn reach(text: &str, before: Option<char>, at_end: bool) -> Reach {
    let Some(path) = text.strip_prefix(BEGINNING) else {
        let may_become = !at_end && BEGINNING.starts_with(text);
        // Half of all words end in an s: only one that begins with it is waited for.
        let begins_word = before.is_none_or(|c| !c.is_alphanumeric());
        return if may_become && begins_word { Reach::Incomplete } else { Reach::None };
    };
    let end = match before {
        Some('(') => end_in_parentheses(path),
        Some('<') => path.find(['>', '\n']),
        _ => path.find(|c: char| c.is_whitespace() || ENDS.contains(c)),
    };
    match end {
        Some(0) => Reach::None,
        Some(end) => Reach::Link(BEGINNING.len() + end),
        None if path.len() > LONGEST => Reach::None,
        None if !at_end => Reach::Incomplete,
        None if path.is_empty() => Reach::None,
        None => Reach::Link(text.len()),
    }
}

/// Where the parenthesis closes that was open before `path`.
fn end_in_parentheses(path: &str) -> Option<usize> {
    let mut open = 0;
    for (at, c) in path.char_indices() {
        match c {
            '\n' => return Some(at),
            '(' => open += 1,
            ')' if open == 0 => return Some(at),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

impl Link {
    /// The link that `text` is, if it begins as one.
    pub(crate) fn of(text: &str) -> Option<Self> {
        text.starts_with(BEGINNING).then(|| Self { text: text.to_owned() })
    }

    /// The paths it may mean, each with how much of it that takes, in bytes: first all of it.
    pub(crate) fn candidates(&self) -> Vec<(usize, SandboxPath)> {
        let path = &self.text[BEGINNING.len()..];
        let unpunctuated = path.trim_end_matches(|c: char| ".,;:!?*_~".contains(c));
        let untitled = path.find(" \"").map(|at| &path[..at]);
        let ascii = path.find(|c: char| !c.is_ascii()).map(|at| &path[..at]);
        let mut candidates = Vec::new();
        for written in [Some(path), Some(unpunctuated), untitled, ascii].into_iter().flatten() {
            let length = BEGINNING.len() + written.len();
            for path in [written.to_owned(), unescaped(written)] {
                let candidate = path.parse().map(|path| (length, path));
                candidates.extend(candidate.ok().filter(|it| !candidates.contains(it)));
            }
        }
        candidates
    }
}

/// The text with `%20` and the like read.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let escape = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_link(before: &str, rest: &str, link: &str) {
        let reached = reach(rest, before.chars().last(), true);
        assert_eq!(reached, Reach::Link(link.len()), "{rest}");
        assert_eq!(&rest[..link.len()], link);
    }

    #[test]
    fn a_link_ends_where_its_brackets_do_or_the_word() {
        let csv = "sandbox:/mnt/data/x.csv";
        assert_link("[x](", "sandbox:/mnt/data/x.csv) and", csv);
        assert_link("[x](", "sandbox:/mnt/data/a (1).csv)", "sandbox:/mnt/data/a (1).csv");
        assert_link("<", "sandbox:/mnt/data/a b.csv>", "sandbox:/mnt/data/a b.csv");
        assert_link("see ", "sandbox:/mnt/data/x.csv there", csv);
        assert_link("见", "sandbox:/mnt/data/x.csv。", csv);
        assert_link("`", "sandbox:/mnt/data/x.csv`", csv);
        assert_link("(", "sandbox:/mnt/data/x.csv", csv);
        for none in ["sandbox:/mnt/data/", "sandbox:/mnt/data/ x", "sandbox:/etc/x", "s", "so"] {
            assert_eq!(reach(none, None, true), Reach::None, "{none}");
        }
    }

    #[test]
    fn what_may_become_a_link_is_waited_for() {
        let text = "sandbox:/mnt/data/x.csv";
        for cut in 1..=text.len() {
            assert_eq!(reach(&text[..cut], Some(' '), false), Reach::Incomplete, "{cut}");
        }
        assert_eq!(reach("s", Some('e'), false), Reach::None);
        assert_eq!(reach("se", Some(' '), false), Reach::None);
        let endless = format!("{BEGINNING}{}", "x".repeat(LONGEST + 1));
        assert_eq!(reach(&endless, None, false), Reach::None);
    }

    #[test]
    fn a_link_may_mean_less_than_it_says() {
        let paths = |text: &str| {
            let link = Link { text: format!("{BEGINNING}{text}") };
            let paths = link.candidates().into_iter();
            let shown = paths.map(|(len, path)| format!("{path}:{}", len - BEGINNING.len()));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(paths("x.csv"), ["x.csv:5"]);
        assert_eq!(paths("x.csv."), ["x.csv.:6", "x.csv:5"]);
        assert_eq!(paths("a%20b.csv"), ["a%20b.csv:9", "a b.csv:9"]);
        assert_eq!(paths("x.csv下载"), ["x.csv下载:11", "x.csv:5"]);
        assert_eq!(paths("x.csv \"X\""), ["x.csv \"X\":9", "x.csv:5"]);
        assert_eq!(paths("100%"), ["100%:4"]);
        assert_eq!(paths("../x"), Vec::<String>::new());
    }
}
