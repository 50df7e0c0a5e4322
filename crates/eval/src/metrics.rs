//! How good one ranking is, by what people judged relevant.
//!
//! The definitions are trec_eval's, which published numbers are made with: gains are the grades as
//! judged, the discount of rank r is log2(r + 1), the ideal ranking is of all judged documents, and
//! a document without a judgment counts as not relevant. See Järvelin and Kekäläinen, "Cumulated
//! gain-based evaluation of IR techniques" (TOIS 2002) for nDCG.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use docent_core::{Error, Result};

/// What people said of the documents of one query: a grade above 0 is relevant.
pub type Grades = HashMap<String, i32>;

/// A measure of one ranking, between 0 and 1. Printed and read as `ndcg@10`, `map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// Normalized discounted cumulated gain of the first `k`.
    Ndcg(usize),
    /// The share of the relevant documents that are among the first `k`.
    Recall(usize),
    /// One by the rank of the first relevant document, 0 if it is not among the first `k`.
    Mrr(usize),
    /// Average precision of the first `k`; its mean over queries is MAP.
    Map(usize),
    /// 1 if any of the first `k` is relevant.
    HitRate(usize),
}

impl Metric {
    /// What a report shows unless told otherwise.
    pub const USUAL: [Self; 6] = [
        Self::Ndcg(10),
        Self::Recall(10),
        Self::Recall(100),
        Self::Mrr(10),
        Self::Map(100),
        Self::HitRate(5),
    ];

    /// How much of the ranking it looks at.
    pub fn depth(self) -> usize {
        match self {
            Self::Ndcg(k) | Self::Recall(k) | Self::Mrr(k) | Self::Map(k) | Self::HitRate(k) => k,
        }
    }

    /// Measures `ranking`, the ids of documents from the best on. A query without any relevant
    /// document has 0 by every measure.
    pub fn of(self, ranking: &[impl AsRef<str>], grades: &Grades) -> f64 {
        let first = &ranking[..ranking.len().min(self.depth())];
        let gains: Vec<i32> = first.iter().map(|id| gain(grades, id.as_ref())).collect();
        let relevant = grades.values().filter(|grade| **grade > 0).count();
        if relevant == 0 {
            return 0.0;
        }
        let found = gains.iter().filter(|gain| **gain > 0).count();
        match self {
            Self::Ndcg(k) => discounted(gains.into_iter()) / ideal(grades, k),
            Self::Recall(_) => found as f64 / relevant as f64,
            Self::Mrr(_) => {
                let rank = gains.iter().position(|gain| *gain > 0);
                rank.map_or(0.0, |place| 1.0 / (place + 1) as f64)
            }
            Self::Map(_) => average_precision(&gains) / relevant as f64,
            Self::HitRate(_) => f64::from(u8::from(found > 0)),
        }
    }
}

fn gain(grades: &Grades, id: &str) -> i32 {
    grades.get(id).copied().unwrap_or(0).max(0)
}

fn discounted(gains: impl Iterator<Item = i32>) -> f64 {
    let ranked = gains.enumerate();
    let discounted = ranked.map(|(place, gain)| f64::from(gain) / ((place + 2) as f64).log2());
    // Not `sum`, which makes -0 of nothing.
    discounted.fold(0.0, |sum, gain| sum + gain)
}

fn ideal(grades: &Grades, k: usize) -> f64 {
    let mut gains: Vec<i32> = grades.values().copied().filter(|grade| *grade > 0).collect();
    gains.sort_unstable_by(|a, b| b.cmp(a));
    discounted(gains.into_iter().take(k))
}

/// The sum of the precisions at the ranks of relevant documents.
fn average_precision(gains: &[i32]) -> f64 {
    let mut found = 0.0;
    let mut sum = 0.0;
    for (place, gain) in gains.iter().enumerate() {
        if *gain > 0 {
            found += 1.0;
            sum += found / (place + 1) as f64;
        }
    }
    sum
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, k) = match self {
            Self::Ndcg(k) => ("ndcg", k),
            Self::Recall(k) => ("recall", k),
            Self::Mrr(k) => ("mrr", k),
            Self::Map(k) => ("map", k),
            Self::HitRate(k) => ("hit_rate", k),
        };
        f.pad(&format!("{name}@{k}"))
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let depth = |digits: &str| digits.parse::<usize>().ok().filter(|k| (1..=1000).contains(k));
        let parts = text.split_once('@').and_then(|(name, k)| Some((name, depth(k)?)));
        match parts {
            Some(("ndcg", k)) => Ok(Self::Ndcg(k)),
            Some(("recall", k)) => Ok(Self::Recall(k)),
            Some(("mrr", k)) => Ok(Self::Mrr(k)),
            Some(("map", k)) => Ok(Self::Map(k)),
            Some(("hit_rate", k)) => Ok(Self::HitRate(k)),
            _ => Err(Error::invalid(format!(
                "{text:?} is no metric; write ndcg, recall, mrr, map or hit_rate with its depth, \
                 1 to 1000, such as ndcg@10"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades(of: &[(&str, i32)]) -> Grades {
        of.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect()
    }

    #[test]
    fn a_perfect_ranking_has_one_by_every_measure() {
        let judged = grades(&[("a", 3), ("b", 1), ("c", 0)]);
        for metric in Metric::USUAL {
            assert_eq!(metric.of(&["a", "b", "c"], &judged), 1.0, "{metric}");
        }
    }

    #[test]
    fn by_hand() {
        let judged = grades(&[("a", 2), ("b", 1), ("c", -1)]);
        let ranking = ["x", "b", "c", "a"];
        let ideal = 2.0 + 1.0 / 3f64.log2();
        let ndcg = (1.0 / 3f64.log2() + 2.0 / 5f64.log2()) / ideal;
        assert!((Metric::Ndcg(10).of(&ranking, &judged) - ndcg).abs() < 1e-12);
        assert_eq!(Metric::Recall(3).of(&ranking, &judged), 0.5);
        assert_eq!(Metric::Mrr(10).of(&ranking, &judged), 0.5);
        assert_eq!(Metric::Mrr(1).of(&ranking, &judged), 0.0);
        assert_eq!(Metric::Map(10).of(&ranking, &judged), 0.5);
        assert_eq!(Metric::HitRate(1).of(&ranking, &judged), 0.0);
    }

    #[test]
    fn nothing_relevant_is_no_division_by_zero() {
        for metric in Metric::USUAL {
            assert_eq!(metric.of(&["a"], &grades(&[("a", 0)])), 0.0);
            let nothing = metric.of(&[] as &[&str], &grades(&[("a", 1)]));
            assert!(nothing == 0.0 && nothing.is_sign_positive(), "{metric}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for metric in Metric::USUAL {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        for wrong in ["ndcg", "ndcg@0", "ndcg@x", "dcg@10", "map@1001", ""] {
            let error = wrong.parse::<Metric>().unwrap_err();
            assert!(error.to_string().contains("such as ndcg@10"), "{error}");
        }
    }
}
