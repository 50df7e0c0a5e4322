//! Asking: an answer with numbered sources, in a thread that can be gone on with.

use fs_err as fs;

use crate::support::{Home, handbook};

#[test]
fn one_command_answers_from_the_handbook_with_the_page() {
    let home = Home::new();
    let pdf = handbook();
    let args = ["ask", "--add", pdf.to_str().unwrap(), "What does exit code 130 mean?"];
    let ran = home.done(&args);
    assert!(ran.stdout.contains("130") && ran.stdout.contains("[1]"), "{ran:?}");
    assert!(ran.stdout.contains("\nSources\n[1] handbook.en.pdf, p. 9\n"), "{ran:?}");
    assert!(!ran.stdout.contains('【'), "{ran:?}");
    assert!(ran.stderr.contains("docent ask --thread thread_"), "{ran:?}");
    assert!(ran.stderr.contains("1 added"), "{ran:?}");
}

#[test]
fn json_numbers_its_citations_as_the_answer_does() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees. It closes at 70 degrees.");
    home.done(&["add", "alpha.md"]);
    let json = home.json(&["ask", "When does the alpha valve open?", "--json"]);
    let answer = json["answer"].as_str().unwrap();
    let citation = &json["citations"][0];
    assert_eq!(citation["marker"], "[1]");
    assert!(answer.contains("[1]") && answer.contains("80 degrees"), "{json}");
    assert_eq!(citation["file"], "alpha.md");
    assert_eq!(
        (citation["page_start"].as_u64(), citation["page_end"].as_u64()),
        (Some(1), Some(1))
    );
    let text = fs::read_to_string(home.work().join("alpha.md")).unwrap();
    assert!(text.contains(citation["quote"].as_str().unwrap()), "{json}");
    let thread = json["thread"].as_str().unwrap();
    assert!(thread.starts_with("thread_"), "{json}");
    let next = home.json(&["ask", "--thread", thread, "And when does it close?", "--json"]);
    assert_eq!(next["thread"], thread);
}

#[test]
fn what_the_library_does_not_hold_is_said_to_be_unanswered() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    home.done(&["add", "alpha.md"]);
    let json = home.json(&["ask", "Who won the chess tournament in Reykjavik?", "--json"]);
    assert!(json["answer"].as_str().unwrap().contains("nothing in the documents"), "{json}");
}

#[test]
fn an_unknown_thread_or_model_is_an_error() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    home.write("docent.toml", "[models.other]\nbackend = \"extractive\"\n");
    home.done(&["add", "alpha.md"]);
    let ran = home.run(&["ask", "--thread", "thread_0123456789abcdefghijABCD", "x"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("thread_0123456789"), "{ran:?}");
    let ran = home.run(&["ask", "--model", "gpt-9", "When does the valve open?"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("gpt-9"), "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    home.done(&["ask", "--model", "other", "When does the valve open?"]);
    home.done(&["ask", "When does the valve open?"]);
}

#[test]
fn a_file_that_could_not_be_added_first_is_told_and_the_rest_answers() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    let args = ["ask", "--add", "alpha.md", "--add", "gone.pdf", "When does the valve open?"];
    let ran = home.run(&args);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("80 degrees"), "{ran:?}");
    assert!(ran.stderr.contains("gone.pdf") && ran.stderr.contains("does not exist"), "{ran:?}");
}

#[test]
fn explain_shows_every_query_that_was_searched_in_place_of_the_question() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees. Anna services the alpha valve.");
    home.done(&["add", "alpha.md"]);
    let question = "When does the alpha valve open? And who services it?";
    let ran = home.done(&["ask", question, "--explain"]);
    assert!(ran.stdout.contains("\nSearches\n") && ran.stdout.contains("rules"), "{ran:?}");
    assert!(ran.stdout.contains("When does the alpha valve open And who services it"), "{ran:?}");
    let json = home.json(&["ask", question, "--explain", "--json"]);
    let search = &json["searches"][0];
    assert_eq!(
        (&search["written_by"], &search["queries"].as_array().unwrap().len()),
        (&"rules".into(), &2)
    );
    assert_eq!(search["queries"][0]["hits"][0]["given"], true);
    assert!(home.json(&["ask", question, "--json"]).get("searches").is_none());

    home.write("docent.toml", "query_rewriting = \"off\"\n");
    let json = home.json(&["ask", question, "--explain", "--json"]);
    assert_eq!(json["searches"][0]["written_by"], "caller");
    assert_eq!(json["searches"][0]["queries"][0]["query"], question);
    home.write("docent.toml", "query_rewriting = \"always\"\n");
    let ran = home.run(&["ask", question]);
    assert!(ran.code == Some(1) && ran.stderr.contains("query_rewriting"), "{ran:?}");
}

#[test]
fn explain_shows_what_of_the_conversation_the_model_was_shown() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    home.done(&["add", "alpha.md"]);
    let question = "When does the alpha valve open?";
    let ran = home.done(&["ask", question, "--explain"]);
    assert!(ran.stdout.contains("\nContext\n") && ran.stdout.contains("Messages"), "{ran:?}");
    let json = home.json(&["ask", question, "--explain", "--json"]);
    let context = &json["context"][0];
    assert_eq!((&context["messages"], &context["messages_dropped"]), (&1.into(), &0.into()));
    assert_eq!(context["passages"], 1);
    assert!(home.json(&["ask", question, "--json"]).get("context").is_none());
}

#[test]
fn what_becomes_of_messages_that_do_not_fit_is_set_and_a_wrong_key_is_named() {
    let home = Home::new();
    home.write("alpha.md", "The alpha valve opens at 80 degrees.");
    home.write("docent.toml", "[context]\nsummarize_dropped = true\n");
    home.done(&["ask", "--add", "alpha.md", "When does the valve open?"]);
    home.write("docent.toml", "[context]\nsummarise = true\n");
    let ran = home.run(&["ask", "When does the valve open?"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("summarise"), "{ran:?}");
}
