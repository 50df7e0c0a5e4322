//! Text as it comes, until a call begins.

use docent_core::Result;

use super::super::grammar::{Constraint, Grammars, Vocabulary};
use super::{Body, Marker, Offer};

/// Keys a call written in a form of its own begins with.
const KEYS: &[&str] = &["name", "tool", "tool_name", "function", "type", "arguments", "parameters"];

const FENCE: &str = "```";

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chat::local) enum Heard {
    /// Text to show; nothing while it may still become a call.
    Text(String),
    /// A call begins.
    Call {
        /// The text before it.
        before: String,
        /// What began it.
        begun: Begun,
    },
}

/// The beginning of a call.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chat::local) struct Begun {
    marker: Marker,
    /// What came behind the marker already.
    pub(in crate::chat::local) rest: String,
}

impl Begun {
    /// What a reader of calls has to know of it.
    pub(in crate::chat::local) fn read_as(&self) -> String {
        match self.marker.body {
            Body::Begun => format!("{}{}", self.marker.text, self.rest),
            _ => self.rest.clone(),
        }
    }
}

/// Tells text from calls.
#[derive(Debug)]
pub(in crate::chat::local) struct Listener<'a> {
    offer: Offer<'a>,
    grammars: &'a Grammars,
    vocabulary: &'a dyn Vocabulary,
    /// Whether anything but space was shown.
    has_spoken: bool,
    held: String,
    /// Whether what is held began like a call, and is read when it is whole.
    is_caught: bool,
}

impl<'a> Listener<'a> {
    pub(in crate::chat::local) fn new(
        offer: Offer<'a>,
        grammars: &'a Grammars,
        vocabulary: &'a dyn Vocabulary,
    ) -> Self {
        let held = String::new();
        Self { offer, grammars, vocabulary, has_spoken: false, held, is_caught: false }
    }

    /// What a control token says, if it begins a call.
    pub(in crate::chat::local) fn token(&mut self, token: u32) -> Option<Heard> {
        let is_it = |marker: &&Marker| self.vocabulary.control(marker.text) == Some(token);
        let marker = *self.offer.family.markers().iter().find(is_it)?;
        let before = std::mem::take(&mut self.held);
        Some(Heard::Call { before, begun: Begun { marker, rest: String::new() } })
    }

    pub(in crate::chat::local) fn push(&mut self, text: &str) -> Heard {
        self.held.push_str(text);
        if self.is_caught {
            return Heard::Text(String::new());
        }
        if let Some((at, marker)) = self.find_marker() {
            let rest = self.held[at + marker.text.len()..].to_owned();
            self.held.truncate(at);
            let before = std::mem::take(&mut self.held);
            return Heard::Call { before, begun: Begun { marker, rest } };
        }
        let from = self.find_possible_call();
        let rest = self.held.split_off(from.unwrap_or(self.held.len()));
        let shown = std::mem::replace(&mut self.held, rest);
        self.has_spoken |= !shown.trim().is_empty();
        self.is_caught = head_of_call(&self.held) == Head::Yes;
        Heard::Text(shown)
    }

    /// What a call of this beginning is held to.
    pub(in crate::chat::local) fn constraint(&self, begun: &Begun) -> Result<Constraint> {
        self.grammars.constraint(self.offer.grammar(begun.marker)?)
    }

    /// Has the call read when it is whole instead.
    pub(in crate::chat::local) fn hold(&mut self, begun: &Begun) {
        self.held = format!("{}{}", begun.marker.text, begun.rest);
        self.is_caught = true;
    }

    /// The last text, and what is a call of some form instead of text.
    pub(in crate::chat::local) fn finish(&mut self, text: &str) -> (String, Option<String>) {
        self.held.push_str(text);
        let held = std::mem::take(&mut self.held);
        match self.is_caught {
            true => (String::new(), Some(held)),
            false => (held, None),
        }
    }

    fn find_marker(&self) -> Option<(usize, Marker)> {
        let markers = self.offer.family.markers().iter();
        let found = markers.filter_map(|marker| {
            let at = self.held.find(marker.text)?;
            self.may_stand(marker, at).then_some((at, *marker))
        });
        found.min_by_key(|(at, _)| *at)
    }

    fn may_stand(&self, marker: &Marker, at: usize) -> bool {
        !marker.is_first || !self.has_spoken && self.held[..at].trim().is_empty()
    }

    /// Where the first text begins that may turn out to be a call.
    fn find_possible_call(&self) -> Option<usize> {
        let starts = self.held.char_indices().map(|(at, _)| at);
        let mut starts = starts.filter(|at| {
            let rest = &self.held[*at..];
            let begins_marker =
                |marker: &Marker| marker.text.starts_with(rest) && self.may_stand(marker, *at);
            let is_first = !self.has_spoken && self.held[..*at].trim().is_empty();
            let may_be_head = rest.starts_with('`') || is_first && rest.starts_with(['{', '[']);
            self.offer.family.markers().iter().any(begins_marker)
                || may_be_head && head_of_call(rest) != Head::No
        });
        starts.next()
    }
}

/// Whether a text begins like a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    No,
    /// As far as it goes.
    Perhaps,
    Yes,
}

/// Looks for `{"name"` and its like, bare, in an array or in a Markdown block.
fn head_of_call(text: &str) -> Head {
    let mut rest = text;
    if let Some(block) = rest.strip_prefix(FENCE) {
        rest = block.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    } else if FENCE.starts_with(rest) {
        return Head::Perhaps;
    }
    rest = rest.trim_start();
    rest = rest.strip_prefix('[').unwrap_or(rest).trim_start();
    let Some(object) = rest.strip_prefix('{') else { return perhaps_if_empty(rest) };
    let object = object.trim_start();
    let Some(quote) = object.chars().next() else { return Head::Perhaps };
    if !matches!(quote, '"' | '\'') {
        return Head::No;
    }
    let key = &object[1..];
    let is_whole = |name: &&str| key.strip_prefix(*name).is_some_and(|end| end.starts_with(quote));
    if KEYS.iter().any(is_whole) {
        return Head::Yes;
    }
    match KEYS.iter().any(|name| name.starts_with(key)) {
        true => Head::Perhaps,
        false => Head::No,
    }
}

fn perhaps_if_empty(rest: &str) -> Head {
    if rest.is_empty() { Head::Perhaps } else { Head::No }
}
