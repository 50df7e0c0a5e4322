//! HTML: what a reader sees, without script, style and navigation.
//!
//! Works on html5ever's token stream, not on a tree: one pass, no recursion, so that a million
//! nested elements cost no stack.

use std::cell::RefCell;

use docent_core::FileError;
use encoding_rs::Encoding;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::table::{Grids, RowRole};
use crate::text::{decode_labelled, one_page};
use crate::{Document, Extractor, Limits, Line, LineKind};

/// Reads HTML.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HtmlExtractor;

impl Extractor for HtmlExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (source, warnings) = decode_labelled(bytes, declared_encoding(bytes), limits)?;
        let seen = Seen::of(&source, Syntax::Html);
        Ok(one_page((!seen.title.is_empty()).then_some(seen.title), seen.lines, warnings))
    }
}

/// What a reader sees of a page.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Empty if the page has none.
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// How the end of an empty element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `<title/>` opens an element: the slash means nothing.
    Html,
    /// `<title/>` is a whole element, as in EPUB.
    Xhtml,
}

impl Seen {
    /// What a reader sees of `source`.
    pub(crate) fn of(source: &str, syntax: Syntax) -> Self {
        let mut reader = read(source, Boilerplate::Dropped, syntax);
        if reader.lines.is_empty() {
            // A page that never closes its navigation would be all boilerplate.
            reader = read(source, Boilerplate::Kept, syntax);
        }
        Self { title: squeeze(&reader.title), lines: reader.lines }
    }
}

/// The encoding a `<meta>` in the first kilobyte names.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let value = head.split_once("charset=")?.1.trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c))?;
    Encoding::for_label(&value.as_bytes()[..end])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Boilerplate {
    Dropped,
    Kept,
}

fn read(source: &str, boilerplate: Boilerplate, syntax: Syntax) -> Reader {
    let reader = Reader { boilerplate, syntax, ..Reader::default() };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut reader = tokenizer.sink.0.into_inner();
    reader.end_line();
    while !reader.tables.is_empty() {
        reader.end_table();
    }
    reader
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return reader.tag(&tag),
            Token::CharacterTokens(text) => reader.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

struct Reader {
    boilerplate: Boilerplate,
    syntax: Syntax,
    lines: Vec<Line>,
    tables: Grids,
    line: String,
    title: String,
    in_title: bool,
    /// The dropped element we are in, and how many of its kind are open.
    dropped: Option<(String, u32)>,
    heading: Option<u8>,
    preformatted: u32,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            boilerplate: Boilerplate::Dropped,
            syntax: Syntax::Html,
            lines: Vec::new(),
            tables: Grids::default(),
            line: String::new(),
            title: String::new(),
            in_title: false,
            dropped: None,
            heading: None,
            preformatted: 0,
        }
    }
}

impl Reader {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let opens = tag.kind == TagKind::StartTag;
        if opens && tag.self_closing && self.syntax == Syntax::Xhtml {
            if matches!(name, "br" | "hr" | "td" | "th") && self.dropped.is_none() {
                self.shape(tag, opens);
            }
            return TokenSinkResult::Continue;
        }
        if !self.is_dropped(name, opens) {
            self.shape(tag, opens);
        }
        match name {
            "script" if opens => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "iframe" | "noembed" | "noframes" | "xmp" if opens => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "title" | "textarea" if opens => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    /// Keeps track of dropped elements; whether this tag belongs to one.
    fn is_dropped(&mut self, name: &str, opens: bool) -> bool {
        match &mut self.dropped {
            Some((open, depth)) => {
                if open == name {
                    *depth = if opens { *depth + 1 } else { *depth - 1 };
                    if *depth == 0 {
                        self.dropped = None;
                    }
                }
                true
            }
            None => {
                let hidden = matches!(
                    name,
                    "script" | "style" | "template" | "svg" | "iframe" | "noframes" | "object"
                );
                let drops = hidden || name == "nav" && self.boilerplate == Boilerplate::Dropped;
                if opens && drops {
                    self.dropped = Some((name.to_owned(), 1));
                }
                drops
            }
        }
    }

    fn shape(&mut self, tag: &Tag, opens: bool) {
        let name: &str = &tag.name;
        match name {
            "title" => self.in_title = opens && self.title.is_empty(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.end_line();
                self.heading = opens.then(|| name.as_bytes()[1] - b'0');
            }
            "pre" => {
                self.end_line();
                self.preformatted =
                    if opens { self.preformatted + 1 } else { self.preformatted.saturating_sub(1) };
            }
            "table" if opens => {
                self.end_line();
                self.tables.begin();
            }
            "table" => self.end_table(),
            "tr" => {
                self.end_line();
                if opens {
                    self.tables.begin_row();
                }
            }
            "td" | "th" => self.cell(tag, opens),
            "li" if opens => {
                self.end_line();
                self.line.push_str("- ");
            }
            _ if is_block(name) => self.end_line(),
            _ => {}
        }
    }

    fn cell(&mut self, tag: &Tag, opens: bool) {
        self.end_line();
        if !opens {
            return;
        }
        let is_name = &*tag.name == "th";
        match (is_name, self.tables.is_at_first_cell()) {
            (true, true) => self.tables.set_role(RowRole::Header),
            (true, false) => {}
            // A row that begins with a name and goes on with values is no header.
            (false, _) => self.tables.set_role(RowRole::Unknown),
        }
        let number = |name: &str| {
            let attribute = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
            attribute.and_then(|attribute| attribute.value.trim().parse().ok()).unwrap_or(1)
        };
        self.tables.begin_cell();
        self.tables.span(number("colspan"), number("rowspan"));
    }

    fn end_table(&mut self) {
        self.end_line();
        let lines = self.tables.end();
        lines.into_iter().for_each(|line| self.put(line));
    }

    /// Puts a line into the cell we are in, or on the page.
    fn put(&mut self, line: Line) {
        match self.tables.cell() {
            Some(cell) => cell.push(line),
            None => self.lines.push(line),
        }
    }

    fn text(&mut self, text: &str) {
        if self.dropped.is_some() {
            return;
        }
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        if self.preformatted == 0 {
            self.line.push_str(text);
            return;
        }
        let mut parts = text.split('\n');
        self.line.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.end_line();
            self.line.push_str(part);
        }
    }

    fn end_line(&mut self) {
        let kind = match self.heading {
            _ if self.preformatted > 0 => LineKind::Code,
            Some(level) => LineKind::Heading(level),
            None => LineKind::Text,
        };
        let text = match kind {
            LineKind::Code => self.line.trim_end().to_owned(),
            _ => squeeze(&self.line),
        };
        self.line.clear();
        if !text.is_empty() && text != "-" {
            self.put(Line::new(text, kind));
        }
    }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Elements that begin a line of their own.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "br"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "dir"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "header"
            | "hr"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "ol"
            | "option"
            | "p"
            | "section"
            | "select"
            | "summary"
            | "tbody"
            | "tfoot"
            | "thead"
            | "ul"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(source: &str) -> Document {
        HtmlExtractor.extract(source.as_bytes(), &Limits::default()).unwrap()
    }

    fn lines(source: &str) -> Vec<String> {
        extract(source).pages.remove(0).lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_reader_sees_text_and_headings_only() {
        let source = "<!doctype html><title>Tides &amp; moons</title><style>p{}</style>\
            <nav><a>Home</a><nav>x</nav></nav><h2>High  water</h2><p>The <b>moon</b>\npulls.\
            <script>if (a<b) {'</p>'}</script><ul><li>one<li>two</ul>\
            <table><tr><td>1<td>2</tr></table><pre>a\n  b</pre>";
        let document = extract(source);
        assert_eq!(document.title.as_deref(), Some("Tides & moons"));
        assert_eq!(document.pages[0].lines[0].kind, LineKind::Heading(2));
        let expected = ["High water", "The moon pulls.", "- one", "- two", "1 | 2", "a", "  b"];
        assert_eq!(lines(source), expected);
    }

    #[test]
    fn tables_are_rows_under_the_names_of_their_columns() {
        let source = "<p>before<table><caption>Tides</caption><tr><th>port<th>high</tr>\
            <tr><td><p>Oslo</p><td>1<br>m</tr><tr><td>Bergen<td><p>2</p><p>m</p></table>after\
            <table><tr><td><h2>laid out</h2><p>a<td>b</table><table><tr><td>open<td>end";
        let lines = extract(source).pages.remove(0).lines;
        let found: Vec<(LineKind, &str)> =
            lines.iter().map(|line| (line.kind, line.text.as_str())).collect();
        let expected = [
            (LineKind::Text, "before"),
            (LineKind::Text, "Tides"),
            (LineKind::Header, "port | high"),
            (LineKind::Row, "Oslo | 1 m"),
            (LineKind::Row, "Bergen | 2 m"),
            (LineKind::Text, "after"),
            (LineKind::Heading(2), "laid out"),
            (LineKind::Text, "a"),
            (LineKind::Text, "b"),
            (LineKind::Header, "open | end"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_unclosed_navigation_does_not_swallow_the_page() {
        assert_eq!(lines("<html><nav><p>all there is"), ["all there is"]);
    }

    #[test]
    fn the_declared_encoding_is_used_where_the_bytes_are_not_utf8() {
        let bytes = b"<html><meta charset='koi8-r'><p>\xf0\xf2\xe9\xf7\xe5\xf4";
        let document = HtmlExtractor.extract(bytes, &Limits::default()).unwrap();
        assert_eq!(document.pages[0].lines[0].text, "ПРИВЕТ");
    }

    #[test]
    fn a_million_open_elements_end() {
        assert_eq!(lines(&format!("{}deep", "<div>".repeat(200_000))), ["deep"]);
    }
}
