//! Models: listed, located, and an error with the way out when one is not here.

use std::time::Duration;

use serde_json::json;

use crate::chat::weights;
use crate::support::{Home, Ran};
use crate::upstream::Upstream;

#[test]
fn the_catalog_is_listed() {
    let home = Home::new();
    let text = home.done(&["models", "list"]).stdout;
    assert!(text.contains("all-MiniLM-L6-v2") && text.contains("no"), "{text}");
    let rows = home.json(&["models", "list", "--json"]);
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == "all-MiniLM-L6-v2").unwrap();
    assert_eq!((row["kind"].as_str(), row["here"].as_bool()), (Some("embedder"), Some(false)));
}

#[test]
fn path_says_where_files_belong() {
    let home = Home::new();
    let path = home.done(&["models", "path", "all-MiniLM-L6-v2"]).stdout;
    assert_eq!(home.neutral(&path), "HOME/models/all-MiniLM-L6-v2\n");
    assert_eq!(home.neutral(&home.done(&["models", "path"]).stdout), "HOME/models\n");
}

#[test]
fn an_unknown_name_is_told_the_known_ones() {
    let home = Home::new();
    for command in ["pull", "path", "verify", "info", "bench"] {
        let ran = home.run(&["models", command, "gpt-5"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("gpt-5"), "{ran:?}");
    }
}

#[test]
fn offline_fetches_nothing_and_says_where_files_belong() {
    let home = Home::new();
    let ran = home.run(&["models", "pull", "all-MiniLM-L6-v2", "--offline"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(home.neutral(&ran.stderr).contains("HOME/models/all-MiniLM-L6-v2"), "{ran:?}");
    let pull = &mut home.docent(&["models", "pull", "all-MiniLM-L6-v2"]);
    assert_eq!(Ran::of(pull.env("DOCENT_OFFLINE", "1")).code, Some(1));
    assert!(home.done(&["models", "verify"]).stderr.contains("no model is on this machine"));
}

#[test]
fn a_file_that_cannot_chat_is_refused_with_the_reason_and_nothing_is_kept() {
    let home = Home::new();
    home.write("notes.gguf", "Dear diary");
    let ran = home.run(&["models", "add", "notes.gguf"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("notes.gguf") && ran.stderr.contains("no GGUF file"), "{ran:?}");
    assert_eq!(home.json(&["models", "list", "--json"]).as_array().unwrap().len(), 11);
    let ran = home.run(&["models", "info", "notes.gguf"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("no GGUF file"), "{ran:?}");
}

#[test]
fn an_added_file_is_told_about_and_answers_at_once() {
    let Some(weights) = weights() else { return };
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    let ran = home.done(&["models", "add", &weights, "--name", "mine"]);
    assert!(ran.stdout.contains("docent ask --model mine"), "{ran:?}");
    assert!(ran.stdout.contains("[models.default]\nbackend = \"local\"\nmodel = \"mine\""));
    assert!(ran.stderr.contains("too weak to choose tools"), "{ran:?}");

    let info = home.json(&["models", "info", "mine", "--json"]);
    assert_eq!((&info["profile"], &info["license"]), (&json!("basic"), &json!("apache-2.0")));
    let gguf = &info["gguf"];
    assert_eq!((&gguf["architecture"], &gguf["layers"]), (&json!("llama"), &json!(30)));
    assert_eq!(gguf["chat_template"], json!({ "system_role": true, "tools": false }));
    assert!(info["memory_bytes"].as_u64() > info["bytes"].as_u64(), "{info}");
    let text = home.done(&["models", "info", "mine"]).stdout;
    assert!(text.contains("134 M parameters") && text.contains("49152 tokens, gpt2"), "{text}");

    home.done(&["models", "verify", "mine"]);
    home.done(&["add", "alpha.md"]);
    let said = home.json(&["ask", "--model", "mine", "When does the valve open?", "--json"]);
    assert_eq!(said["model"], "mine");
    let again = home.done(&["models", "add", &weights, "--name", "mine"]);
    assert!(again.stdout.contains("was here already"), "{again:?}");
}

#[test]
fn what_is_no_file_is_told_about_too() {
    let home = Home::new();
    let info = home.json(&["models", "info", "all-MiniLM-L6-v2", "--json"]);
    assert_eq!((&info["embedder"]["dims"], &info["here"]), (&json!(384), &json!(false)));
    assert!(home.done(&["models", "info", "extractive"]).stdout.contains("no weights"));
    for name in ["extractive", "all-MiniLM-L6-v2", "SmolLM2-135M-Instruct"] {
        let ran = home.run(&["models", "bench", name]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn an_endpoint_is_measured_by_the_time_it_takes_and_that_is_kept() {
    let words = |_: &_| vec![(Duration::from_millis(2), json!({ "content": "one two" })); 3];
    let upstream = Upstream::new(words);
    let home = Home::new();
    let url = upstream.base_url();
    let config = format!("[models.far]\nbackend = \"remote\"\nbase_url = \"{url}\"\n");
    home.write("docent.toml", config);
    let measured = home.json(&["models", "bench", "far", "--runs", "2", "--json"]);
    assert_eq!(
        (&measured["model"], &measured["prompts"][0]["first_token_cold_ms"]["runs"]),
        (&json!("far"), &json!(2))
    );
    assert!(measured["prompts"][1]["first_token_cached_ms"]["median"].as_f64() > Some(0.0));
    // Two lengths, each new and once more, and what is written; all twice.
    assert_eq!(upstream.asked().len(), 10);
    let info = home.json(&["models", "info", "far", "--json"]);
    assert_eq!(info["measured"], measured);
    assert_eq!(info["profile"], "tools");
}
