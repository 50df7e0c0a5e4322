//! Choosing which sentences answer.
//!
//! A sentence's relevance is the share of the question's rare terms it has (weighted by inverse
//! frequency over all sentences at hand, so a term that every passage repeats counts little), with
//! some credit for terms of its heading and of the sentence before it, weighted by how well its
//! passage was found. Then sentences are taken one by one by maximal marginal relevance
//! (Carbonell and Goldstein, 1998): relevant, and unlike what was taken before.

use std::collections::{HashMap, HashSet};

use docent_core::Passage;

use super::sentences::{Piece, PieceKind, pieces};
use super::terms::terms;

/// At most this many sentences answer.
const MAX_SENTENCES: usize = 5;
/// At most this many list items or code lines follow a sentence that announces them.
const MAX_FOLLOWERS: usize = 6;
/// A sentence is dropped when it is less relevant than this share of the best one's.
const CUTOFF: f32 = 0.55;
/// How much likeness to a taken sentence costs.
const REPETITION: f32 = 0.6;
/// A sentence this much contained in a taken one says nothing new.
const SAME: f32 = 0.8;
/// What a term of the heading or of the sentence before counts, beside one of its own.
const NEARBY: f32 = 0.35;

/// Sentences longer than this many characters are clipped at clause borders.
const MAX_CHARS: usize = 400;

/// A sentence that answers, with the number of its passage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quote {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) kind: PieceKind,
}

/// What was chosen, in reading order.
#[derive(Debug, PartialEq)]
pub(super) struct Selection {
    pub(super) quotes: Vec<Quote>,
    /// Whether any of it shares a term with the question.
    pub(super) relevant: bool,
}

/// The sentences of `passages` that answer `question` best.
pub(super) fn select(question: &str, passages: &[Passage]) -> Selection {
    let candidates = candidates(passages);
    let weights = Weights::new(question, &candidates);
    let wants_number = asks_for_number(question);
    let scores: Vec<f32> = candidates
        .iter()
        .map(|candidate| candidate.score(&weights, passages, wants_number))
        .collect();
    let taken = take(&candidates, &scores);
    let relevant = !taken.is_empty();
    let mut taken = if relevant { taken } else { closest(&candidates) };
    let continued: Vec<usize> =
        taken.iter().flat_map(|at| continuation(*at, &candidates, asks_how(question))).collect();
    taken.extend(continued);
    Selection { quotes: quotes(&candidates, taken, passages, &weights), relevant }
}

struct Candidate {
    /// Which passage, from 0.
    passage: usize,
    piece: Piece,
    terms: HashSet<String>,
    /// Terms of its heading and of the sentence before it.
    nearby: HashSet<String>,
}

fn candidates(passages: &[Passage]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for (passage, Passage { text, .. }) in passages.iter().enumerate() {
        let mut heading = HashSet::new();
        let mut before = HashSet::new();
        for piece in pieces(text) {
            let terms: HashSet<String> = terms(&piece.text).into_iter().collect();
            if piece.kind == PieceKind::Heading {
                heading.clone_from(&terms);
                before.clear();
            }
            let nearby = heading.union(&before).cloned().collect();
            before.clone_from(&terms);
            found.push(Candidate { passage, piece, terms, nearby });
        }
    }
    found
}

impl Candidate {
    fn score(&self, weights: &Weights, passages: &[Passage], wants_number: bool) -> f32 {
        let own = weights.share(&self.terms);
        // Without a term of its own a sentence is about something else, except what a list
        // item or a command leaves to the sentence before it.
        let leans = matches!(self.piece.kind, PieceKind::Item | PieceKind::Code);
        if own == 0.0 && !leans {
            return 0.0;
        }
        let nearby: HashSet<String> = self.nearby.difference(&self.terms).cloned().collect();
        let relevance = own + NEARBY * weights.share(&nearby);
        let number = wants_number && self.piece.text.chars().any(is_numeral);
        let kind = match self.piece.kind {
            PieceKind::Sentence | PieceKind::Item => 1.0,
            PieceKind::Code => 0.8,
            PieceKind::Line => 0.5,
            PieceKind::Fragment | PieceKind::Heading => 0.0,
        };
        // Two words can match by chance; ten rarely do.
        let substance = (self.terms.len() as f32 / 4.0).min(1.0);
        let found = passages[self.passage].score.clamp(0.0, 1.0);
        let bonus = if number { 1.25 } else { 1.0 };
        relevance * kind * bonus * (0.7 + 0.3 * found) * (0.6 + 0.4 * substance)
    }
}

/// How much each term of the question counts; together they count 1.
pub(super) struct Weights(HashMap<String, f32>);

impl Weights {
    fn new(question: &str, candidates: &[Candidate]) -> Self {
        let count = candidates.len() as f32;
        let mut weights: HashMap<String, f32> = HashMap::new();
        for term in terms(question) {
            let with = candidates.iter().filter(|one| one.terms.contains(&term)).count() as f32;
            // BM25's idf, made positive. A term found nowhere cannot tell sentences apart.
            let idf =
                if with == 0.0 { 0.0 } else { (1.0 + (count - with + 0.5) / (with + 0.5)).ln() };
            weights.insert(term, idf);
        }
        let total: f32 = weights.values().sum();
        if total > 0.0 {
            weights.values_mut().for_each(|weight| *weight /= total);
        }
        Self(weights)
    }

    fn share(&self, terms: &HashSet<String>) -> f32 {
        // Summed in a fixed order: floats added in another may differ in the last digit.
        let mut weights: Vec<f32> =
            terms.iter().filter_map(|term| self.0.get(term)).copied().collect();
        weights.sort_by(f32::total_cmp);
        weights.iter().sum()
    }
}

fn asks_for_number(question: &str) -> bool {
    let question = question.to_lowercase();
    let asks = [
        "how many",
        "how much",
        "how long",
        "how old",
        "how large",
        "how big",
        "how fast",
        "how far",
        "what year",
        "which year",
        "what size",
        "percent",
        "when ",
        "多少",
        "几",
        "何时",
        "多大",
        "多长",
        "多久",
        "哪年",
        "哪一年",
        "什么时候",
    ];
    asks.iter().any(|ask| question.contains(ask))
}

fn asks_how(question: &str) -> bool {
    let question = question.to_lowercase();
    ["how ", "step", "command", "如何", "怎么", "怎样", "步骤", "命令"]
        .iter()
        .any(|ask| question.contains(ask))
}

fn is_numeral(c: char) -> bool {
    c.is_numeric() || "一二三四五六七八九十百千万亿".contains(c)
}

/// Indices of the candidates taken, best first.
fn take(candidates: &[Candidate], scores: &[f32]) -> Vec<usize> {
    let best = scores.iter().copied().fold(0.0, f32::max);
    let mut taken: Vec<usize> = Vec::new();
    while taken.len() < MAX_SENTENCES {
        let next = (0..candidates.len())
            .filter(|at| !taken.contains(at) && scores[*at] > 0.0 && scores[*at] >= CUTOFF * best)
            .map(|at| (at, likeness_to(&taken, &candidates[at], candidates)))
            .filter(|(_, likeness)| *likeness < SAME)
            .map(|(at, likeness)| (at, scores[at] - REPETITION * likeness * best))
            // The earlier of two equals, so that the same passages give the same answer.
            .reduce(|a, b| if b.1 > a.1 { b } else { a });
        match next {
            Some((at, worth)) if worth > 0.0 => taken.push(at),
            _ => break,
        }
    }
    taken
}

fn likeness_to(taken: &[usize], candidate: &Candidate, candidates: &[Candidate]) -> f32 {
    taken.iter().map(|at| likeness(&candidates[*at].terms, &candidate.terms)).fold(0.0, f32::max)
}

/// How much of the shorter is in the longer: a sentence and its half, which overlapping
/// passages make, are the same.
fn likeness(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let shorter = a.len().min(b.len());
    if shorter == 0 { 0.0 } else { a.intersection(b).count() as f32 / shorter as f32 }
}

/// Nothing matches in words (a question in another language): the best passage's beginning.
fn closest(candidates: &[Candidate]) -> Vec<usize> {
    let of_kind = |kinds: &[PieceKind]| -> Vec<usize> {
        let fits = |at: &usize| kinds.contains(&candidates[*at].piece.kind);
        let passage = (0..candidates.len()).find(fits).map(|at| candidates[at].passage);
        let same = |at: &usize| Some(candidates[*at].passage) == passage;
        (0..candidates.len()).filter(fits).filter(same).take(2).collect()
    };
    let whole = of_kind(&[PieceKind::Sentence, PieceKind::Item]);
    if whole.is_empty() {
        of_kind(&[PieceKind::Code, PieceKind::Line, PieceKind::Fragment])
    } else {
        whole
    }
}

/// Best passage first; within one passage as they stand in it.
fn quotes(
    candidates: &[Candidate],
    taken: Vec<usize>,
    passages: &[Passage],
    weights: &Weights,
) -> Vec<Quote> {
    let mut order: Vec<usize> = Vec::new();
    for at in &taken {
        if !order.contains(&candidates[*at].passage) {
            order.push(candidates[*at].passage);
        }
    }
    let mut chosen = taken;
    chosen.sort_by_key(|at| (order.iter().position(|p| *p == candidates[*at].passage), *at));
    chosen.dedup();
    let quote = |at: usize| Quote {
        number: passages[candidates[at].passage].number,
        text: clip(&candidates[at].piece.text, weights).to_owned(),
        kind: candidates[at].piece.kind,
    };
    chosen.into_iter().map(quote).collect()
}

/// What belongs to a taken sentence though it may share no word with the question: the list it
/// announces with a colon; for a question of how, also the next sentence if that announces one.
fn continuation(at: usize, candidates: &[Candidate], asks_how: bool) -> Vec<usize> {
    let announces = |at: usize| {
        let piece = &candidates[at].piece;
        piece.text.ends_with([':', '：']) && piece.kind != PieceKind::Code
    };
    let follows = |next: &usize| {
        let next = &candidates[*next];
        let listed = matches!(next.piece.kind, PieceKind::Item | PieceKind::Code);
        next.passage == candidates[at].passage && listed
    };
    let list = |after: usize| (after + 1..candidates.len()).take_while(follows).take(MAX_FOLLOWERS);
    if announces(at) {
        return list(at).collect();
    }
    let next = at + 1;
    let same = candidates.get(next).is_some_and(|next| next.passage == candidates[at].passage);
    if asks_how && same && announces(next) && list(next).next().is_some() {
        return std::iter::once(next).chain(list(next)).collect();
    }
    Vec::new()
}

/// The run of clauses with the most of what was asked, at most [`MAX_CHARS`] long.
fn clip<'a>(text: &'a str, weights: &Weights) -> &'a str {
    if text.chars().count() <= MAX_CHARS {
        return text;
    }
    let borders = clause_borders(text);
    let mut best = (f32::MIN, text);
    for (at, start) in borders.iter().copied().enumerate() {
        let limit =
            text[start..].char_indices().nth(MAX_CHARS).map_or(text.len(), |(n, _)| start + n);
        let Some(end) =
            borders[at..].iter().copied().rev().find(|end| *end <= limit && *end > start)
        else {
            break;
        };
        let run = &text[start..end];
        let worth = weights.share(&terms(run).into_iter().collect());
        if worth > best.0 {
            best = (worth, run);
        }
    }
    best.1.trim().trim_end_matches([',', '，', '、'])
}

/// Where clauses begin and end: after commas and semicolons, and by force where there are none
/// for too long.
fn clause_borders(text: &str) -> Vec<usize> {
    let mut borders = vec![0];
    for clause in text.split_inclusive([',', ';', '，', '；', '、', '：', ':']) {
        let mut rest = clause;
        while !rest.is_empty() {
            let limit = rest.char_indices().nth(MAX_CHARS).map_or(rest.len(), |(at, _)| at);
            let space = rest[..limit].rfind(' ').filter(|at| *at > 0 && limit < rest.len());
            let cut = space.unwrap_or(limit);
            borders.push(borders[borders.len() - 1] + cut);
            rest = &rest[cut..];
        }
    }
    borders
}
