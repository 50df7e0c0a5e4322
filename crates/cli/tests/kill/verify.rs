//! Opens the library after a kill and compares it with what the child said.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use docent::{
    Document, Finding, Library, MessageRole, NewMessage, PageRequest, Repair, SearchOptions,
    ThreadId,
};

use crate::child::{self, SLOTS};
use crate::expected::{Answered, Content, Expected};

/// The one thing a kill may leave: bytes that were kept, as they must be, before they were
/// mentioned. Doctor sweeps them.
const LEFT_OVER: &str = "no file mentions these bytes";

#[track_caller]
pub(crate) fn verify(dir: &Path, expected: &mut Expected, told: &str) {
    let library = child::open(dir).unwrap_or_else(|error| panic!("{error:#}; {told}"));
    assert_clean(&library, told);
    library.process(&mut |_| ControlFlow::Continue(())).unwrap();
    let documents = library.documents().unwrap();
    let mut seen_count = 0;
    for slot in 0..SLOTS {
        let seen = content(&library, document(dir, &documents, slot));
        let may_hold = expected.may_hold(slot);
        assert!(may_hold.contains(&seen), "document {slot} is {seen:?}, not {may_hold:?}; {told}");
        assert_found(&library, &seen, &may_hold, told);
        seen_count += usize::from(seen.is_some());
        expected.settle(slot, seen);
    }
    assert_eq!(documents.len(), seen_count, "there are others: {documents:#?}; {told}");
    let files = library.collections().files().unwrap();
    assert_eq!(files.len(), seen_count, "there are other files: {files:#?}; {told}");
    for (thread, answered) in std::mem::take(&mut expected.threads) {
        assert_usable(&library, thread.parse().unwrap(), answered, told);
    }
    let findings = library.check(Repair::No).unwrap();
    assert!(findings.is_empty(), "{findings:#?}; {told}");
}

#[track_caller]
fn assert_clean(library: &Library, told: &str) {
    let findings = library.check(Repair::Yes).unwrap();
    let wrong: Vec<&Finding> = findings.iter().filter(|it| it.problem != LEFT_OVER).collect();
    assert!(wrong.is_empty(), "{wrong:#?}; {told}");
}

fn document<'a>(dir: &Path, documents: &'a [Document], slot: u64) -> Option<&'a Document> {
    let path = fs_err::canonicalize(dir).unwrap().join(format!("docs/{slot}.md"));
    documents.iter().find(|document| document.path.as_ref() == Some(&path))
}

/// The marker that stands at a document's beginning and its end.
fn content(library: &Library, document: Option<&Document>) -> Content {
    let document = document?;
    let chunks = library.collections().file_chunks(library.vector_store(), document.file.id);
    let chunks = chunks.unwrap();
    assert!(!chunks.is_empty(), "{document:?} has no chunks");
    assert_eq!(chunks.len() as u64, document.state.embedded, "{document:?} lacks vectors");
    let marker_after = |text: &str, before: &str| {
        let (_, rest) = text.split_once(before)?;
        Some(rest.split('.').next()?.to_owned())
    };
    let first = marker_after(&chunks[0].chunk.text, " is ").unwrap();
    let last = marker_after(&chunks[chunks.len() - 1].chunk.text, "Its end is ").unwrap();
    assert_eq!(first, last, "{document:?} is of two versions");
    Some(first)
}

/// What is there is found; what could have been there, or was, is not.
#[track_caller]
fn assert_found(library: &Library, seen: &Content, possible: &BTreeSet<Content>, told: &str) {
    for marker in possible.iter().chain([seen]).flatten() {
        let result = library.search(marker, &SearchOptions::default()).unwrap();
        // With what stands around it: "m28x1" is in "m28x10" too.
        let said = format!(" is {marker}.");
        let found = result.hits.iter().any(|hit| hit.chunk.chunk.text.contains(&said));
        let is_there = seen.as_ref() == Some(marker);
        assert_eq!(found, is_there, "searching {marker}; {told}");
    }
}

/// The run was taken up and has ended, so that the thread can be gone on with.
#[track_caller]
fn assert_usable(library: &Library, thread: ThreadId, answered: Answered, told: &str) {
    let engine = library.engine();
    let begun = Instant::now();
    while engine.thread(thread).unwrap().active_run.is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{thread} stays locked; {told}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let messages = engine.messages(thread, &PageRequest::all()).unwrap().data;
    let answers = messages.iter().filter(|it| it.role == MessageRole::Assistant);
    assert!(answered == Answered::Perhaps || answers.count() == 1, "{messages:#?}; {told}");
    engine.add_message(thread, NewMessage::user("And now?")).unwrap();
}
