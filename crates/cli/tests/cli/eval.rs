//! `docent eval` on a data set of four documents, by words alone.

use serde_json::Value;

use crate::support::{Home, handbook};

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
fn a_run_measures_and_says_what_it_left_out() {
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
    assert!(!home.library().exists(), "an evaluation is not part of the user's library");
}

#[test]
fn what_was_measured_is_kept_until_something_changes_or_someone_asks() {
    let home = Home::new();
    write_dataset(&home);
    let args = ["eval", "run", "--dataset", "set", "--pipeline", "bm25", "--json"];
    let first = home.json(&args);
    assert_eq!(first["cached"], false);
    let again = home.done(&args);
    let kept: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(kept["cached"], true);
    assert!(again.stderr.contains("bm25 on set: results and times kept from 20"), "{again:?}");
    for same in ["metrics", "latency_ms", "measured_at", "queries"] {
        assert_eq!(kept[same], first[same], "{same}");
    }
    assert_eq!(home.json(&[&args[..], &["--fresh"]].concat())["cached"], false);
    assert_eq!(home.json(&[&args[..], &["--metrics", "map@100"]].concat())["cached"], false);
    home.write("set/qrels.tsv", "q1\tempty\t1\n");
    let other = home.json(&args);
    assert_eq!((&other["cached"], &other["metrics"]["hit_rate@5"]), (&false.into(), &0.0.into()));
}

#[test]
fn a_page_markdown_and_json_go_where_they_are_asked_for() {
    let home = Home::new();
    write_dataset(&home);
    let args = ["eval", "run", "--dataset", "set", "--pipeline", "bm25", "--pipeline", "default"];
    let files = ["--html", "a.html", "--markdown", "a.md", "--json=a.json", "--show-misses", "3"];
    let ran = home.done(&[&args[..], &files].concat());
    let read = |name: &str| fs_err::read_to_string(home.work().join(name)).unwrap();
    assert_eq!(ran.stdout, read("a.md"));
    assert!(read("a.html").contains("<h3>default against bm25, query by query</h3>"));
    let json: Value = serde_json::from_str(&read("a.json")).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 2);
    assert_eq!(json["runs"][0]["queries"][0]["text"], "when does the pump stop");
    let ran = home.run(&[&args[..], &["--json", "--show-misses", "3"]].concat());
    assert!(ran.code == Some(2) && ran.stderr.contains("--json=FILE"), "{ran:?}");
}

#[test]
fn several_data_sets_are_judged_on_their_average_and_against_the_best_of_several() {
    let home = Home::new();
    write_dataset(&home);
    for (name, text) in [
        ("corpus.jsonl", "{\"_id\":\"d\",\"text\":\"pump\"}\n"),
        ("queries.jsonl", "{\"_id\":\"q\",\"text\":\"pump\"}\n"),
        ("qrels.tsv", "q d 1\n"),
    ] {
        home.write(&format!("other/{name}"), text);
    }
    home.write("grid.toml", "[grid]\nmode = \"words\"\ncandidates = [1, 2]\n");
    let args = [
        "eval",
        "run",
        "--dataset",
        "set",
        "--dataset",
        "other",
        "--pipeline",
        "grid.toml",
        "--pipeline",
        "bm25",
        "--against",
        "candidates=1,candidates=2",
        "--json",
    ];
    let study = home.json(&args);
    assert_eq!(study["runs"].as_array().unwrap().len(), 6);
    assert_eq!(study["averages"][0]["datasets"], serde_json::json!(["set", "other"]));
    let average = study["comparisons"].as_array().unwrap().last().unwrap();
    assert_eq!(average["dataset"], "average of 2");
    assert_eq!(average["baseline"], "best of candidates=1 and candidates=2");
    let wrong = home.run(&[&args[..], &["--qrels", "set/qrels.tsv"]].concat());
    assert!(wrong.code == Some(2) && wrong.stderr.contains("one data set"), "{wrong:?}");
}

#[test]
fn the_halves_of_a_data_set_are_asked_apart() {
    let home = Home::new();
    write_dataset(&home);
    let args = ["eval", "run", "--dataset", "set", "--pipeline", "bm25", "--json", "--split"];
    let [tune, held_out] =
        ["tune", "held-out"].map(|part| home.run(&[&args[..], &[part]].concat()));
    // Both q1 and q2 are of the half that is held out.
    assert!(tune.code == Some(1) && tune.stderr.contains("is of tune"), "{tune:?}");
    let report: Value = serde_json::from_str(&held_out.stdout).unwrap();
    assert_eq!(
        (&report["dataset"]["split"], &report["dataset"]["queries"]),
        (&"held-out".into(), &2.into())
    );
}

fn handbooks() -> [String; 2] {
    let english = handbook().to_str().unwrap().to_owned();
    let chinese = english.replace(".en.", ".zh.");
    [english, chinese]
}

#[test]
fn a_set_is_made_of_ones_own_documents_and_measured() {
    let home = Home::new();
    let [english, chinese] = handbooks();
    let made = home.done(&["eval", "generate", &english, &chinese, "--out", "made"]);
    assert!(made.stderr.contains("made/README.md says what they can tell"), "{made:?}");
    let report = home.json(&["eval", "run", "--dataset", "made", "--pipeline", "bm25", "--json"]);
    assert!(report["metrics"]["recall@10"].as_f64().unwrap() > 0.9, "{}", report["metrics"]);
    let again = home.run(&["eval", "generate", &english, "--out", "made"]);
    assert!(again.code == Some(1) && again.stderr.contains("is not empty"), "{again:?}");
    home.write("short.md", "# Short\n\nA few words.\n");
    let short = home.run(&["eval", "generate", "short.md", "--out", "other"]);
    assert!(short.code == Some(1) && short.stderr.contains("at least 20"), "{short:?}");
    assert!(!home.library().exists() && !home.work().join("other").exists());
}

#[test]
fn a_set_is_made_of_a_library() {
    let home = Home::new();
    let [english, chinese] = handbooks();
    home.done(&["add", &english, &chinese]);
    home.done(&["eval", "generate", "--out", "made", "--queries", "20"]);
    let meta = fs_err::read_to_string(home.work().join("made/meta.json")).unwrap();
    let meta: Value = serde_json::from_str(&meta).unwrap();
    assert_eq!((&meta["queries"], &meta["judged_by_people"]), (&20.into(), &false.into()));
    assert_eq!(meta["documents"], serde_json::json!(["handbook.en.pdf", "handbook.zh.pdf"]));
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
