//! Dates and times as validators take them.
//!
//! llguidance's own forms allow a 29th of February in every year and a 60th second at any time,
//! which RFC 3339 does not, and fractions of a second without end.

use serde_json::{Value, json};

const DATE: &str = "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])\
    |(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))\
    |(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29";

const TIME: &str = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?\
    (?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

/// The pattern that stands for a format, if its own is too wide.
fn pattern(format: &str) -> Option<String> {
    Some(match format {
        "date" => format!("^(?:{DATE})$"),
        "time" => format!("^{TIME}$"),
        "date-time" => format!("^(?:{DATE})T{TIME}$"),
        _ => return None,
    })
}

/// Writes formats that are too wide as patterns, in `schema` and the schemas in it.
pub(super) fn narrow(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    let narrowed = keywords.get("format").and_then(Value::as_str).and_then(pattern);
    if let Some(pattern) = narrowed {
        keywords.shift_remove("format");
        if let Value::Array(all) = keywords.entry("allOf").or_insert_with(|| json!([])) {
            all.push(json!({ "pattern": pattern }));
        }
    }
    for (keyword, value) in keywords.iter_mut() {
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions",
                Value::Object(named),
            ) => {
                named.values_mut().for_each(narrow);
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(narrow);
            }
            ("items" | "additionalItems" | "additionalProperties", schema) => narrow(schema),
            _ => {}
        }
    }
}
