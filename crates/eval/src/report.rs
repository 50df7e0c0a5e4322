//! What a run came to: as JSON to keep and compare, as Markdown to read.

use std::collections::BTreeMap;

use docent_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::metrics::Metric;
use crate::pipeline::{Pipeline, Rankings, by_query};
use crate::significance::{ROUNDS, bootstrap, holm, mean, permutation};

/// Every draw of chance begins here.
const SEED: u64 = 20_260_826;

/// What one pipeline came to on one data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was searched and asked.
    pub dataset: DatasetFacts,
    /// How.
    pub pipeline: Pipeline,
    /// The mean of every metric over the queries.
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % bootstrap interval of each mean.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// Milliseconds within which half, 95 % and 99 % of the queries were answered.
    pub latency_ms: BTreeMap<String, f64>,
    /// Bytes of the library's indexes.
    pub index_bytes: u64,
    /// Bytes of memory this process holds, where the system tells.
    pub resident_bytes: Option<u64>,
    /// Every metric of every query.
    pub queries: Vec<QueryFacts>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What was searched and asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Its name.
    pub name: String,
    /// How many documents it has.
    pub documents: usize,
    /// How many judged queries.
    pub queries: usize,
    /// The SHA-256 of its documents.
    pub corpus_hash: String,
}

/// What one query came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueryFacts {
    /// Its name.
    pub id: String,
    /// Every metric.
    pub metrics: BTreeMap<String, f64>,
    /// The first ten documents it found.
    pub found: Vec<String>,
}

impl Report {
    /// Measures `rankings` by `metrics`. `notes` are what the corpus's building noted.
    pub fn new(
        dataset: &Dataset,
        pipeline: &Pipeline,
        rankings: &Rankings,
        metrics: &[Metric],
        notes: &[String],
    ) -> Self {
        let scores = by_query(rankings, dataset, metrics);
        let means = scores.iter().map(|(name, scores)| (name.clone(), mean(scores)));
        let intervals = scores.iter().map(|(name, scores)| {
            let interval = bootstrap(scores, ROUNDS, SEED);
            (name.clone(), [interval.low, interval.high])
        });
        let latency = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
        let latency = latency.map(|(name, share)| (name.to_owned(), rankings.latency_ms(share)));
        Self {
            dataset: DatasetFacts {
                name: dataset.name.clone(),
                documents: dataset.documents.len(),
                queries: dataset.queries.len(),
                corpus_hash: dataset.corpus_hash.clone(),
            },
            pipeline: pipeline.clone(),
            metrics: means.collect(),
            intervals: intervals.collect(),
            latency_ms: latency.into(),
            index_bytes: 0,
            resident_bytes: None,
            queries: queries(dataset, rankings, &scores),
            notes: notes.iter().chain(&rankings.notes).cloned().collect(),
        }
    }
}

fn queries(
    dataset: &Dataset,
    rankings: &Rankings,
    scores: &BTreeMap<String, Vec<f64>>,
) -> Vec<QueryFacts> {
    let asked = dataset.queries.iter().zip(&rankings.found).enumerate();
    asked
        .map(|(at, (query, found))| QueryFacts {
            id: query.id.clone(),
            metrics: scores.iter().map(|(name, scores)| (name.clone(), scores[at])).collect(),
            found: found.iter().take(10).cloned().collect(),
        })
        .collect()
}

/// How one pipeline differs from another by one metric, over the queries both were asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the other is compared with.
    pub baseline: String,
    /// The other.
    pub pipeline: String,
    /// By what.
    pub metric: String,
    /// The mean difference: above 0 the pipeline is better.
    pub difference: f64,
    /// Its 95 % bootstrap interval.
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
    if baseline.dataset.corpus_hash != report.dataset.corpus_hash {
        return Err(Error::invalid(format!(
            "the baseline is of {} with other documents than {}; make a new one",
            baseline.dataset.name, report.dataset.name
        )));
    }
    let mut before: BTreeMap<&str, &QueryFacts> =
        baseline.queries.iter().map(|query| (query.id.as_str(), query)).collect();
    let pairs: Vec<(&QueryFacts, &QueryFacts)> = report
        .queries
        .iter()
        .filter_map(|after| Some((before.remove(after.id.as_str())?, after)))
        .collect();
    if pairs.is_empty() {
        return Err(Error::invalid("the baseline has no query in common with this run"));
    }
    let shared = report.metrics.keys().filter(|name| baseline.metrics.contains_key(*name));
    Ok(shared.map(|name| compare_by(name, baseline, report, &pairs)).collect())
}

fn compare_by(
    metric: &str,
    baseline: &Report,
    report: &Report,
    pairs: &[(&QueryFacts, &QueryFacts)],
) -> Comparison {
    let score = |query: &QueryFacts| query.metrics.get(metric).copied().unwrap_or(0.0);
    let differences: Vec<f64> =
        pairs.iter().map(|(before, after)| score(after) - score(before)).collect();
    let interval = bootstrap(&differences, ROUNDS, SEED);
    let count = |of: fn(&f64) -> bool| differences.iter().filter(|it| of(it)).count();
    let p = permutation(&differences, ROUNDS, SEED);
    Comparison {
        baseline: baseline.pipeline.name.clone(),
        pipeline: report.pipeline.name.clone(),
        metric: metric.to_owned(),
        difference: mean(&differences),
        interval: [interval.low, interval.high],
        p,
        p_holm: p,
        queries: pairs.len(),
        better_worse: [count(|it| *it > 0.0), count(|it| *it < 0.0)],
    }
}

/// Corrects the p of comparisons that were made at once, metric by metric.
pub fn correct(comparisons: &mut [Comparison]) {
    let mut metrics: Vec<String> = comparisons.iter().map(|it| it.metric.clone()).collect();
    metrics.sort();
    metrics.dedup();
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

/// Reports of one data set and their comparisons, as Markdown.
pub fn markdown(reports: &[Report], comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    let Some(first) = reports.first() else { return text };
    let facts = &first.dataset;
    let counts = format!("{} documents, {} queries", facts.documents, facts.queries);
    text.push_str(&format!("# {}: {counts}\n\n", facts.name));
    let names: Vec<&str> = first.metrics.keys().map(String::as_str).collect();
    row(
        &mut text,
        ["pipeline"].into_iter().chain(names.iter().copied()).chain(["p50 ms", "p95 ms"]),
    );
    row(&mut text, vec!["---"; names.len() + 3]);
    for report in reports {
        row(&mut text, report_cells(report, &names));
    }
    if !comparisons.is_empty() {
        let heads = ["", "against", "metric", "difference", "95 %", "p", "Holm", "better", "worse"];
        text.push('\n');
        row(&mut text, heads);
        row(&mut text, ["---"; 9]);
        comparisons.iter().for_each(|it| row(&mut text, comparison_cells(it)));
    }
    let mut notes: Vec<&String> = reports.iter().flat_map(|report| &report.notes).collect();
    notes.sort();
    notes.dedup();
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
    }
    text
}

fn row(text: &mut String, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    text.push('|');
    for cell in cells {
        let cell = cell.as_ref();
        let around = if cell == "---" { "" } else { " " };
        text.push_str(&format!("{around}{cell}{around}|"));
    }
    text.push('\n');
}

fn report_cells(report: &Report, names: &[&str]) -> Vec<String> {
    let measured = names.iter().map(|name| {
        let [low, high] = report.intervals.get(*name).copied().unwrap_or_default();
        let value = report.metrics.get(*name).copied().unwrap_or_default();
        format!("{value:.4} ({low:.3} to {high:.3})")
    });
    let latencies = ["p50", "p95"]
        .map(|share| format!("{:.1}", report.latency_ms.get(share).copied().unwrap_or_default()));
    [report.pipeline.name.clone()].into_iter().chain(measured).chain(latencies).collect()
}

fn comparison_cells(it: &Comparison) -> [String; 9] {
    let ([low, high], [better, worse]) = (it.interval, it.better_worse);
    [
        it.pipeline.clone(),
        it.baseline.clone(),
        it.metric.clone(),
        format!("{:+.4}", it.difference),
        format!("{low:+.4} to {high:+.4}"),
        format!("{:.4}", it.p),
        format!("{:.4}", it.p_holm),
        better.to_string(),
        worse.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dataset::JudgedQuery;

    fn dataset(queries: usize) -> Dataset {
        let query = |at: usize| JudgedQuery {
            id: format!("q{at}"),
            text: "?".into(),
            grades: [(format!("d{at}"), 1)].into(),
        };
        Dataset {
            name: "made".into(),
            documents: vec![],
            queries: (0..queries).map(query).collect(),
            corpus_hash: "abc".into(),
            notes: vec![],
        }
    }

    /// Finds the right document for the first `right` queries.
    fn report(name: &str, right: usize) -> Report {
        let dataset = dataset(40);
        let found = (0..40).map(|at| vec![if at < right { format!("d{at}") } else { "x".into() }]);
        let latencies = (1..=40).map(Duration::from_millis).collect();
        let rankings = Rankings { found: found.collect(), latencies, notes: vec!["noted".into()] };
        let pipeline = Pipeline { name: name.into(), ..Pipeline::named("bm25").unwrap() };
        Report::new(&dataset, &pipeline, &rankings, &Metric::USUAL, &[])
    }

    #[test]
    fn a_report_survives_json() {
        let report = report("a", 30);
        assert_eq!(report.metrics["ndcg@10"], 0.75);
        let [low, high] = report.intervals["ndcg@10"];
        assert!(low < 0.75 && 0.75 < high);
        assert!((20.0..=21.0).contains(&report.latency_ms["p50"]));
        let json = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(again.metrics, report.metrics);
        assert!(compare(&again, &report).unwrap().iter().all(|it| it.p == 1.0));
    }

    #[test]
    fn a_difference_is_judged_and_may_fail_a_build() {
        let (before, after) = (report("before", 38), report("after", 20));
        let mut comparisons = compare(&before, &after).unwrap();
        correct(&mut comparisons);
        let ndcg = comparisons.iter().find(|it| it.metric == "ndcg@10").unwrap();
        assert!((ndcg.difference + 0.45).abs() < 1e-9 && ndcg.p < 0.001);
        assert_eq!(ndcg.better_worse, [0, 18]);
        assert!("ndcg@10 < -0.01".parse::<FailOn>().unwrap().holds(&comparisons));
        assert!(!"ndcg@10 < -0.5".parse::<FailOn>().unwrap().holds(&comparisons));
        let shown = markdown(&[before, after], &comparisons);
        assert!(shown.contains("| after | before | ndcg@10 | -0.4500 |"), "{shown}");
        assert!(shown.contains("- noted\n"));
    }

    #[test]
    fn several_comparisons_are_corrected_by_metric() {
        let base = report("base", 20);
        let mut comparisons: Vec<Comparison> = [24, 26]
            .into_iter()
            .flat_map(|right| compare(&base, &report("other", right)).unwrap())
            .collect();
        correct(&mut comparisons);
        let by_ndcg: Vec<_> = comparisons.iter().filter(|it| it.metric == "ndcg@10").collect();
        assert_eq!(by_ndcg.len(), 2);
        assert!(by_ndcg[1].p_holm >= by_ndcg[1].p * 1.9);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let (mut other, report) = (report("a", 1), report("b", 1));
        other.dataset.corpus_hash = "other".into();
        assert!(compare(&other, &report).unwrap_err().to_string().contains("other documents"));
        for wrong in ["ndcg@10", "ndcg@10 < x", "x < 0.1"] {
            assert!(wrong.parse::<FailOn>().is_err());
        }
    }
}
