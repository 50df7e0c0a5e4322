//! The same script gives the same transcript, byte for byte, in the contract's order of events.

use docent_core::*;

use super::support::*;

#[track_caller]
fn snapshot(name: &str, profile: Profile, turns: Vec<Turn>) {
    let play = || {
        let library = Library::new(profile, turns.clone());
        let engine = library.open();
        let events = run_to_end(&engine, "When does the pump stop?");
        transcript(&engine, &events)
    };
    let first = play();
    assert_eq!(first, play());
    insta::assert_snapshot!(name, first);
}

#[test]
fn an_answer_in_plain_text() {
    snapshot("plain_text", Profile::Tools, vec![Turn::Say(vec!["It ", "stops."])]);
}

#[test]
fn a_search_the_model_asks_for() {
    let call = Turn::Call("", vec![("file_search", r#"{"queries":["pump stop"]}"#)]);
    let answer = vec!["It stops at 80 °C and starts again below 60 °C【4:", "0†sou", "rce】."];
    snapshot("file_search", Profile::Tools, vec![call, Turn::Say(answer)]);
}

#[test]
fn a_search_the_engine_makes_for_a_basic_model() {
    let answer = vec!["It stops at 80 °C and starts again below 60 °C [1]."];
    snapshot("basic_profile", Profile::Basic, vec![Turn::Say(answer)]);
}

#[test]
fn a_function_of_the_clients() {
    let call = Turn::Call("Let me see.", vec![("weather", r#"{"city":"Bonn"}"#)]);
    snapshot("requires_action", Profile::Tools, vec![call]);
}

#[test]
fn an_endpoint_that_fails_in_the_middle() {
    let turn = Turn::Fail(vec!["It st"], ErrorKind::Overloaded);
    snapshot("failed", Profile::Tools, vec![turn]);
}

#[test]
fn an_answer_cut_by_a_limit() {
    let turn = Turn::Cut(vec!["It st"], FinishReason::Length);
    snapshot("incomplete", Profile::Tools, vec![turn]);
}
