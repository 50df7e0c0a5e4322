//! What the journeys share: a library in a temporary directory, and the handbook.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use docent::{Answer, AskOptions, FileStatus, Library};
use tempfile::TempDir;

/// A library that searches by words alone, so that a journey needs no weights.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    #[track_caller]
    pub(crate) fn open(&self) -> Library {
        Library::builder(self.library()).without_embedder().open().unwrap()
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.dir.path().join("library")
    }

    /// A document outside the library.
    #[track_caller]
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    }
}

#[track_caller]
pub(crate) fn process(library: &Library) {
    library.process(&mut |_| ControlFlow::Continue(())).unwrap();
}

/// Adds `paths` and expects every one to be read.
#[track_caller]
pub(crate) fn add_all(library: &Library, paths: &[PathBuf]) {
    for path in paths {
        let _ = library.add(path).unwrap();
    }
    process(library);
    for document in library.documents().unwrap() {
        assert_eq!(document.state.status, FileStatus::Completed, "{document:?}");
    }
}

#[track_caller]
pub(crate) fn ask(library: &Library, question: &str) -> Answer {
    library.ask(question, AskOptions::default()).unwrap().finish().unwrap()
}

pub(crate) fn handbook(language: &str) -> PathBuf {
    root().join(format!("examples/handbook/handbook.{language}.pdf"))
}

/// The handbook's chapters as they were written, without markup: chapter 1 is page 1, and so on.
/// Nothing here has passed through our PDF reader.
#[track_caller]
pub(crate) fn chapters(language: &str) -> Vec<String> {
    let source = root().join(format!("docs/handbook/handbook.{language}.typ"));
    let text = fs_err::read_to_string(source).unwrap();
    text.split("\n= ").skip(1).map(letters).collect()
}

/// Letters and digits alone: what line ends, hyphens and markup cannot change.
pub(crate) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
