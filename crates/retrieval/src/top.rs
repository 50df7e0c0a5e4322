//! The best few of many, the same few in whatever order they come.

use std::cmp::Ordering;

use docent_core::Hit;

/// Something with a score and a place of its own among those of equal score.
pub(crate) trait Ranked {
    fn score(&self) -> f32;
    /// Best first; total, so that no answer depends on the order of arrival.
    fn best_first(&self, other: &Self) -> Ordering;
}

impl Ranked for Hit {
    fn score(&self) -> f32 {
        self.score
    }

    fn best_first(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.chunk.cmp(&other.chunk))
    }
}

/// Keeps the best `limit` it is offered.
///
/// Offers gather in a buffer of a few times the limit that is cut by selection when full: cheaper
/// than a heap while many come, and no more than a comparison once the best have been seen.
#[derive(Debug)]
pub(crate) struct Top<T> {
    limit: usize,
    kept: Vec<T>,
    /// Nothing below this can be among the best.
    floor: f32,
}

impl<T: Ranked> Top<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: vec![], floor: f32::NEG_INFINITY }
    }

    /// Whether something of this score may be among the best; ask before doing work for it.
    #[inline]
    pub(crate) fn would_take(&self, score: f32) -> bool {
        score >= self.floor
    }

    pub(crate) fn offer(&mut self, ranked: T) {
        if self.limit == 0 || !self.would_take(ranked.score()) {
            return;
        }
        self.kept.push(ranked);
        if self.kept.len() >= self.limit.saturating_mul(4).max(64) {
            self.cut();
        }
    }

    /// Offers all that `other` kept.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        other.kept.into_iter().for_each(|ranked| self.offer(ranked));
        self
    }

    fn cut(&mut self) {
        if self.kept.len() <= self.limit {
            return;
        }
        self.kept.select_nth_unstable_by(self.limit - 1, T::best_first);
        self.kept.truncate(self.limit);
        self.floor = self.kept[self.limit - 1].score();
    }

    pub(crate) fn into_sorted(mut self) -> Vec<T> {
        self.cut();
        self.kept.sort_unstable_by(T::best_first);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use docent_core::ChunkId;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_a_sort_would_give(
            scores in prop::collection::vec(0u8..20, 0..300), limit in 0usize..40
        ) {
            let hits = scores.iter().enumerate();
            let mut hits: Vec<Hit> = hits
                .map(|(id, &score)| Hit { chunk: ChunkId(id as u64), score: f32::from(score) })
                .collect();
            let mut top = Top::new(limit);
            hits.iter().rev().for_each(|&hit| top.offer(hit));
            hits.sort_by(Hit::best_first);
            hits.truncate(limit);
            prop_assert_eq!(top.into_sorted(), hits);
        }
    }
}
