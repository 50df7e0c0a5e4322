//! Phrases that hardly any other passage has.

use std::collections::{HashMap, HashSet};

use super::passages::{Passage, is_han};
use super::{KnownItem, QueryKind};
use crate::significance::Random;

/// A phrase that stands in more passages is not rare.
const MOST_PASSAGES: usize = 3;

/// Phrases looked at for each that is wanted: most are not rare.
const TRIES: usize = 5;

/// Characters that tie others together: a phrase across them is no term.
const TYING: &str = "的了是在和与或及等为将被把从对向于之其这那而也都就有不以可会能要到个";

/// At most `wanted` phrases of `kind`, in the order of chance, each with every passage it stands in.
pub(super) fn known_items(
    passages: &[Passage],
    kind: QueryKind,
    wanted: usize,
    random: &mut Random,
) -> Vec<KnownItem> {
    let pool = pool(passages, kind, wanted.saturating_mul(TRIES), random);
    let places = occurrences(&pool, passages);
    pool.into_iter()
        .zip(places)
        .filter(|(_, places)| (1..=MOST_PASSAGES).contains(&places.len()))
        .map(|(text, passages)| KnownItem { kind, text, passages })
        .take(wanted)
        .collect()
}

/// At most `size` different phrases, one of a passage at a time so that no long document has all.
fn pool(passages: &[Passage], kind: QueryKind, size: usize, random: &mut Random) -> Vec<String> {
    let mut order: Vec<usize> = (0..passages.len()).collect();
    random.shuffle(&mut order);
    let mut seen = HashSet::new();
    let mut pool = vec![];
    let rounds = size.div_ceil(passages.len().max(1)).min(TRIES);
    for at in order.iter().cycle().take(rounds * passages.len()) {
        if pool.len() == size {
            break;
        }
        let text = &passages[*at].text;
        let phrases = phrases(text, kind, random);
        if !phrases.is_empty() {
            let phrase = phrases[random.below(phrases.len())].to_owned();
            if seen.insert(folded(&phrase)) {
                pool.push(phrase);
            }
        }
    }
    pool
}

/// Every phrase of `kind` in `text`; of characters, all of one length that chance sets.
fn phrases<'a>(text: &'a str, kind: QueryKind, random: &mut Random) -> Vec<&'a str> {
    let length = match kind {
        QueryKind::Heading => return vec![],
        QueryKind::Words => 3,
        QueryKind::Han => 3 + random.below(3),
        QueryKind::Mixed => 3,
    };
    let tokens: Vec<Token<'_>> = tokens(text);
    let fits = |window: &&[Token<'_>]| match kind {
        QueryKind::Words => are_words(window),
        QueryKind::Han => window.iter().all(Token::is_term) && are_joined(window, &[0]),
        _ => are_mixed(window),
    };
    let windows = tokens.windows(length).filter(fits);
    windows.map(|it| &text[it[0].start..it[length - 1].start + it[length - 1].text.len()]).collect()
}

/// A word, or one character of Chinese or Japanese.
struct Token<'a> {
    start: usize,
    text: &'a str,
    han: bool,
    /// What is between it and the one before: nothing, one space, or something else.
    gap: Option<usize>,
}

impl Token<'_> {
    fn is_term(&self) -> bool {
        self.han && !self.text.chars().any(|c| TYING.contains(c) || is_hiragana(c))
    }

    fn letters(&self) -> usize {
        self.text.chars().filter(|c| c.is_alphabetic()).count()
    }

    fn is_word(&self) -> bool {
        !self.han && self.letters() >= 2 && self.letters() == self.text.chars().count()
    }
}

/// Hiragana are endings and particles more than terms.
fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{309f}')
}

fn are_joined(window: &[Token<'_>], gaps: &[usize]) -> bool {
    window[1..].iter().all(|token| token.gap.is_some_and(|gap| gaps.contains(&gap)))
}

/// Three words of which the outer ones are no small ones.
fn are_words(window: &[Token<'_>]) -> bool {
    let outer = [&window[0], &window[window.len() - 1]];
    window.iter().all(Token::is_word)
        && are_joined(window, &[1])
        && outer.iter().all(|token| token.letters() >= 4)
}

/// A word of letters with two characters before or after it.
fn are_mixed(window: &[Token<'_>]) -> bool {
    let words = window.iter().filter(|it| it.is_word() && it.text.is_ascii()).count();
    let terms = window.iter().filter(|it| it.is_term()).count();
    words == 1 && terms == 2 && !window[1].is_word() && are_joined(window, &[0, 1])
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = vec![];
    let mut chars = text.char_indices().peekable();
    let mut end = None;
    while let Some((start, c)) = chars.next() {
        if !c.is_alphanumeric() {
            continue;
        }
        let mut stop = start + c.len_utf8();
        let han = is_han(c);
        while let Some((at, next)) = chars.peek().copied().filter(|_| !han) {
            if !next.is_alphanumeric() || is_han(next) {
                break;
            }
            stop = at + next.len_utf8();
            chars.next();
        }
        let gap = end.and_then(|end: usize| match &text[end..start] {
            "" => Some(0),
            " " => Some(1),
            _ => None,
        });
        tokens.push(Token { start, text: &text[start..stop], han, gap });
        end = Some(stop);
    }
    tokens
}

/// The passages each of `phrases` stands in, one more than may be at most; all in one reading.
fn occurrences(phrases: &[String], passages: &[Passage]) -> Vec<Vec<usize>> {
    let phrases: Vec<String> = phrases.iter().map(|phrase| folded(phrase)).collect();
    let mut by_start: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, phrase) in phrases.iter().enumerate() {
        by_start.entry(two_chars(phrase)).or_default().push(at);
    }
    let mut places = vec![vec![]; phrases.len()];
    for (place, passage) in passages.iter().enumerate() {
        let text = folded(&passage.text);
        for (start, _) in text.char_indices() {
            let Some(starting) = by_start.get(two_chars(&text[start..])) else { continue };
            for &at in starting {
                let known: &mut Vec<usize> = &mut places[at];
                let open = known.len() <= MOST_PASSAGES && known.last() != Some(&place);
                if open && stands_at(&text, start, &phrases[at]) {
                    known.push(place);
                }
            }
        }
    }
    places
}

fn two_chars(text: &str) -> &str {
    text.char_indices().nth(2).map_or(text, |(end, _)| &text[..end])
}

/// Whether `phrase` stands at `start`, and not within longer words.
fn stands_at(text: &str, start: usize, phrase: &str) -> bool {
    let Some(rest) = text[start..].strip_prefix(phrase) else { return false };
    let parts = |before: Option<char>, after: Option<char>| match (before, after) {
        (Some(a), Some(b)) => {
            !(a.is_alphanumeric() && b.is_alphanumeric()) || is_han(a) || is_han(b)
        }
        _ => true,
    };
    parts(text[..start].chars().next_back(), phrase.chars().next())
        && parts(phrase.chars().next_back(), rest.chars().next())
}

/// Lower case, with single spaces, and none between Chinese or Japanese characters: how lines were
/// broken does not matter.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let (last, first) = (folded.chars().next_back(), word.chars().next());
        let joined = last.is_some_and(is_han) && first.is_some_and(is_han);
        if !folded.is_empty() && !joined {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase));
    }
    folded
}
