//! Headings by the size of their type.

use super::ParsedPage;
use crate::{Line, LineKind};

/// Type this much larger than the body's is a heading.
const LARGER: f32 = 1.12;

/// Longer lines are no headings, whatever their size.
const MOST_CHARS: usize = 160;

const LEVELS: usize = 4;

/// Marks lines whose type is larger than the body's; the largest sizes are the outermost levels.
pub(super) fn mark(pages: &mut [ParsedPage]) {
    let Some(body) = body_size(pages) else { return };
    let mut sizes: Vec<u32> = lines(pages).filter_map(|line| heading_size(line, body)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes.truncate(LEVELS);
    for line in pages.iter_mut().flat_map(|parsed| &mut parsed.page.lines) {
        let Some(size) = heading_size(line, body) else { continue };
        let level = sizes.iter().position(|&larger| larger <= size).unwrap_or(LEVELS - 1);
        line.kind = LineKind::Heading(level as u8 + 1);
    }
}

fn lines(pages: &[ParsedPage]) -> impl Iterator<Item = &Line> {
    pages.iter().flat_map(|parsed| &parsed.page.lines)
}

/// The size most characters have, in half points.
fn body_size(pages: &[ParsedPage]) -> Option<u32> {
    let mut bytes_by_size = std::collections::BTreeMap::<u32, usize>::new();
    for line in lines(pages) {
        *bytes_by_size.entry(half_points(line)?).or_default() += line.text.len();
    }
    bytes_by_size.into_iter().max_by_key(|&(_, bytes)| bytes).map(|(size, _)| size)
}

fn heading_size(line: &Line, body: u32) -> Option<u32> {
    let size = half_points(line)?;
    let is_heading = line.kind == LineKind::Text
        && size as f32 >= body as f32 * LARGER
        && line.text.len() <= MOST_CHARS
        && line.text.chars().filter(|c| c.is_alphabetic()).count() >= 2;
    is_heading.then_some(size)
}

fn half_points(line: &Line) -> Option<u32> {
    line.bounds.map(|bounds| (bounds.size * 2.0).round() as u32)
}
