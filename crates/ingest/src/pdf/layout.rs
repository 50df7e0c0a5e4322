//! From placed glyphs to lines in reading order.
//!
//! Glyphs that follow each other on a baseline make a *segment*; a gap wider than any word space
//! ends it. Segments are put in [reading order](order), neighbours on one baseline make a line, and
//! [paragraphs] are found from leading, indents and short lines. [Tables](tables) are taken out
//! before, if they are ruled, or found among the lines, if they are not.
//!
//! All thresholds are in ems (shares of the type size), so that they hold for any scale.

mod bidi;
mod order;
mod paragraphs;
mod tables;

use std::collections::HashMap;
use std::ops::Range;

use super::glyphs::{Direction, Glyph, Glyphs};
use crate::{Bounds, Line, LineKind};

/// A gap this wide is a space. Kerning reaches about 0.1 em; a word space in tightly set,
/// justified text shrinks to 0.17 em.
const SPACE: f32 = 0.15;

/// A gap this wide ends a segment: the stretched spaces of justified text stay below it.
const WIDE: f32 = 1.5;

/// Baselines this close are one line; sub- and superscripts are shifted by a third.
const SHIFT: f32 = 0.45;

/// The lines of a page in reading order.
pub(super) fn lines(glyphs: &Glyphs) -> Vec<Line> {
    let mut tables = Vec::new();
    let segments = without_repeats(segments(glyphs));
    let segments = tables::take_ruled(segments, glyphs, &mut tables);
    let mut rows = Vec::new();
    for group in order::groups(segments) {
        let mut group_rows = rows_of(group);
        paragraphs::mark(&mut group_rows);
        rows.append(&mut group_rows);
    }
    let mut lines = Vec::with_capacity(rows.len());
    for row in tables::aligned(rows, glyphs, &mut tables) {
        match row.table().and_then(|at| tables.get(at)) {
            Some(table) => lines.extend(table.lines()),
            None => lines.extend(row.into_line(glyphs)),
        }
    }
    lines
}

/// Glyphs that follow each other on a baseline.
#[derive(Clone, Debug)]
struct Segment {
    direction: Direction,
    left: f32,
    right: f32,
    baseline: f32,
    size: f32,
    /// Its glyphs among the page's, and the text they make read from left to right.
    glyphs: Range<usize>,
    text: String,
    is_rtl: bool,
    /// The table it stands for, if it does.
    table: Option<usize>,
}

impl Segment {
    fn begin(at: usize, glyph: &Glyph, text: &str) -> Self {
        Self {
            direction: glyph.direction,
            left: glyph.x,
            right: glyph.end_x(),
            baseline: glyph.y,
            size: glyph.size,
            glyphs: at..at + 1,
            text: text.to_owned(),
            is_rtl: text.chars().any(bidi::is_rtl),
            table: None,
        }
    }

    fn width(&self) -> f32 {
        self.right - self.left
    }

    /// Whether `other` stands on the same baseline, allowing for sub- and superscripts.
    fn shares_baseline(&self, other: &Self) -> bool {
        self.direction == other.direction
            && (self.baseline - other.baseline).abs() < SHIFT * self.size.max(other.size)
    }

    /// Whether both are above each other at least in part.
    fn overlaps_across(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right
    }
}

fn segments(glyphs: &Glyphs) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut last: Option<Glyph> = None;
    for (at, glyph) in glyphs.all().iter().enumerate() {
        let text = glyphs.text(glyph);
        match (segments.last_mut(), last) {
            (Some(segment), Some(last)) if follows(&last, glyph, text, segment) => {
                extend(segment, &last, at, glyph, text);
            }
            _ => segments.push(Segment::begin(at, glyph, text)),
        }
        last = Some(*glyph);
    }
    segments.retain(|segment| !segment.text.trim().is_empty());
    segments
}

fn follows(last: &Glyph, glyph: &Glyph, text: &str, segment: &Segment) -> bool {
    let size = last.size.max(glyph.size);
    if last.direction != glyph.direction || (segment.baseline - glyph.y).abs() > SHIFT * size {
        return false;
    }
    let is_near = |gap: f32| (-0.6 * size..WIDE * size).contains(&gap);
    let leftward = segment.is_rtl || text.chars().any(bidi::is_rtl);
    is_near(glyph.x - last.end_x()) || leftward && is_near(last.x - glyph.end_x())
}

fn extend(segment: &mut Segment, last: &Glyph, at: usize, glyph: &Glyph, text: &str) {
    let size = last.size.min(glyph.size);
    let is_spaced = segment.text.ends_with(' ') || text.starts_with(char::is_whitespace);
    if glyph.x - last.end_x() > SPACE * size && !is_spaced {
        segment.text.push(' ');
    }
    if !text.starts_with(char::is_whitespace) {
        segment.text.push_str(text);
        segment.left = segment.left.min(glyph.x);
        segment.right = segment.right.max(glyph.end_x());
        segment.is_rtl |= text.chars().any(bidi::is_rtl);
    } else if !segment.text.ends_with(' ') {
        segment.text.push(' ');
    }
    // Small capitals and superscripts do not make the line smaller.
    if glyph.size > segment.size {
        (segment.size, segment.baseline) = (glyph.size, glyph.y);
    }
    segment.glyphs.end = at + 1;
}

/// Drops segments shown a second time nearly at the same place, which is how some programs print
/// bold type and shadows.
fn without_repeats(mut segments: Vec<Segment>) -> Vec<Segment> {
    /// The repetition comes soon; looking further back would cost quadratic time on a page that
    /// shows one letter a million times.
    const LOOK_BACK: usize = 8;
    let mut places: HashMap<String, Vec<(f32, f32)>> = HashMap::new();
    segments.retain(|segment| {
        let places = places.entry(segment.text.clone()).or_default();
        let near = segment.size * 0.3;
        let is_repeat = places.iter().rev().take(LOOK_BACK).any(|(left, baseline)| {
            (segment.left - left).abs() < near && (segment.baseline - baseline).abs() < near
        });
        places.push((segment.left, segment.baseline));
        !is_repeat
    });
    segments
}

/// Segments on one baseline.
#[derive(Debug)]
struct Row {
    segments: Vec<Segment>,
    left: f32,
    right: f32,
    baseline: f32,
    size: f32,
    starts_paragraph: bool,
}

impl Row {
    fn begin(segment: Segment) -> Self {
        Self {
            left: segment.left,
            right: segment.right,
            baseline: segment.baseline,
            size: segment.size,
            starts_paragraph: true,
            segments: vec![segment],
        }
    }

    /// The table it stands for, if it does.
    fn table(&self) -> Option<usize> {
        self.segments.first()?.table
    }

    fn takes(&self, segment: &Segment) -> bool {
        let Some(last) = self.segments.last() else { return false };
        let slack = 0.6 * self.size;
        if self.table().or(segment.table).is_some() {
            return false;
        }
        let is_beside = segment.left > self.right - slack || segment.right < self.left + slack;
        is_beside && last.shares_baseline(segment)
    }

    fn push(&mut self, segment: Segment) {
        self.left = self.left.min(segment.left);
        self.right = self.right.max(segment.right);
        if segment.width() > self.right - self.left - segment.width() {
            (self.baseline, self.size) = (segment.baseline, segment.size);
        }
        self.segments.push(segment);
    }

    fn into_line(mut self, glyphs: &Glyphs) -> Option<Line> {
        self.segments.sort_by(|a, b| a.left.total_cmp(&b.left));
        let text = if self.segments.iter().any(|segment| segment.is_rtl) {
            bidi::logical(self.segments.iter().flat_map(|segment| segment.glyphs.clone()), glyphs)
        } else {
            let texts: Vec<&str> =
                self.segments.iter().map(|segment| segment.text.trim()).collect();
            texts.join(" ")
        };
        let bounds =
            Bounds { left: self.left, right: self.right, baseline: self.baseline, size: self.size };
        let text = text.trim();
        (!text.is_empty()).then(|| Line {
            text: text.to_owned(),
            kind: LineKind::Text,
            starts_paragraph: self.starts_paragraph,
            bounds: Some(bounds),
        })
    }
}

fn rows_of(segments: Vec<Segment>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for segment in segments {
        match rows.last_mut() {
            Some(row) if row.takes(&segment) => row.push(segment),
            _ => rows.push(Row::begin(segment)),
        }
    }
    rows
}
