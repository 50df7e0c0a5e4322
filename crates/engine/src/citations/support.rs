//! Whether a passage says what an answer says, and where.
//!
//! The answer's sentence is looked for in the passage letter by letter (white space, case and
//! Unicode form aside); failing that, the passage's few neighbouring sentences that share most of
//! its telling words are taken, if they share enough. This finds wrong citations, not wrong
//! reasoning: a sentence that turns the passage's words around passes.

use std::collections::BTreeSet;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::words::{Kind, Word, is_cjk, telling};

/// The share of a sentence's telling words that a span must have to support it.
pub(crate) const ENOUGH: f32 = 0.5;

/// The span of `passage` that supports `claim`, in bytes, and how well: 1 letter by letter, less
/// by words. None if nothing does.
pub(crate) fn find(claim: &str, passage: &str) -> Option<(Range<usize>, f32)> {
    let claim = bare(claim);
    let quoted = quotation(claim);
    for exact in quoted.into_iter().chain([claim]) {
        if let Some(span) = find_exact(exact, passage) {
            return Some((span, 1.0));
        }
    }
    find_similar(claim, passage)
}

/// A claim without what decorates it: list marks, emphasis, ellipses.
fn bare(claim: &str) -> &str {
    let claim = claim.trim_start_matches(|c: char| c.is_whitespace() || "-*•>#_".contains(c));
    claim.trim_end_matches(|c: char| c.is_whitespace() || "…*_".contains(c))
}

/// The longest text in quotation marks, if it is long enough to be one.
fn quotation(claim: &str) -> Option<&str> {
    const SHORTEST: usize = 12;
    let pairs = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」'), ('『', '』')];
    let found = pairs.iter().filter_map(|&(open, close)| {
        let (_, inside) = claim.split_once(open)?;
        let (inside, _) = inside.rsplit_once(close)?;
        (inside.len() >= SHORTEST).then_some(inside)
    });
    found.max_by_key(|inside| inside.len())
}

/// Text in one form, knowing where each byte of it came from.
struct Folded {
    text: String,
    /// For each byte of `text`: the byte range of the character it came from.
    origin: Vec<(usize, usize)>,
}

/// NFKD character by character, lower case, white space and hyphens at line ends gone. (NFKD, not
/// NFKC, because it can be done by the character; two texts are equal in one just if they are in
/// the other, but for the order of several accents on one letter.)
fn folded(text: &str) -> Folded {
    let mut folded = Folded { text: String::with_capacity(text.len()), origin: Vec::new() };
    for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        for simple in c.nfkd().flat_map(char::to_lowercase) {
            folded.text.push(simple);
            let span = (at, at + c.len_utf8());
            folded.origin.extend(std::iter::repeat_n(span, simple.len_utf8()));
        }
    }
    folded
}

fn find_exact(claim: &str, text: &str) -> Option<Range<usize>> {
    /// "Yes." is in every passage.
    const SHORTEST: usize = 10;
    let claim = folded(claim).text;
    let claim = claim.trim_end_matches(|c: char| ".。!!??,,;;:".contains(c));
    if claim.len() < SHORTEST {
        return None;
    }
    let passage = folded(text);
    let at = passage.text.find(claim)?;
    let (start, _) = passage.origin[at];
    let (_, end) = passage.origin[at + claim.len() - 1];
    Some(start..with_full_stop(text, end))
}

/// `end` moved behind the sentence's full stop, if it stands there.
fn with_full_stop(passage: &str, end: usize) -> usize {
    let stop = passage[end..].chars().next().filter(|c| ".。!!??".contains(*c));
    end + stop.map_or(0, char::len_utf8)
}

/// The window of one to three sentences of `passage` that shares most of the claim's words.
fn find_similar(claim: &str, passage: &str) -> Option<(Range<usize>, f32)> {
    /// What a wider window must add to be worth it.
    const WORTH: f32 = 0.12;
    let wanted = wanted_words(claim, passage)?;
    let total: f32 = wanted.iter().map(Word::weight).sum();
    let sentences = sentences(passage);
    let has: Vec<BTreeSet<&Word>> = sentences
        .iter()
        .map(|span| {
            let words: BTreeSet<Word> = telling(&passage[span.clone()]).into_iter().collect();
            wanted.iter().filter(|word| words.contains(word)).collect()
        })
        .collect();
    let mut best: Option<(Range<usize>, f32)> = None;
    for width in 1..=3 {
        let mut widest: Option<(Range<usize>, f32)> = None;
        for (spans, has) in sentences.windows(width).zip(has.windows(width)) {
            let shared: BTreeSet<&Word> = has.iter().flatten().copied().collect();
            if !has_the_numbers(&shared, &wanted) {
                continue;
            }
            let share = shared.iter().map(|word| word.weight()).sum::<f32>() / total;
            if widest.as_ref().is_none_or(|(_, most)| share > *most) {
                widest = Some((spans[0].start..spans[width - 1].end, share));
            }
        }
        let Some((span, share)) = widest else { continue };
        if best.as_ref().is_none_or(|(_, most)| share > most + WORTH) {
            best = Some((span, share));
        }
    }
    best.filter(|(_, share)| *share >= ENOUGH)
}

/// Whether a span that shares `shared` has at least half of a claim's numbers: with the others a
/// sentence of the same words says something else.
fn has_the_numbers(shared: &BTreeSet<&Word>, wanted: &BTreeSet<Word>) -> bool {
    let is_number = |word: &&Word| word.kind == Kind::Number;
    let numbers = wanted.iter().filter(is_number).count();
    2 * shared.iter().filter(|word| is_number(word)).count() >= numbers
}

/// The words a span must share to support `claim`; none if the claim has too few to tell.
///
/// A claim in Chinese about a passage in English shares no word but names and numbers: where the
/// passage has no CJK at all, only those count.
fn wanted_words(claim: &str, passage: &str) -> Option<BTreeSet<Word>> {
    /// One word in common says nothing, unless it is a number, which counts as two.
    const LEAST: f32 = 2.0;
    let mut wanted: BTreeSet<Word> = telling(claim).into_iter().collect();
    if !passage.chars().any(is_cjk) {
        wanted.retain(|word| word.kind != Kind::Bigram);
    }
    let weight: f32 = wanted.iter().map(Word::weight).sum();
    (weight >= LEAST).then_some(wanted)
}

/// The sentences of a passage, in bytes, trimmed. Lines that were broken to fit a page are
/// joined; text without full stops (tables) is cut to a readable length.
pub(crate) fn sentences(passage: &str) -> Vec<Range<usize>> {
    let joined = join_lines(passage);
    let mut sentences = Vec::new();
    for (start, sentence) in joined.split_sentence_bound_indices() {
        push_sentence(passage, start..start + sentence.len(), &mut sentences);
    }
    sentences
}

fn push_sentence(passage: &str, span: Range<usize>, sentences: &mut Vec<Range<usize>>) {
    const LONGEST: usize = 500;
    let mut rest = span;
    while rest.len() > LONGEST {
        let window = &passage[rest.start..passage.floor_char_boundary(rest.start + LONGEST)];
        let cut = window.rfind('\n').filter(|&cut| cut > LONGEST / 2);
        let cut = cut.or_else(|| window.rfind(char::is_whitespace)).unwrap_or(window.len()).max(1);
        let cut = rest.start + passage[rest.start..].floor_char_boundary(cut).max(1);
        let cut = passage.ceil_char_boundary(cut);
        push_trimmed(passage, rest.start..cut, sentences);
        rest.start = cut;
    }
    push_trimmed(passage, rest, sentences);
}

fn push_trimmed(passage: &str, span: Range<usize>, sentences: &mut Vec<Range<usize>>) {
    let text = &passage[span.clone()];
    let start = span.start + (text.len() - text.trim_start().len());
    let end = start + text.trim().len();
    if start < end {
        sentences.push(start..end);
    }
}

/// The passage with single line breaks made spaces, byte for byte in place, so that a sentence
/// goes on over them. A line that begins a list item stays a line.
fn join_lines(passage: &str) -> String {
    let bytes = passage.as_bytes();
    let mut joined = String::with_capacity(passage.len());
    for (at, c) in passage.char_indices() {
        let breaks = c == '\n' && {
            let next = passage[at + 1..].trim_start_matches(' ').chars().next();
            let before = at.checked_sub(1).map(|before| bytes[before]);
            next.is_none_or(|next| "\n-*•#|".contains(next)) || before == Some(b'\n')
        };
        joined.push(if c == '\n' && !breaks || c == '\r' { ' ' } else { c });
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSAGE: &str = "The pump must not run dry. It stops at 80 °C and starts\nagain below \
                           60 °C.\n\nClean the filter every three months. 水泵在八十度停止运行。每三个月清洗一次过滤器。";

    fn quote(claim: &str) -> Option<&'static str> {
        find(claim, PASSAGE).map(|(span, _)| &PASSAGE[span])
    }

    #[test]
    fn a_sentence_is_found_over_line_breaks_case_and_width() {
        assert_eq!(
            quote("it stops at 80 °c and starts again below 60 °C."),
            Some("It stops at 80 °C and starts\nagain below 60 °C.")
        );
        assert_eq!(quote("- **水泵在八十度停止运行**"), Some("水泵在八十度停止运行。"));
    }

    #[test]
    fn a_paraphrase_is_found_by_its_words() {
        assert_eq!(
            quote("You should be cleaning the filters every 3 months"),
            Some("Clean the filter every three months.")
        );
        assert_eq!(quote("过滤器要每三个月清洗"), Some("每三个月清洗一次过滤器。"));
    }

    #[test]
    fn a_quotation_is_found_alone() {
        assert_eq!(
            quote("As the makers put it, \"must not run dry\" is the first rule of all"),
            Some("must not run dry.")
        );
    }

    #[test]
    fn what_the_passage_does_not_say_is_not_found() {
        for claim in [
            "It stops at 95 °C and starts again below 40 °C.",
            "Replace the battery once a year.",
            "Yes.",
            "",
            "电池每年更换一次。",
        ] {
            assert_eq!(quote(claim), None, "{claim}");
        }
    }

    #[test]
    fn a_claim_in_another_script_is_held_to_its_numbers() {
        let english = "It stops at 80 °C and starts again below 60 °C.";
        assert!(find("水泵在 80 °C 停止,低于 60 °C 时重新启动。", english).is_some());
        assert!(find("水泵在 95 °C 停止,低于 40 °C 时重新启动。", english).is_none());
        assert!(find("水泵会自动停止。", english).is_none());
    }

    proptest! {
        #[test]
        fn any_text_gives_spans_that_lie_within_it(
            claim in "\\PC{0,80}", passage in "[\\PC\n]{0,200}"
        ) {
            if let Some((span, share)) = find(&claim, &passage) {
                prop_assert!(passage.get(span).is_some_and(|quote| !quote.is_empty()));
                prop_assert!((ENOUGH..=1.0 + f32::EPSILON).contains(&share));
            }
        }

        #[test]
        fn sentences_lie_in_order_and_are_not_long(text in "([a-z]{1,9}[ .\n]){0,200}") {
            let spans = sentences(&text);
            prop_assert!(spans.is_sorted_by(|a, b| a.end <= b.start));
            prop_assert!(spans.iter().all(|span| span.len() <= 500 && text.get(span.clone()).is_some()));
        }
    }
}
