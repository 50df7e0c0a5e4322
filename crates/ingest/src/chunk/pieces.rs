//! What a chunk may hold without cutting what belongs together.
//!
//! A text is a row of units: a stretch of prose, a row of a table, a block of source code. Units
//! are taken together until a chunk is full. A unit that is larger than a chunk is cut into
//! [windows]. A text of prose alone is one unit, so its chunks are its windows and nothing else.

use std::ops::Range;

use bpe_openai::o200k_base;
use docent_core::ChunkingStrategy;

use super::source::{blocks, inner_depth};
use super::windows::windows;
use crate::clean::Table;
use crate::{Clean, Flow};

/// A chunk to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The names of the columns, to be said again before the rows of `range`.
    pub(super) header: Option<Range<usize>>,
    pub(super) range: Range<usize>,
    /// Of both together, with a line end after the header.
    pub(super) tokens: u32,
}

/// The pieces of `clean`, in order. They cover its text; where one has a header it begins where
/// the one before it ends.
pub(super) fn pieces(clean: &Clean, strategy: ChunkingStrategy) -> Vec<Piece> {
    let mut cutter = Cutter { text: &clean.text, strategy, units: Vec::new() };
    match clean.flow {
        Flow::Source => cutter.source(0..clean.text.len(), 0, 0),
        Flow::Lines | Flow::Paragraphs => cutter.prose_and_tables(&clean.tables),
    }
    cutter.pack()
}

/// How many levels of indentation are looked at for a place to cut: each costs a pass.
const MOST_LEVELS: usize = 8;

/// What is not cut.
#[derive(Clone, Debug)]
struct Unit {
    range: Range<usize>,
    tokens: usize,
    /// The names of its columns, if this is a row that does not bring them along.
    names: Option<Names>,
    /// Whether it may stand in one chunk with the unit before it. A window may not: it overlaps
    /// the one before it.
    follows: bool,
}

/// The names of a table's columns.
#[derive(Clone, Debug)]
struct Names {
    range: Range<usize>,
    /// With a line end.
    tokens: usize,
}

struct Cutter<'a> {
    text: &'a str,
    strategy: ChunkingStrategy,
    units: Vec<Unit>,
}

impl Cutter<'_> {
    fn size(&self) -> usize {
        self.strategy.max_chunk_size_tokens() as usize
    }

    fn count(&self, range: Range<usize>) -> usize {
        o200k_base().count(&self.text[range])
    }

    fn prose_and_tables(&mut self, tables: &[Table]) {
        let mut at = 0;
        for table in tables {
            let Some(start) = table.header.iter().chain(&table.rows).map(|row| row.start).next()
            else {
                continue;
            };
            self.windows(at..start, self.strategy, None);
            at = self.table(table);
        }
        self.windows(at..self.text.len(), self.strategy, None);
    }

    /// Takes a stretch as it is, or its windows if it is larger than a chunk.
    fn windows(&mut self, range: Range<usize>, strategy: ChunkingStrategy, names: Option<&Names>) {
        let windows = windows(&self.text[range.clone()], strategy);
        let follows = windows.len() == 1 || strategy.chunk_overlap_tokens() == 0;
        self.units.extend(windows.into_iter().map(|window| Unit {
            range: range.start + window.start..range.start + window.end,
            tokens: window.tokens as usize,
            names: names.cloned(),
            follows,
        }));
    }

    /// Takes the rows of `table`; where it ends.
    fn table(&mut self, table: &Table) -> usize {
        let names = table
            .header
            .clone()
            .map(|header| Names { tokens: self.count(header.clone()) + 1, range: header });
        // Names that fill half a chunk would leave no room for what they name.
        let repeated = names.filter(|names| names.tokens <= self.size() / 2);
        let mut end = 0;
        let mut first = None;
        if let Some(header) = &table.header {
            end = self.line_end(header.end);
            let with_row = table.rows.first().map(|row| header.start..row.end);
            if with_row.is_some_and(|both| self.count(both) < self.size()) {
                first = Some(header.start);
            } else {
                self.row(header.start..end, None);
            }
        }
        for row in &table.rows {
            end = self.line_end(row.end);
            match first.take() {
                Some(start) => self.row(start..end, None),
                None => self.row(row.start..end, repeated.as_ref()),
            }
        }
        end
    }

    /// Takes a row whole, if a chunk can hold it; otherwise in parts, each with the names.
    fn row(&mut self, range: Range<usize>, names: Option<&Names>) {
        let tokens = self.count(range.clone());
        let size = self.size();
        if tokens <= size {
            let names = names.filter(|names| names.tokens + tokens <= size).cloned();
            self.units.push(Unit { range, tokens, names, follows: true });
            return;
        }
        let room = |names: &&Names| self.disjoint(size - names.tokens);
        match names.and_then(|names| Some((names, room(&names)?))) {
            Some((names, strategy)) => self.windows(range, strategy, Some(names)),
            None => {
                let strategy = self.disjoint(size).unwrap_or(self.strategy);
                self.windows(range, strategy, None);
            }
        }
    }

    /// Windows of `size` tokens that share nothing, so that names can stand between them; none if
    /// that is too small.
    fn disjoint(&self, size: usize) -> Option<ChunkingStrategy> {
        ChunkingStrategy::new(u32::try_from(size).ok()?, 0).ok()
    }

    /// Takes the blocks of source code, those that are too large in parts.
    fn source(&mut self, range: Range<usize>, depth: usize, level: usize) {
        for block in blocks(&self.text[range.clone()], depth) {
            let block = range.start + block.start..range.start + block.end;
            let tokens = self.count(block.clone());
            if tokens <= self.size() {
                self.units.push(Unit { range: block, tokens, names: None, follows: true });
                continue;
            }
            let deeper = inner_depth(&self.text[block.clone()], depth);
            match deeper.filter(|_| level < MOST_LEVELS) {
                Some(deeper) => self.source(block, deeper, level + 1),
                None => self.windows(block, self.strategy, None),
            }
        }
    }

    /// Where the line that ends at `end`, and the blank lines after it, are over.
    fn line_end(&self, end: usize) -> usize {
        self.text.len() - self.text[end..].trim_start_matches('\n').len()
    }

    /// Takes units together until a chunk is full.
    fn pack(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(first) = self.units.get(at) {
            let mut tokens = first.tokens + first.names.as_ref().map_or(0, |names| names.tokens);
            let mut end = at + 1;
            while let Some(next) = self.units.get(end).filter(|next| next.follows) {
                tokens += next.tokens;
                if tokens > self.size() {
                    break;
                }
                end += 1;
            }
            let (piece, end) = self.piece(at, end);
            pieces.push(piece);
            at = end;
        }
        pieces
    }

    /// The units `at..end`, or a few less, as a piece, and the unit it ends before. Units that stand
    /// together can have a token more or less than each by itself.
    fn piece(&self, at: usize, mut end: usize) -> (Piece, usize) {
        let first = &self.units[at];
        let mut header = first.names.as_ref().map(|names| names.range.clone());
        loop {
            let range = first.range.start..self.units[end - 1].range.end;
            let names = header.clone().map_or("", |header| &self.text[header]);
            let tokens = match names {
                "" if end == at + 1 => first.tokens,
                "" => self.count(range.clone()),
                names => o200k_base().count(&format!("{names}\n{}", &self.text[range.clone()])),
            };
            if tokens <= self.size() {
                // A chunk has at most 4096 tokens.
                return (Piece { header, range, tokens: tokens as u32 }, end);
            }
            match end > at + 1 {
                true => end -= 1,
                // Without names a single unit fits, as each does by itself.
                false => header = None,
            }
        }
    }
}
