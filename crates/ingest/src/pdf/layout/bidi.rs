//! Right-to-left lines: from the order they are seen in to the order they are read in.
//!
//! Programs show Arabic and Hebrew in either order, so the places decide: glyphs are sorted from
//! left to right, and the visual order is undone run by run. This is the Unicode bidirectional
//! algorithm (UAX #9) backwards, for one level of embedding.

use crate::pdf::glyphs::{Glyph, Glyphs};

/// Whether `c` belongs to a script that is written from right to left.
pub(super) fn is_rtl(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
        && !is_digit(c)
}

/// Digits run from left to right in every script, Arabic-Indic ones too.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}')
}

/// A glyph's text with how its neighbours order it.
struct Item<'a> {
    text: &'a str,
    class: Class,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Leftward,
    Rightward,
    /// Spaces and punctuation: they go with what surrounds them.
    Neutral,
}

/// The text of the glyphs at `places` in reading order.
pub(super) fn logical(places: impl Iterator<Item = usize>, glyphs: &Glyphs) -> String {
    let mut sorted: Vec<&Glyph> = places.filter_map(|at| glyphs.all().get(at)).collect();
    // By their middle: marks have no width and stand within their base.
    sorted.sort_by(|a, b| (a.x + a.end_x()).total_cmp(&(b.x + b.end_x())));
    let mut items = visual_items(&sorted, glyphs);
    let (leftward, rightward) = items.iter().fold((0, 0), |(left, right), item| match item.class {
        Class::Leftward => (left + 1, right),
        Class::Rightward if item.text.chars().all(char::is_alphabetic) => (left, right + 1),
        _ => (left, right),
    });
    if leftward >= rightward {
        items.reverse();
        reverse_runs(&mut items, Class::Rightward);
    } else {
        reverse_runs(&mut items, Class::Leftward);
    }
    items.iter().map(|item| item.text).collect()
}

fn visual_items<'a>(sorted: &[&Glyph], glyphs: &'a Glyphs) -> Vec<Item<'a>> {
    let mut items = Vec::with_capacity(sorted.len() + sorted.len() / 4);
    let mut reach = f32::INFINITY;
    for glyph in sorted {
        let text = glyphs.text(glyph);
        if glyph.x - reach > super::SPACE * glyph.size && !text.starts_with(char::is_whitespace) {
            items.push(Item { text: " ", class: Class::Neutral });
        }
        reach = if reach.is_finite() { reach.max(glyph.end_x()) } else { glyph.end_x() };
        let class = match text.chars().next() {
            Some(c) if is_rtl(c) => Class::Leftward,
            Some(c) if c.is_alphanumeric() || is_digit(c) => Class::Rightward,
            _ => Class::Neutral,
        };
        items.push(Item { text, class });
    }
    items
}

/// Reverses every stretch that begins and ends with `class` and has nothing of the other class
/// within.
fn reverse_runs(items: &mut [Item<'_>], class: Class) {
    let mut start = None;
    let mut end = 0;
    for at in 0..=items.len() {
        let this = items.get(at).map(|item| item.class);
        if this == Some(class) {
            start.get_or_insert(at);
            end = at + 1;
        } else if this != Some(Class::Neutral)
            && let Some(start) = start.take()
        {
            items[start..end].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdf::glyphs::{Direction, Placement};

    /// Glyphs of one em, shown from left to right as written.
    fn read(seen: &str) -> String {
        let mut glyphs = Glyphs::new(100);
        for (at, c) in seen.chars().enumerate() {
            let x = at as f64 * 10.0;
            let place =
                Placement { direction: Direction::Across, x, y: 0.0, advance: 10.0, size: 10.0 };
            glyphs.push(place, &c.to_string());
        }
        logical(0..glyphs.all().len(), &glyphs)
    }

    #[test]
    fn numbers_and_latin_words_keep_their_order_in_a_leftward_line() {
        assert_eq!(read("םולש"), "שלום");
        assert_eq!(read("2026 תנש"), "שנת 2026");
        assert_eq!(read("בוט PDF ץבוק"), "קובץ PDF טוב");
    }

    #[test]
    fn a_leftward_word_in_a_rightward_line_is_turned() {
        assert_eq!(read("the word םולש means peace"), "the word שלום means peace");
    }
}
