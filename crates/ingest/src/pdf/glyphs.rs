//! Glyphs as a parser reports them: what, where, how large.

use super::rules::Rules;

/// Which way a line of text runs on the displayed page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Direction {
    /// Left to right on an upright page; also right-to-left scripts, which are sorted later.
    Across,
    /// Top to bottom: vertical writing, or text turned clockwise.
    Down,
    /// Bottom to top.
    Up,
    /// Upside down.
    Reversed,
}

impl Direction {
    /// The direction nearest to the vector `(dx, dy)`, y pointing down.
    pub(super) fn of(dx: f64, dy: f64) -> Self {
        match (dx.abs() >= dy.abs(), dx >= 0.0, dy >= 0.0) {
            (true, true, _) => Self::Across,
            (true, false, _) => Self::Reversed,
            (false, _, true) => Self::Down,
            (false, _, false) => Self::Up,
        }
    }

    /// Turns the page so that text of this direction runs along +x and its lines follow each other
    /// along +y.
    fn upright(self, x: f64, y: f64) -> (f64, f64) {
        match self {
            Self::Across => (x, y),
            Self::Down => (y, -x),
            Self::Up => (-y, x),
            Self::Reversed => (-x, -y),
        }
    }
}

/// A glyph in the frame of its direction, in points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glyph {
    pub(super) direction: Direction,
    /// Where it begins along its baseline.
    pub(super) x: f32,
    /// Its baseline, growing downwards.
    pub(super) y: f32,
    /// How far it reaches along its baseline.
    pub(super) advance: f32,
    /// The size of its type.
    pub(super) size: f32,
    /// Its text in [`Glyphs::text`].
    start: u32,
    end: u32,
}

impl Glyph {
    pub(super) fn end_x(&self) -> f32 {
        self.x + self.advance
    }
}

/// The glyphs of a page, in the order they are shown.
#[derive(Debug, Default)]
pub(super) struct Glyphs {
    all: Vec<Glyph>,
    texts: String,
    /// Glyphs without a Unicode value; they are not among [`all`](Self::all).
    pub(super) unmapped: u32,
    /// Straight lines drawn among them.
    pub(super) rules: Rules,
    /// Images on the page, which may show text we cannot see.
    pub(super) images: u32,
    /// The most glyphs this page may have.
    pub(super) limit: u32,
    /// Whether there were more.
    pub(super) was_cut: bool,
}

/// A glyph as it is placed on the displayed page: y grows downwards, in points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    pub(super) direction: Direction,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) advance: f64,
    pub(super) size: f64,
}

impl Glyphs {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a glyph. Glyphs without text, size or place are left out.
    pub(super) fn push(&mut self, place: Placement, text: &str) {
        let (x, y) = place.direction.upright(place.x, place.y);
        // Nothing printed is a millimetre long or a kilometre away; what is, is a trick.
        let is_sane = |value: f64| value.is_finite() && value.abs() < 1e6;
        if ![x, y, place.advance].into_iter().all(is_sane) || !(0.01..1e5).contains(&place.size) {
            return;
        }
        // A part of a ligature is mapped to no text on purpose; a tab or line end is a space.
        let text = if text.starts_with(['\t', '\n', '\r']) { " " } else { text };
        if text.chars().all(|c| c.is_control() || c == '\u{fffd}') {
            self.unmapped += u32::from(!text.is_empty());
            return;
        }
        if self.all.len() as u32 >= self.limit || self.texts.len() > u32::MAX as usize / 2 {
            self.was_cut = true;
            return;
        }
        let start = self.texts.len() as u32;
        self.texts.extend(text.chars().filter(|c| !c.is_control()).take(16));
        self.all.push(Glyph {
            direction: place.direction,
            x: x as f32,
            y: y as f32,
            advance: place.advance.max(0.0) as f32,
            size: place.size as f32,
            start,
            end: self.texts.len() as u32,
        });
    }

    pub(super) fn all(&self) -> &[Glyph] {
        &self.all
    }

    pub(super) fn text(&self, glyph: &Glyph) -> &str {
        &self.texts[glyph.start as usize..glyph.end as usize]
    }
}
