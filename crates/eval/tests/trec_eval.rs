//! The metrics agree with trec_eval, by way of fixtures that its Python binding made.

use std::collections::BTreeMap;

use docent_eval::{Grades, Metric};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    queries: Vec<Judged>,
}

#[derive(Deserialize)]
struct Judged {
    grades: Grades,
    ranking: Vec<String>,
    expected: BTreeMap<String, f64>,
}

#[test]
fn every_metric_is_trec_evals_to_a_millionth() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/trec_eval.json")).unwrap();
    let mut compared = 0;
    for (number, query) in fixture.queries.iter().enumerate() {
        for (name, expected) in &query.expected {
            let got = name.parse::<Metric>().unwrap().of(&query.ranking, &query.grades);
            assert!((got - expected).abs() < 1e-6, "query {number}, {name}: {got}, {expected}");
            compared += 1;
        }
    }
    assert_eq!(compared, 60 * 21);
}
