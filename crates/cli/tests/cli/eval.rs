//! `docent eval` on a data set of four documents, by words alone.

use serde_json::Value;

use crate::support::Home;

const DOCUMENTS: [(&str, &str, &str); 4] = [
    ("pump", "The pump", "It stops at 80 degrees and starts again below 60."),
    ("valve", "The valve", "It is opened by hand, a quarter turn to the left."),
    ("boiler", "The boiler", "It was serviced in May, and its pump was replaced."),
    ("empty", "", ""),
];

fn write_dataset(home: &Home) {
    let corpus = DOCUMENTS.map(|(id, title, text)| {
        serde_json::json!({ "_id": id, "title": title, "text": text }).to_string()
    });
    home.write("set/corpus.jsonl", corpus.join("\n"));
    let queries = [("q1", "when does the pump stop"), ("q2", "who opens the valve"), ("q3", "?")];
    let queries = queries.map(|(id, text)| serde_json::json!({ "_id": id, "text": text }));
    home.write("set/queries.jsonl", queries.map(|query| query.to_string()).join("\n"));
    home.write(
        "set/qrels.tsv",
        "query-id\tcorpus-id\tscore\nq1\tpump\t2\nq1\tboiler\t1\nq2\tvalve\t1\n",
    );
}

#[test]
fn a_run_measures_says_what_it_left_out_and_costs_nothing_again() {
    let home = Home::new();
    write_dataset(&home);
    let args = ["eval", "run", "--dataset", "set", "--pipeline", "bm25", "--json"];
    let report = home.json(&args);
    assert_eq!(report["metrics"]["ndcg@10"], 1.0);
    assert_eq!(report["metrics"]["recall@100"], 1.0);
    assert_eq!(report["dataset"]["queries"], 2);
    assert_eq!(report["queries"][0]["found"][0], "pump");
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(report["index_bytes"].as_u64().unwrap() > 0);
    let notes = report["notes"].to_string();
    assert!(notes.contains("1 of 3 queries") && notes.contains("1 documents are empty"), "{notes}");
    let again = home.json(&args);
    assert_eq!(again["metrics"], report["metrics"]);
    assert!(!home.library().exists(), "an evaluation is not part of the user's library");
}

#[test]
fn a_baseline_tells_and_may_fail_a_build() {
    let home = Home::new();
    write_dataset(&home);
    let usual = ["eval", "run", "--dataset", "set", "--pipeline", "bm25"];
    let mut baseline: Value = home.json(&[&usual[..], &["--json"]].concat());
    home.write("same.json", baseline.to_string());
    let condition = ["--fail-on", "ndcg@10 < -0.01"];
    let same = home.done(&[&usual[..], &["--baseline", "same.json"], &condition].concat());
    assert!(same.stdout.contains("| bm25 | bm25 | ndcg@10 | +0.0000 |"), "{}", same.stdout);
    // A baseline that was better at one of the two queries.
    baseline["queries"][1]["metrics"]["ndcg@10"] = 2.0.into();
    home.write("better.json", baseline.to_string());
    let worse = home.run(&[&usual[..], &["--baseline", "better.json"], &condition].concat());
    assert_eq!(worse.code, Some(1), "{worse:?}");
    assert!(worse.stdout.contains("-0.5000"), "{worse:?}");
}

#[test]
fn pipelines_of_a_file_are_compared_with_the_first() {
    let home = Home::new();
    write_dataset(&home);
    home.write("grid.toml", "[[pipeline]]\nname = \"one\"\nmode = \"words\"\ncandidates = 1\n");
    let args = ["eval", "run", "--dataset", "set", "--pipeline", "bm25", "--pipeline", "grid.toml"];
    let compared = home.json(&[&args[..], &["--json", "--metrics", "recall@10"]].concat());
    assert_eq!(compared["runs"][1]["pipeline"]["name"], "one");
    let comparison = &compared["comparisons"][0];
    assert_eq!((&comparison["baseline"], &comparison["pipeline"]), (&"bm25".into(), &"one".into()));
    // Of q1's two documents one candidate finds only one.
    assert_eq!(comparison["difference"], -0.25);
}

#[test]
fn what_is_wrong_is_named() {
    let home = Home::new();
    write_dataset(&home);
    home.write("bad.toml", "[[pipeline]]\nname = \"x\"\ncandidate = 1\n");
    let cases: [(&[&str], &str); 5] = [
        (&["--dataset", "nowhere"], "nowhere"),
        (&["--dataset", "set", "--pipeline", "bm52"], "neither bm25, dense nor default"),
        (&["--dataset", "set", "--pipeline", "bad.toml"], "candidate"),
        (&["--dataset", "set", "--metrics", "ndcg"], "ndcg@10"),
        (&["--dataset", "set", "--baseline", "grid.json"], "grid.json"),
    ];
    for (case, expected) in cases {
        let ran = home.run(&[&["eval", "run"], case].concat());
        assert_eq!(ran.code, Some(1), "{case:?}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{case:?}: {ran:?}");
    }
}
