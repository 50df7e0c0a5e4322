//! Searching: for people, and for programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Home, handbook};

fn valves() -> Home {
    let home = Home::new();
    home.write("alpha.md", "# Valves\n\nThe alpha valve opens at 80 degrees.");
    home.write("beta.md", "# Pumps\n\nThe beta pump stops at 90 degrees.");
    home.done(&["add", "alpha.md", "beta.md"]);
    home
}

#[test]
fn json_has_the_promised_shape() {
    let home = valves();
    let json = home.json(&["search", "alpha valve", "--json"]);
    assert_eq!(json["query"], "alpha valve");
    assert!(json["took_ms"].is_number(), "{json}");
    let hit = &json["hits"][0];
    assert_eq!(hit["file"], "alpha.md");
    assert_eq!((hit["page_start"].as_u64(), hit["page_end"].as_u64()), (Some(1), Some(1)));
    assert_eq!(hit["chunk"], 0);
    assert!(hit["score"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)), "{json}");
    assert!(hit["text"].as_str().unwrap().contains("opens at 80 degrees"), "{json}");
    assert!(hit.get("explain").is_none() && json.get("trace").is_none(), "{json}");
}

#[test]
fn explain_tells_each_list_and_score() {
    let home = valves();
    let json = home.json(&["search", "degrees", "--json", "--explain"]);
    let explain = &json["hits"][0]["explain"];
    assert_eq!(explain["lists"][0]["list"], "keyword");
    assert_eq!(explain["lists"][0]["rank"], 1);
    assert!(explain["fused"].is_number(), "{json}");
    assert!(json["trace"]["stages"].as_array().is_some_and(|it| !it.is_empty()), "{json}");
    let text = home.done(&["search", "degrees", "--explain"]).stdout;
    assert!(text.contains("Why these") && text.contains("#1 ("), "{text}");
    assert!(text.contains("note: vectors not used"), "{text}");
    let stages = text.split("\nStages\n").nth(1).expect("what each stage took and did");
    assert!(stages.contains("indexes") && stages.contains("keyword "), "{text}");
    assert!(stages.contains(" given"), "{text}");
    let text = home.done(&["search", "degrees", "--explain", "--limit", "1"]).stdout;
    assert!(text.contains("1 given; dropped: 1 (1 better ones were found)"), "{text}");
}

#[test]
fn a_page_is_named_and_the_limit_kept() {
    let home = Home::new();
    home.done(&["add", handbook().to_str().unwrap()]);
    let json = home.json(&["search", "exit code 130 Ctrl-C", "--limit", "2", "--json"]);
    let hits = json["hits"].as_array().unwrap();
    assert!(!hits.is_empty() && hits.len() <= 2, "{json}");
    let (start, end) = (&hits[0]["page_start"], &hits[0]["page_end"]);
    assert!(start.as_u64() <= Some(9) && end.as_u64() >= Some(9), "{json}");
    let text = home.done(&["search", "exit code 130 Ctrl-C"]).stdout;
    assert!(text.contains("handbook.en.pdf") && text.contains("p. "), "{text}");
}

#[test]
fn any_query_is_a_query() {
    let home = valves();
    for query in ["", "\"", "a AND (b OR", "valve:*", "+-!(){}[]^~?\\/", "🙂", "阀门"] {
        home.json(&["search", "--json", "--", query]);
    }
    let ran = home.done(&["search", "xyzzy"]);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("nothing found"), "{ran:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    // More than a pipe holds, so that writing goes on after the reader has gone.
    let text: String = (0..4000).map(|n| format!("Line {n} speaks of valves.\n\n")).collect();
    home.write("long.txt", text);
    home.done(&["add", "long.txt"]);
    let mut child = home
        .docent(&["search", "valves", "--json", "--limit", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
