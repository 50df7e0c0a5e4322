//! What came of a program, in words for its model. Pure.

use docent_core::{Execution, ProgramEnd, SandboxLimits};

/// What a model is told that wrote a program which nobody runs.
pub(crate) const NOT_RUN: &str = "This server runs no programs: the code was not executed and \
                                  nothing came of it. Do not call this tool again. Answer without \
                                  it, and say that no code was run.";

/// What is told before the outputs of a program that does not find what those before it left.
pub(crate) const NEW_SESSION: &str =
    "A new session was begun: variables and files of earlier programs are gone.";

/// What becomes of a session that ended.
pub(crate) const ALL_LOST: &str = "Its session is gone, with all variables and files. The next \
                                   program begins a new one, with the user's files in it.";

/// More figures than these nobody wants to see.
const MOST_FIGURES: usize = 20;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What it printed, then the value of its last expression or what went wrong.
pub(crate) fn told(execution: &Execution, limits: &SandboxLimits) -> String {
    let mut text = execution.logs.clone();
    if execution.dropped_bytes > 0 {
        let dropped = execution.dropped_bytes;
        push_line(&mut text, &format!("[{dropped} more bytes were printed and dropped.]"));
    }
    if let Some(value) = &execution.value {
        push_line(&mut text, &clipped(value, limits.output_bytes));
    }
    match &execution.end {
        ProgramEnd::Raised { traceback } => {
            push_line(&mut text, &clipped(traceback, limits.output_bytes));
        }
        ProgramEnd::Interrupted { traceback } => {
            push_line(&mut text, &clipped(traceback, limits.output_bytes));
            let time = limits.time;
            let note = format!("[It was interrupted after {time:?}. Variables are kept.]");
            push_line(&mut text, &note);
        }
        ProgramEnd::Lost(loss) => {
            push_line(&mut text, &format!("[The program was ended: {loss}. {ALL_LOST}]"));
        }
        _ => {}
    }
    text
}

/// The same behind what the model must know besides, a line each.
pub(crate) fn with_notes(logs: String, notes: &[String]) -> String {
    let mut text = String::new();
    notes.iter().for_each(|note| push_line(&mut text, &format!("[{note}]")));
    if !logs.is_empty() {
        push_line(&mut text, &logs);
    }
    text
}

/// The figures that are kept, and what is said of the others. A program may have made them of
/// anything, and they are shown to people.
pub(crate) fn figures(images: &[Vec<u8>]) -> (Vec<Vec<u8>>, Option<String>) {
    let real = images.iter().filter(|image| image.starts_with(PNG));
    let kept: Vec<Vec<u8>> = real.take(MOST_FIGURES).cloned().collect();
    let left_out = images.len() - kept.len();
    let note = format!("{left_out} figures are not shown: at most {MOST_FIGURES} are, in PNG");
    (kept, (left_out > 0).then_some(note))
}

fn push_line(text: &mut String, line: &str) {
    if !(text.is_empty() || text.ends_with('\n')) {
        text.push('\n');
    }
    text.push_str(line);
}

/// A value may be as long as memory is.
fn clipped(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let kept = &text[..text.floor_char_boundary(most)];
    format!("{kept}\n[{} more bytes are left out.]", text.len() - kept.len())
}

#[cfg(test)]
mod tests {
    use docent_core::SessionLoss;

    use super::*;

    fn ended(end: ProgramEnd) -> Execution {
        Execution { end, logs: "a\n".into(), dropped_bytes: 0, value: None, images: vec![] }
    }

    fn said(execution: &Execution) -> String {
        told(execution, &SandboxLimits { output_bytes: 10, ..SandboxLimits::default() })
    }

    #[test]
    fn output_comes_before_the_value_and_says_what_was_dropped() {
        let ran = ended(ProgramEnd::Completed);
        assert_eq!(said(&ran), "a\n");
        let ran = Execution { value: Some("42".into()), ..ran };
        assert_eq!(said(&ran), "a\n42");
        let ran = Execution { dropped_bytes: 7, logs: "b".into(), ..ran };
        assert_eq!(said(&ran), "b\n[7 more bytes were printed and dropped.]\n42");
        let ran = Execution { value: Some("水".repeat(9)), ..ended(ProgramEnd::Completed) };
        assert_eq!(said(&ran), "a\n水水水\n[18 more bytes are left out.]");
    }

    #[test]
    fn every_end_is_told() {
        let traceback = || "KeyError".to_owned();
        let raised = ended(ProgramEnd::Raised { traceback: traceback() });
        assert_eq!(said(&raised), "a\nKeyError");
        let late = said(&ended(ProgramEnd::Interrupted { traceback: traceback() }));
        assert_eq!(late, "a\nKeyError\n[It was interrupted after 60s. Variables are kept.]");
        let lost = said(&ended(ProgramEnd::Lost(SessionLoss::OutOfMemory)));
        assert!(lost.contains("it used more memory than it may. Its session is gone"), "{lost}");
    }

    #[test]
    fn what_is_no_png_is_no_figure() {
        let png = [PNG, b"rest"].concat();
        assert_eq!(figures(std::slice::from_ref(&png)), (vec![png.clone()], None));
        let (kept, note) = figures(&vec![png.clone(); 22]);
        assert_eq!((kept.len(), note.unwrap().starts_with("2 figures")), (20, true));
        let (kept, note) = figures(&[b"<svg>".to_vec(), png]);
        assert_eq!((kept.len(), note.is_some()), (1, true));
    }

    #[test]
    fn notes_come_first_on_lines_of_their_own() {
        let notes = ["one".to_owned(), "two".to_owned()];
        assert_eq!(with_notes("x".into(), &notes), "[one]\n[two]\nx");
        assert_eq!(with_notes(String::new(), &[]), "");
    }
}
