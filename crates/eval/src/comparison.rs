//! How two pipelines differ, query by query, and whether that is more than chance.

use std::collections::{BTreeMap, BTreeSet};

use docent_core::{Error, Result};
use serde::Serialize;

use crate::metrics::Metric;
use crate::report::{QueryFacts, Report, SEED};
use crate::significance::{
    ROUNDS, bootstrap, bootstrap_strata, holm, mean, permutation, permutation_strata,
};

/// How one pipeline differs from another by one metric, over the queries both were asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// On what; for several data sets `average of` so many.
    pub dataset: String,
    /// What the other is compared with.
    pub baseline: String,
    /// The other.
    pub pipeline: String,
    /// By what.
    pub metric: String,
    /// The mean difference: above 0 the pipeline is better. Of several data sets, the mean of
    /// their means.
    pub difference: f64,
    /// Its 95 % bootstrap interval; of several data sets each was drawn from itself.
    pub interval: [f64; 2],
    /// The permutation test's p, two-sided.
    pub p: f64,
    /// The same after Holm's correction for all comparisons made at once.
    pub p_holm: f64,
    /// How many queries.
    pub queries: usize,
    /// Queries for which the pipeline is better, and worse.
    pub better_worse: [usize; 2],
}

/// Compares `report` with `baseline` by every metric both have.
///
/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) when they are of different documents or have no
/// query in common.
pub fn compare(baseline: &Report, report: &Report) -> Result<Vec<Comparison>> {
    let metrics = shared_metrics([baseline, report]);
    let paired = metrics.iter().map(|metric| {
        Paired::of(metric, &baseline.pipeline.name, baseline, report).map(|it| it.compared())
    });
    paired.collect()
}

/// The metrics that every report has.
pub(crate) fn shared_metrics<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Vec<String> {
    let names = |report: &Report| report.metrics.keys().cloned().collect::<BTreeSet<_>>();
    let shared = reports.into_iter().map(names).reduce(|all, these| &all & &these);
    shared.unwrap_or_default().into_iter().collect()
}

/// The queries both reports have, as the one and the other answered them.
pub(crate) fn pairs<'a>(
    baseline: &'a Report,
    report: &'a Report,
) -> Vec<(&'a QueryFacts, &'a QueryFacts)> {
    let mut before: BTreeMap<&str, &QueryFacts> =
        baseline.queries.iter().map(|query| (query.id.as_str(), query)).collect();
    let after = report.queries.iter();
    after.filter_map(|after| Some((before.remove(after.id.as_str())?, after))).collect()
}

/// What `metric` says of a query; 0 if it was not measured.
pub(crate) fn score(query: &QueryFacts, metric: &str) -> f64 {
    query.metrics.get(metric).copied().unwrap_or(0.0)
}

/// The differences of one pipeline to another on one data set by one metric.
#[derive(Clone, Debug)]
pub(crate) struct Paired {
    pub(crate) dataset: String,
    pub(crate) baseline: String,
    pub(crate) pipeline: String,
    pub(crate) metric: String,
    differences: Vec<f64>,
}

impl Paired {
    /// Pairs `report` with `baseline`, which is to be called `name`.
    pub(crate) fn of(metric: &str, name: &str, baseline: &Report, report: &Report) -> Result<Self> {
        if baseline.dataset.corpus_hash != report.dataset.corpus_hash {
            return Err(Error::invalid(format!(
                "the baseline is of {} with other documents than {}; make a new one",
                baseline.dataset.name, report.dataset.name
            )));
        }
        let pairs = pairs(baseline, report);
        if pairs.is_empty() {
            return Err(Error::invalid("the baseline has no query in common with this run"));
        }
        let pairs = pairs.into_iter();
        Ok(Self {
            dataset: report.dataset.name.clone(),
            baseline: name.to_owned(),
            pipeline: report.pipeline.name.clone(),
            metric: metric.to_owned(),
            differences: pairs.map(|(a, b)| score(b, metric) - score(a, metric)).collect(),
        })
    }

    pub(crate) fn compared(&self) -> Comparison {
        let differences = &self.differences;
        let interval = bootstrap(differences, ROUNDS, SEED);
        let p = permutation(differences, ROUNDS, SEED);
        Comparison {
            dataset: self.dataset.clone(),
            baseline: self.baseline.clone(),
            pipeline: self.pipeline.clone(),
            metric: self.metric.clone(),
            difference: mean(differences),
            interval: [interval.low, interval.high],
            p,
            p_holm: p,
            queries: differences.len(),
            better_worse: better_worse(differences),
        }
    }

    /// The same pipeline and metric on several data sets, every one weighing the same. `baseline`
    /// is what to call what it was compared with.
    pub(crate) fn averaged(sets: &[&Self], baseline: &str) -> Option<Comparison> {
        let first = sets.first()?;
        let strata: Vec<Vec<f64>> = sets.iter().map(|it| it.differences.clone()).collect();
        let interval = bootstrap_strata(&strata, ROUNDS, SEED);
        let p = permutation_strata(&strata, ROUNDS, SEED);
        let means: Vec<f64> = strata.iter().map(|differences| mean(differences)).collect();
        let all = strata.concat();
        Some(Comparison {
            dataset: format!("average of {}", sets.len()),
            baseline: baseline.to_owned(),
            pipeline: first.pipeline.clone(),
            metric: first.metric.clone(),
            difference: mean(&means),
            interval: [interval.low, interval.high],
            p,
            p_holm: p,
            queries: all.len(),
            better_worse: better_worse(&all),
        })
    }
}

fn better_worse(differences: &[f64]) -> [usize; 2] {
    let count = |of: fn(&f64) -> bool| differences.iter().filter(|it| of(it)).count();
    [count(|it| *it > 0.0), count(|it| *it < 0.0)]
}

/// Corrects the p of comparisons that were made at once, metric by metric.
pub fn correct(comparisons: &mut [Comparison]) {
    let metrics: BTreeSet<String> = comparisons.iter().map(|it| it.metric.clone()).collect();
    for metric in metrics {
        let mut family: Vec<_> = comparisons.iter_mut().filter(|it| it.metric == metric).collect();
        let p: Vec<f64> = family.iter().map(|it| it.p).collect();
        for (comparison, corrected) in family.iter_mut().zip(holm(&p)) {
            comparison.p_holm = corrected;
        }
    }
}

/// What must not happen, such as `ndcg@10 < -0.01`: the difference to the baseline by that metric
/// being below that number.
#[derive(Clone, Debug, PartialEq)]
pub struct FailOn {
    metric: Metric,
    below: f64,
}

impl std::str::FromStr for FailOn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "{text:?} is no condition; write a metric, < and a difference, such as \
                 \"ndcg@10 < -0.01\""
            ))
        };
        let (metric, below) = text.split_once('<').ok_or_else(wrong)?;
        let below: f64 = below.trim().parse().map_err(|_| wrong())?;
        Ok(Self { metric: metric.trim().parse()?, below })
    }
}

impl FailOn {
    /// The metric it is about.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Whether it came about.
    pub fn holds(&self, comparisons: &[Comparison]) -> bool {
        let name = self.metric.to_string();
        comparisons.iter().any(|it| it.metric == name && it.difference < self.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn a_difference_is_judged_and_may_fail_a_build() {
        let (before, after) = (report("made", "before", 38), report("made", "after", 20));
        let mut comparisons = compare(&before, &after).unwrap();
        correct(&mut comparisons);
        let ndcg = comparisons.iter().find(|it| it.metric == "ndcg@10").unwrap();
        assert!((ndcg.difference + 0.45).abs() < 1e-9 && ndcg.p < 0.001);
        assert_eq!(ndcg.better_worse, [0, 18]);
        assert!("ndcg@10 < -0.01".parse::<FailOn>().unwrap().holds(&comparisons));
        assert!(!"ndcg@10 < -0.5".parse::<FailOn>().unwrap().holds(&comparisons));
        assert!(compare(&before, &before).unwrap().iter().all(|it| it.p == 1.0));
    }

    #[test]
    fn several_comparisons_are_corrected_by_metric() {
        let base = report("made", "base", 20);
        let mut comparisons: Vec<Comparison> = [24, 26]
            .into_iter()
            .flat_map(|right| compare(&base, &report("made", "other", right)).unwrap())
            .collect();
        correct(&mut comparisons);
        let by_ndcg: Vec<_> = comparisons.iter().filter(|it| it.metric == "ndcg@10").collect();
        assert_eq!(by_ndcg.len(), 2);
        assert!(by_ndcg[1].p_holm >= by_ndcg[1].p * 1.9);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let (other, report) = (report("other", "a", 1), report("made", "b", 1));
        assert!(compare(&other, &report).unwrap_err().to_string().contains("other documents"));
        for wrong in ["ndcg@10", "ndcg@10 < x", "x < 0.1"] {
            assert!(wrong.parse::<FailOn>().is_err());
        }
    }
}
