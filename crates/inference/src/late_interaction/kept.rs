//! Token vectors of passages seen lately, in bounded memory.

use std::collections::HashMap;
use std::sync::Arc;

use docent_core::TextHash;
use half::f16;

/// The passages used last, as many as fit.
#[derive(Debug)]
pub(super) struct Kept {
    limit_bytes: usize,
    bytes: usize,
    /// Counts uses; the entry with the smallest count was used longest ago.
    uses: u64,
    entries: HashMap<TextHash, (u64, Arc<[f16]>)>,
}

impl Kept {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, bytes: 0, uses: 0, entries: HashMap::new() }
    }

    pub(super) fn get(&mut self, passage: TextHash) -> Option<Arc<[f16]>> {
        self.uses += 1;
        let (used, vectors) = self.entries.get_mut(&passage)?;
        *used = self.uses;
        Some(Arc::clone(vectors))
    }

    pub(super) fn insert(&mut self, passage: TextHash, vectors: Arc<[f16]>) {
        self.uses += 1;
        self.bytes += size_of_val(&*vectors);
        if let Some((_, replaced)) = self.entries.insert(passage, (self.uses, vectors)) {
            self.bytes -= size_of_val(&*replaced);
        }
        while self.bytes > self.limit_bytes {
            // A few hundred entries at most: a walk over them is nothing beside the network.
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(passage, _)| *passage) else { break };
            if let Some((_, dropped)) = self.entries.remove(&oldest) {
                self.bytes -= size_of_val(&*dropped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let vectors = || -> Arc<[f16]> { vec![f16::ONE; 8].into() };
        let [a, b, c] = ["a", "b", "c"].map(TextHash::of);
        let mut kept = Kept::new(40);
        kept.insert(a, vectors());
        kept.insert(b, vectors());
        assert!(kept.get(a).is_some());
        kept.insert(c, vectors());
        assert!(kept.get(b).is_none());
        assert!(kept.get(a).is_some() && kept.get(c).is_some());
        kept.insert(a, vec![f16::ONE; 100].into());
        assert!(kept.get(a).is_none(), "one larger than all room is not kept");
        assert_eq!(
            kept.bytes,
            kept.entries.values().map(|(_, v)| size_of_val(&**v)).sum::<usize>()
        );
    }
}
