//! The primary parser: hayro's interpreter drawing into a device that only listens.

use docent_core::FileError;
use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::kurbo::{Affine, BezPath, PathEl, Point, Rect, Vec2};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, interpret_page,
};
use hayro_syntax::page::Page;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::glyphs::{Direction, Glyphs, Placement};
use super::rules::Rules;
use super::{Parsed, ParsedPage};
use crate::Limits;
use crate::document::{check_text_bytes, invalid};

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, FileError> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(refuse)?;
    if pdf.pages().len() > limits.pages as usize {
        let count = pdf.pages().len();
        let limit = limits.pages;
        return Err(invalid(format!(
            "the PDF has {count} pages, more than {limit}; split it or raise pages"
        )));
    }
    let cache = InterpreterCache::new();
    let mut text_bytes = 0;
    let mut pages = Vec::with_capacity(pdf.pages().len());
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        let parsed = ParsedPage::new(number, &show(page, &pdf, &cache, limits));
        text_bytes += parsed.page.text_bytes() as u64;
        check_text_bytes(text_bytes, limits)?;
        pages.push(parsed);
    }
    Ok(Parsed { title: title(&pdf), pages })
}

fn refuse(error: LoadPdfError) -> FileError {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => invalid(
            "the PDF is encrypted and needs a password; save it without one, e.g. qpdf --decrypt",
        ),
        LoadPdfError::Decryption(_) => {
            invalid("the PDF is encrypted in a way that cannot be read; save it without encryption")
        }
        LoadPdfError::Invalid => invalid("the PDF is damaged and could not be repaired"),
    }
}

fn show<'a>(
    page: &Page<'a>,
    pdf: &'a Pdf,
    cache: &InterpreterCache<'a>,
    limits: &Limits,
) -> Glyphs {
    let (width, height) = page.render_dimensions();
    let mut context = Context::new(
        Affine::new(page.initial_transform(true).as_coeffs()),
        Rect::new(0.0, 0.0, f64::from(width), f64::from(height)),
        cache,
        pdf.xref(),
        InterpreterSettings::default(),
    );
    let mut device = Listener { glyphs: Glyphs::new(limits.page_glyphs), last_run: None };
    interpret_page(page, &mut context, &mut device);
    device.glyphs
}

/// The document's title, if it is more than the name of a file.
fn title(pdf: &Pdf) -> Option<String> {
    let bytes = pdf.metadata().title.as_deref()?;
    let encoding = encoding_rs::Encoding::for_bom(bytes)
        .map_or(encoding_rs::WINDOWS_1252, |(encoding, _)| encoding);
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    let text = text.trim_matches(|c: char| c.is_control() || c.is_whitespace());
    let text = text.strip_prefix("Microsoft Word - ").unwrap_or(text);
    let is_title =
        text.chars().any(char::is_alphanumeric) && !text.eq_ignore_ascii_case("untitled");
    is_title.then(|| text.chars().filter(|c| !c.is_control()).take(300).collect())
}

/// A device that listens to glyphs and to straight lines and ignores the rest of the drawing.
struct Listener {
    glyphs: Glyphs,
    /// Where the last run began and how long it was: text that is filled and stroked comes twice.
    last_run: Option<(Affine, usize)>,
}

impl Listener {
    fn is_repeated(&mut self, run: &GlyphRun<'_, '_>, transform: Affine) -> bool {
        let this =
            run.glyphs().first().map(|glyph| (transform * glyph.transform(), run.glyphs().len()));
        std::mem::replace(&mut self.last_run, this) == this
    }
}

impl<'a> Device<'a> for Listener {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        if self.is_repeated(run, props.transform) {
            return;
        }
        let is_vertical = run.writing_mode() == WritingMode::Vertical;
        let origins: Vec<Affine> =
            run.glyphs().iter().map(|glyph| props.transform * glyph.transform()).collect();
        for (index, glyph) in run.glyphs().iter().enumerate() {
            let place = place(glyph, &origins, index, is_vertical);
            match glyph.as_unicode() {
                Some(BfString::Char(c)) => self.glyphs.push(place, c.encode_utf8(&mut [0; 4])),
                Some(BfString::String(text)) => self.glyphs.push(place, &text),
                None => self.glyphs.unmapped += 1,
            }
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.glyphs.images += 1;
    }

    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        let rules = &mut self.glyphs.rules;
        match mode {
            _ if rules.is_drawing() => {}
            DrawMode::Fill(_) => filled(path, props.transform, rules),
            DrawMode::Stroke(_) | DrawMode::FillAndStroke(..) => {
                stroked(path, props.transform, rules);
            }
            DrawMode::Invisible => {}
        }
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

/// Tells the straight lines of a stroked path.
fn stroked(path: &BezPath, transform: Affine, rules: &mut Rules) {
    let (mut start, mut at) = (Point::ZERO, Point::ZERO);
    for element in path.elements() {
        let (to, is_line) = match *element {
            PathEl::MoveTo(to) => (to, false),
            PathEl::LineTo(to) => (to, true),
            PathEl::QuadTo(_, to) | PathEl::CurveTo(_, _, to) => (to, false),
            PathEl::ClosePath => (start, true),
        };
        if is_line {
            rules.line((transform * at).into(), (transform * to).into());
        }
        if matches!(element, PathEl::MoveTo(_)) {
            start = to;
        }
        at = to;
    }
}

/// Tells the boxes around the parts of a filled path: the thin ones are rules.
fn filled(path: &BezPath, transform: Affine, rules: &mut Rules) {
    let mut part: Option<Rect> = None;
    for element in path.elements() {
        let begins = matches!(element, PathEl::MoveTo(_));
        if let Some(part) = part.take_if(|_| begins) {
            rules.filled((part.x0, part.y0), (part.x1, part.y1));
        }
        if let Some(to) = element.end_point() {
            let to = transform * to;
            let here = Rect::from_points(to, to);
            part = Some(part.map_or(here, |part| part.union(here)));
        }
    }
    if let Some(part) = part {
        rules.filled((part.x0, part.y0), (part.x1, part.y1));
    }
}

/// hayro's glyph space has a thousand units to the em.
const UNITS: f64 = 1000.0;

fn place(glyph: &Glyph<'_>, origins: &[Affine], index: usize, is_vertical: bool) -> Placement {
    let origin = origins[index];
    let [a, b, c, d, x, y] = origin.as_coeffs();
    let (along, across) = (Vec2::new(a, b).hypot() * UNITS, Vec2::new(c, d).hypot() * UNITS);
    let to_next = origins.get(index + 1).map(|next| {
        let [.., next_x, next_y] = next.as_coeffs();
        Vec2::new(next_x - x, next_y - y).hypot()
    });
    let direction = match is_vertical {
        // The y axis of glyph space points up; vertical text runs against it.
        true => Direction::of(-c, -d),
        false => Direction::of(a, b),
    };
    let (advance, size) = match glyph {
        _ if is_vertical => (across, across),
        // A substitute font is stretched to the width the file wants, which `along` includes and
        // the advance does too; the smaller estimate never hides a space.
        Glyph::Outline(outline) => (
            outline.advance_width().map_or(0.5, |w| f64::from(w) / UNITS) * along.min(across),
            across,
        ),
        // The font matrix, which scales a Type 3 glyph, is not told; the next glyph's place is.
        Glyph::Type3(_) => {
            let advance = to_next.unwrap_or(across / 2.0);
            (advance, if across > advance * 5.0 { advance * 2.0 } else { across })
        }
    };
    Placement { direction, x, y, advance, size }
}
