//! Files.

use std::time::Duration;

use docent_core::{File, Purpose, Timestamp};
use serde_json::{Value, json};

use super::fields::missing_parameter;
use super::list::{not_one_of, read_integer};
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
        "expires_at": file.expires_at.map(Timestamp::seconds),
    })
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Assistants => "assistants",
        Purpose::AssistantsOutput => "assistants_output",
        Purpose::Vision => "vision",
        Purpose::Batch => "batch",
        Purpose::FineTune => "fine-tune",
        Purpose::Evals => "evals",
        _ => "user_data",
    }
}

/// The purpose called `name`, which the request calls `param`.
pub(crate) fn read_purpose(name: &str) -> Result<Purpose, ApiError> {
    match name {
        "assistants" => Ok(Purpose::Assistants),
        "vision" => Ok(Purpose::Vision),
        "user_data" => Ok(Purpose::UserData),
        "batch" => Ok(Purpose::Batch),
        "fine-tune" => Ok(Purpose::FineTune),
        "evals" => Ok(Purpose::Evals),
        other => Err(not_one_of("purpose", other, PURPOSES)),
    }
}

const PURPOSES: &str = "'assistants', 'batch', 'evals', 'fine-tune', 'user_data', and 'vision'";

/// Reads the fields `expires_after[anchor]` and `expires_after[seconds]` of a form.
pub(crate) fn read_file_expiry(
    anchor: Option<&str>,
    seconds: Option<&str>,
) -> Result<Option<Duration>, ApiError> {
    const ANCHOR: &str = "expires_after[anchor]";
    const SECONDS: &str = "expires_after[seconds]";
    let (anchor, seconds) = match (anchor, seconds) {
        (None, None) => return Ok(None),
        (Some(anchor), Some(seconds)) => (anchor, seconds),
        (None, _) => return Err(missing_parameter(ANCHOR)),
        (_, None) => return Err(missing_parameter(SECONDS)),
    };
    if anchor != "created_at" {
        return Err(not_one_of(ANCHOR, anchor, "'created_at'"));
    }
    let seconds = read_integer(SECONDS, seconds, 3_600, 2_592_000)?;
    Ok(Some(Duration::from_secs(seconds)))
}
