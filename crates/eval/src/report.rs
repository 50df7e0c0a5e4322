//! What one pipeline came to on one data set, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, JudgedQuery, Split};
use crate::metrics::Metric;
use crate::pipeline::{Pipeline, Rankings, by_query};
use crate::significance::{ROUNDS, bootstrap, mean};

/// Every draw of chance begins here.
pub(crate) const SEED: u64 = 20_260_826;

/// The depths at which recall is drawn.
const DEPTHS: [usize; 9] = [1, 2, 3, 5, 10, 20, 30, 50, 100];

/// How many documents of a query are told.
const TOLD: usize = 10;

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
    /// Depths, and the mean recall at each.
    #[serde(default)]
    pub recall_by_depth: Vec<(usize, f64)>,
    /// What the numbers were made with.
    #[serde(default)]
    pub circumstances: Circumstances,
    /// When, in RFC 3339; empty if nobody said.
    #[serde(default)]
    pub measured_at: String,
    /// Whether these are numbers of an earlier run, taken at that time.
    #[serde(default)]
    pub cached: bool,
}

/// What the numbers were made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Circumstances {
    /// This program.
    pub program: String,
    /// The processor and how many cores of it.
    pub machine: String,
    /// The fingerprint of the embedder, if there was one.
    pub embedder: Option<String>,
    /// The reranker, if there was one.
    pub reranker: Option<String>,
    /// How documents were cut.
    pub chunking: String,
    /// Into how many chunks.
    pub chunks: u64,
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
    /// Which part of its queries was asked.
    #[serde(default)]
    pub split: Split,
}

/// What one query came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueryFacts {
    /// Its name.
    pub id: String,
    /// What was asked.
    #[serde(default)]
    pub text: String,
    /// Every metric.
    pub metrics: BTreeMap<String, f64>,
    /// The first ten documents it found.
    pub found: Vec<String>,
    /// Ten of the relevant documents, the most relevant first, each with its rank from 1 if it was
    /// among the hundred that are looked at.
    #[serde(default)]
    pub relevant: Vec<(String, Option<usize>)>,
}

impl Report {
    /// Measures `rankings` by `metrics`. `notes` are what the corpus's building noted. What it
    /// cost, when it was and what it was made with is for the caller to fill in.
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
            dataset: DatasetFacts::of(dataset),
            pipeline: pipeline.clone(),
            metrics: means.collect(),
            intervals: intervals.collect(),
            latency_ms: latency.into(),
            index_bytes: 0,
            resident_bytes: None,
            queries: queries(dataset, rankings, &scores),
            notes: notes.iter().chain(&rankings.notes).cloned().collect(),
            recall_by_depth: DEPTHS
                .map(|depth| (depth, mean(&rankings.scores(Metric::Recall(depth), dataset))))
                .into(),
            circumstances: Circumstances::default(),
            measured_at: String::new(),
            cached: false,
        }
    }
}

impl DatasetFacts {
    fn of(dataset: &Dataset) -> Self {
        Self {
            name: dataset.name.clone(),
            documents: dataset.documents.len(),
            queries: dataset.queries.len(),
            corpus_hash: dataset.corpus_hash.clone(),
            split: dataset.split,
        }
    }

    /// Whether the same queries were put to the same documents.
    pub fn is_same(&self, other: &Self) -> bool {
        self.corpus_hash == other.corpus_hash
            && self.split == other.split
            && self.name == other.name
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
            text: query.text.clone(),
            metrics: scores.iter().map(|(name, scores)| (name.clone(), scores[at])).collect(),
            found: found.iter().take(TOLD).cloned().collect(),
            relevant: relevant(query, found),
        })
        .collect()
}

fn relevant(query: &JudgedQuery, found: &[String]) -> Vec<(String, Option<usize>)> {
    let mut judged: Vec<_> = query.grades.iter().filter(|(_, grade)| **grade > 0).collect();
    judged.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let rank = |id: &String| Some(found.iter().position(|it| it == id)? + 1);
    judged.into_iter().take(TOLD).map(|(id, _)| (id.clone(), rank(id))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    fn dataset(name: &str, queries: usize) -> Dataset {
        let query = |at: usize| JudgedQuery {
            id: format!("q{at}"),
            text: format!("<b>{at}?"),
            grades: [(format!("d{at}"), 1)].into(),
        };
        Dataset {
            name: name.into(),
            documents: vec![],
            queries: (0..queries).map(query).collect(),
            split: Split::All,
            corpus_hash: format!("hash of {name}"),
            notes: vec![],
        }
    }

    /// A report of forty queries that finds the right document for the first `right` of them.
    pub(crate) fn report(dataset_name: &str, name: &str, right: usize) -> Report {
        let dataset = dataset(dataset_name, 40);
        let found = (0..40).map(|at| vec![if at < right { format!("d{at}") } else { "x".into() }]);
        let latencies = (1..=40).map(Duration::from_millis).collect();
        let rankings = Rankings { found: found.collect(), latencies, notes: vec!["noted".into()] };
        let pipeline = Pipeline { name: name.into(), ..Pipeline::named("bm25").unwrap() };
        Report::new(&dataset, &pipeline, &rankings, &Metric::USUAL, &[])
    }

    #[test]
    fn a_report_survives_json() {
        let report = report("made", "a", 30);
        assert_eq!(report.metrics["ndcg@10"], 0.75);
        let [low, high] = report.intervals["ndcg@10"];
        assert!(low < 0.75 && 0.75 < high);
        assert!((20.0..=21.0).contains(&report.latency_ms["p50"]));
        assert_eq!(report.recall_by_depth[0], (1, 0.75));
        assert_eq!(report.queries[0].relevant, [("d0".to_owned(), Some(1))]);
        assert_eq!(report.queries[39].relevant, [("d39".to_owned(), None)]);
        let json = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(again.metrics, report.metrics);
    }

    /// Baselines that people keep were written before some of the fields were there.
    #[test]
    fn an_older_report_is_read() {
        let mut old = serde_json::to_value(report("made", "a", 30)).unwrap();
        let fields = old.as_object_mut().unwrap();
        for later in ["recall_by_depth", "circumstances", "measured_at", "cached"] {
            assert!(fields.remove(later).is_some(), "{later}");
        }
        fields["dataset"].as_object_mut().unwrap().remove("split");
        for query in fields["queries"].as_array_mut().unwrap() {
            let query = query.as_object_mut().unwrap();
            assert!(query.remove("text").is_some() && query.remove("relevant").is_some());
        }
        let read: Report = serde_json::from_value(old).unwrap();
        assert_eq!((read.dataset.split, read.queries.len()), (Split::All, 40));
    }
}
