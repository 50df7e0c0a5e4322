//! A study as Markdown, for a terminal or a page of documentation.

use crate::comparison::{Comparison, score};
use crate::report::{QueryFacts, Report};
use crate::study::{Average, Study};

/// `study` as Markdown: a table for each data set and one for their average, the comparisons, the
/// notes, and of each run the `misses` queries it answered worst.
pub fn markdown(study: &Study, misses: usize) -> String {
    let mut text = String::new();
    for set in study.sets() {
        let Some(first) = set.first() else { continue };
        head(&mut text, first);
        table(&mut text, set);
        let name = &first.dataset.name;
        comparisons(&mut text, study.comparisons.iter().filter(|it| it.dataset == *name));
        notes(&mut text, set);
        set.iter().for_each(|report| worst(&mut text, report, misses));
        text.push('\n');
    }
    if !study.averages.is_empty() {
        average(&mut text, study);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn head(text: &mut String, first: &Report) {
    let facts = &first.dataset;
    let counts = format!("{} documents, {} queries", facts.documents, facts.queries);
    text.push_str(&format!("# {}: {counts}\n\n", facts.name));
}

fn table(text: &mut String, set: &[Report]) {
    let names = set.first().map(metric_names).unwrap_or_default();
    let measured = names.iter().map(String::as_str);
    row(text, ["pipeline"].into_iter().chain(measured).chain(["p50 ms", "p95 ms"]));
    row(text, vec!["---"; names.len() + 3]);
    for report in set {
        row(text, report_cells(report, &names));
    }
}

fn metric_names(report: &Report) -> Vec<String> {
    report.metrics.keys().cloned().collect()
}

fn comparisons<'a>(text: &mut String, of: impl Iterator<Item = &'a Comparison>) {
    let mut of = of.peekable();
    if of.peek().is_none() {
        return;
    }
    let heads = ["", "against", "metric", "difference", "95 %", "p", "Holm", "better", "worse"];
    text.push('\n');
    row(text, heads);
    row(text, ["---"; 9]);
    of.for_each(|it| row(text, comparison_cells(it)));
}

fn notes(text: &mut String, set: &[Report]) {
    let mut notes: Vec<String> = set.iter().flat_map(|report| report.notes.clone()).collect();
    notes.extend(set.iter().filter(|it| it.cached).map(|report| {
        let (name, when) = (&report.pipeline.name, &report.measured_at);
        format!("{name}: results and times of an earlier run, measured {when}")
    }));
    notes.sort();
    notes.dedup();
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&format!("- {}\n", one_line(note))));
    }
}

/// The queries that a report answered worst by its first metric, those that found nothing first.
pub(crate) fn worst_queries<'a>(report: &'a Report, metric: &str) -> Vec<&'a QueryFacts> {
    let mut queries: Vec<&QueryFacts> =
        report.queries.iter().filter(|it| score(it, metric) < 1.0).collect();
    queries.sort_by(|a, b| score(a, metric).total_cmp(&score(b, metric)));
    queries
}

/// What reports are judged by where one metric must do: nDCG if it was measured.
pub(crate) fn leading_metric(report: &Report) -> &str {
    let mut names = report.metrics.keys().map(String::as_str);
    let first = names.clone().next().unwrap_or_default();
    names.find(|name| name.starts_with("ndcg")).unwrap_or(first)
}

fn worst(text: &mut String, report: &Report, misses: usize) {
    let metric = leading_metric(report);
    let queries = worst_queries(report, metric);
    if misses == 0 || queries.is_empty() {
        return;
    }
    let name = &report.pipeline.name;
    text.push_str(&format!("\n## Queries that {name} answers worst, by {metric}\n\n"));
    row(text, ["query", "asked", metric, "relevant, at rank", "found instead"]);
    row(text, ["---"; 5]);
    for query in queries.into_iter().take(misses) {
        let cells = [
            query.id.clone(),
            query.text.clone(),
            format!("{:.3}", score(query, metric)),
            relevant(query),
            instead(query),
        ];
        row(text, cells);
    }
}

pub(crate) fn relevant(query: &QueryFacts) -> String {
    let of = |(id, rank): &(String, Option<usize>)| match rank {
        Some(rank) => format!("{id} at {rank}"),
        None => format!("{id} not found"),
    };
    query.relevant.iter().take(3).map(of).collect::<Vec<_>>().join(", ")
}

/// The best three that are not relevant.
pub(crate) fn instead(query: &QueryFacts) -> String {
    let wrong = |id: &&String| !query.relevant.iter().any(|(relevant, _)| relevant == *id);
    query.found.iter().filter(wrong).take(3).cloned().collect::<Vec<_>>().join(", ")
}

fn average(text: &mut String, study: &Study) {
    let sets = study.averages.first().map_or(0, |it| it.datasets.len());
    text.push_str(&format!("# Average of {sets} data sets, each weighing the same\n\n"));
    let names: Vec<&str> = study
        .averages
        .first()
        .map(|it| it.metrics.keys().map(String::as_str).collect())
        .unwrap_or_default();
    row(text, ["pipeline"].into_iter().chain(names.iter().copied()));
    row(text, vec!["---"; names.len() + 1]);
    for average in &study.averages {
        row(text, average_cells(average, &names));
    }
    let single: Vec<&str> = study.runs.iter().map(|report| report.dataset.name.as_str()).collect();
    comparisons(text, study.comparisons.iter().filter(|it| !single.contains(&&*it.dataset)));
}

fn average_cells(average: &Average, names: &[&str]) -> Vec<String> {
    let measured = names.iter().map(|name| measured(&average.metrics, &average.intervals, name));
    [average.pipeline.clone()].into_iter().chain(measured).collect()
}

type Named<T> = std::collections::BTreeMap<String, T>;

pub(crate) fn measured(means: &Named<f64>, intervals: &Named<[f64; 2]>, name: &str) -> String {
    let [low, high] = intervals.get(name).copied().unwrap_or_default();
    let value = means.get(name).copied().unwrap_or_default();
    format!("{value:.4} ({low:.3} to {high:.3})")
}

fn row(text: &mut String, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    text.push('|');
    for cell in cells {
        let cell = one_line(cell.as_ref()).replace('|', "\\|");
        let around = if cell == "---" { "" } else { " " };
        text.push_str(&format!("{around}{cell}{around}|"));
    }
    text.push('\n');
}

/// Texts of data sets may hold anything; here they must not end a row or steer a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn report_cells(report: &Report, names: &[String]) -> Vec<String> {
    let measured = names.iter().map(|name| measured(&report.metrics, &report.intervals, name));
    let latencies = ["p50", "p95"]
        .map(|share| format!("{:.1}", report.latency_ms.get(share).copied().unwrap_or_default()));
    [report.pipeline.name.clone()].into_iter().chain(measured).chain(latencies).collect()
}

pub(crate) fn comparison_cells(it: &Comparison) -> [String; 9] {
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
    use super::*;
    use crate::Against;
    use crate::report::tests::report;

    #[test]
    fn every_set_and_their_average_has_its_tables() {
        let mut runs = vec![
            report("one", "before", 38),
            report("one", "after", 20),
            report("two", "before", 38),
            report("two", "after", 20),
        ];
        runs[1].queries[39].text = "a|b\u{1b}[31m\nc".into();
        runs[3].cached = true;
        runs[3].measured_at = "2026-11-23T01:00:00Z".into();
        let shown = markdown(&Study::new(runs, Against::First).unwrap(), 40);
        for part in [
            "# one: 0 documents, 40 queries\n",
            "| after | before | ndcg@10 | -0.4500 |",
            "- noted\n",
            "- after: results and times of an earlier run, measured 2026-11-23T01:00:00Z\n",
            "# Average of 2 data sets",
            "## Queries that after answers worst, by ndcg@10",
            "| q39 | a\\|b [31m c | 0.000 | d39 not found | x |",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains("| q5 |"), "it was answered");
    }
}
