//! What would change: the same questions asked of the old vectors and of the new.
//!
//! Without judged questions they are excerpts of the store's own passages, and a passage counts as
//! found when it holds the excerpt. That tells whether the new vectors work at all for these texts
//! and in these languages, and how much of the answers would differ; it does not tell which answers
//! are better, because a person's question shares fewer words with its answer.

use std::collections::BTreeSet;

use docent_core::{
    ChunkId, ChunkRange, Error, FileId, Index, IndexedChunk, InputRole, Query, Read, Result,
};

use super::{Collection, Reembedding};
use crate::collections::search::direction;
use crate::follower::embedded_ranges;
use crate::language;
use crate::tables::chunks_of;

/// How many hits are looked at.
const DEPTH: usize = 10;

/// How much smaller a part of the questions may be answered by the new vectors than by the old.
const TOLERATED: f64 = 0.05;

/// An excerpt has so many characters, unless the passage is shorter.
const EXCERPT: std::ops::RangeInclusive<usize> = 24..=160;

/// A question, and what answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// What answers it.
    pub wanted: Wanted,
}

/// What answers a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// A passage that holds this text.
    Text(String),
    /// A passage of one of these files.
    Files(BTreeSet<FileId>),
}

/// What vectors alone found, among the first ten hits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Questions whose answer came first.
    pub first: usize,
    /// Questions whose answer was among the ten.
    pub among_ten: usize,
    /// The mean of 1 / place of the answer; 0 for a question without.
    pub mrr: f64,
    /// Questions in a language the embedder does not know: searches go by words then, and here
    /// nothing was found.
    pub not_asked: usize,
}

/// Old and new vectors beside each other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// How many questions were asked.
    pub questions: usize,
    /// What the vectors found that are searched now.
    pub old: Found,
    /// What the new vectors found.
    pub new: Found,
    /// Which part of the first ten hits both have, on average over the questions both were asked;
    /// 0 to 1.
    pub overlap: f64,
}

impl Comparison {
    /// Why not to flip: the new vectors answer fewer questions, or the answers differ more than
    /// `min_overlap` allows.
    pub fn objection(&self, min_overlap: Option<f64>) -> Option<String> {
        let part = |found: &Found| found.among_ten as f64 / self.questions.max(1) as f64;
        let (old, new) = (part(&self.old), part(&self.new));
        if new < old - TOLERATED {
            return Some(format!(
                "the new vectors find {:.0} % of what was looked for, the old ones {:.0} %",
                new * 100.0,
                old * 100.0
            ));
        }
        let least = min_overlap.filter(|least| self.overlap < *least)?;
        Some(format!(
            "old and new hits have {:.0} % in common, less than the {:.0} % asked for",
            self.overlap * 100.0,
            least * 100.0
        ))
    }
}

impl Reembedding<'_> {
    /// Excerpts of about `count` passages, spread evenly over the store; each passage in the order
    /// it came in, so the same store gives the same excerpts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sample(&self, count: usize) -> Result<Vec<Question>> {
        let read = self.collections.store.read()?;
        let ranges = embedded_ranges(&*read, self.store)?;
        let total: u64 = ranges.iter().map(|range| range.len()).sum();
        let step = total.div_ceil(count.max(1) as u64).max(1);
        let mut questions = vec![];
        let mut skipped = step / 2;
        for range in ranges {
            let mut at = skipped;
            while at < range.len() {
                let id = ChunkId(range.start.0 + at);
                let one = ChunkRange { start: id, end: ChunkId(id.0 + 1) };
                let chunk = chunks_of(&*read, self.store, one)?.pop();
                questions.extend(chunk.and_then(|chunk| excerpt(&chunk.chunk.text)));
                at += step;
            }
            skipped = at - range.len();
        }
        Ok(questions)
    }

    /// Asks `questions` of the vectors that are searched and of the new ones; by vectors alone.
    /// `None` when the two cannot be compared, with the reason.
    ///
    /// # Errors
    /// Of an embedder, or of the store.
    pub fn compare(&self, questions: &[Question]) -> Result<Result<Comparison, String>> {
        let current = self.collections.collection(self.store)?;
        if let Err(reason) = current.embedder() {
            return Ok(Err(reason.to_owned()));
        }
        if current.vector_index().is_none_or(|index| index.is_empty()) {
            return Ok(Err("the store has no vectors yet".to_owned()));
        }
        if questions.is_empty() {
            return Ok(Err("there are no questions".to_owned()));
        }
        let Some(beside) = &self.beside else {
            return Err(Error::internal("a reembedding has no index"));
        };
        let read = self.collections.store.read()?;
        let mut comparison = Comparison {
            questions: questions.len(),
            old: Found::default(),
            new: Found::default(),
            overlap: 0.0,
        };
        let mut both = 0_usize;
        for question in questions {
            let old = self.ask(&*read, &current, question, &mut comparison.old)?;
            let new = self.ask(&*read, beside, question, &mut comparison.new)?;
            if let (Some(old), Some(new)) = (old, new) {
                both += 1;
                comparison.overlap += common(&old, &new);
            }
        }
        comparison.overlap /= both.max(1) as f64;
        comparison.old.mrr /= questions.len() as f64;
        comparison.new.mrr /= questions.len() as f64;
        Ok(Ok(comparison))
    }

    /// The hits by vectors; none if the embedder does not know the question's language.
    fn ask(
        &self,
        read: &dyn Read,
        collection: &Collection,
        question: &Question,
        found: &mut Found,
    ) -> Result<Option<Vec<ChunkId>>> {
        let (Ok(embedder), Some(index)) = (collection.embedder(), collection.vector_index()) else {
            return Ok(None);
        };
        if language::understands(&embedder.spec().languages, &question.text).is_err() {
            found.not_asked += 1;
            return Ok(None);
        }
        let made = embedder.embed(&[&question.text], InputRole::Query)?;
        let vector = made.first().map(direction);
        let query = Query { text: &question.text, vector: vector.as_deref(), allow: None };
        let hits: Vec<ChunkId> =
            index.search(&query, DEPTH)?.into_iter().map(|hit| hit.chunk).collect();
        for (place, id) in hits.iter().enumerate() {
            let one = ChunkRange { start: *id, end: ChunkId(id.0 + 1) };
            if chunks_of(read, self.store, one)?.iter().any(|chunk| answers(chunk, question)) {
                found.first += usize::from(place == 0);
                found.among_ten += 1;
                found.mrr += 1.0 / (place + 1) as f64;
                break;
            }
        }
        Ok(Some(hits))
    }
}

fn answers(chunk: &IndexedChunk, question: &Question) -> bool {
    match &question.wanted {
        Wanted::Text(text) => chunk.chunk.text.contains(text),
        Wanted::Files(files) => files.contains(&chunk.file),
    }
}

/// Which part of the hits both have.
fn common(old: &[ChunkId], new: &[ChunkId]) -> f64 {
    let both = old.iter().filter(|id| new.contains(id)).count();
    both as f64 / old.len().max(new.len()).max(1) as f64
}

/// The sentence nearest the middle of `text` that is neither short nor long, or its middle.
fn excerpt(text: &str) -> Option<Question> {
    let ends = ['.', '!', '?', '\n', '。', '！', '？'];
    let middle = text.len() / 2;
    let distance = |part: &&str| (part.as_ptr() as usize - text.as_ptr() as usize).abs_diff(middle);
    let sentences = text.split(ends).map(str::trim);
    let fitting = sentences.filter(|part| EXCERPT.contains(&part.chars().count()));
    let chosen = match fitting.min_by_key(distance) {
        Some(sentence) => sentence,
        None => {
            let start = text.floor_char_boundary(middle.saturating_sub(EXCERPT.end() / 2));
            let end = text.floor_char_boundary((start + EXCERPT.end()).min(text.len()));
            text[start..end].trim()
        }
    };
    let text = chosen.to_owned();
    (!text.is_empty()).then(|| Question { wanted: Wanted::Text(text.clone()), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_a_sentence_of_the_middle_in_any_script() {
        for (text, expected) in [
            (
                "Too short. The ferry crosses the fjord twice daily. End.",
                "The ferry crosses the fjord twice daily",
            ),
            (
                "短。渡轮每天两次穿越峡湾，把人和货物运到对岸的小镇上去。完。",
                "渡轮每天两次穿越峡湾，把人和货物运到对岸的小镇上去",
            ),
            ("word", "word"),
        ] {
            assert_eq!(excerpt(text).unwrap().text, expected);
        }
        let long = "é".repeat(500);
        assert!(excerpt(&long).unwrap().text.chars().count() > 20);
        assert_eq!(excerpt(" \n "), None);
    }

    #[test]
    fn fewer_answers_are_an_objection_and_so_is_too_little_in_common() {
        let found = |among_ten| Found { among_ten, ..Found::default() };
        let comparison = |old, new| Comparison {
            questions: 100,
            old: found(old),
            new: found(new),
            overlap: 0.4,
        };
        assert_eq!(comparison(90, 86).objection(None), None);
        assert!(comparison(90, 84).objection(None).unwrap().contains("84 %"));
        assert!(comparison(90, 99).objection(Some(0.5)).unwrap().contains("40 %"));
        assert_eq!(comparison(90, 99).objection(Some(0.4)), None);
    }
}
