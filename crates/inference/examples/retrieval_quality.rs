//! How well an embedder finds, and whether late interaction over its token vectors finds better.
//!
//! ```text
//! cargo run --release -p docent-inference --example retrieval_quality -- DIRECTORY [QUERIES]
//! ```
//!
//! DIRECTORY has a data set in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`. Prints
//! nDCG@10 of the vectors alone, of plain BM25, and, for the first QUERIES, of BM25's best 20
//! before and after late interaction, with a 95 % interval of the difference (bootstrap).

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use docent_core::{Embedder, Embedding, InputRole, Reranker};
use docent_inference::{BertEmbedder, Catalog, LateInteraction};
use fs_err as fs;
use serde::Deserialize;

type Failed = Box<dyn Error>;

#[derive(Deserialize)]
struct Record {
    _id: String,
    #[serde(default)]
    title: String,
    text: String,
}

struct DataSet {
    ids: Vec<String>,
    passages: Vec<String>,
    queries: Vec<Record>,
    grades: HashMap<String, BTreeMap<String, f64>>,
}

fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("which directory?")?;
    let limit = arguments.next().map_or(Ok(usize::MAX), |text| text.parse())?;
    let data = read(Path::new(&dir))?;
    let limit = data.queries.len().min(limit);
    let model = "all-MiniLM-L6-v2";
    let files = Catalog::builtin().locate(model).ok_or("pull the model first")?;
    let embedder = Arc::new(BertEmbedder::load(&files)?);
    println!("{dir}: {} passages, {} queries", data.passages.len(), data.queries.len());

    let queries: Vec<&str> = data.queries.iter().map(|query| query.text.as_str()).collect();
    let begun = Instant::now();
    let passages = embed_all(&embedder, &data.passages)?;
    let seconds = begun.elapsed().as_secs_f64();
    let asked = embedder.embed(&queries, InputRole::Query)?;
    let dense = asked.iter().map(|query| top(10, passages.iter().map(|p| best_window(query, p))));
    println!(
        "vectors alone: nDCG@10 {:.3} (embedded in {seconds:.1} s)",
        mean(&ndcgs(&data, dense))
    );

    let bm25 = Bm25::new(&data.passages);
    let words: Vec<Vec<usize>> = queries.iter().map(|query| top(20, bm25.scores(query))).collect();
    let before = ndcgs(&data, words.iter().cloned());
    println!("BM25 alone: nDCG@10 {:.3}", mean(&before));

    let (before, words) = (&before[..limit], &words[..limit]);
    let reranker = LateInteraction::new(embedder);
    let begun = Instant::now();
    let reranked = rerank(&reranker, &data, words)?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1e3 / limit as f64;
    let begun = Instant::now();
    rerank(&reranker, &data, &words[limit - 1..])?;
    let again = begun.elapsed().as_secs_f64() * 1e3;
    let after = ndcgs(&data, reranked.into_iter());
    let (low, high) = interval(before, &after);
    println!(
        "late interaction over BM25's best 20, first {limit} queries: nDCG@10 {:.3} -> {:.3} \
         ({low:+.3} to {high:+.3}), {milliseconds:.0} ms a query, {again:.1} ms when repeated",
        mean(before),
        mean(&after)
    );
    Ok(())
}

fn read(dir: &Path) -> Result<DataSet, Failed> {
    let records = |name: &str| -> Result<Vec<Record>, Failed> {
        let text = fs::read_to_string(dir.join(name))?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let mut grades: HashMap<String, BTreeMap<String, f64>> = HashMap::new();
    for line in fs::read_to_string(dir.join("qrels.tsv"))?.lines() {
        let mut fields = line.split('\t');
        let (Some(query), Some(passage), Some(grade)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // The head line has no number.
        let Ok(grade) = grade.trim().parse::<f64>() else { continue };
        grades.entry(query.to_owned()).or_default().insert(passage.to_owned(), grade);
    }
    let mut queries = records("queries.jsonl")?;
    queries.retain(|query| grades.contains_key(&query._id));
    let (mut ids, mut passages) = (Vec::new(), Vec::new());
    for record in records("corpus.jsonl")? {
        ids.push(record._id);
        passages.push(format!("{} {}", record.title, record.text).trim().to_owned());
    }
    Ok(DataSet { ids, passages, queries, grades })
}

fn embed_all(embedder: &BertEmbedder, texts: &[String]) -> Result<Vec<Embedding>, Failed> {
    let mut embeddings = Vec::new();
    for batch in texts.chunks(64) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        embeddings.extend(embedder.embed(&batch, InputRole::Passage)?);
    }
    Ok(embeddings)
}

fn best_window(query: &Embedding, passage: &Embedding) -> f64 {
    let dot =
        |window: &[f32]| -> f32 { query.first().iter().zip(window).map(|(a, b)| a * b).sum() };
    f64::from(passage.windows().map(dot).fold(f32::NEG_INFINITY, f32::max))
}

fn top(limit: usize, scores: impl Iterator<Item = f64>) -> Vec<usize> {
    let scores: Vec<f64> = scores.collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(limit);
    order
}

fn rerank(
    reranker: &LateInteraction,
    data: &DataSet,
    lists: &[Vec<usize>],
) -> Result<Vec<Vec<usize>>, Failed> {
    let each = data.queries.iter().zip(lists).map(|(query, list)| {
        let texts: Vec<&str> = list.iter().map(|&index| data.passages[index].as_str()).collect();
        let scores = reranker.score(&query.text, &texts)?;
        let order = top(10, scores.iter().map(|&score| f64::from(score)));
        Ok(order.into_iter().map(|place| list[place]).collect())
    });
    each.collect()
}

fn ndcgs(data: &DataSet, lists: impl Iterator<Item = Vec<usize>>) -> Vec<f64> {
    let gain = |place: usize, grade: f64| (2_f64.powf(grade) - 1.0) / (place as f64 + 2.0).log2();
    let each = data.queries.iter().zip(lists).map(|(query, list)| {
        let grades = &data.grades[&query._id];
        let found = list.iter().take(10).enumerate();
        let found: f64 = found
            .map(|(place, &index)| {
                gain(place, grades.get(&data.ids[index]).copied().unwrap_or(0.0))
            })
            .sum();
        let mut ideal: Vec<f64> = grades.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        found
            / ideal
                .iter()
                .take(10)
                .enumerate()
                .map(|(place, &grade)| gain(place, grade))
                .sum::<f64>()
    });
    each.collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// 95 % of the mean differences of 2,000 samples of the queries.
fn interval(before: &[f64], after: &[f64]) -> (f64, f64) {
    let differences: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut means: Vec<f64> = (0..2_000)
        .map(|_| {
            (0..differences.len()).map(|_| differences[next() % differences.len()]).sum::<f64>()
                / differences.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[50], means[1_949])
}

/// BM25 over lower-case words, k1 = 1.2, b = 0.75, no stemming.
struct Bm25 {
    postings: HashMap<String, Vec<(usize, f64)>>,
    lengths: Vec<f64>,
}

impl Bm25 {
    fn new(passages: &[String]) -> Self {
        let mut postings: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut lengths = Vec::new();
        for (index, passage) in passages.iter().enumerate() {
            let mut counts: HashMap<String, f64> = HashMap::new();
            words(passage).for_each(|word| *counts.entry(word).or_default() += 1.0);
            lengths.push(counts.values().sum());
            for (word, count) in counts {
                postings.entry(word).or_default().push((index, count));
            }
        }
        Self { postings, lengths }
    }

    fn scores(&self, query: &str) -> impl Iterator<Item = f64> + use<> {
        let mut scores = vec![0.0; self.lengths.len()];
        let (count, average) = (scores.len() as f64, mean(&self.lengths));
        for postings in words(query).filter_map(|word| self.postings.get(&word)) {
            let idf =
                (1.0 + (count - postings.len() as f64 + 0.5) / (postings.len() as f64 + 0.5)).ln();
            for &(index, times) in postings {
                let norm = 1.2 * (0.25 + 0.75 * self.lengths[index] / average);
                scores[index] += idf * times * 2.2 / (times + norm);
            }
        }
        scores.into_iter()
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
