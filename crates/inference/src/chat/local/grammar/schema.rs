//! What of JSON Schema can be promised, and said so before the first token.

use docent_core::{Error, Result};
use llguidance::JsonCompileOptions;
use serde_json::Value;
use tracing::warn;

use super::formats;

/// How a schema's keywords are taken that no grammar can hold an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat::local) enum Strictness {
    /// They are refused.
    Strict,
    /// They are left out.
    Lax,
}

/// Keywords that say what is valid, and that no grammar here can hold an answer to.
const BEYOND: &[&str] = &[
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "$dynamicRef",
    "$recursiveRef",
];

/// Formats that the grammar knows.
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// Nobody writes schemas this deep; somebody may send one.
const DEEPEST: usize = 64;

/// # Errors
/// [`Invalid`](docent_core::ErrorKind::Invalid) names the first keyword that cannot be promised.
pub(super) fn check(schema: &Value, strictness: Strictness) -> Result<()> {
    let mut beyond = Vec::new();
    collect(schema, 0, &mut beyond)?;
    match (beyond.first(), strictness) {
        (None, _) => Ok(()),
        (Some(keyword), Strictness::Strict) => Err(Error::invalid(format!(
            "the JSON schema has {keyword}, which a model on this machine cannot be held to; leave \
             it out, or ask with \"strict\": false"
        ))),
        (Some(_), Strictness::Lax) => {
            warn!(keywords = beyond.join(", "), "parts of a JSON schema are not held to");
            Ok(())
        }
    }
}

/// The keywords of `schema` and of the schemas in it that are beyond us.
fn collect(schema: &Value, depth: usize, beyond: &mut Vec<String>) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::invalid(format!("the JSON schema is more than {DEEPEST} levels deep")));
    }
    let Value::Object(keywords) = schema else { return Ok(()) };
    for (keyword, value) in keywords {
        if BEYOND.contains(&keyword.as_str()) {
            beyond.push(format!("{keyword:?}"));
        }
        match (keyword.as_str(), value) {
            ("format", Value::String(format)) if !FORMATS.contains(&format.as_str()) => {
                beyond.push(format!("\"format\": {format:?}"));
            }
            (
                "properties" | "patternProperties" | "$defs" | "definitions",
                Value::Object(named),
            ) => {
                named.values().try_for_each(|schema| collect(schema, depth + 1, beyond))?;
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter().try_for_each(|schema| collect(schema, depth + 1, beyond))?;
            }
            ("items" | "additionalItems" | "additionalProperties", schema) => {
                collect(schema, depth + 1, beyond)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `schema` with how it is to be written.
pub(super) fn compact(schema: Value, strictness: Strictness) -> Value {
    let mut schema = match schema {
        Value::Object(keywords) => Value::Object(keywords),
        // A schema may be `true`, which says nothing; `false` is refused by the grammar.
        other => serde_json::json!({ "allOf": [other] }),
    };
    formats::narrow(&mut schema);
    let options = JsonCompileOptions {
        whitespace_flexible: false,
        lenient: strictness == Strictness::Lax,
        ..JsonCompileOptions::default()
    };
    options.apply_to(&mut schema);
    schema
}

/// llguidance's reason, in our words where its own name its options.
pub(super) fn plain(reason: &str) -> String {
    if reason.starts_with("oneOf constraints") {
        return "\"oneOf\" whose alternatives may overlap; write \"anyOf\"".to_owned();
    }
    reason.to_owned()
}
