//! A document's state in words, as `add` and `ls` show it.

use std::collections::BTreeMap;
use std::path::Path;

use docent::{Document, FileStatus, VectorStoreFile};

/// How a warning begins that says no more than that there is no embedder: it is said once for all
/// documents, not for each.
const BY_WORDS: &str = "found by words alone";

/// How far it has come, in a word.
pub(crate) fn status(state: &VectorStoreFile) -> &'static str {
    match state.status {
        FileStatus::InProgress => "waiting",
        FileStatus::Completed => "ready",
        FileStatus::Cancelled => "cancelled",
        FileStatus::Failed => "failed",
    }
}

/// Why it failed, or what was left out of it; empty if all is well.
pub(crate) fn reason(state: &VectorStoreFile) -> String {
    if let Some(error) = &state.last_error {
        return error.message.clone();
    }
    let mut pages: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for warning in &state.warnings {
        if !warning.message.starts_with(BY_WORDS) {
            pages.entry(&warning.message).or_default().extend(warning.page);
        }
    }
    let reasons: Vec<String> =
        pages.into_iter().map(|(message, pages)| with_pages(message, pages)).collect();
    reasons.join("; ")
}

/// Whether it waits for vectors.
pub(crate) fn awaits_vectors(state: &VectorStoreFile) -> bool {
    state.status == FileStatus::Completed && state.embedded < state.chunks.len()
}

/// Its path if it has one, from here if it is below.
pub(crate) fn place(document: &Document) -> String {
    let Some(path) = &document.path else { return String::new() };
    shown(path)
}

/// `path`, from here if it is below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.as_deref().unwrap_or(path).display().to_string()
}

/// `pages 1, 3-5: message`.
fn with_pages(message: &str, mut pages: Vec<u32>) -> String {
    pages.sort_unstable();
    pages.dedup();
    let label = if pages.len() == 1 { "page" } else { "pages" };
    match pages.as_slice() {
        [] => message.to_owned(),
        pages => format!("{label} {}: {message}", ranges(pages)),
    }
}

/// Ascending numbers, neighbours joined.
fn ranges(pages: &[u32]) -> String {
    let runs = pages.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        run => run.iter().map(u32::to_string).collect(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// A page range as people write it.
pub(crate) fn pages(start: u32, end: u32) -> String {
    if start == end { format!("p. {start}") } else { format!("pp. {start}-{end}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_the_same_trouble_are_named_together() {
        assert_eq!(with_pages("no text", vec![]), "no text");
        assert_eq!(with_pages("no text", vec![7]), "page 7: no text");
        assert_eq!(with_pages("no text", vec![5, 1, 4, 3, 3]), "pages 1, 3-5: no text");
    }
}
