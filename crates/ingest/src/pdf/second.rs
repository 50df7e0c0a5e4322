//! The second parser: pdf-extract, over lopdf.
//!
//! It panics on some files and loops on a few, so it runs in a thread of its own that is left
//! behind when its time is up. The guard's limits hold for that thread as well.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use docent_core::FileError;
use pdf_extract::{Document, MediaBox, OutputDev, OutputError, Transform, output_doc_page};

use super::glyphs::{Direction, Glyphs, Placement};
use super::{Parsed, ParsedPage};
use crate::Limits;
use crate::document::{invalid, ours};

/// lopdf and pdf-extract descend into nested objects by recursion.
const STACK_BYTES: usize = 64 << 20;

/// How many left-behind parsers one process bears before it asks no second opinion any more.
const MOST_STUCK: usize = 2;

static STUCK: AtomicUsize = AtomicUsize::new(0);

/// How many second parsers were left behind in this process because they did not end in time.
/// Each keeps a thread busy, possibly for ever; a process that has one is better replaced.
pub fn stuck_parsers() -> usize {
    STUCK.load(Ordering::Relaxed)
}

/// Parses `numbers`, or all pages. What was done when time was up is returned.
pub(super) fn parse(
    bytes: &[u8],
    limits: &Limits,
    numbers: Option<Vec<u32>>,
) -> Result<Parsed, FileError> {
    if stuck_parsers() >= MOST_STUCK {
        return Err(ours("earlier files keep the second PDF parser busy"));
    }
    let (done, result) = mpsc::channel();
    let pages = Arc::new(Mutex::new(Vec::new()));
    let (bytes, worker_pages, worker_limits) = (bytes.to_vec(), Arc::clone(&pages), limits.clone());
    thread::Builder::new()
        .name("docent-pdf-second".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let work =
                AssertUnwindSafe(|| parse_into(&worker_pages, &bytes, &worker_limits, numbers));
            let outcome = panic::catch_unwind(work);
            // Nobody listens once time is up.
            let _ = done.send(outcome.unwrap_or_else(|_| Err(invalid("the PDF is damaged"))));
        })
        .map_err(|error| ours(format!("no thread for the second PDF parser: {error}")))?;
    // The rest of the time is for the first parser and for what follows.
    let outcome = result.recv_timeout(limits.wall / 3);
    if let Err(RecvTimeoutError::Timeout) = outcome {
        STUCK.fetch_add(1, Ordering::Relaxed);
    }
    let pages = std::mem::take(&mut *pages.lock().unwrap_or_else(PoisonError::into_inner));
    match outcome {
        Ok(Err(error)) if pages.is_empty() => Err(error),
        Err(_) if pages.is_empty() => Err(invalid("the PDF takes too long to read")),
        _ => Ok(Parsed { title: None, pages }),
    }
}

fn parse_into(
    pages: &Mutex<Vec<ParsedPage>>,
    bytes: &[u8],
    limits: &Limits,
    numbers: Option<Vec<u32>>,
) -> Result<(), FileError> {
    let mut file = Document::load_mem(bytes).map_err(|_| invalid("the PDF is damaged"))?;
    if file.is_encrypted() {
        file.decrypt("").map_err(|_| invalid("the PDF is encrypted and needs a password"))?;
    }
    let numbers = numbers.unwrap_or_else(|| file.get_pages().into_keys().collect());
    if numbers.len() > limits.pages as usize {
        return Err(invalid(format!("the PDF has more than {} pages", limits.pages)));
    }
    for number in numbers {
        let mut listener = Listener::new(limits.page_glyphs);
        // A page that panics or fails keeps the glyphs it had shown before.
        let shown = AssertUnwindSafe(|| output_doc_page(&file, &mut listener, number));
        let is_whole = panic::catch_unwind(shown).is_ok_and(|shown| shown.is_ok());
        let mut parsed = ParsedPage::new(number, &listener.glyphs);
        if !is_whole {
            parsed.quality.score *= 0.5;
        }
        pages.lock().unwrap_or_else(PoisonError::into_inner).push(parsed);
    }
    Ok(())
}

struct Listener {
    glyphs: Glyphs,
    top: f64,
    left: f64,
}

impl Listener {
    fn new(limit: u32) -> Self {
        Self { glyphs: Glyphs::new(limit), top: 0.0, left: 0.0 }
    }
}

impl OutputDev for Listener {
    fn begin_page(
        &mut self,
        _number: u32,
        media: &MediaBox,
        _art: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        (self.left, self.top) = (media.llx, media.ury);
        Ok(())
    }

    fn output_character(
        &mut self,
        matrix: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let along = matrix.m11.hypot(matrix.m12) * font_size;
        let size = matrix.m21.hypot(matrix.m22) * font_size;
        let place = Placement {
            direction: Direction::of(matrix.m11, -matrix.m12),
            x: matrix.m31 - self.left,
            y: self.top - matrix.m32,
            advance: width * along,
            size: size.abs(),
        };
        self.glyphs.push(place, text);
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}
