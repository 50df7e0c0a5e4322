//! Ids of another server: kept where they have the form of ours.
//!
//! Azure's files are called `assistant-…`, and vector stores had longer ids at times. Such a one is
//! given an id that follows from it alone, so that the same object gets the same id in every file
//! of a dump and at every import.

use std::collections::BTreeMap;
use std::str::FromStr;

use docent_core::{AssistantId, CallId, FileId, MessageId, RunId, StepId, ThreadId, VectorStoreId};
use sha2::{Digest, Sha256};

/// An id that dumps have.
pub(super) trait DumpId {
    const PREFIX: &'static str;
}

macro_rules! dump_ids {
    ($($id:ty),*) => {
        $(impl DumpId for $id {
            const PREFIX: &'static str = <$id>::PREFIX;
        })*
    };
}

dump_ids!(AssistantId, ThreadId, MessageId, RunId, StepId, CallId, FileId, VectorStoreId);

/// Which ids were given in place of others.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<String, String>);

impl Ids {
    /// The id `text`, or the one that stands for it. None for nothing.
    pub(super) fn read<T: DumpId + FromStr>(&mut self, text: &str) -> Option<T> {
        if let Ok(id) = text.parse() {
            return Some(id);
        }
        if text.is_empty() {
            return None;
        }
        let given = format!("{}{}", T::PREFIX, digits(text));
        let id = given.parse().ok();
        self.0.insert(text.to_owned(), given);
        id
    }

    /// Each id that could not be kept, with the one it was given.
    pub(super) fn renamed(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }
}

/// Twenty-four letters and digits that follow from `text`: 96 bits of its hash in hexadecimal.
fn digits(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_form_gets_one_that_is_always_the_same() {
        let mut ids = Ids::default();
        let kept: FileId = ids.read("file-1UtRqFPoJcJrcVNfOc5dL6Pk").unwrap();
        assert_eq!(kept.to_string(), "file-1UtRqFPoJcJrcVNfOc5dL6Pk");
        let azure = "assistant-9aBcDeFgHiJkLmNoPqRsTuVw";
        let given: FileId = ids.read(azure).unwrap();
        assert_eq!(Ids::default().read::<FileId>(azure), Some(given));
        assert_ne!(ids.read::<FileId>("assistant-other"), Some(given));
        assert_eq!(ids.read::<FileId>(""), None);
        let renamed = ids.renamed();
        assert_eq!(renamed[0], (azure.to_owned(), given.to_string()));
        assert_eq!(renamed.len(), 2);
    }
}
