//! Plain text: what encoding the bytes are in, and their lines.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use docent_core::{FileError, Warning};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::document::{check_text_bytes, unsupported};
use crate::{Document, Extractor, Flow, Limits, Line, LineKind, Page};

/// Reads plain text, line by line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextExtractor;

impl Extractor for TextExtractor {
    fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<Document, FileError> {
        let (text, warnings) = decode(bytes, limits)?;
        let mut lines: Vec<Line> =
            text.lines().map(|line| Line::new(line, LineKind::Text)).collect();
        let title = title(&lines).map(str::to_owned);
        if title.is_some() {
            lines[0].kind = LineKind::Heading(1);
        }
        Ok(one_page(title, lines, warnings))
    }
}

/// A first line longer than this is no title.
const MOST_TITLE_CHARS: usize = 250;

/// The first line, if it stands apart from text that is longer than it.
fn title(lines: &[Line]) -> Option<&str> {
    let [first, second, rest @ ..] = lines else { return None };
    let title = first.text.trim();
    let apart = !title.is_empty() && second.text.trim().is_empty();
    let short = title.chars().nth(MOST_TITLE_CHARS).is_none();
    let longer = rest.iter().map(|line| line.text.len()).sum::<usize>() > title.len();
    (apart && short && longer).then_some(title)
}

/// A document of a format without pages, whose line ends are the author's.
pub(crate) fn one_page(
    title: Option<String>,
    lines: Vec<Line>,
    warnings: Vec<Warning>,
) -> Document {
    Document {
        title,
        pages: vec![Page { number: 1, lines, quality: 1.0 }],
        flow: Flow::Lines,
        warnings,
    }
}

/// `bytes` as text: by byte order mark, as UTF-8, or in the legacy encoding they look like.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(String, Vec<Warning>), FileError> {
    decode_labelled(bytes, None, limits)
}

/// [`decode`], where `label` is the encoding the file itself claims.
pub(crate) fn decode_labelled(
    bytes: &[u8],
    label: Option<&'static Encoding>,
    limits: &Limits,
) -> Result<(String, Vec<Warning>), FileError> {
    let (text, warning) = decode_any(bytes, label);
    check_text_bytes(text.len() as u64, limits)?;
    let control = text.chars().filter(|&c| c == '\u{fffd}' || is_stray_control(c)).count();
    if control * 10 > text.chars().count() {
        return Err(unsupported("binary data of an unknown format"));
    }
    let warnings = warning.into_iter().map(|message| Warning { page: None, message }).collect();
    Ok((text, warnings))
}

fn decode_any(bytes: &[u8], label: Option<&'static Encoding>) -> (String, Option<String>) {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        return decode_as(encoding, &bytes[mark_bytes..], false);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    if let Some(encoding) = utf16_without_mark(bytes).or(label.filter(|label| *label != UTF_8)) {
        return decode_as(encoding, bytes, true);
    }
    // Valid multi-byte sequences hardly ever occur by chance, so a text that has many and a few
    // broken ones is damaged UTF-8; the other way round it is a legacy encoding.
    let (lossy, _, _) = UTF_8.decode(bytes);
    let (broken, whole) =
        lossy.chars().filter(|c| !c.is_ascii()).fold((0, 0), |(broken, whole), c| {
            if c == '\u{fffd}' { (broken + 1, whole) } else { (broken, whole + 1) }
        });
    if whole > broken * 4 {
        return (lossy.into_owned(), Some(replaced("UTF-8", broken)));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    decode_as(detector.guess(None, Utf8Detection::Allow), bytes, true)
}

fn decode_as(
    encoding: &'static Encoding,
    bytes: &[u8],
    is_guess: bool,
) -> (String, Option<String>) {
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    let warning = if had_errors {
        Some(replaced(encoding.name(), text.chars().filter(|&c| c == '\u{fffd}').count()))
    } else if is_guess {
        Some(format!("not UTF-8; read as {}", encoding.name()))
    } else {
        None
    };
    (text.into_owned(), warning)
}

fn replaced(encoding: &str, count: usize) -> String {
    format!("{count} invalid sequences in {encoding} text were replaced by U+FFFD")
}

/// UTF-16 whose text is mostly ASCII has a NUL in every other byte.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(4096)];
    let nuls = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let most = head.len() / 2 * 4 / 5;
    match (even, odd) {
        _ if head.len() < 4 => None,
        (0, odd) if odd >= most => Some(UTF_16LE),
        (even, 0) if even >= most => Some(UTF_16BE),
        _ => None,
    }
}

/// Whether `c` is a control character that no text has a use for.
pub(crate) fn is_stray_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1b}' | '\u{85}')
}
