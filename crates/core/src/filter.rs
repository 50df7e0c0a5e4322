//! Filters by a file's attributes, as in the Assistants API's vector store search.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::file::Attributes;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// How an attribute is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

/// Which files a search may look into.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// An attribute compared with a value. A file without the attribute matches only `Ne`.
    Compare {
        /// The attribute.
        key: String,
        /// How.
        comparison: Comparison,
        /// With what.
        value: AttributeValue,
    },
    /// An attribute that is one of several values.
    In {
        /// The attribute.
        key: String,
        /// The values.
        values: Vec<AttributeValue>,
    },
    /// An attribute that is none of several values.
    NotIn {
        /// The attribute.
        key: String,
        /// The values.
        values: Vec<AttributeValue>,
    },
    /// Every one of these.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
}

impl Filter {
    /// Whether a file with `attributes` may be looked into.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        match self {
            Self::Compare { key, comparison, value } => {
                comparison.holds(attributes.get(key).and_then(|own| order(own, value)))
            }
            Self::In { key, values } => attributes.get(key).is_some_and(|own| values.contains(own)),
            Self::NotIn { key, values } => {
                attributes.get(key).is_none_or(|own| !values.contains(own))
            }
            Self::All(filters) => filters.iter().all(|filter| filter.matches(attributes)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(attributes)),
        }
    }
}

impl Comparison {
    /// `None` stands for values that cannot be compared: absent, or of different types.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Gt => order == Some(Ordering::Greater),
            Self::Gte => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Lt => order == Some(Ordering::Less),
            Self::Lte => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

fn order(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::Bool(left), AttributeValue::Bool(right)) => Some(left.cmp(right)),
        (AttributeValue::Number(left), AttributeValue::Number(right)) => left.partial_cmp(right),
        (AttributeValue::Text(left), AttributeValue::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(comparison: Comparison, value: AttributeValue) -> Filter {
        Filter::Compare { key: "year".into(), comparison, value }
    }

    #[test]
    fn a_missing_or_differently_typed_attribute_matches_only_ne() {
        let attributes = Attributes::from([("year".into(), AttributeValue::Number(2024.0))]);
        let text = AttributeValue::Text("2024".into());
        assert!(!compare(Comparison::Eq, text.clone()).matches(&attributes));
        assert!(compare(Comparison::Ne, text).matches(&attributes));
        let number = AttributeValue::Number(2020.0);
        assert!(compare(Comparison::Gte, number.clone()).matches(&attributes));
        assert!(!compare(Comparison::Gte, number).matches(&Attributes::new()));
    }
}
