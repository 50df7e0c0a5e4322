//! What a client was told, and so what must be true of the server for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// An object that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// As it was told last.
    pub(crate) body: Value,
    /// As it may be instead: a change was asked for and not acknowledged.
    pub(crate) changed: Option<Value>,
    /// The bytes of a file.
    pub(crate) content: Option<String>,
}

/// How a run may end, as far as its client can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Completed, with this answer.
    Answer(String),
    Cancelled,
    /// It asks for its functions' outputs, which are then to be answered by this.
    Waits(String),
}

/// Everything one client was told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Objects by their paths.
    pub(crate) kept: BTreeMap<String, Kept>,
    /// Runs by their paths.
    pub(crate) runs: BTreeMap<String, Vec<End>>,
    /// Paths of what was deleted.
    pub(crate) gone: BTreeSet<String>,
}

impl Ledger {
    /// Something was made.
    pub(crate) fn keep(&mut self, path: &str, body: &Value) {
        let kept = Kept { body: body.clone(), changed: None, content: None };
        self.kept.insert(path.to_owned(), kept);
    }

    /// A file was uploaded.
    pub(crate) fn keep_file(&mut self, path: &str, body: &Value, content: &str) {
        let content = Some(content.to_owned());
        let kept = Kept { body: body.clone(), changed: None, content };
        self.kept.insert(path.to_owned(), kept);
    }

    /// Something is about to be changed to have `name`.
    pub(crate) fn changing(&mut self, path: &str, name: &str) {
        let kept = self.kept.get_mut(path).unwrap();
        let mut changed = kept.body.clone();
        changed["name"] = name.into();
        kept.changed = Some(changed);
    }

    /// A run is about to be something that may bring it to another end.
    pub(crate) fn may_end(&mut self, run: &str, end: End) {
        self.runs.entry(run.to_owned()).or_default().push(end);
    }

    /// A run must come to this end.
    pub(crate) fn must_end(&mut self, run: &str, end: End) {
        self.runs.insert(run.to_owned(), vec![end]);
    }

    /// Something is about to be deleted, with all below it: nothing is certain of it now.
    pub(crate) fn deleting(&mut self, path: &str) {
        let below = |other: &String| {
            other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.kept.retain(|other, _| !below(other));
        self.runs.retain(|other, _| !below(other));
    }

    /// It was deleted.
    pub(crate) fn deleted(&mut self, path: &str) {
        self.gone.insert(path.to_owned());
    }

    /// Adds what another client was told.
    pub(crate) fn join(&mut self, other: Self) {
        self.kept.extend(other.kept);
        self.runs.extend(other.runs);
        self.gone.extend(other.gone);
    }
}
