//! Running headers, footers and page numbers.
//!
//! A line goes only if all of this holds: it stands at the top or bottom edge of its page, apart
//! from the text; the same line, up to its digits, stands at the same height on at least
//! [`LEAST_PAGES`] pages; and these make a tenth of the document or follow each other closely. A
//! line that occurs on fewer pages is never removed, whatever it looks like.

use std::collections::{HashMap, HashSet};

use crate::{Bounds, Line, LineKind, Page};

/// A line that occurs on fewer pages stays.
pub(super) const LEAST_PAGES: usize = 4;

/// How many lines at each edge may be furniture.
const EDGE_LINES: usize = 2;

/// Pages this close to each other are one run: headers often change from left to right pages.
const CLOSE: usize = 3;

/// A line at an edge of its page, up to its digits and to small shifts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Edge {
    text: String,
    /// Its height on the page in steps of four points.
    height: i32,
}

/// The lines to leave out, as places in `pages` and in their lines.
pub(super) fn find(pages: &[Page]) -> HashSet<(usize, usize)> {
    let mut found = HashMap::<Edge, Vec<(usize, usize)>>::new();
    for (page_at, page) in pages.iter().enumerate() {
        for line_at in edge_lines(page) {
            for edge in edges(&page.lines[line_at]) {
                found.entry(edge).or_default().push((page_at, line_at));
            }
        }
    }
    found.into_values().filter(|places| is_furniture(places, pages.len())).flatten().collect()
}

fn is_furniture(places: &[(usize, usize)], pages: usize) -> bool {
    let mut on: Vec<usize> = places.iter().map(|(page, _)| *page).collect();
    on.dedup();
    if on.len() < LEAST_PAGES {
        return false;
    }
    let longest = on.chunk_by(|a, b| b - a <= CLOSE).map(<[usize]>::len).max().unwrap_or(0);
    on.len() * 10 >= pages || longest >= LEAST_PAGES
}

/// Both cells of a grid the line may fall into, so that no border separates what belongs together.
/// Rows of a table are none: a table that fills pages says its names at the top of each.
fn edges(line: &Line) -> Vec<Edge> {
    let is_row = matches!(line.kind, LineKind::Header | LineKind::Row);
    let Some(bounds) = line.bounds.filter(|_| !is_row) else { return Vec::new() };
    let text = without_digits(&line.text);
    let height = bounds.baseline / 4.0;
    [height.floor() as i32 * 2, (height + 0.5).floor() as i32 * 2 - 1]
        .into_iter()
        .map(|height| Edge { text: text.clone(), height })
        .collect()
}

/// Page numbers differ from page to page; everything else must be the same.
fn without_digits(text: &str) -> String {
    let text = text.trim();
    let is_roman = !text.is_empty() && text.len() <= 6 && text.chars().all(|c| "ivxlc".contains(c));
    if is_roman {
        return "#".to_owned();
    }
    let mut shape = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_numeric() && shape.ends_with('#') => {}
            _ if c.is_numeric() => shape.push('#'),
            _ => shape.push(c),
        }
    }
    shape
}

/// The lines at the edges of a page that stand apart from the text.
fn edge_lines(page: &Page) -> Vec<usize> {
    let mut by_height: Vec<(usize, Bounds)> =
        page.lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.bounds?))).collect();
    by_height.sort_by(|a, b| a.1.baseline.total_cmp(&b.1.baseline));
    let mut edge = apart(by_height.iter().copied());
    edge.extend(apart(by_height.iter().rev().copied()));
    edge
}

/// The first lines up to the first gap wider than any leading; none if there is no such gap.
fn apart(lines: impl Iterator<Item = (usize, Bounds)>) -> Vec<usize> {
    let mut edge = Vec::new();
    let mut rows = 0;
    let mut before: Option<Bounds> = None;
    for (at, bounds) in lines {
        let step = before.map(|before| (bounds.baseline - before.baseline).abs());
        match step {
            // One row may be several lines: a title on the left, a number on the right.
            Some(step) if step < 0.5 * bounds.size => {}
            Some(step) if step > 1.5 * bounds.size => return edge,
            _ => rows += 1,
        }
        if rows > EDGE_LINES {
            return Vec::new();
        }
        edge.push(at);
        before = Some(bounds);
    }
    // Nothing else is on this page, so nothing says that this is not its text.
    Vec::new()
}
