//! Files.

use docent_core::{File, Purpose};
use serde_json::{Value, json};

use crate::error::ApiError;

/// A file as answers show it. It can be used at once, so it is `processed` from the beginning.
pub(crate) fn file(file: &File) -> Value {
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at.seconds(),
        "filename": file.filename,
        "purpose": purpose(file.purpose),
        "status": "processed",
        "status_details": null,
        "expires_at": null,
    })
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Assistants => "assistants",
        Purpose::AssistantsOutput => "assistants_output",
        Purpose::Vision => "vision",
        _ => "user_data",
    }
}

/// The purpose called `name`, which the request calls `param`.
pub(crate) fn read_purpose(name: &str) -> Result<Purpose, ApiError> {
    match name {
        "assistants" => Ok(Purpose::Assistants),
        "vision" => Ok(Purpose::Vision),
        "user_data" => Ok(Purpose::UserData),
        other => Err(ApiError::invalid(format!(
            "Invalid value: '{}'. Supported values are: 'assistants', 'vision', and 'user_data'.",
            super::fields::shown(other)
        ))
        .at("purpose")
        .code("invalid_value")),
    }
}
