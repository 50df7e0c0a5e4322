//! Asking through other chat models: an endpoint, and weights on this machine.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Home, Ran};
use crate::upstream::Upstream;

const TEXT: &str = "The alpha valve opens at 80 degrees. It closes at 70 degrees.";

#[test]
fn an_endpoint_searches_and_only_true_citations_are_shown() {
    let search = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
        "function": {"name": "file_search", "arguments": "{\"queries\":[\"alpha valve\"]}"}}]});
    let answer = json!({"content":
        "The alpha valve opens at 80 degrees【4:0†source】. Elephants never forget【4:7†source】."});
    let upstream = endpoint([search, answer]);
    let home = Home::new();
    home.write("alpha.md", TEXT);
    let config = format!(
        "[models.\"gpt-4o\"]\nbackend = \"remote\"\nbase_url = \"{}\"\n\
         api_key_env = \"UPSTREAM_KEY\"\n",
        upstream.base_url()
    );
    home.write("docent.toml", config);
    home.done(&["add", "alpha.md"]);
    let args = ["ask", "--model", "gpt-4o", "When does it open?", "--json"];
    let ran = Ran::of(home.docent(&args).env("UPSTREAM_KEY", "sk-secret"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["citations"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(said["citations"][0]["file"], "alpha.md");
    assert!(said["answer"].as_str().unwrap().contains("80 degrees[1]"), "{said}");

    let asked = upstream.asked();
    assert!(asked.iter().all(|it| it.head.contains("Bearer sk-secret")), "{asked:?}");
    assert_eq!(asked[0].body["model"], "gpt-4o");
    let found = asked[1].body["messages"].as_array().unwrap().last().unwrap();
    assert!(found["content"].as_str().unwrap().contains("opens at 80 degrees"), "{found}");
    assert!(!format!("{ran:?}").contains("sk-secret"));
}

#[test]
fn weights_on_this_machine_answer() {
    let Some(weights) = weights() else { return };
    let home = Home::new();
    home.write("alpha.md", TEXT);
    let config = format!(
        "[models.small]\nbackend = \"local\"\npath = '{weights}'\nmax_output_tokens = 16\n"
    );
    home.write("docent.toml", config);
    home.done(&["add", "alpha.md"]);
    // What so small a model says is not tested, only that it says something and that it is kept.
    let said = home.json(&["ask", "--model", "small", "When does the valve open?", "--json"]);
    assert!(!said["answer"].as_str().unwrap().trim().is_empty(), "{said}");
    let thread = said["thread"].as_str().unwrap();
    home.done(&["ask", "--model", "small", "--thread", thread, "And when does it close?"]);
}

/// A text longer than the model's context: passages are left out, the question is answered.
#[test]
fn more_passages_than_fit_do_not_stop_a_local_model() {
    let Some(weights) = weights() else { return };
    let home = Home::new();
    let long: String = (0..800).map(|n| format!("Valve {n} opens at {n} degrees. ")).collect();
    home.write("long.md", long);
    let config = format!(
        "[models.small]\nbackend = \"local\"\npath = '{weights}'\n\
         context_tokens = 1024\nmax_output_tokens = 8\n"
    );
    home.write("docent.toml", config);
    home.done(&["add", "long.md"]);
    home.done(&["ask", "--model", "small", "When does valve 700 open?"]);
}

/// The path of SmolLM2's weights, if they are on this machine; says so if not. `.ci/run` sets
/// `DOCENT_TEST_MODELS=required`, and then they must be.
pub(crate) fn weights() -> Option<String> {
    let command = ["models", "path", "SmolLM2-135M-Instruct"];
    let output = Command::new(env!("CARGO_BIN_EXE_docent")).args(command).output().unwrap();
    let folder = String::from_utf8(output.stdout).unwrap();
    let files = fs_err::read_dir(folder.trim()).into_iter().flatten();
    let mut paths = files.map(|file| file.unwrap().path().to_str().unwrap().to_owned());
    let here = paths.find(|path| path.ends_with(".gguf"));
    if here.is_none() {
        let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|value| value == "required");
        assert!(!required, "SmolLM2-135M-Instruct is not in {folder}");
        eprintln!("SKIPPED: run \"docent models pull SmolLM2-135M-Instruct\"");
    }
    here
}

/// An endpoint that answers each request with the next of `deltas`.
fn endpoint(deltas: [Value; 2]) -> Upstream {
    let deltas = Mutex::new(deltas.into_iter());
    Upstream::new(move |_| vec![(Duration::ZERO, deltas.lock().unwrap().next().unwrap())])
}
