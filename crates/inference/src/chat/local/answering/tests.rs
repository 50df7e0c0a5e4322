use std::sync::Arc;

use docent_core::ToolSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::calls::{Family, Offer};
use super::super::fakes::{Babble, Bytes, fault, schema};
use super::super::grammar::{Grammar, Grammars, Strictness};
use super::super::sampler::Choice;
use super::*;

const WARM: Choice =
    Choice { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, repetition_penalty: 1.0 };

/// What an answer came to.
struct Outcome {
    text: String,
    calls: Vec<ToolRequest>,
    tokens: usize,
    ended: Ended,
    deltas: Vec<ChatDelta>,
    read: Vec<Vec<u32>>,
}

struct Case<'a> {
    constraint: Option<Constraint>,
    reading: Reading<'a>,
    script: Vec<u32>,
    choice: Choice,
    seed: u64,
    limit: usize,
    break_after: usize,
}

fn grammars() -> Grammars {
    Grammars::new(Arc::new(Bytes::new())).unwrap()
}

fn case<'a>() -> Case<'a> {
    Case {
        constraint: None,
        reading: Reading::Text,
        script: Vec::new(),
        choice: WARM,
        seed: 1,
        limit: 4000,
        break_after: usize::MAX,
    }
}

fn held_to<'a>(grammars: &Grammars, schema: &Value) -> Case<'a> {
    let grammar = Grammar::json(schema, Strictness::Strict).unwrap();
    let constraint = Some(grammars.constraint(grammar).unwrap());
    Case { constraint, ..case() }
}

fn run(case: Case<'_>) -> Outcome {
    let vocabulary = Bytes::new();
    let mut network = Babble::new(&vocabulary, case.seed, case.script);
    let mut deltas = Vec::new();
    let mut left = case.break_after;
    let mut on_delta = |delta| {
        deltas.push(delta);
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut reply = Reply::new(&mut on_delta);
    let mut answering = Answering {
        network: &mut network,
        vocabulary: &vocabulary,
        sampler: Sampler::new(case.choice, Some(case.seed)),
        constraint: case.constraint,
        reading: case.reading,
        stream: TextStream::default(),
        reply: &mut reply,
        limit: case.limit,
    };
    let ended = answering.run(&[1, 2, 3]).unwrap();
    let Reply { text, calls, tokens, .. } = reply;
    Outcome { text, calls, tokens, ended, deltas, read: network.read }
}

proptest! {
    /// Whatever a model's scores are, and however they are drawn.
    #[test]
    fn every_answer_held_to_a_schema_is_valid(seed: u64) {
        let (grammars, schema) = (grammars(), schema(seed));
        let outcome = run(Case { seed, ..held_to(&grammars, &schema) });
        prop_assert_eq!(outcome.ended.finish, FinishReason::Stop, "{}", outcome.text);
        let fault = fault(&schema, &outcome.text);
        prop_assert!(fault.is_none(), "{schema}\n{}\n{fault:?}", outcome.text);
        // Neither the end nor another control token is ever read back.
        let vocabulary = Bytes::new();
        let said = outcome.read.iter().skip(1).flatten();
        prop_assert!(said.clone().all(|token| !vocabulary.bytes(*token).is_empty()));
    }

    #[test]
    fn every_call_that_must_be_made_is_valid(seed: u64, several: bool) {
        let grammars = grammars();
        let tools = [tool("first", schema(seed)), tool("second", schema(seed ^ 1))];
        for family in [Family::Hermes, Family::Llama, Family::Mistral] {
            let offer = Offer { tools: &tools, family, several };
            let grammar = offer.grammar(family.marker()).unwrap();
            let constraint = Some(grammars.constraint(grammar).unwrap());
            let reading = Reading::Calls(CallReader::default());
            let outcome = run(Case { seed, constraint, reading, ..case() });
            prop_assert!(!outcome.calls.is_empty());
            prop_assert!(several && family != Family::Llama || outcome.calls.len() == 1);
            if outcome.ended.finish == FinishReason::Stop {
                for call in &outcome.calls {
                    let tool = offer.tool(&call.name).unwrap();
                    prop_assert_eq!(fault(&tool.parameters, &call.arguments), None);
                }
            }
        }
    }
}

fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec { name: name.into(), description: String::new(), parameters }
}

fn weather() -> Vec<ToolSpec> {
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "enum": ["Rome", "Oslo"] } },
        "required": ["city"],
        "additionalProperties": false
    });
    vec![tool("weather", parameters)]
}

#[test]
fn what_must_follow_is_read_in_one_piece_and_counted() {
    let grammars = grammars();
    let schema = json!({
        "type": "object",
        "properties": { "kind": { "const": "something long" }, "yes": { "type": "boolean" } },
        "required": ["kind", "yes"],
        "additionalProperties": false
    });
    let outcome = run(held_to(&grammars, &schema));
    let told: usize = outcome.read.iter().skip(1).map(Vec::len).sum();
    // The prompt and what must follow it; the value chosen last needs no further reading.
    assert!(outcome.read.len() <= 3, "{:?}", outcome.read);
    assert!(outcome.read[1].len() > 10, "{:?}", outcome.read);
    assert!(
        outcome.tokens > told && outcome.text.starts_with(r#"{"kind":"something long","yes":"#)
    );
    let whole = json!({ "const": { "all": "of it" } });
    let outcome = run(held_to(&grammars, &whole));
    assert_eq!((outcome.text.as_str(), outcome.read.len()), (r#"{"all":"of it"}"#, 1));
}

#[test]
fn a_limit_cuts_json_and_says_so() {
    let grammars = grammars();
    let schema = json!({ "const": { "all": "of it" } });
    let outcome = run(Case { limit: 3, ..held_to(&grammars, &schema) });
    assert_eq!((outcome.ended.finish, outcome.tokens), (FinishReason::Length, 3));
    assert!(r#"{"all":"of it"}"#.starts_with(&outcome.text) && !outcome.text.ends_with('}'));
}

#[test]
fn one_can_break_off_inside_json() {
    let grammars = grammars();
    let schema = json!({ "const": { "all": "of it" } });
    let outcome = run(Case { break_after: 2, ..held_to(&grammars, &schema) });
    assert_eq!((outcome.ended.finish, outcome.tokens), (FinishReason::Cancelled, 2));
}

#[test]
fn a_control_token_spelled_in_json_is_text() {
    let grammars = grammars();
    let schema = json!({ "const": "<|end|>[TOOL_CALLS]" });
    let outcome = run(held_to(&grammars, &schema));
    assert_eq!(outcome.text, "\"<|end|>[TOOL_CALLS]\"");
}

/// A model that says `text` and then ends, or whatever its grammar lets it.
fn listening<'a>(grammars: &'a Grammars, offer: Offer<'a>, text: &str) -> Outcome {
    let vocabulary: &'static Bytes = Box::leak(Box::new(Bytes::new()));
    let mut script = vocabulary.encode(text);
    script.push(vocabulary.end());
    let reading = Reading::Listening(Listener::new(offer, grammars, vocabulary));
    run(Case { reading, script, choice: Choice::default(), ..case() })
}

#[test]
fn a_call_begins_at_its_marker_and_the_marker_is_never_shown() {
    let (grammars, tools) = (grammars(), weather());
    for (family, text, shown) in [
        (Family::Hermes, "Let me see.\n<tool_call>", "Let me see.\n"),
        (Family::Hermes, "<tool_call>\n", ""),
        (Family::Llama, "{\"name\":", ""),
        (Family::Llama, "Well: <tool_call>", "Well: "),
        (Family::Functools, "functools", ""),
    ] {
        let offer = Offer { tools: &tools, family, several: false };
        let vocabulary = Bytes::new();
        let mut case = self::case();
        case.script = vocabulary.encode(text);
        case.reading = Reading::Listening(Listener::new(offer, &grammars, &vocabulary));
        let outcome = run(case);
        assert_eq!(outcome.text, shown, "{text}");
        assert_eq!(outcome.calls.len(), 1, "{text}");
        assert_eq!(fault(&tools[0].parameters, &outcome.calls[0].arguments), None);
        let begun = outcome
            .deltas
            .iter()
            .filter(|delta| **delta == ChatDelta::ToolCall { index: 0, name: "weather".into() });
        assert_eq!(begun.count(), 1);
    }
}

#[test]
fn a_control_token_can_be_the_marker() {
    let (grammars, tools, vocabulary) = (grammars(), weather(), Bytes::new());
    let offer = Offer { tools: &tools, family: Family::Mistral, several: true };
    let mut case = self::case();
    case.script = vec![vocabulary.control("[TOOL_CALLS]").unwrap()];
    case.reading = Reading::Listening(Listener::new(offer, &grammars, &vocabulary));
    let outcome = run(case);
    assert_eq!((outcome.text.as_str(), outcome.calls[0].name.as_str()), ("", "weather"));
}

#[test]
fn text_is_text_though_tools_are_offered() {
    let (grammars, tools) = (grammars(), weather());
    let offer = Offer { tools: &tools, family: Family::Llama, several: true };
    for text in [
        "The <tool is here.",
        "See `code` and\n```python\nprint({'a': 1})\n```\nDone.",
        "{\"nam\": 1}",
        "One {\"name\": \"x\"} of them.",
        "``",
    ] {
        let outcome = listening(&grammars, offer, text);
        assert_eq!((outcome.text.as_str(), &outcome.ended.held), (text, &None), "{text}");
        assert!(outcome.calls.is_empty());
    }
}

#[test]
fn what_looks_like_a_call_of_another_form_is_held_back() {
    let (grammars, tools) = (grammars(), weather());
    let offer = Offer { tools: &tools, family: Family::Hermes, several: true };
    let call = "```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n```\nThere.";
    let outcome = listening(&grammars, offer, &format!("I look.\n{call}"));
    assert_eq!(outcome.text, "I look.\n");
    assert_eq!(outcome.ended.held.as_deref(), Some(call));
}
