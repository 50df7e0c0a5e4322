//! Finds citation markers, and links to files that programs made, in a stream of text, wherever it
//! is cut.
//!
//! Text passes through as soon as it cannot be the beginning of a marker. White space before a
//! marker is held back with it, so that a marker can be removed without leaving a gap.

use std::ops::RangeInclusive;

use super::links::{self, Link, Reach};

/// What the scanner makes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text without markers and links.
    Text(String),
    /// A marker.
    Marker(Marker),
    /// A link.
    Link(Link),
}

/// A citation marker, as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The white space before it.
    pub(crate) space: String,
    /// What it points to.
    pub(crate) sources: Vec<SourceNumber>,
}

/// What a marker points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SourceNumber {
    /// `【4:0†source】`: result 0 of search 4.
    Result { search: u32, rank: u32 },
    /// `[1]`: passage 1 of those the engine put into the prompt.
    Passage(u32),
}

/// Which markers a model writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Only `【4:0†source】`.
    Results,
    /// `[1]`, `[1, 2]`, `[1-3]`, `【1】` as well, except in code.
    Passages,
}

/// Whether links to files are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are.
    Found,
    /// They are text: no programs are run that could make a file.
    Ignored,
}

/// Finds markers and links; see the [module](self).
#[derive(Debug)]
pub(crate) struct Scanner {
    style: Style,
    links: Links,
    /// Text that may be the beginning of a marker.
    held: String,
    /// White space that was read but not given yet.
    space: String,
    /// The character before what is held.
    before: Option<char>,
    code: Code,
}

impl Scanner {
    pub(crate) fn new(style: Style, links: Links) -> Self {
        let (held, space) = (String::new(), String::new());
        Self { style, links, held, space, before: None, code: Code::default() }
    }

    /// Takes the next text and gives what is certain.
    pub(crate) fn push(&mut self, text: &str, give: &mut dyn FnMut(Piece)) {
        self.held.push_str(text);
        self.scan(false, give);
    }

    /// Gives what was held back: no more text will come.
    pub(crate) fn finish(&mut self, give: &mut dyn FnMut(Piece)) {
        self.scan(true, give);
        if !self.space.is_empty() {
            give(Piece::Text(std::mem::take(&mut self.space)));
        }
    }

    fn scan(&mut self, at_end: bool, give: &mut dyn FnMut(Piece)) {
        let held = std::mem::take(&mut self.held);
        let (mut rest, mut text) = (held.as_str(), String::new());
        while let Some(c) = rest.chars().next() {
            match self.marker_at(rest, c, at_end) {
                Parse::Incomplete => break,
                Parse::Marker { sources, len } => {
                    self.pass('[');
                    give_text(&mut text, give);
                    let space = std::mem::take(&mut self.space);
                    give(Piece::Marker(Marker { space, sources }));
                    rest = &rest[len..];
                }
                Parse::Link { len } => {
                    text.push_str(&std::mem::take(&mut self.space));
                    give_text(&mut text, give);
                    let (link, after) = rest.split_at(len);
                    link.chars().for_each(|c| self.pass(c));
                    give(Piece::Link(Link { text: link.to_owned() }));
                    rest = after;
                }
                Parse::None => {
                    if c == ' ' || c == '\t' {
                        self.space.push(c);
                    } else {
                        text.push_str(&std::mem::take(&mut self.space));
                        text.push(c);
                    }
                    self.pass(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        give_text(&mut text, give);
        self.held = rest.to_owned();
    }

    fn pass(&mut self, c: char) {
        self.code.next(c);
        self.before = Some(c);
    }

    fn marker_at(&self, rest: &str, first: char, at_end: bool) -> Parse {
        match first {
            's' if self.links == Links::Found => match links::reach(rest, self.before, at_end) {
                Reach::None => Parse::None,
                Reach::Incomplete => Parse::Incomplete,
                Reach::Link(len) => Parse::Link { len },
            },
            '【' => parse_lenticular(rest, self.style).at_end(at_end),
            '[' if self.style == Style::Passages && !self.code.is_inside() => {
                parse_square(rest, at_end).at_end(at_end)
            }
            _ => Parse::None,
        }
    }
}

fn give_text(text: &mut String, give: &mut dyn FnMut(Piece)) {
    if !text.is_empty() {
        give(Piece::Text(std::mem::take(text)));
    }
}

/// Whether we are inside code, where `[1]` is an index: between backticks, on one line for one or
/// two of them, over several for three.
#[derive(Debug, Default)]
struct Code {
    ticks: usize,
    inline: bool,
    fenced: bool,
}

impl Code {
    fn next(&mut self, c: char) {
        if c == '`' {
            self.ticks += 1;
            return;
        }
        (self.inline, self.fenced) = self.settled();
        self.ticks = 0;
        if c == '\n' {
            self.inline = false;
        }
    }

    fn is_inside(&self) -> bool {
        let (inline, fenced) = self.settled();
        inline || fenced
    }

    /// Inline and fenced, once the backticks just read have ended.
    fn settled(&self) -> (bool, bool) {
        match self.ticks {
            0 => (self.inline, self.fenced),
            1 | 2 if !self.fenced => (!self.inline, false),
            1 | 2 => (self.inline, true),
            _ => (false, !self.fenced),
        }
    }
}

/// What the beginning of a text is.
#[derive(Debug, PartialEq, Eq)]
enum Parse {
    /// No marker.
    None,
    /// It depends on what follows.
    Incomplete,
    /// A marker of `len` bytes.
    Marker { sources: Vec<SourceNumber>, len: usize },
    /// A link of `len` bytes.
    Link { len: usize },
}

impl Parse {
    /// The same when nothing follows.
    fn at_end(self, at_end: bool) -> Self {
        match self {
            Self::Incomplete if at_end => Self::None,
            parse => parse,
        }
    }
}

/// `【4:0†source】` with any label or none, or `【1】` in the style of passages.
fn parse_lenticular(text: &str, style: Style) -> Parse {
    /// A label is a file name at most.
    const LONGEST: usize = 300;
    let Some(end) = text.find('】') else {
        let inside = &text['【'.len_utf8()..];
        let fits = text.len() <= LONGEST && starts_lenticular(inside);
        return if fits { Parse::Incomplete } else { Parse::None };
    };
    let len = end + '】'.len_utf8();
    let inside = &text['【'.len_utf8()..end];
    let numbers = inside.split('†').next().unwrap_or_default();
    let source = match numbers.split_once(':') {
        Some((search, rank)) => number(search)
            .zip(number(rank))
            .map(|(search, rank)| SourceNumber::Result { search, rank }),
        None if style == Style::Passages && inside == numbers => {
            number(numbers).map(SourceNumber::Passage)
        }
        None => None,
    };
    source.map_or(Parse::None, |source| Parse::Marker { sources: vec![source], len })
}

/// Whether a marker could go on like this behind its bracket.
fn starts_lenticular(inside: &str) -> bool {
    let numbers = inside.split('†').next().unwrap_or_default();
    numbers.chars().all(|c| c.is_ascii_digit() || c == ':')
        && (numbers.len() == inside.len() || numbers.contains(':'))
        && !inside.contains('\n')
}

/// `[1]`, `[1, 2]`, `[1-3]`, but no `[1](link)`.
fn parse_square(text: &str, at_end: bool) -> Parse {
    const LONGEST: usize = 40;
    let allowed = |c: char| c.is_ascii_digit() || " ,;、,-–".contains(c);
    let Some(end) = text[1..].find(|c: char| !allowed(c)).map(|at| at + 1) else {
        return if text.len() <= LONGEST { Parse::Incomplete } else { Parse::None };
    };
    if !text[end..].starts_with(']') {
        return Parse::None;
    }
    match text[end + 1..].chars().next() {
        None if !at_end => return Parse::Incomplete,
        Some('(') => return Parse::None,
        _ => {}
    }
    match passages(&text[1..end]) {
        Some(sources) => Parse::Marker { sources, len: end + 1 },
        None => Parse::None,
    }
}

/// The passages of a list like `1, 3-5`; none if it is no such list.
fn passages(list: &str) -> Option<Vec<SourceNumber>> {
    const MOST: u32 = 50;
    let mut sources = Vec::new();
    for part in list.split([',', ';', '、', ',']) {
        let range: RangeInclusive<u32> = match part.split_once(['-', '–']) {
            Some((first, last)) => number(first)?..=number(last)?,
            None => number(part)?..=number(part)?,
        };
        if *range.start() == 0 || range.end().checked_sub(*range.start())? > MOST {
            return None;
        }
        sources.extend(range.map(SourceNumber::Passage));
    }
    Some(sources)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.trim_matches(' ');
    let fits = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of `parts`, neighbouring texts joined: how the text was cut must not show.
    fn scan<'a>(style: Style, parts: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
        let mut scanner = Scanner::new(style, Links::Found);
        let mut pieces: Vec<Piece> = Vec::new();
        let mut give = |piece: Piece| match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => pieces.push(piece),
        };
        parts.into_iter().for_each(|part| scanner.push(part, &mut give));
        scanner.finish(&mut give);
        pieces
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn marker(space: &str, sources: &[SourceNumber]) -> Piece {
        Piece::Marker(Marker { space: space.into(), sources: sources.to_vec() })
    }

    const SAMPLE: &str = "Hot【4:0†source】. 【注意】 x [1][2, 3] y[2-3], `a[1]` [see](u) [1](u)\n\
                          ```\nb[2]\n``` end [12]";

    #[test]
    fn markers_are_told_from_text_that_looks_like_them() {
        use SourceNumber::{Passage, Result};
        let pieces = scan(Style::Passages, [SAMPLE]);
        let expected = [
            text("Hot"),
            marker("", &[Result { search: 4, rank: 0 }]),
            text(". 【注意】 x"),
            marker(" ", &[Passage(1)]),
            marker("", &[Passage(2), Passage(3)]),
            text(" y"),
            marker("", &[Passage(2), Passage(3)]),
            text(", `a[1]` [see](u) [1](u)\n```\nb[2]\n``` end"),
            marker(" ", &[Passage(12)]),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_tool_model_may_write_square_brackets() {
        assert_eq!(scan(Style::Results, ["a [1] 【2】"]), [text("a [1] 【2】")]);
    }

    #[test]
    fn a_cut_at_any_place_changes_nothing() {
        let whole = scan(Style::Passages, [SAMPLE]);
        for cut in (0..=SAMPLE.len()).filter(|&cut| SAMPLE.is_char_boundary(cut)) {
            let (left, right) = SAMPLE.split_at(cut);
            assert_eq!(scan(Style::Passages, [left, right]), whole, "cut at {cut}");
        }
        let each: Vec<String> = SAMPLE.chars().map(String::from).collect();
        assert_eq!(scan(Style::Passages, each.iter().map(String::as_str)), whole);
    }

    #[test]
    fn a_link_is_a_piece_of_its_own_however_it_is_cut() {
        let sample = "Yes: [sales 水](sandbox:/mnt/data/a b.csv) `sandbox:/mnt/data/x`, sand";
        let link = |path: &str| Piece::Link(Link { text: format!("sandbox:/mnt/data/{path}") });
        let expected =
            [text("Yes: [sales 水]("), link("a b.csv"), text(") `"), link("x"), text("`, sand")];
        for cut in (0..=sample.len()).filter(|&cut| sample.is_char_boundary(cut)) {
            let (left, right) = sample.split_at(cut);
            assert_eq!(scan(Style::Results, [left, right]), expected, "cut at {cut}");
        }
        let each: Vec<String> = sample.chars().map(String::from).collect();
        assert_eq!(scan(Style::Passages, each.iter().map(String::as_str)), expected);
        let mut scanner = Scanner::new(Style::Results, Links::Ignored);
        let mut given = Vec::new();
        scanner.push(sample, &mut |piece| given.push(piece));
        assert_eq!(given, [text(sample)]);
    }

    #[test]
    fn what_never_becomes_a_marker_is_not_held_for_long() {
        let mut scanner = Scanner::new(Style::Passages, Links::Found);
        let mut given = 0;
        for _ in 0..10_000 {
            scanner.push("【1:", &mut |piece| given += matches!(piece, Piece::Text(_)) as usize);
            scanner.push("[1,1,1,", &mut |_| given += 1);
        }
        assert!(given > 0 && scanner.held.len() < 1000, "{}", scanner.held.len());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_cuts_do_not_show(
            parts in prop::collection::vec(
                prop_oneof![
                    "[\\[\\]【】†:0-3, `\\n(a-]{0,6}", Just("sandbox:/mnt/data/x".to_owned()),
                    Just(" sandb".to_owned()), Just("(s".to_owned()), Just("andbox:/mnt/data/".to_owned()),
                ], 0..8)
        ) {
            let whole = parts.concat();
            let cut = scan(Style::Passages, parts.iter().map(String::as_str));
            prop_assert_eq!(&cut, &scan(Style::Passages, [whole.as_str()]));
            let markers = cut.iter().any(|piece| !matches!(piece, Piece::Text(_)));
            if !markers && !whole.is_empty() {
                prop_assert_eq!(cut, vec![text(&whole)]);
            }
        }
    }
}
