//! From an offset in clean text back to page and raw offset.

/// Where a byte of clean text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its page, counted from 1.
    pub page: u32,
    /// Its offset in bytes in the page's raw text: the lines of
    /// [`Page::lines`](crate::Page::lines), each followed by one `\n`. Within characters that
    /// folding replaced, it is the beginning of what was replaced.
    pub raw: u64,
}

/// Leads from clean text back to the pages it came from.
///
/// Clean and raw text run in step but for a few places, so only those are kept.
#[derive(Clone, Debug, Default)]
pub struct TextMap {
    steps: Vec<Step>,
}

/// From `clean` on, clean and raw offsets grow together.
#[derive(Clone, Copy, Debug)]
struct Step {
    clean: usize,
    origin: Origin,
}

impl TextMap {
    /// From `clean` on, the text came from `raw` on `page`. Called with growing `clean`.
    pub(super) fn add(&mut self, clean: usize, page: u32, raw: u64) {
        if let Some(last) = self.steps.last() {
            let in_step = last.origin.raw + (clean - last.clean) as u64;
            if last.origin.page == page && in_step == raw {
                return;
            }
        }
        self.steps.push(Step { clean, origin: Origin { page, raw } });
    }

    /// Forgets everything from `clean` on.
    pub(super) fn truncate(&mut self, clean: usize) {
        let keep = self.steps.partition_point(|step| step.clean < clean);
        self.steps.truncate(keep);
    }

    /// Where the byte at `offset` came from. A line end or space that joining put there belongs to
    /// the line before it.
    pub fn origin(&self, offset: usize) -> Origin {
        let next = self.steps.partition_point(|step| step.clean <= offset);
        let Some(step) = next.checked_sub(1).and_then(|at| self.steps.get(at)) else {
            return Origin { page: 1, raw: 0 };
        };
        let raw = step.origin.raw + (offset - step.clean) as u64;
        Origin { page: step.origin.page, raw }
    }

    /// Every offset at which another page begins, with that page; the first is 0.
    pub fn page_starts(&self) -> Vec<(usize, u32)> {
        let mut starts: Vec<(usize, u32)> = Vec::new();
        for step in &self.steps {
            if starts.last().is_none_or(|(_, page)| *page != step.origin.page) {
                starts.push((step.clean, step.origin.page));
            }
        }
        starts
    }
}
