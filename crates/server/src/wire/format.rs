//! Small things that several objects have: numbers, response formats.

use docent_core::ResponseFormat;
use serde_json::{Value, json};

use super::fields::{Field, wrong_type};
use crate::error::ApiError;

/// A number as it was written: `0.7`, not the `0.699999988079071` that it is in 64 bits.
pub(super) fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// A response format; `auto` for none.
pub(super) fn response_format(format: Option<&ResponseFormat>) -> Value {
    match format {
        Some(ResponseFormat::Text) => json!({ "type": "text" }),
        Some(ResponseFormat::JsonObject) => json!({ "type": "json_object" }),
        Some(ResponseFormat::JsonSchema { name, description, schema, strict }) => {
            let mut inner = json!({ "name": name, "schema": schema, "strict": strict });
            if let Some(description) = description {
                inner["description"] = description.as_str().into();
            }
            json!({ "type": "json_schema", "json_schema": inner })
        }
        _ => json!("auto"),
    }
}

/// Reads a response format; none for `auto`.
pub(super) fn read_response_format(field: Field) -> Result<Option<ResponseFormat>, ApiError> {
    if field.as_word().is_some() {
        field.word(&["auto"])?;
        return Ok(None);
    }
    let mut object = field.object()?;
    let known = ["text", "json_object", "json_schema"];
    let format = match object.required("type", |field| field.word(&known))? {
        "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        _ => object.required("json_schema", read_schema)?,
    };
    object.finish()?;
    Ok(Some(format))
}

fn read_schema(field: Field) -> Result<ResponseFormat, ApiError> {
    let mut object = field.object()?;
    let name = object.required("name", |field| field.string_up_to(64))?;
    let description = object.optional("description", Field::string)?;
    let schema = object.optional("schema", |field| match field.value() {
        Value::Object(_) => Ok(field.into_value()),
        other => Err(wrong_type(field.path(), "an object", other)),
    })?;
    let strict = object.optional("strict", Field::boolean)?.unwrap_or(false);
    object.finish()?;
    let schema = schema.unwrap_or_else(|| json!({}));
    Ok(ResponseFormat::JsonSchema { name, description, schema, strict })
}

/// The reasoning efforts there are.
pub(super) const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];
