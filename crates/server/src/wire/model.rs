//! Models.

use serde_json::{Value, json};

/// A model as answers show it. When it was made nobody knows.
pub(crate) fn model(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "docent" })
}
