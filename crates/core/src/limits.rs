//! What the Assistants API allows of an application's own pairs, in its own words.
//!
//! Lengths are counted in characters, not bytes.

use crate::{AttributeValue, Attributes, Error, Metadata, Result};

const MOST_PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// Whether `metadata` keeps to the limits: 16 pairs, keys of 64 characters, values of 512. `param`
/// is where it stands in the request: `metadata`, `messages[0].metadata`.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid), with [`param`](Error::param) and [`code`](Error::code).
pub fn check_metadata(metadata: &Metadata, param: &str) -> Result<()> {
    check_pairs(metadata.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))), param)
}

/// The same limits for a file's `attributes`, whose values may be numbers too.
///
/// # Errors
/// As [`check_metadata`].
pub fn check_attributes(attributes: &Attributes, param: &str) -> Result<()> {
    let pairs = attributes.iter().map(|(key, value)| match value {
        AttributeValue::Text(text) => (key.as_str(), Some(text.as_str())),
        _ => (key.as_str(), None),
    });
    check_pairs(pairs, param)
}

fn check_pairs<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a str, Option<&'a str>)>,
    param: &str,
) -> Result<()> {
    let count = pairs.len();
    if count > MOST_PAIRS {
        let message = format!(
            "Invalid '{param}': too many properties. Expected an object with at most {MOST_PAIRS} \
             properties, but got an object with {count} properties instead."
        );
        return Err(Error::invalid(message).about(param, "object_above_max_properties"));
    }
    for (key, value) in pairs {
        let length = key.chars().count();
        if length > LONGEST_KEY {
            return Err(too_long(param.to_owned(), "property name", LONGEST_KEY, length));
        }
        let length = value.map_or(0, |value| value.chars().count());
        if length > LONGEST_VALUE {
            return Err(too_long(format!("{param}.{key}"), "string", LONGEST_VALUE, length));
        }
    }
    Ok(())
}

fn too_long(param: String, what: &str, most: usize, length: usize) -> Error {
    let message = format!(
        "Invalid '{param}': {what} too long. Expected a {what} with maximum length {most}, but \
         got a {what} with length {length} instead."
    );
    Error::invalid(message).about(param, "string_above_max_length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_counted_in_characters() {
        let most = |i: usize| (format!("{i:0>LONGEST_KEY$}"), "水".repeat(LONGEST_VALUE));
        let metadata: Metadata = (0..MOST_PAIRS).map(most).collect();
        assert!(check_metadata(&metadata, "metadata").is_ok());
        assert!(check_metadata(&Metadata::from([("水".repeat(64), "1".into())]), "m").is_ok());
    }

    #[test]
    fn refusals_use_the_contracts_words() {
        let many = (0..24).map(|i| (i.to_string(), String::new())).collect();
        let error = check_metadata(&many, "metadata").unwrap_err();
        assert_eq!(
            error.message(),
            "Invalid 'metadata': too many properties. Expected an object with at most 16 \
             properties, but got an object with 24 properties instead."
        );
        assert_eq!(error.code(), Some("object_above_max_properties"));
        assert_eq!(error.param(), Some("metadata"));

        let long = Metadata::from([("k".into(), "x".repeat(695))]);
        let error = check_metadata(&long, "metadata").unwrap_err();
        assert_eq!(
            error.message(),
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, \
             but got a string with length 695 instead."
        );
        assert_eq!(
            (error.param(), error.code()),
            (Some("metadata.k"), Some("string_above_max_length"))
        );
        let key = Attributes::from([("k".repeat(65), AttributeValue::Bool(true))]);
        assert_eq!(check_attributes(&key, "attributes").unwrap_err().param(), Some("attributes"));
        let long = Attributes::from([("k".into(), AttributeValue::Text("x".repeat(513)))]);
        assert!(check_attributes(&long, "attributes").is_err());
    }
}
