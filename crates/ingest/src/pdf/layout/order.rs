//! Reading order.
//!
//! Most programs show text in the order it is read, columns included, so the content's own order
//! stands unless it visibly jumps about. Then the page is cut along its white spaces, first between
//! columns, then between blocks (recursive XY-cut: Nagy and Seth, 1984).

use super::Segment;
use crate::pdf::glyphs::Direction;

/// Segments in reading order, in groups that no line crosses.
pub(super) fn groups(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    let mut by_direction: Vec<(Direction, Vec<Segment>)> = Vec::new();
    for segment in segments {
        match by_direction.iter_mut().find(|(direction, _)| *direction == segment.direction) {
            Some((_, group)) => group.push(segment),
            None => by_direction.push((segment.direction, vec![segment])),
        }
    }
    by_direction.into_iter().flat_map(|(_, group)| in_order(group)).collect()
}

fn in_order(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    if is_orderly(&segments) && !crosses_columns(&segments) {
        return vec![segments];
    }
    let mut groups = Vec::new();
    cut(segments, DEPTH, &mut groups);
    groups
}

/// Whether hardly any segment stands above the one shown before it in the same column. Headers and
/// footers, shown out of turn, are the usual exceptions.
fn is_orderly(segments: &[Segment]) -> bool {
    let is_jump = |pair: &&[Segment]| {
        let [before, after] = pair else { return false };
        after.baseline < before.baseline - 0.5 * before.size && after.overlaps_across(before)
    };
    let jumps = segments.windows(2).filter(is_jump).count();
    jumps <= 2 + segments.len() / 50
}

/// Whether lines of one column alternate with lines of the next.
fn crosses_columns(segments: &[Segment]) -> bool {
    let Some(gutter) = gutter(segments) else { return false };
    let is_crossing = |pair: &&[Segment]| {
        let [before, after] = pair else { return false };
        before.right <= gutter && after.left >= gutter && before.shares_baseline(after)
    };
    let crossings = segments.windows(2).filter(is_crossing).count();
    crossings >= 3 && crossings * 10 > segments.len()
}

/// How often a page is cut. A real page needs a dozen; the bound keeps hostile ones linear.
const DEPTH: u32 = 32;

/// More segments than any real page has; sorting alone will do for those.
const MOST_SEGMENTS: usize = 20_000;

fn cut(mut segments: Vec<Segment>, depth: u32, groups: &mut Vec<Vec<Segment>>) {
    if depth > 0 && segments.len() > 1 && segments.len() <= MOST_SEGMENTS {
        if let Some(gutter) = gutter(&segments) {
            let (left, right) = segments.into_iter().partition(|segment| segment.right <= gutter);
            cut(left, depth - 1, groups);
            cut(right, depth - 1, groups);
            return;
        }
        if let Some(level) = widest_level(&mut segments) {
            let (above, below) = segments.into_iter().partition(|segment| segment.baseline < level);
            cut(above, depth - 1, groups);
            cut(below, depth - 1, groups);
            return;
        }
    }
    sort_rows(&mut segments);
    groups.push(segments);
}

/// The middle of the widest stretch of x that no segment covers, if both sides look like columns
/// of text: lines that fill them. Tables, whose cells are short, are read row by row.
fn gutter(segments: &[Segment]) -> Option<f32> {
    let mut spans: Vec<(f32, f32)> = segments.iter().map(|s| (s.left, s.right)).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut reach = spans.first()?.1;
    let mut widest: Option<(f32, f32)> = None;
    for (left, right) in spans {
        if left - reach > widest.map_or(0.0, |(width, _)| width) {
            widest = Some((left - reach, (left + reach) / 2.0));
        }
        reach = reach.max(right);
    }
    let (width, middle) = widest?;
    let is_wide = width > 0.8 * median(segments.iter().map(|segment| segment.size));
    let (left, right): (Vec<&Segment>, Vec<&Segment>) =
        segments.iter().partition(|segment| segment.right <= middle);
    (is_wide && is_column(&left) && is_column(&right)).then_some(middle)
}

fn is_column(segments: &[&Segment]) -> bool {
    /// A shorter line, in ems, is a cell and no line of a column.
    const SHORTEST: f32 = 10.0;
    if segments.len() < 3 {
        return false;
    }
    let left = segments.iter().map(|s| s.left).fold(f32::INFINITY, f32::min);
    let right = segments.iter().map(|s| s.right).fold(f32::NEG_INFINITY, f32::max);
    let size = median(segments.iter().map(|segment| segment.size));
    let width = median(segments.iter().map(|segment| segment.width()));
    width > 0.6 * (right - left) && width > SHORTEST * size
}

/// The middle of the widest horizontal white space, if it is wider than the space between lines.
fn widest_level(segments: &mut [Segment]) -> Option<f32> {
    segments.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut widest: Option<(f32, f32)> = None;
    for pair in segments.windows(2) {
        let [above, below] = pair else { continue };
        let gap = below.baseline - above.baseline - below.size;
        if gap > 0.3 * below.size && gap > widest.map_or(0.0, |(gap, _)| gap) {
            widest = Some((gap, above.baseline + 0.1 * below.size));
        }
    }
    widest.map(|(_, level)| level)
}

/// Top to bottom, left to right; baselines that belong together count as one.
fn sort_rows(segments: &mut [Segment]) {
    segments.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut start = 0;
    for at in 1..=segments.len() {
        if at == segments.len() || !segments[start].shares_baseline(&segments[at]) {
            segments[start..at].sort_by(|a, b| a.left.total_cmp(&b.left));
            start = at;
        }
    }
}

pub(super) fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
