//! What the [driver](super::guest) and the host say to each other, beside what programs print.
//!
//! The guest's one import that is ours takes a frame of bytes and answers with one. A program can
//! send frames too, so nothing they say matters to anybody but its own session, what they hold is
//! bounded, and a program that writes reports beside the driver's loses the session.

use serde::Deserialize;

/// How many figures of one program are kept, and how long each may be.
const IMAGES: usize = 20;
const IMAGE_BYTES: usize = 8 << 20;
/// A report holds a value and a traceback, which the driver cuts to 64 Ki characters each; JSON
/// takes at most twelve bytes for one.
const REPORT_BYTES: usize = 2 << 20;

/// How a program ended, as the driver tells it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    pub(super) end: ReportedEnd,
    pub(super) traceback: String,
    pub(super) value: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReportedEnd {
    Completed,
    Raised,
    Interrupted,
}

/// One program's frames.
#[derive(Debug, Default)]
pub(super) struct Door {
    program: String,
    images: Vec<Vec<u8>>,
    reports: Vec<Report>,
    is_broken: bool,
}

impl Door {
    pub(super) fn new(program: &str) -> Self {
        Self { program: program.to_owned(), ..Self::default() }
    }

    /// Whether a frame of this length is read at all.
    pub(super) fn admits(frame_bytes: u32) -> bool {
        frame_bytes as usize <= IMAGE_BYTES.max(REPORT_BYTES) + 1
    }

    /// Takes a frame and answers it.
    pub(super) fn answer(&mut self, frame: &[u8]) -> Vec<u8> {
        match frame.split_first() {
            Some((b'P', _)) => return self.program.clone().into_bytes(),
            Some((b'I', image)) if self.images.len() < IMAGES && image.len() <= IMAGE_BYTES => {
                self.images.push(image.to_vec());
            }
            Some((b'I', _)) => {}
            Some((b'R', report)) if report.len() <= REPORT_BYTES && self.reports.is_empty() => {
                match serde_json::from_slice(report) {
                    Ok(report) => self.reports.push(report),
                    Err(_) => self.is_broken = true,
                }
            }
            _ => self.is_broken = true,
        }
        Vec::new()
    }

    /// The report and the figures, if there was one report and nothing else was wrong.
    pub(super) fn close(mut self) -> Option<(Report, Vec<Vec<u8>>)> {
        let report = self.reports.pop().filter(|_| !self.is_broken)?;
        Some((report, self.images))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &[u8] = br#"R{"end":"completed","traceback":"","value":"4"}"#;

    #[test]
    fn a_report_is_taken_once() {
        let mut door = Door::new("2 + 2");
        assert_eq!(door.answer(b"P"), b"2 + 2");
        door.answer(b"Ipng");
        door.answer(REPORT);
        let (report, images) = door.close().unwrap();
        assert_eq!((report.value.as_deref(), images), (Some("4"), vec![b"png".to_vec()]));
    }

    #[test]
    fn a_forged_report_breaks_the_door() {
        for forged in [REPORT, b"R{}", b"R", b"", b"X", b"R[1"] {
            let mut door = Door::new("");
            door.answer(forged);
            door.answer(REPORT);
            assert!(door.close().is_none(), "{forged:?}");
        }
    }

    #[test]
    fn figures_are_bounded() {
        let mut door = Door::new("");
        for _ in 0..50 {
            door.answer(b"Ipng");
        }
        door.answer(REPORT);
        assert_eq!(door.close().unwrap().1.len(), IMAGES);
        assert!(!Door::admits(u32::MAX));
    }
}
