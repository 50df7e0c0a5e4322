//! Citations: markers in an answer become annotations that name file, page and quote, or vanish.
//!
//! A model is told to put `【4:0†source】` or, with the [`Basic`](docent_core::Profile::Basic)
//! profile, `[1]` behind what rests on a passage. Each marker is held to it: the sentence before
//! it must be [supported](support) by the passage. The quote is always the passage's own text; a
//! marker without support is taken out of the answer. Every marker that stays reads
//! `【search:rank†source】`, whatever the model wrote.

mod links;
mod scanner;
pub(crate) mod support;
pub(crate) mod words;

use std::collections::BTreeSet;

use docent_core::{Annotation, AnnotationTarget, Citation, FileId, FileSearchResult};
use unicode_segmentation::UnicodeSegmentation;

use scanner::{Marker, Scanner, SourceNumber};

pub(crate) use links::Link;
pub(crate) use scanner::{Links, Piece, Style};

use crate::runs::MessageDelta;

/// The number of a run's first search. Anything would do; the hosted service's transcripts begin
/// with 4, and people's scripts have seen no other.
pub(crate) const FIRST_SEARCH: u32 = 4;

/// The marker of result `rank` of a search.
pub(crate) fn marker(search: u32, rank: usize) -> String {
    format!("【{search}:{rank}†source】")
}

/// What an answer may cite: everything the run's searches found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

#[derive(Clone, Debug)]
struct Source {
    search: u32,
    rank: usize,
    result: FileSearchResult,
}

impl Sources {
    pub(crate) fn new<'a>(searches: impl Iterator<Item = (u32, &'a [FileSearchResult])>) -> Self {
        let source = |search, (rank, result): (usize, &FileSearchResult)| Source {
            search,
            rank,
            result: result.clone(),
        };
        let sources = searches.flat_map(|(search, results)| {
            results.iter().enumerate().map(move |result| source(search, result))
        });
        Self(sources.collect())
    }

    /// Every source's passage, in order: the first is number 1 in a prompt.
    pub(crate) fn results(&self) -> impl ExactSizeIterator<Item = &FileSearchResult> {
        self.0.iter().map(|source| &source.result)
    }

    fn get(&self, number: SourceNumber) -> Option<&Source> {
        match number {
            SourceNumber::Passage(number) => self.0.get((number as usize).checked_sub(1)?),
            SourceNumber::Result { search, rank } => {
                self.0.iter().find(|source| source.search == search && source.rank == rank as usize)
            }
        }
    }
}

/// Turns a model's text into a message's: see the [module](self).
#[derive(Debug)]
pub(crate) struct Citer {
    style: Style,
    sources: Sources,
    scanner: Scanner,
    /// What was said so far, without markers.
    said: String,
    /// The length of the message so far, in code points.
    chars: u64,
    annotations: usize,
    /// Whether the model wrote any marker.
    marked: bool,
    /// White space before a marker that was taken out: it stays only if a word follows.
    orphan_space: String,
}

impl Citer {
    pub(crate) fn new(style: Style, links: Links, sources: Sources) -> Self {
        // Without passages there is nothing `[1]` could mean.
        let style = if sources.0.is_empty() { Style::Results } else { style };
        Self {
            style,
            sources,
            scanner: Scanner::new(style, links),
            said: String::new(),
            chars: 0,
            annotations: 0,
            marked: false,
            orphan_space: String::new(),
        }
    }

    /// Takes more of the model's text; gives the pieces of it that are certain, to be
    /// [written](Self::write) one after another.
    #[must_use]
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.scanner.push(text, &mut |piece| pieces.push(piece));
        pieces
    }

    /// Gives what was held back; the text is over.
    #[must_use]
    pub(crate) fn rest(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.scanner.finish(&mut |piece| pieces.push(piece));
        pieces
    }

    /// What the message grows by, to begin with.
    pub(crate) fn delta(&self) -> MessageDelta {
        MessageDelta { annotations_before: self.annotations, ..MessageDelta::default() }
    }

    /// Writes a piece. `file` is what a link in it leads to, with how much of the link that takes.
    pub(crate) fn write(
        &mut self,
        piece: Piece,
        file: Option<(usize, FileId)>,
        delta: &mut MessageDelta,
    ) {
        match (piece, file) {
            (Piece::Text(text), _) => self.say(&text, delta),
            (Piece::Marker(marker), _) => self.mark(marker, delta),
            (Piece::Link(link), None) => self.say(&link.text, delta),
            (Piece::Link(link), Some((length, file))) => {
                let (text, after) = link.text.split_at(length);
                let target = AnnotationTarget::FilePath { file };
                let space = std::mem::take(&mut self.orphan_space);
                self.append(&space, delta);
                self.annotate(text.to_owned(), target, delta);
                self.say(after, delta);
            }
        }
    }

    /// Ends the message. A model that was given numbered passages and marked nothing has its
    /// sentences attributed to them, with the markers at the end.
    pub(crate) fn finish(&mut self, delta: &mut MessageDelta) {
        if self.style == Style::Passages && !self.marked {
            self.attribute(delta);
        }
    }

    fn say(&mut self, text: &str, delta: &mut MessageDelta) {
        let space = std::mem::take(&mut self.orphan_space);
        if text.chars().next().is_some_and(char::is_alphanumeric) {
            self.append(&space, delta);
            self.said.push_str(&space);
        }
        self.append(text, delta);
        self.said.push_str(text);
    }

    fn append(&mut self, text: &str, delta: &mut MessageDelta) {
        delta.text.push_str(text);
        self.chars += text.chars().count() as u64;
    }

    fn mark(&mut self, marker: Marker, delta: &mut MessageDelta) {
        self.marked = true;
        let claim = last_sentences(&self.said).to_owned();
        let found: Vec<(String, Citation)> = marker
            .sources
            .iter()
            .filter_map(|&number| self.sources.get(number)?.support(&claim))
            .collect();
        if found.is_empty() {
            self.orphan_space.push_str(&marker.space);
            return;
        }
        self.append(&marker.space, delta);
        found.into_iter().for_each(|(text, citation)| self.cite(text, citation, delta));
    }

    fn cite(&mut self, text: String, citation: Citation, delta: &mut MessageDelta) {
        self.annotate(text, AnnotationTarget::FileCitation(citation), delta);
    }

    fn annotate(&mut self, text: String, target: AnnotationTarget, delta: &mut MessageDelta) {
        let start = self.chars;
        self.append(&text, delta);
        delta.annotations.push(Annotation { text, start, end: self.chars, target });
        self.annotations += 1;
    }

    /// Cites, at the end, the passage that supports each sentence best, each once.
    fn attribute(&mut self, delta: &mut MessageDelta) {
        /// Beyond these an answer has more markers than words.
        const MOST: usize = 5;
        /// An answer of more is no answer, and each sentence is compared with every passage.
        const SENTENCES: usize = 100;
        let mut cited = BTreeSet::new();
        let mut found = Vec::new();
        for span in support::sentences(&self.said).into_iter().take(SENTENCES) {
            if cited.len() == MOST {
                break;
            }
            let sentence = &self.said[span];
            let best = self
                .sources
                .0
                .iter()
                .enumerate()
                .filter_map(|(at, source)| Some((at, support::find(sentence, source.text())?)));
            // The first of equals: sources come best first.
            let best = best.reduce(|best, next| if next.1.1 > best.1.1 { next } else { best });
            if let Some((at, (span, _))) = best
                && cited.insert(at)
            {
                found.push(self.sources.0[at].cite(span));
            }
        }
        for (text, citation) in found {
            self.cite(text, citation, delta);
        }
    }
}

impl Source {
    fn text(&self) -> &str {
        &self.result.chunk.chunk.text
    }

    /// The marker and citation of the span that supports `claim`, if one does.
    fn support(&self, claim: &str) -> Option<(String, Citation)> {
        let (span, _) = support::find(claim, self.text())?;
        Some(self.cite(span))
    }

    fn cite(&self, span: std::ops::Range<usize>) -> (String, Citation) {
        let FileSearchResult { vector_store, filename, chunk: indexed, .. } = &self.result;
        let citation = Citation {
            file: indexed.file,
            filename: filename.clone(),
            page_start: indexed.chunk.page_at(span.start),
            page_end: indexed.chunk.page_at(span.end.saturating_sub(1)),
            quote: indexed.chunk.text[span.clone()].to_owned(),
            quote_start: span.start as u64,
            vector_store: *vector_store,
            chunk: indexed.id,
        };
        (marker(self.search, self.rank), citation)
    }
}

/// The last sentence of `said`, or the last two when one has too few telling words to be held to.
fn last_sentences(said: &str) -> &str {
    /// No sentence is longer, and looking further back costs time at every marker.
    const LONGEST: usize = 1500;
    const FEW: usize = 3;
    let tail = &said[said.ceil_char_boundary(said.len().saturating_sub(LONGEST))..];
    let tail = tail.trim_end();
    let paragraph = tail.rfind('\n').map_or(tail, |at| &tail[at + 1..]);
    let mut starts: Vec<usize> =
        paragraph.split_sentence_bound_indices().map(|(start, _)| start).collect();
    let mut claim = paragraph;
    while let Some(start) = starts.pop() {
        claim = &paragraph[start..];
        if words::telling(claim).len() >= FEW {
            break;
        }
    }
    claim
}

#[cfg(test)]
mod tests;
