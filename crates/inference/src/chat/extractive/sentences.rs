//! Cutting a passage into pieces one can quote: sentences, list items, lines of code.
//!
//! Text out of a PDF is broken where the page was narrow, carries page numbers and running
//! headers between its sentences, and a passage begins and ends in the middle of one. So lines are
//! sorted first ([`LineKind`]), joined to paragraphs, and only these are cut into sentences.

use unicode_segmentation::UnicodeSegmentation;

use super::terms::is_ideograph;

/// A piece of a passage that can stand alone. Its text is the passage's own; only white space
/// where lines were joined may differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) kind: PieceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A whole sentence.
    Sentence,
    /// An item of a list, a row of a table.
    Item,
    /// A line of code or a command.
    Code,
    /// A heading: tells what follows is about, answers nothing.
    Heading,
    /// A line or more without an end of their own: a table, a caption.
    Line,
    /// A sentence whose beginning or end the passage's border cut off.
    Fragment,
}

/// A passage this short is a whole document, such as a note, and was not cut at its end.
const SHORT_BYTES: usize = 400;

/// The pieces of `passage`, in order. Page numbers, rules and tables of contents are left out.
pub(super) fn pieces(passage: &str) -> Vec<Piece> {
    let lines: Vec<&str> = passage.lines().collect();
    let width = lines.iter().map(|line| line.trim().chars().count()).max().unwrap_or(0);
    let mut cutter = Cutter::default();
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map_or("", |next| next.trim());
        cutter.line(line, next, width);
    }
    cutter.end_paragraph();
    let mut pieces = cutter.pieces;
    // A passage is cut from its document by length: what it begins or ends with may be half.
    if let Some(first) = pieces.first_mut().filter(|first| begins_midway(&first.text)) {
        first.kind = PieceKind::Fragment;
    }
    let cut = passage.len() > SHORT_BYTES;
    if let Some(last) = pieces.last_mut() {
        last.kind = match last.kind {
            PieceKind::Line if cut => PieceKind::Fragment,
            // Nothing follows that it could be the heading of.
            PieceKind::Heading if !cut => PieceKind::Line,
            kind => kind,
        };
    }
    pieces
}

#[derive(Debug, PartialEq)]
enum LineKind {
    Blank,
    Noise,
    Fence,
    Code,
    Heading,
    Item,
    Prose,
}

#[derive(Default)]
struct Cutter {
    pieces: Vec<Piece>,
    paragraph: String,
    paragraph_is_item: bool,
    inside_fence: bool,
}

impl Cutter {
    fn line(&mut self, line: &str, next: &str, width: usize) {
        let text = line.trim();
        match self.classify(line, text, next, width) {
            LineKind::Blank | LineKind::Noise => self.end_paragraph(),
            LineKind::Fence => {
                self.end_paragraph();
                self.inside_fence = !self.inside_fence;
            }
            LineKind::Code => self.alone(text, PieceKind::Code),
            LineKind::Heading => {
                self.alone(text.trim_start_matches('#').trim(), PieceKind::Heading)
            }
            LineKind::Item => {
                self.end_paragraph();
                self.paragraph_is_item = true;
                self.paragraph.push_str(without_bullet(text));
            }
            LineKind::Prose => {
                append_line(&mut self.paragraph, text);
                let short = text.chars().count() * 10 < width * 7;
                if short && ends_sentence(text) {
                    self.end_paragraph();
                }
            }
        }
    }

    fn classify(&self, line: &str, text: &str, next: &str, width: usize) -> LineKind {
        if text.starts_with("```") || text.starts_with("~~~") {
            LineKind::Fence
        } else if text.is_empty() {
            LineKind::Blank
        } else if self.inside_fence || is_code(line, text) {
            LineKind::Code
        } else if is_noise(text) {
            LineKind::Noise
        } else if text.starts_with('#') {
            LineKind::Heading
        } else if without_bullet(text).len() < text.len() {
            LineKind::Item
        } else if self.paragraph.is_empty() && is_heading(text, next, width) {
            LineKind::Heading
        } else {
            LineKind::Prose
        }
    }

    fn alone(&mut self, text: &str, kind: PieceKind) {
        self.end_paragraph();
        if !text.is_empty() {
            self.pieces.push(Piece { text: text.to_owned(), kind });
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let is_item = std::mem::take(&mut self.paragraph_is_item);
        for (at, sentence) in sentences(&paragraph).into_iter().enumerate() {
            let kind = match sentence {
                _ if is_item && at == 0 => PieceKind::Item,
                whole if ends_sentence(whole) => PieceKind::Sentence,
                _ => PieceKind::Line,
            };
            self.pieces.push(Piece { text: sentence.to_owned(), kind });
        }
    }
}

/// Words before whose full stop no sentence ends, in lower case.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "art", "cf", "ch", "dr", "e.g", "eq", "fig", "figs", "i.e", "inc", "ltd", "mr",
    "mrs", "ms", "no", "nos", "p", "pp", "prof", "resp", "sec", "st", "tab", "vol", "vs",
];

/// Sentences of a paragraph by UAX #29, mended where it takes an abbreviation for an end.
pub(super) fn sentences(paragraph: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, sentence) in paragraph.split_sentence_bound_indices() {
        let end = at + sentence.len();
        let so_far = paragraph[start..end].trim_end();
        if end < paragraph.len() && ends_in_abbreviation(so_far) {
            continue;
        }
        let whole = so_far.trim_start();
        if !whole.is_empty() {
            found.push(whole);
        }
        start = end;
    }
    found
}

fn ends_in_abbreviation(text: &str) -> bool {
    let Some(text) = text.strip_suffix('.') else { return false };
    let word = text.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or(text);
    let initial = word.len() == 1 && word.as_bytes()[0].is_ascii_uppercase();
    initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// Whether `text` ends as sentences end, closing quotes and brackets aside.
pub(super) fn ends_sentence(text: &str) -> bool {
    let closing =
        |c: char| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '»' | '」' | '』' | '）');
    text.trim_end_matches(closing)
        .ends_with(['.', '!', '?', ':', '…', '。', '！', '？', '：', '；'])
}

fn begins_midway(text: &str) -> bool {
    text.starts_with(|c: char| c.is_lowercase() || "，。、；：！？）」』,.;:!?)".contains(c))
}

/// Joins a line to its paragraph: with a space, but not between ideographs.
fn append_line(paragraph: &mut String, line: &str) {
    let tight = |c: char| is_ideograph(c) || "，。、；：！？（）「」『』《》“”".contains(c);
    let glued = paragraph.chars().next_back().is_some_and(tight) && line.starts_with(tight);
    if !paragraph.is_empty() && !glued {
        paragraph.push(' ');
    }
    // Runs of spaces come from columns and justified lines.
    let mut words = line.split_whitespace();
    paragraph.push_str(words.next().unwrap_or_default());
    for word in words {
        paragraph.push(' ');
        paragraph.push_str(word);
    }
}

/// `text` without the bullet or number of a list item before it.
fn without_bullet(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix(['-', '*', '•', '◦', '▪', '·', '–', '●', '○', '➢'])
    {
        return if rest.starts_with(char::is_whitespace) { rest.trim_start() } else { text };
    }
    let inner = text.strip_prefix(['(', '（']).unwrap_or(text);
    let digits = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    // `(a)` and `1.` number items; `1.5 GB` and `I.` begin sentences.
    let number = match digits {
        0 if inner.starts_with(|c: char| c.is_ascii_lowercase()) => 1,
        1..=2 => digits,
        _ => return text,
    };
    let Some(rest) = inner[number..].strip_prefix([')', '）', '.', '、']) else { return text };
    let chinese = inner[number..].starts_with(['、', '）']);
    let spaced = rest.starts_with(char::is_whitespace);
    if rest.trim().is_empty() || !(spaced || chinese) { text } else { rest.trim_start() }
}

/// Code: indented or after a prompt, and made like code.
fn is_code(line: &str, text: &str) -> bool {
    if text.strip_prefix(['$', '>', '%']).is_some_and(|rest| rest.starts_with(' ')) {
        return true;
    }
    let indented = line.starts_with("    ") || line.starts_with('\t');
    let ends_like_code = text.ends_with(['{', '}', ';', '\\']) || text.ends_with("();");
    let marks = text.chars().filter(|c| "{}[]()<>=;|\\$&_/-".contains(*c)).count();
    let dense = marks * 8 > text.chars().count();
    let spoken = ends_sentence(text) && !text.ends_with(':');
    (ends_like_code && dense && text.is_ascii())
        || (indented && dense && !spoken && text.is_ascii())
}

/// Page numbers, rules, dotted lines of a table of contents.
fn is_noise(text: &str) -> bool {
    let dotted = text.contains("....") || text.contains(". . .") || text.contains("……………");
    let all = text.chars().filter(|c| !c.is_whitespace()).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let page = text.to_lowercase();
    let page = page.strip_prefix("page ").unwrap_or(&page);
    let numbered = page.starts_with(|c: char| c.is_ascii_digit()) && letters <= 2 && all <= 12;
    dotted || letters * 10 < all * 3 || numbered
}

/// A short line without an end, after which something else begins.
fn is_heading(text: &str, next: &str, width: usize) -> bool {
    let length = text.chars().count();
    let ended = ends_sentence(text) || text.ends_with([',', '，', '、', ';']);
    if ended || length > 80 || text.split_whitespace().count() > 12 {
        return false;
    }
    if text.contains(is_ideograph) {
        // No capitals tell a heading from the first line of a paragraph.
        return length <= 30 && (next.is_empty() || is_numbered_heading(text));
    }
    let short = length * 10 < width * 7 || next.is_empty();
    short && (next.is_empty() || !next.starts_with(|c: char| c.is_lowercase()))
}

/// `第三章 …`, `2.1 …`
fn is_numbered_heading(text: &str) -> bool {
    let after_digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let numbered = after_digits.len() < text.len() && after_digits.starts_with(char::is_whitespace);
    let chapter = text.strip_prefix('第').and_then(|rest| rest.find(['章', '节', '部']));
    numbered || chapter.is_some_and(|at| at <= 12)
}
