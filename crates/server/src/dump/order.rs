//! The order things had, from the order they were printed in.
//!
//! Times are in seconds, and a second may have several messages. Lists come newest first unless
//! they were asked for otherwise, so which way a dump goes is read from the times that differ;
//! where none do, it is taken to go the API's way.

use std::collections::BTreeMap;

use docent_core::{Message, ThreadId, Timestamp};

/// Messages by thread, oldest first.
pub(super) fn by_thread(messages: Vec<Message>) -> BTreeMap<ThreadId, Vec<Message>> {
    let mut threads: BTreeMap<ThreadId, Vec<Message>> = BTreeMap::new();
    for message in messages {
        threads.entry(message.thread).or_default().push(message);
    }
    let sorted = threads.into_iter();
    sorted.map(|(id, all)| (id, oldest_first(all, |message| message.created_at))).collect()
}

/// Things in the order they were made.
pub(super) fn oldest_first<T>(mut printed: Vec<T>, at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let pairs = || printed.windows(2).map(|pair| at(&pair[0]).cmp(&at(&pair[1])));
    let upward = pairs().filter(|order| order.is_lt()).count();
    let downward = pairs().filter(|order| order.is_gt()).count();
    if upward <= downward {
        printed.reverse();
    }
    // Stable: what has the same second stays as it is.
    printed.sort_by_key(at);
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(printed: &[(u64, char)]) -> String {
        let at = |item: &(u64, char)| Timestamp::from_millis(item.0);
        oldest_first(printed.to_vec(), at).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn lists_of_either_direction_end_oldest_first() {
        assert_eq!(sorted(&[(2, 'd'), (2, 'c'), (1, 'b'), (1, 'a')]), "abcd");
        assert_eq!(sorted(&[(1, 'a'), (1, 'b'), (2, 'c'), (2, 'd')]), "abcd");
        assert_eq!(sorted(&[(1, 'c'), (1, 'b'), (1, 'a')]), "abc");
        // Pages in files that were read in another order.
        assert_eq!(sorted(&[(2, 'd'), (1, 'c'), (4, 'f'), (3, 'e')]), "cdef");
        assert_eq!(sorted(&[]), "");
    }
}
