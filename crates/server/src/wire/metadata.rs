//! Metadata: up to 16 pairs of text.

use docent_core::Metadata;

use super::fields::{Field, check_length};
use crate::error::ApiError;

const MOST_PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// Reads `metadata`.
pub(super) fn read(field: Field) -> Result<Metadata, ApiError> {
    let path = field.path().to_owned();
    let object = field.object()?;
    if object.len() > MOST_PAIRS {
        return Err(ApiError::invalid(format!(
            "Invalid '{path}': too many properties. Expected an object with at most {MOST_PAIRS} \
             properties, but got an object with {} properties instead.",
            object.len()
        ))
        .at(path)
        .code("object_above_max_properties"));
    }
    let pairs = object.into_fields().map(|(key, value)| {
        check_length(&path, &key, LONGEST_KEY)?;
        Ok((key, value.string_up_to(LONGEST_VALUE)?))
    });
    pairs.collect()
}
