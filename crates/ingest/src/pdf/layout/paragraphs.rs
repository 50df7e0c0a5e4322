//! Where paragraphs begin, from leading, indents, type size and short lines.

use super::Row;

/// Marks the rows that begin a paragraph.
pub(super) fn mark(rows: &mut [Row]) {
    let leading = usual_leading(rows);
    let edges = right_edges(rows);
    for at in 1..rows.len() {
        let starts = starts_paragraph(&rows[at - 1], &rows[at], leading, edges[at - 1]);
        rows[at].starts_paragraph = starts;
    }
}

fn starts_paragraph(before: &Row, row: &Row, leading: f32, edge: f32) -> bool {
    let step = row.baseline - before.baseline;
    let is_elsewhere = step <= 0.0 || row.left > before.right || row.right < before.left;
    let is_spaced = step > leading * 1.25 * before.size.max(row.size);
    let is_resized = (row.size / before.size - 1.0).abs() > 0.15;
    if is_spaced || is_resized || begins_with_bullet(row) || is_tabular(row) {
        return true;
    }
    if is_elsewhere {
        // The top of the next column may go on with the sentence; a leap upwards in the same one
        // does not.
        return row.left <= before.right;
    }
    let is_indented = row.left - before.left > 0.8 * row.size && !begins_with_bullet(before);
    is_indented && row.left - before.left < 6.0 * row.size && is_full(before, edge)
        || !is_full_for(before, row, edge)
}

/// Whether the first word of `row` would not have fitted on the row before it.
fn is_full_for(before: &Row, row: &Row, edge: f32) -> bool {
    let room = edge - before.right;
    let Some(text) = row.segments.first().map(|segment| segment.text.as_str()) else { return true };
    let word_chars = text.split(' ').next().map_or(0, |word| word.chars().count());
    let chars: usize = row.segments.iter().map(|segment| segment.text.chars().count()).sum();
    // Scripts without spaces break anywhere, so the "word" is then the whole row: two characters
    // must do.
    let width = (row.right - row.left) / chars.max(1) as f32;
    let word = width * (if word_chars == chars { word_chars.min(2) } else { word_chars }) as f32;
    room < word + 0.3 * row.size
}

fn is_full(row: &Row, edge: f32) -> bool {
    edge - row.right < 2.0 * row.size
}

/// The step from line to line that most lines have, in ems.
fn usual_leading(rows: &[Row]) -> f32 {
    let steps = rows.windows(2).filter_map(|pair| {
        let [before, row] = pair else { return None };
        let step = (row.baseline - before.baseline) / row.size.max(before.size);
        (0.8..2.5).contains(&step).then_some(step)
    });
    let mut steps: Vec<f32> = steps.collect();
    steps.sort_by(f32::total_cmp);
    // The lower third, not the middle: a page of lists has more paragraph steps than line steps.
    steps.get(steps.len() / 3).copied().unwrap_or(1.2)
}

/// For each row, how far right the rows around it in its column reach: the outermost edge that
/// three of them share, because a wide title or table says nothing about the text below it.
fn right_edges(rows: &[Row]) -> Vec<f32> {
    const AROUND: usize = 12;
    const SHARING: usize = 3;
    let edge = |at: usize| {
        let row = &rows[at];
        let mut edges: Vec<f32> = rows[at.saturating_sub(AROUND)..(at + AROUND).min(rows.len())]
            .iter()
            .filter(|other| other.left < row.right && row.left < other.right)
            .map(|other| other.right)
            .collect();
        edges.sort_by(|a, b| b.total_cmp(a));
        let is_shared = |three: &&[f32]| three[0] - three[SHARING - 1] < row.size;
        let shared = edges.windows(SHARING).find(is_shared).map(|three| three[0]);
        shared.or(edges.first().copied()).unwrap_or(row.right).max(row.right)
    };
    (0..rows.len()).map(edge).collect()
}

/// Whether wide gaps divide the row into cells.
fn is_tabular(row: &Row) -> bool {
    let mut cells: Vec<(f32, f32)> = row.segments.iter().map(|s| (s.left, s.right)).collect();
    cells.sort_by(|a, b| a.0.total_cmp(&b.0));
    cells.windows(2).any(|pair| pair[1].0 - pair[0].1 > row.size)
}

fn begins_with_bullet(row: &Row) -> bool {
    let Some(text) = row.segments.first().map(|segment| segment.text.trim_start()) else {
        return false;
    };
    let mut chars = text.chars();
    match chars.next() {
        Some('•' | '‣' | '◦' | '▪' | '■' | '●' | '○' | '·' | '►' | '❖' | '✓' | '□') => {
            true
        }
        Some('-' | '–' | '—' | '*') => chars.next().is_none_or(char::is_whitespace),
        Some(c) if c.is_ascii_digit() => {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            text[..text.len() - rest.len()].ends_with('.') && rest.starts_with(' ')
                || rest.starts_with(") ")
        }
        _ => false,
    }
}
