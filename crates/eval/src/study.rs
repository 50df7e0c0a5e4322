//! Several pipelines on several data sets, compared with one another and on the average.
//!
//! The average is of the data sets' means, each weighing the same however many queries it has, as
//! BEIR's tables have it.

use std::collections::BTreeMap;

use docent_core::{Error, Result};
use serde::Serialize;

use crate::comparison::{Comparison, Paired, correct, shared_metrics};
use crate::report::{DatasetFacts, Report, SEED};
use crate::significance::{ROUNDS, bootstrap_strata, mean};

/// What a run of the evaluation came to.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// Every pipeline on every data set, the data sets one after the other.
    pub runs: Vec<Report>,
    /// How they differ: on each data set, and then on the average of them.
    pub comparisons: Vec<Comparison>,
    /// Each pipeline over all data sets; empty if there is only one.
    pub averages: Vec<Average>,
    #[serde(skip)]
    against: Against,
}

/// What a pipeline came to over several data sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Average {
    /// The pipeline.
    pub pipeline: String,
    /// The data sets.
    pub datasets: Vec<String>,
    /// The mean over the data sets of each metric's mean over the queries.
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % bootstrap interval of each, every data set drawn from itself.
    pub intervals: BTreeMap<String, [f64; 2]>,
}

/// What pipelines are compared with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Against {
    /// With the first pipeline.
    First,
    /// With the best of those named, which may be another one for each data set and metric. Being
    /// chosen after the fact it is a higher bar than any one of them.
    BestOf(Vec<String>),
    /// With an earlier run: the report of the same pipeline, or of the only one.
    Baseline(Vec<Report>),
}

impl Study {
    /// Compares `runs`, which are in the order of their data sets.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) when what is to be compared with is not there,
    /// or is of other documents.
    pub fn new(runs: Vec<Report>, against: Against) -> Result<Self> {
        let paired = pair(&runs, &against)?;
        let mut comparisons: Vec<Comparison> = paired.iter().map(Paired::compared).collect();
        correct(&mut comparisons);
        let mut average = average_comparisons(&paired, sets(&runs).len(), &against);
        correct(&mut average);
        comparisons.extend(average);
        let averages = averages(&runs);
        Ok(Self { runs, comparisons, averages, against })
    }

    /// The reports of each data set.
    pub(crate) fn sets(&self) -> Vec<&[Report]> {
        sets(&self.runs)
    }

    /// What `report` was compared with by `metric`, if it was, and the name for it.
    pub(crate) fn baseline<'a>(
        &'a self,
        report: &Report,
        metric: &str,
        set: &'a [Report],
    ) -> Option<(&'a Report, String)> {
        baseline_of(report, metric, set, &self.against).ok().flatten()
    }
}

fn sets(runs: &[Report]) -> Vec<&[Report]> {
    runs.chunk_by(|a, b| a.dataset.is_same(&b.dataset)).collect()
}

/// What each report of a data set is compared with by `metric`, and the name for it; `None` for one
/// that others are compared with.
fn baseline_of<'a>(
    report: &Report,
    metric: &str,
    set: &'a [Report],
    against: &'a Against,
) -> Result<Option<(&'a Report, String)>> {
    let name = |it: &Report| it.pipeline.name.clone();
    match against {
        Against::First => {
            let first = set.first().filter(|first| first.pipeline.name != report.pipeline.name);
            Ok(first.map(|first| (first, name(first))))
        }
        Against::BestOf(named) if named.contains(&report.pipeline.name) => Ok(None),
        Against::BestOf(named) => {
            let best = best(named, metric, set)?;
            Ok(Some((best, format!("{}, {}", name(best), best_of(named)))))
        }
        Against::Baseline(reports) => {
            let earlier = earlier(&report.dataset, &report.pipeline.name, reports)?;
            Ok(Some((earlier, name(earlier))))
        }
    }
}

fn best_of(named: &[String]) -> String {
    match named {
        [one] => one.clone(),
        several => format!("best of {}", several.join(" and ")),
    }
}

fn best<'a>(named: &[String], metric: &str, set: &'a [Report]) -> Result<&'a Report> {
    let score = |report: &Report| report.metrics.get(metric).copied().unwrap_or(0.0);
    let mut best: Option<&Report> = None;
    for name in named {
        let report = set.iter().find(|it| it.pipeline.name == *name).ok_or_else(|| {
            let there: Vec<&str> = set.iter().map(|it| it.pipeline.name.as_str()).collect();
            let there = there.join(", ");
            Error::invalid(format!("no pipeline {name:?} to compare with; there are {there}"))
        })?;
        // Among equals the first named.
        if best.is_none_or(|best| score(report) > score(best)) {
            best = Some(report);
        }
    }
    best.ok_or_else(|| Error::invalid("no pipeline to compare with is named"))
}

fn earlier<'a>(dataset: &DatasetFacts, name: &str, reports: &'a [Report]) -> Result<&'a Report> {
    let of_set: Vec<&Report> =
        reports.iter().filter(|it| it.dataset.corpus_hash == dataset.corpus_hash).collect();
    match of_set[..] {
        [] => Err(Error::invalid(match reports {
            [only] => format!(
                "the baseline is of {} with other documents than {}; make a new one",
                only.dataset.name, dataset.name
            ),
            _ => format!("the baseline has no run on the documents of {}", dataset.name),
        })),
        [only] => Ok(only),
        _ => of_set
            .into_iter()
            .find(|it| it.pipeline.name == name)
            .ok_or_else(|| Error::invalid(format!("the baseline has no pipeline {name:?}"))),
    }
}

fn pair(runs: &[Report], against: &Against) -> Result<Vec<Paired>> {
    let mut paired = vec![];
    for set in sets(runs) {
        for report in set {
            for metric in shared_metrics(set) {
                let Some((baseline, name)) = baseline_of(report, &metric, set, against)? else {
                    continue;
                };
                if baseline.metrics.contains_key(&metric) {
                    paired.push(Paired::of(&metric, &name, baseline, report)?);
                }
            }
        }
    }
    Ok(paired)
}

/// The comparisons over all of `count` data sets, of the pipelines that were compared on each.
fn average_comparisons(paired: &[Paired], count: usize, against: &Against) -> Vec<Comparison> {
    let mut together: Vec<Vec<&Paired>> = vec![];
    for one in paired {
        let same = |it: &&mut Vec<&Paired>| {
            it.iter().any(|it| it.pipeline == one.pipeline && it.metric == one.metric)
        };
        match together.iter_mut().find(same) {
            Some(known) => known.push(one),
            None => together.push(vec![one]),
        }
    }
    let whole = together.into_iter().filter(|it| count > 1 && it.len() == count);
    whole
        .filter_map(|sets| {
            let baseline = match against {
                Against::BestOf(named) => best_of(named),
                Against::First | Against::Baseline(_) => sets.first()?.baseline.clone(),
            };
            Paired::averaged(&sets, &baseline)
        })
        .collect()
}

fn averages(runs: &[Report]) -> Vec<Average> {
    let sets = sets(runs);
    let [first, _, ..] = sets[..] else { return vec![] };
    let mut averages = vec![];
    for report in first {
        let same = |it: &&Report| it.pipeline.name == report.pipeline.name;
        let reports: Vec<&Report> = sets.iter().filter_map(|set| set.iter().find(same)).collect();
        if reports.len() == sets.len() {
            averages.push(average(&reports));
        }
    }
    averages
}

fn average(reports: &[&Report]) -> Average {
    let (mut metrics, mut intervals) = (BTreeMap::new(), BTreeMap::new());
    for metric in shared_metrics(reports.iter().copied()) {
        let means: Vec<f64> = reports.iter().map(|it| it.metrics[&metric]).collect();
        let strata: Vec<Vec<f64>> = reports
            .iter()
            .map(|it| it.queries.iter().map(|query| query.metrics[&metric]).collect())
            .collect();
        let interval = bootstrap_strata(&strata, ROUNDS, SEED);
        metrics.insert(metric.clone(), mean(&means));
        intervals.insert(metric, [interval.low, interval.high]);
    }
    let name = reports.first().map(|it| it.pipeline.name.clone());
    let datasets = reports.iter().map(|it| it.dataset.name.clone()).collect();
    Average { pipeline: name.unwrap_or_default(), datasets, metrics, intervals }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    fn two_sets() -> Vec<Report> {
        vec![
            report("one", "bm25", 30),
            report("one", "dense", 20),
            report("one", "both", 32),
            report("two", "bm25", 10),
            report("two", "dense", 18),
            report("two", "both", 24),
        ]
    }

    fn of<'a>(study: &'a Study, dataset: &str, pipeline: &str) -> &'a Comparison {
        let found = study.comparisons.iter().find(|it| {
            (&*it.dataset, &*it.pipeline, &*it.metric) == (dataset, pipeline, "ndcg@10")
        });
        found.unwrap_or_else(|| panic!("{:?}", study.comparisons))
    }

    #[test]
    fn the_average_weighs_every_set_alike() {
        let study = Study::new(two_sets(), Against::First).unwrap();
        let names: Vec<&str> = study.averages.iter().map(|it| it.pipeline.as_str()).collect();
        assert_eq!(names, ["bm25", "dense", "both"]);
        assert_eq!(study.averages[0].metrics["ndcg@10"], 0.5);
        let both = of(&study, "average of 2", "both");
        assert!((both.difference - 0.2).abs() < 1e-9 && both.p_holm < 0.01, "{both:?}");
        assert_eq!((both.queries, both.better_worse), (80, [16, 0]));
        assert!((of(&study, "two", "dense").difference - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_best_of_several_is_chosen_set_by_set() {
        let against = Against::BestOf(vec!["bm25".into(), "dense".into()]);
        let study = Study::new(two_sets(), against).unwrap();
        assert_eq!(of(&study, "one", "both").baseline, "bm25, best of bm25 and dense");
        assert_eq!(of(&study, "two", "both").baseline, "dense, best of bm25 and dense");
        let average = of(&study, "average of 2", "both");
        assert!((average.difference - 0.1).abs() < 1e-9, "{average:?}");
        assert_eq!(average.baseline, "best of bm25 and dense");
        assert!(study.comparisons.iter().all(|it| it.pipeline == "both"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let against = Against::BestOf(vec!["bm25".into(), "colbert".into()]);
        let wrong = Study::new(two_sets(), against).unwrap_err().to_string();
        assert!(wrong.contains("\"colbert\"") && wrong.contains("bm25, dense, both"), "{wrong}");
        let against = Against::Baseline(vec![report("one", "a", 1), report("one", "b", 1)]);
        let wrong = Study::new(two_sets(), against).unwrap_err().to_string();
        assert!(wrong.contains("\"bm25\""), "{wrong}");
        let against = Against::Baseline(vec![report("one", "a", 1)]);
        let wrong = Study::new(two_sets(), against).unwrap_err().to_string();
        assert!(wrong.contains("other documents than two"), "{wrong}");
    }

    #[test]
    fn an_earlier_run_is_met_pipeline_by_pipeline() {
        let study = Study::new(two_sets(), Against::Baseline(two_sets())).unwrap();
        assert_eq!(study.comparisons.len(), 6 * (6 + 3));
        assert!(study.comparisons.iter().all(|it| it.difference == 0.0 && it.p == 1.0));
        assert_eq!(of(&study, "two", "dense").baseline, "dense");
    }
}
