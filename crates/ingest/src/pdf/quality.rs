//! How far a page's text can be trusted, from signs of damage in it.

use super::glyphs::Glyphs;
use crate::Line;

/// What a page's text shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quality {
    /// 0 is garbage or nothing where something should be, 1 shows no damage.
    pub(super) score: f32,
    has_text: bool,
    has_images: bool,
    /// Share of glyphs whose Unicode value is missing or private.
    unreadable: f32,
    was_cut: bool,
}

impl Quality {
    pub(super) fn of(lines: &[Line], glyphs: &Glyphs) -> Self {
        let counts = Counts::of(lines);
        let shown = glyphs.all().len() as f32 + glyphs.unmapped as f32;
        let damaged = glyphs.unmapped as f32 + counts.private as f32;
        let unreadable = if shown > 0.0 { (damaged / shown).min(1.0) } else { 0.0 };
        // A few glyphs (bullets, arrows of a symbol font) often have no Unicode value, so the
        // first few in a hundred cost little; a fifth makes a text unreadable.
        let mut score = 1.0 - (unreadable * 4.0).min(1.0);
        if counts.lacks_spaces() {
            score = score.min(0.3);
        }
        let has_text = counts.letters > 0;
        if !has_text && shown > 0.0 {
            score = 0.0;
        }
        Self { score, has_text, has_images: glyphs.images > 0, unreadable, was_cut: glyphs.was_cut }
    }

    /// What the user should know about the page.
    pub(super) fn complaint(&self) -> Option<String> {
        let percent = (self.unreadable * 100.0).round();
        match self {
            Self { was_cut: true, .. } => {
                Some("the page has too many glyphs; some are left out".into())
            }
            Self { has_text: false, has_images: true, .. } => {
                Some("no text layer; run OCR first, e.g. ocrmypdf".into())
            }
            _ if percent >= 2.0 => {
                Some(format!("{percent} % of the glyphs have no Unicode value and are left out"))
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Counts {
    letters: usize,
    spaced_letters: usize,
    spaces: usize,
    private: usize,
}

impl Counts {
    fn of(lines: &[Line]) -> Self {
        let mut counts = Self::default();
        for line in lines {
            counts.spaces += 1;
            for c in line.text.chars() {
                match c {
                    ' ' => counts.spaces += 1,
                    '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fffd}' => {
                        counts.private += 1;
                    }
                    _ if c.is_alphanumeric() => {
                        counts.letters += 1;
                        counts.spaced_letters += usize::from(uses_spaces(c));
                    }
                    _ => {}
                }
            }
        }
        counts
    }

    /// Words of more than 25 letters on average mean that spaces were lost.
    fn lacks_spaces(&self) -> bool {
        self.spaced_letters > 200 && self.spaced_letters > self.spaces * 25
    }
}

/// Whether the script of `c` puts spaces between words: not Thai, Lao, Khmer, Myanmar, Chinese or
/// Japanese.
fn uses_spaces(c: char) -> bool {
    !matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}')
}
