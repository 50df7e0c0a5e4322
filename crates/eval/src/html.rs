//! A study as one page that needs nothing else: no network, no script, light or dark.
//!
//! Names, queries and notes come from files of strangers: whatever enters the page goes through
//! [`escape`].

mod plots;

use crate::comparison::{Comparison, pairs, score};
use crate::markdown::{
    comparison_cells, instead, leading_metric, measured, relevant, worst_queries,
};
use crate::report::{QueryFacts, Report};
use crate::study::Study;

use plots::{Bar, Curve, Point};

const STYLE: &str = include_str!("html/style.css");

/// How many queries each list shows.
const LISTED: usize = 15;

/// `study` as a page of HTML.
pub fn html(study: &Study) -> String {
    let mut body = String::new();
    average(&mut body, study);
    for set in study.sets() {
        section(&mut body, study, set);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>How good retrieval is</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>How good retrieval is</h1>\n\
         <p>Means over the queries, with their 95 % bootstrap intervals. Differences are of the \
         same queries; p is of a paired permutation test, and Holm's correction counts all \
         comparisons by that metric.</p>\n{body}</body>\n</html>\n"
    )
}

fn average(body: &mut String, study: &Study) {
    let Some(first) = study.averages.first() else { return };
    let sets = escape(&first.datasets.join(", "));
    body.push_str(&format!(
        "<h2>Average of {} data sets</h2>\n<p>{sets}; each weighs the same.</p>\n",
        first.datasets.len()
    ));
    let names: Vec<&str> = first.metrics.keys().map(String::as_str).collect();
    let rows = study.averages.iter().map(|average| {
        let metrics = names.iter().map(|name| measured(&average.metrics, &average.intervals, name));
        [average.pipeline.clone()].into_iter().chain(metrics).collect()
    });
    let heads: Vec<&str> = ["pipeline"].into_iter().chain(names.iter().copied()).collect();
    table(body, "", &heads, rows.collect());
    let sets: Vec<&str> = study.runs.iter().map(|it| it.dataset.name.as_str()).collect();
    comparisons(body, study.comparisons.iter().filter(|it| !sets.contains(&&*it.dataset)));
}

fn section(body: &mut String, study: &Study, set: &[Report]) {
    let Some(first) = set.first() else { return };
    let facts = &first.dataset;
    body.push_str(&format!(
        "<h2>{}</h2>\n<p>{} documents, {} queries, split: {}</p>\n",
        escape(&facts.name),
        facts.documents,
        facts.queries,
        facts.split
    ));
    results(body, set);
    comparisons(body, study.comparisons.iter().filter(|it| it.dataset == facts.name));
    plots(body, set);
    for report in set {
        let metric = leading_metric(report);
        if let Some((baseline, name)) = study.baseline(report, metric, set) {
            differences(body, baseline, &name, report, metric);
        }
    }
    set.iter().for_each(|report| worst(body, report));
    measured_with(body, set);
}

fn results(body: &mut String, set: &[Report]) {
    let Some(first) = set.first() else { return };
    let names: Vec<&str> = first.metrics.keys().map(String::as_str).collect();
    let shares = ["p50", "p95", "p99"];
    let rows = set.iter().map(|report| {
        let metrics = names.iter().map(|name| measured(&report.metrics, &report.intervals, name));
        let latency = |share| report.latency_ms.get(share).copied().unwrap_or_default();
        let latencies = shares.map(|share| format!("{:.1}", latency(share)));
        let index = format!("{:.1}", report.index_bytes as f64 / 1e6);
        let cost = latencies.into_iter().chain([index, megabytes(report.resident_bytes)]);
        [report.pipeline.name.clone()].into_iter().chain(metrics).chain(cost).collect()
    });
    let cost = ["p50 ms", "p95 ms", "p99 ms", "index MB", "memory MB"];
    let heads: Vec<&str> = ["pipeline"].into_iter().chain(names.clone()).chain(cost).collect();
    table(body, "", &heads, rows.collect());
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!("{:.0}", bytes as f64 / 1e6)).unwrap_or_default()
}

fn comparisons<'a>(body: &mut String, of: impl Iterator<Item = &'a Comparison>) {
    let rows: Vec<Vec<String>> = of.map(|it| comparison_cells(it).into()).collect();
    let heads = ["", "against", "metric", "difference", "95 %", "p", "p, Holm", "better", "worse"];
    if !rows.is_empty() {
        table(body, "", &heads, rows);
    }
}

fn plots(body: &mut String, set: &[Report]) {
    let curves: Vec<Curve> = set
        .iter()
        .map(|report| Curve {
            name: &report.pipeline.name,
            points: report.recall_by_depth.iter().map(|(k, at)| (*k as f64, *at)).collect(),
        })
        .collect();
    let points: Vec<Point> = set
        .iter()
        .map(|report| {
            let metric = leading_metric(report);
            Point {
                name: &report.pipeline.name,
                x: report.latency_ms.get("p50").copied().unwrap_or_default(),
                y: report.metrics.get(metric).copied().unwrap_or_default(),
                interval: report.intervals.get(metric).copied().unwrap_or_default(),
            }
        })
        .collect();
    let metric = escape(set.first().map(leading_metric).unwrap_or_default());
    body.push_str("<div class=\"plots\">\n");
    figure(body, "Recall by depth", &plots::curves(&curves));
    let caption = format!("{metric} against the milliseconds of half the queries (p50)");
    figure(body, &caption, &plots::points(&points));
    body.push_str("</div>\n");
}

/// `caption` and `plot` are HTML already.
fn figure(body: &mut String, caption: &str, plot: &str) {
    body.push_str(&format!("<figure>{plot}<figcaption>{caption}</figcaption></figure>\n"));
}

fn differences(body: &mut String, baseline: &Report, against: &str, report: &Report, metric: &str) {
    let mut differences: Vec<(f64, &QueryFacts)> = pairs(baseline, report)
        .into_iter()
        .map(|(before, after)| (score(after, metric) - score(before, metric), after))
        .collect();
    differences.sort_by(|a, b| b.0.total_cmp(&a.0));
    let bars: Vec<Bar> = differences
        .iter()
        .map(|(by, query)| Bar {
            title: format!("{}: {} ({by:+.3})", query.id, query.text),
            by: *by,
        })
        .collect();
    let (name, against) = (escape(&report.pipeline.name), escape(against));
    let metric = escape(metric);
    body.push_str(&format!("<h3>{name} against {against}, query by query</h3>\n"));
    let same = differences.iter().filter(|(by, _)| *by == 0.0).count();
    let caption = format!(
        "Difference of {metric}, a bar for each of {} queries, {same} of them the same; point at \
         one to read it",
        bars.len()
    );
    figure(body, &caption, &plots::bars(&bars));
    let better = differences.iter().take_while(|(by, _)| *by > 0.0).take(LISTED);
    listed(body, "Gained most", better);
    let worse = differences.iter().rev().take_while(|(by, _)| *by < 0.0).take(LISTED);
    listed(body, "Lost most", worse);
}

fn listed<'a>(
    body: &mut String,
    title: &str,
    queries: impl Iterator<Item = &'a (f64, &'a QueryFacts)>,
) {
    let row = |(by, query): &(f64, &QueryFacts)| {
        let (id, text) = (query.id.clone(), query.text.clone());
        vec![id, text, format!("{by:+.3}"), relevant(query), instead(query)]
    };
    let rows: Vec<_> = queries.map(row).collect();
    if !rows.is_empty() {
        body.push_str(&format!("<details><summary>{title}: {}</summary>\n", rows.len()));
        let heads = ["query", "asked", "difference", "relevant, at rank", "found instead"];
        table(body, "text", &heads, rows);
        body.push_str("</details>\n");
    }
}

fn worst(body: &mut String, report: &Report) {
    let metric = leading_metric(report);
    let row = |query: &QueryFacts| {
        let score = format!("{:.3}", score(query, metric));
        vec![query.id.clone(), query.text.clone(), score, relevant(query), instead(query)]
    };
    let rows: Vec<_> = worst_queries(report, metric).into_iter().take(LISTED).map(row).collect();
    if !rows.is_empty() {
        let name = escape(&report.pipeline.name);
        body.push_str(&format!("<details><summary>{name}: answered worst</summary>\n"));
        let heads = ["query", "asked", metric, "relevant, at rank", "found instead"];
        table(body, "text", &heads, rows);
        body.push_str("</details>\n");
    }
}

/// What the numbers were made with, pipeline by pipeline where that differs.
fn measured_with(body: &mut String, set: &[Report]) {
    body.push_str("<h3>Measured with</h3>\n<dl>\n");
    for report in set {
        let facts = &report.circumstances;
        let embedder = facts.embedder.as_deref().unwrap_or("no embedder");
        let reranker = facts.reranker.as_deref().unwrap_or("no reranker");
        let cached = if report.cached { ", a result kept from then" } else { "" };
        let settings = serde_json::to_string(&report.pipeline).unwrap_or_default();
        let said = format!(
            "{} on {}; {embedder}; {reranker}; {} chunks, {}; {}{cached}; {settings}",
            facts.program, facts.machine, facts.chunks, facts.chunking, report.measured_at,
        );
        let name = escape(&report.pipeline.name);
        body.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&said)));
    }
    let mut notes: Vec<&String> = set.iter().flat_map(|report| &report.notes).collect();
    notes.sort();
    notes.dedup();
    for note in notes {
        body.push_str(&format!("<dt>note</dt><dd>{}</dd>\n", escape(note)));
    }
    body.push_str("</dl>\n");
}

fn table(body: &mut String, class: &str, heads: &[&str], rows: Vec<Vec<String>>) {
    body.push_str(&format!("<div class=\"wide\"><table class=\"{class}\">\n<tr>"));
    heads.iter().for_each(|head| body.push_str(&format!("<th>{}</th>", escape(head))));
    body.push_str("</tr>\n");
    for row in rows {
        body.push_str("<tr>");
        row.iter().for_each(|cell| body.push_str(&format!("<td>{}</td>", escape(cell))));
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n");
}

/// `text` as HTML shows it, in an element or an attribute in quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Marks of direction could turn what stands after them around; controls are no HTML.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Against;
    use crate::report::tests::report;

    fn page() -> String {
        let mut runs = vec![
            report("one", "bm25", 30),
            report("one", "<script>alert(1)</script>", 34),
            report("two", "bm25", 10),
            report("two", "<script>alert(1)</script>", 24),
        ];
        for run in &mut runs {
            let hostile = "\"><img src=x onerror=alert(1)>'\u{202e}\u{7}</title></svg>";
            run.queries[33].text = hostile.into();
            run.queries[39].text = hostile.into();
            run.queries[33].relevant = vec![("<i>".into(), None)];
            run.notes.push("</dl><h1>".into());
        }
        html(&Study::new(runs, Against::First).unwrap())
    }

    #[test]
    fn strangers_texts_cannot_become_markup() {
        let page = page();
        for hostile in ["<script", "<img", "<i>", "<h1>\n", "<b>", "\u{202e}", "\u{7}"] {
            assert!(!page.contains(hostile), "{hostile}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;"));
    }

    #[test]
    fn the_page_needs_nothing_else_and_its_elements_close() {
        let page = page();
        for outside in ["http:", "https:", "src=\"", "url(", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for element in ["svg", "table", "tr", "figure", "details", "dl", "div", "h2", "h3", "g"] {
            let opened = page.matches(&format!("<{element}>")).count()
                + page.matches(&format!("<{element} ")).count();
            let closed = page.matches(&format!("</{element}>")).count();
            assert_eq!(opened, closed, "{element}");
        }
    }

    #[test]
    fn the_page_says_what_was_measured() {
        let page = page();
        for part in [
            "<h2>Average of 2 data sets</h2>",
            "<h2>two</h2>",
            "Recall by depth",
            "ndcg@10 against the milliseconds",
            "a bar for each of 40 queries, 36 of them the same",
            "q33: &quot;",
            "(+1.000)</title>",
            "Gained most: 4",
            "answered worst",
            "no reranker",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
