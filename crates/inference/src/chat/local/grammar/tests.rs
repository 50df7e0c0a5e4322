use docent_core::ErrorKind;
use proptest::prelude::*;
use serde_json::json;

use super::super::fakes::{Bytes, CONTROL};
use super::*;

fn grammars() -> Grammars {
    Grammars::new(Arc::new(Bytes::new())).unwrap()
}

fn constraint(schema: &Value, strictness: Strictness) -> Result<Constraint> {
    grammars().constraint(Grammar::json(schema, strictness)?)
}

/// The tokens that may follow.
fn open(constraint: &mut Constraint, size: usize) -> Vec<usize> {
    let mut logits = vec![0.0; size];
    constraint.mask(&mut logits).unwrap();
    (0..size).filter(|token| logits[*token] == 0.0).collect()
}

#[test]
fn a_keyword_that_cannot_be_promised_is_named() {
    for (schema, named) in [
        (json!({ "type": "array", "uniqueItems": true }), "uniqueItems"),
        (json!({ "properties": { "a": { "not": { "type": "null" } } } }), "not"),
        (json!({ "items": { "if": {}, "then": {} } }), "if"),
        (json!({ "type": "string", "format": "iri" }), "iri"),
        (json!({ "$defs": { "x": { "contains": {} } }, "$ref": "#/$defs/x" }), "contains"),
        (json!({ "oneOf": [{ "type": "string" }, { "maxLength": 3 }] }), "oneOf"),
    ] {
        let error = constraint(&schema, Strictness::Strict).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(&format!("{named}\"")), "{error}");
        assert!(constraint(&schema, Strictness::Lax).is_ok(), "{schema}");
    }
}

#[test]
fn a_schema_that_nothing_meets_or_that_is_none_is_refused() {
    for schema in [
        json!(false),
        json!({ "type": "string", "minLength": 3, "maxLength": 2 }),
        json!({ "type": "nothing" }),
        json!({ "$ref": "https://example.com/schema" }),
        json!({ "$ref": "#/$defs/missing" }),
        json!({ "type": "string", "pattern": "(" }),
    ] {
        let error = constraint(&schema, Strictness::Strict).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{schema}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let mut deep = json!({});
    for _ in 0..500 {
        deep = json!({ "items": deep });
    }
    assert_eq!(constraint(&deep, Strictness::Lax).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_object_begins_with_a_brace_and_no_control_token_may_ever_follow() {
    let vocabulary = Bytes::new();
    let mut held = grammars().constraint(Grammar::json_object()).unwrap();
    let first = open(&mut held, vocabulary.size());
    assert!(first.iter().all(|token| vocabulary.bytes(*token as u32).starts_with(b"{")));
    assert!(held.take_text("{\"any\":\""));
    let inside = open(&mut held, vocabulary.size());
    for control in CONTROL {
        assert!(!inside.contains(&(vocabulary.control(control).unwrap() as usize)));
    }
    assert!(inside.len() > 100);
    assert!(held.take_text("\"}") && held.may_end() && held.is_done());
    assert_eq!(open(&mut held, vocabulary.size()), [vocabulary.end() as usize]);
}

#[test]
fn there_is_no_space_between_the_parts_of_json() {
    for text in ["{ ", "{\"a\" ", "{\"a\": ", "{\"a\":1 ", "{\"a\":[1, "] {
        let mut held = grammars().constraint(Grammar::json_object()).unwrap();
        assert!(!held.take_text(text), "{text}");
    }
}

/// Some engines pad their scores to a round number of tokens.
#[test]
fn scores_beyond_the_vocabulary_are_ruled_out() {
    let size = Bytes::new().size();
    let mut held = grammars().constraint(Grammar::json_object()).unwrap();
    assert!(open(&mut held, size + 100).iter().all(|token| *token < size));
}

#[test]
fn digits_without_end_are_ended_and_a_number_is_never_too_large() {
    let vocabulary = Bytes::new();
    let mut held = constraint(&json!({ "type": "number" }), Strictness::Strict).unwrap();
    assert!(held.take_text("1"));
    assert!(!open(&mut held, vocabulary.size()).contains(&(b'e' as usize)));
    assert!(held.take_text("2345678901234567890"));
    let after = open(&mut held, vocabulary.size());
    assert_eq!(after, [vocabulary.end() as usize], "{after:?}");
}

#[test]
fn a_schema_may_hold_itself() {
    let schema = json!({
        "type": "object",
        "properties": { "tail": { "anyOf": [{ "type": "null" }, { "$ref": "#" }] } },
        "required": ["tail"],
        "additionalProperties": false
    });
    let mut held = constraint(&schema, Strictness::Strict).unwrap();
    assert!(held.take_text(r#"{"tail":{"tail":{"tail":null}}"#) && !held.may_end());
    assert!(held.take_text("}") && held.is_done());
}

#[test]
fn properties_come_in_the_order_of_the_schema() {
    let schema = json!({
        "type": "object",
        "properties": { "why": { "const": 1 }, "answer": { "const": 2 } },
        "required": ["answer", "why"],
        "additionalProperties": false
    });
    assert!(constraint(&schema, Strictness::Strict).unwrap().take_text(r#"{"why":1,"answer":2}"#));
}

#[test]
fn dates_and_times_are_those_of_the_calendar() {
    let meets = |schema: &Value, text: &str| {
        let mut held = constraint(schema, Strictness::Strict).unwrap();
        held.take_text(&Value::from(text).to_string()) && held.may_end()
    };
    let date = json!({ "type": "string", "format": "date" });
    for (text, valid) in [
        ("2024-02-29", true),
        ("2000-02-29", true),
        ("2023-02-29", false),
        ("1900-02-29", false),
        ("2023-04-31", false),
        ("2023-12-31", true),
    ] {
        assert_eq!(meets(&date, text), valid, "{text}");
    }
    let both =
        json!({ "type": "string", "format": "date-time", "pattern": "^2024", "maxLength": 20 });
    assert!(meets(&both, "2024-02-29T23:59:59Z"));
    assert!(!meets(&both, "2024-02-29T23:59:60Z") && !meets(&both, "2023-02-28T23:59:59Z"));
}

fn any_schema() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "enum",
        "const",
        "$ref",
        "anyOf",
        "pattern",
        "maxLength",
        "minimum",
        "multipleOf",
        "required",
        "additionalProperties",
        "format",
        "x-guidance",
        "#",
        "string",
        "object",
        "array",
        "integer",
        "^a+$",
        "date",
        "prefixItems",
        "allOf",
        "oneOf",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..99).prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|pairs| {
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_schema_makes_it_panic(schema in any_schema(), strict: bool) {
        let strictness = if strict { Strictness::Strict } else { Strictness::Lax };
        if let Ok(mut held) = constraint(&schema, strictness) {
            let mut logits = vec![0.0; 300];
            let _ = held.mask(&mut logits);
        }
    }
}
