//! Reads calls from what a model wrote in a form of its own.

use docent_core::ToolRequest;
use serde_json::{Map, Value};

use super::Offer;

const NAMES: &[&str] = &["name", "tool", "tool_name", "function"];
const ARGUMENTS: &[&str] = &["arguments", "parameters", "args", "input"];

/// What a held back text is.
#[derive(Debug, PartialEq)]
pub(in crate::chat::local) enum Found {
    /// Calls.
    Calls(Vec<ToolRequest>),
    /// Clearly a call of this tool, but not one that can be read.
    Broken(String),
    /// Text.
    Text,
}

/// The calls in `text`, in order.
pub(in crate::chat::local) fn find_calls(text: &str, offer: &Offer<'_>) -> Found {
    let mut calls = calls_in(text, offer);
    if calls.is_empty() && !text.contains('"') {
        // Python's way to write a dictionary.
        let as_json = text.replace('\'', "\"").replace("None", "null");
        calls = calls_in(&as_json.replace("True", "true").replace("False", "false"), offer);
    }
    if !offer.several {
        calls.truncate(1);
    }
    if !calls.is_empty() {
        return Found::Calls(calls);
    }
    let named = |name: &str| {
        [format!("\"{name}\""), format!("'{name}'")].iter().any(|quoted| text.contains(quoted))
    };
    let broken = offer.tools.iter().find(|tool| named(&tool.name));
    broken.map_or(Found::Text, |tool| Found::Broken(tool.name.clone()))
}

fn calls_in(text: &str, offer: &Offer<'_>) -> Vec<ToolRequest> {
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[']) {
        rest = &rest[at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                collect(&value, offer, &mut calls);
                rest = &rest[values.byte_offset()..];
            }
            _ => rest = &rest[1..],
        }
    }
    calls
}

fn collect(value: &Value, offer: &Offer<'_>, calls: &mut Vec<ToolRequest>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, offer, calls)),
        Value::Object(object) => match (object.get("function"), object.get("tool_calls")) {
            (Some(inner @ Value::Object(_)), _) | (_, Some(inner @ Value::Array(_))) => {
                collect(inner, offer, calls);
            }
            _ => calls.extend(call_of(object, offer)),
        },
        _ => {}
    }
}

fn call_of(object: &Map<String, Value>, offer: &Offer<'_>) -> Option<ToolRequest> {
    let name = NAMES.iter().find_map(|key| object.get(*key)?.as_str())?;
    let tool = offer.tool(name)?;
    let arguments = ARGUMENTS.iter().find_map(|key| object.get(*key));
    let arguments = match arguments {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        Some(_) => return None,
    };
    let arguments = Value::Object(in_order(arguments, &tool.parameters)).to_string();
    Some(ToolRequest { name: name.to_owned(), arguments })
}

/// The arguments in the order of their schema, which is the grammar's.
fn in_order(mut arguments: Map<String, Value>, parameters: &Value) -> Map<String, Value> {
    let mut ordered = Map::new();
    let properties = parameters.get("properties").and_then(Value::as_object);
    for name in properties.into_iter().flat_map(Map::keys) {
        if let Some((name, value)) = arguments.shift_remove_entry(name) {
            ordered.insert(name, value);
        }
    }
    ordered.extend(arguments);
    ordered
}

#[cfg(test)]
mod tests {
    use docent_core::ToolSpec;
    use serde_json::json;

    use super::super::Family;
    use super::*;

    fn found(text: &str, several: bool) -> Found {
        let parameters = json!({ "type": "object", "properties": { "a": {}, "b": {} } });
        let tools = ["look", "write"].map(|name| ToolSpec {
            name: name.into(),
            description: String::new(),
            parameters: parameters.clone(),
        });
        find_calls(text, &Offer { tools: &tools, family: Family::Hermes, several })
    }

    fn calls(calls: &[(&str, &str)]) -> Found {
        let call = |(name, arguments): &(&str, &str)| ToolRequest {
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        };
        Found::Calls(calls.iter().map(call).collect())
    }

    #[test]
    fn calls_are_found_in_whatever_form() {
        for text in [
            "```json\n{\"name\": \"look\", \"arguments\": {\"b\": 1, \"a\": \"x\"}}\n```\nThat is it.",
            "{\"name\": \"look\", \"arguments\": \"{\\\"a\\\": \\\"x\\\", \\\"b\\\": 1}\"}",
            "{\"tool\": \"look\", \"parameters\": {\"a\": \"x\", \"b\": 1}}",
            "[{\"type\": \"function\", \"function\": {\"name\": \"look\", \"arguments\": {\"a\": \"x\", \
             \"b\": 1}}}]",
            "{\"tool_calls\": [{\"function\": \"look\", \"args\": {\"a\": \"x\", \"b\": 1}}]}",
            "```tool_code\n{'name': 'look', 'arguments': {'a': 'x', 'b': 1}}\n```",
            "<tool_call>{\"name\": \"look\", \"arguments\": {\"a\": \"x\", \"b\": 1}}",
            "{ {\"name\": \"look\", \"arguments\": {\"a\": \"x\", \"b\": 1}}",
        ] {
            assert_eq!(found(text, true), calls(&[("look", "{\"a\":\"x\",\"b\":1}")]), "{text}");
        }
    }

    #[test]
    fn several_are_kept_if_several_may_be() {
        let text = "{\"name\": \"look\"}\n{\"name\": \"write\", \"arguments\": {}}";
        assert_eq!(found(text, true), calls(&[("look", "{}"), ("write", "{}")]));
        assert_eq!(found(text, false), calls(&[("look", "{}")]));
    }

    #[test]
    fn a_call_that_cannot_be_read_is_told_from_text() {
        let broken = Found::Broken("look".into());
        for text in [
            "{\"name\": \"look\", \"arguments\": {\"a\": ",
            "{\"name\": \"look\", \"arguments\": 7}",
            "{'name': 'look', \"arguments\"}",
        ] {
            assert_eq!(found(text, true), broken, "{text}");
        }
        for text in ["{\"name\": \"Ann\", \"age\": 7}", "{\"type\": \"look out\"}", ""] {
            assert_eq!(found(text, true), Found::Text, "{text}");
        }
    }
}
