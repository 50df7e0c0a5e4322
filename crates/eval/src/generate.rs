//! A judged set from one's own documents, without anybody judging.
//!
//! Known-item search: take something from a passage, a heading or a phrase that hardly any other
//! passage has, and see whether asking for it finds the passage again (Azzopardi and de Rijke,
//! "Automatic construction of known-item finding test beds", SIGIR 2006). Such a set tells whether
//! what stands in the documents is found by its own words. It does not tell how questions in other
//! words fare, and it says so in the files it writes.

mod passages;
mod phrases;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use docent_core::{Error, Result};

use crate::significance::Random;

pub use passages::Passage;
pub use write::check_target;

/// With less text, finding a passage again says nothing.
const FEWEST_PASSAGES: usize = 20;

/// With fewer queries, a mean says nothing.
const FEWEST_QUERIES: usize = 10;

/// A document to make queries of.
#[derive(Clone, Debug)]
pub struct SourceDocument {
    /// Its name, for people.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The headings in it, each standing in the text on a line of its own.
    pub headings: Vec<String>,
}

/// What set to make.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// At most this many queries.
    pub queries: usize,
    /// The same documents and seed give the same set.
    pub seed: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { queries: 200, seed: 1 }
    }
}

/// What a query was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum QueryKind {
    /// The heading of a section.
    Heading,
    /// Three words in a row that hardly any other passage has.
    Words,
    /// Three to five Chinese or Japanese characters in a row, likewise.
    Han,
    /// A word of letters beside such characters, likewise.
    Mixed,
}

impl QueryKind {
    const ALL: [Self; 4] = [Self::Heading, Self::Words, Self::Han, Self::Mixed];
}

impl fmt::Display for QueryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heading => "heading",
            Self::Words => "words",
            Self::Han => "han",
            Self::Mixed => "mixed",
        })
    }
}

/// A query whose passages are known.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownItem {
    /// What it was taken from.
    pub kind: QueryKind,
    /// What to ask.
    pub text: String,
    /// The passages it stands in, by their place.
    pub passages: Vec<usize>,
}

/// A set made of documents.
#[derive(Clone, Debug)]
pub struct Generated {
    /// What is searched.
    pub passages: Vec<Passage>,
    /// What is asked.
    pub queries: Vec<KnownItem>,
    options: GenerateOptions,
    names: Vec<String>,
}

impl Generated {
    /// How many queries there are of each kind.
    pub fn counts(&self) -> BTreeMap<QueryKind, usize> {
        let mut counts = BTreeMap::new();
        self.queries.iter().for_each(|query| *counts.entry(query.kind).or_default() += 1);
        counts
    }
}

/// Makes a set of `documents`.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) when there is too little text to say anything.
pub fn generate(documents: &[SourceDocument], options: &GenerateOptions) -> Result<Generated> {
    let passages = passages::cut(documents);
    if passages.len() < FEWEST_PASSAGES {
        return Err(Error::invalid(format!(
            "{} documents have {} passages of text, and finding one of so few again says nothing; \
             at least {FEWEST_PASSAGES} are needed, about ten pages",
            documents.len(),
            passages.len()
        )));
    }
    let mut random = Random(options.seed);
    let kinds = QueryKind::ALL.map(|kind| match kind {
        QueryKind::Heading => headings(&passages, &mut random),
        kind => phrases::known_items(&passages, kind, options.queries, &mut random),
    });
    let queries = in_turn(kinds.into(), options.queries);
    if queries.len() < FEWEST_QUERIES {
        return Err(Error::invalid(format!(
            "only {} headings and rare phrases were found in {} passages, and at least \
             {FEWEST_QUERIES} are needed; add documents with more text of their own",
            queries.len(),
            passages.len()
        )));
    }
    let names = documents.iter().map(|document| document.name.clone()).collect();
    Ok(Generated { passages, queries, options: options.clone(), names })
}

/// The headings that only one passage begins with, in the order of chance.
fn headings(passages: &[Passage], random: &mut Random) -> Vec<KnownItem> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, passage) in passages.iter().enumerate() {
        if let Some(heading) = &passage.heading {
            places.entry(heading).or_default().push(at);
        }
    }
    let mut known: Vec<KnownItem> = places
        .into_iter()
        .filter(|(_, places)| places.len() == 1)
        .map(|(heading, passages)| KnownItem {
            kind: QueryKind::Heading,
            text: heading.to_owned(),
            passages,
        })
        .collect();
    random.shuffle(&mut known);
    known
}

/// At most `limit`, one of each kind in turn while it lasts.
fn in_turn(kinds: Vec<Vec<KnownItem>>, limit: usize) -> Vec<KnownItem> {
    let mut rest: Vec<_> = kinds.into_iter().map(Vec::into_iter).collect();
    let mut queries: Vec<KnownItem> = vec![];
    loop {
        let before = queries.len();
        for kind in &mut rest {
            if queries.len() < limit {
                queries.extend(kind.next());
            }
        }
        if queries.len() == before {
            queries.sort_by_key(|query| query.kind);
            return queries;
        }
    }
}

#[cfg(test)]
mod tests;
