//! The keys a scan may visit, as two bounds that a B-tree can seek to.

use std::ops::Bound;

use docent_core::{Direction, Scan};

/// Keys from `start` up to `end`, in bytewise order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    /// Included or excluded.
    pub(crate) start: Bound<String>,
    /// Excluded or unbounded.
    pub(crate) end: Bound<String>,
}

impl KeyRange {
    /// The keys `scan` may visit; `None` where there can be none.
    pub(crate) fn of(scan: &Scan<'_>) -> Option<Self> {
        let mut start = Bound::Included(scan.prefix.to_owned());
        let mut end = successor(scan.prefix).map_or(Bound::Unbounded, Bound::Excluded);
        match (scan.after, scan.direction) {
            (Some(after), Direction::Forward) if after >= scan.prefix => {
                start = Bound::Excluded(after.to_owned());
            }
            (Some(after), Direction::Backward) if is_below(after, &end) => {
                end = Bound::Excluded(after.to_owned());
            }
            _ => {}
        }
        let (Bound::Included(first) | Bound::Excluded(first)) = &start else { return None };
        is_below(first, &end).then_some(Self { start, end })
    }

    /// The bounds by reference, as [`BTreeMap::range`](std::collections::BTreeMap::range) takes
    /// them.
    pub(crate) fn bounds(&self) -> (Bound<&str>, Bound<&str>) {
        (self.start.as_ref().map(String::as_str), self.end.as_ref().map(String::as_str))
    }
}

fn is_below(key: &str, end: &Bound<String>) -> bool {
    match end {
        Bound::Excluded(end) => key < end.as_str(),
        _ => true,
    }
}

/// The smallest text greater than all that begin with `prefix`; `None` if every text is smaller.
///
/// Bytewise order of UTF-8 is order by code point, so the last character that has a next one gets
/// it: bytes cannot be counted up, the result must stay UTF-8.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = ((last as u32 + 1)..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_successor_skips_surrogates_and_carries() {
        assert_eq!(successor("vs_1/").as_deref(), Some("vs_10"));
        assert_eq!(successor("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(successor("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10FFFF}"), None);
        assert_eq!(successor(""), None);
    }

    #[test]
    fn beyond_the_last_key_there_is_no_range() {
        let forward = Scan { prefix: "a", after: Some("b"), ..Scan::default() };
        assert_eq!(KeyRange::of(&forward), None);
        let backward =
            Scan { prefix: "b", after: Some("a"), direction: Direction::Backward, ..forward };
        assert_eq!(KeyRange::of(&backward), None);
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_the_keys_asked_for(
            prefix in "[ab\u{10FFFF}]{0,3}",
            after in proptest::option::of("[ab\u{10FFFF}]{0,4}"),
            key in "[ab\u{10FFFF}]{0,4}",
            backward: bool,
        ) {
            let direction = if backward { Direction::Backward } else { Direction::Forward };
            let scan = Scan { prefix: &prefix, after: after.as_deref(), direction, ..Scan::default() };
            let beyond = after.as_deref().is_none_or(|after| {
                if backward { key.as_str() < after } else { key.as_str() > after }
            });
            let held = KeyRange::of(&scan).is_some_and(|range| {
                use std::ops::RangeBounds;
                range.bounds().contains(key.as_str())
            });
            prop_assert_eq!(held, key.starts_with(&prefix) && beyond);
        }
    }
}
