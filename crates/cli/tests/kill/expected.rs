//! What must be true after what the child said.

use std::collections::{BTreeMap, BTreeSet};

/// The marker of the document in a slot; none when there is no document.
pub(crate) type Content = Option<String>;

/// What each document may hold, and the threads there are.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    slots: BTreeMap<u64, BTreeSet<Content>>,
    /// Threads of this cycle; whether their question was answered.
    pub(crate) threads: BTreeMap<String, Answered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Yes,
    /// The child died before it said so.
    Perhaps,
}

impl Expected {
    /// Takes in a line: `adding` and `removing` make something possible, `added` and `removed`
    /// certain.
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["adding", slot, marker] => {
                self.slot(slot).insert(Some((*marker).to_owned()));
            }
            ["added", slot, marker] => *self.slot(slot) = [Some((*marker).to_owned())].into(),
            ["removing", slot] => {
                self.slot(slot).insert(None);
            }
            ["removed", slot] => *self.slot(slot) = [None].into(),
            ["asked", thread] => {
                self.threads.insert((*thread).to_owned(), Answered::Perhaps);
            }
            ["answered", thread] => {
                self.threads.insert((*thread).to_owned(), Answered::Yes);
            }
            ["ready"] => {}
            other => panic!("the child says {other:?}"),
        }
    }

    /// What the document in `slot` may hold.
    pub(crate) fn may_hold(&self, slot: u64) -> BTreeSet<Content> {
        self.slots.get(&slot).cloned().unwrap_or_else(|| [None].into())
    }

    /// From now on it must hold what it was seen to hold.
    pub(crate) fn settle(&mut self, slot: u64, seen: Content) {
        self.slots.insert(slot, [seen].into());
    }

    fn slot(&mut self, slot: &str) -> &mut BTreeSet<Content> {
        let slot = slot.parse().expect("a slot is a number");
        self.slots.entry(slot).or_insert_with(|| [None].into())
    }
}
