//! The fields of an object that another server printed.
//!
//! A field that is null is a field that is absent: servers differ in which they print.

use std::str::FromStr;

use docent_core::{Error, Metadata, Result, Timestamp};
use serde_json::{Map, Value};

use super::ids::{DumpId, Ids};

/// The fields of an object, which errors call by its kind and id.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    name: String,
}

impl<'a> Fields<'a> {
    pub(super) fn of(map: &'a Map<String, Value>, kind: &str) -> Self {
        let id = map.get("id").and_then(Value::as_str).unwrap_or_default();
        let id: String = id.chars().take(64).collect();
        Self { map, name: format!("{kind} {id}").trim_end().to_owned() }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// What an object cannot be kept with or without.
    pub(super) fn wrong(&self, key: &str, should: &str) -> Error {
        Error::invalid(format!("{}: '{key}' should be {should}", self.name))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    pub(super) fn required_text(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.wrong(key, "there"))
    }

    /// One of the words that serde knows; `otherwise` where it is absent or another.
    pub(super) fn word<T: serde::de::DeserializeOwned>(&self, key: &str, otherwise: T) -> T {
        let word = self.get(key).cloned();
        word.and_then(|word| serde_json::from_value(word).ok()).unwrap_or(otherwise)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        // Some printers write every number with a point.
        let whole = || value.as_f64().filter(|it| *it >= 0.0 && it.fract() == 0.0);
        let number = value.as_u64().or_else(|| whole().map(|it| it as u64));
        number.map(Some).ok_or_else(|| self.wrong(key, "a whole number"))
    }

    pub(super) fn decimal(&self, key: &str) -> Result<Option<f32>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(|it| Some(it as f32)).ok_or_else(|| self.wrong(key, "a number"))
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// A time, in seconds.
    pub(super) fn time(&self, key: &str) -> Result<Option<Timestamp>> {
        let seconds = self.number(key)?;
        Ok(seconds.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))))
    }

    pub(super) fn required_time(&self, key: &str) -> Result<Timestamp> {
        self.time(key)?.ok_or_else(|| self.wrong(key, "there"))
    }

    pub(super) fn metadata(&self) -> Result<Metadata> {
        let Some(object) = self.object("metadata")? else { return Ok(Metadata::new()) };
        // Values are strings, but for servers that took others.
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(object.map.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Fields<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(self.inner(map, key))),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    /// The objects in an array; none where it is absent.
    pub(super) fn objects(&self, key: &str) -> Result<Vec<Fields<'a>>> {
        let wrong = || self.wrong(key, "an array of objects");
        let objects = self.array(key)?.iter().map(|item| match item {
            Value::Object(map) => Ok(self.inner(map, key)),
            _ => Err(wrong()),
        });
        objects.collect()
    }

    fn inner(&self, map: &'a Map<String, Value>, key: &str) -> Fields<'a> {
        Fields { map, name: format!("{}: '{key}'", self.name) }
    }

    fn array(&self, key: &str) -> Result<&'a [Value]> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(key, "an array")),
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<Value> {
        self.get(key).cloned()
    }

    /// Fields by name.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }

    pub(super) fn id<T: DumpId + FromStr>(&self, ids: &mut Ids, key: &str) -> Result<T> {
        ids.read(&self.required_text(key)?).ok_or_else(|| self.wrong(key, "an id"))
    }

    pub(super) fn optional_id<T: DumpId + FromStr>(
        &self,
        ids: &mut Ids,
        key: &str,
    ) -> Result<Option<T>> {
        match self.text(key)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(_) => self.id(ids, key).map(Some),
        }
    }

    /// The ids in an array; none where it is absent.
    pub(super) fn ids<T: DumpId + FromStr>(&self, ids: &mut Ids, key: &str) -> Result<Vec<T>> {
        let id = |item: &Value| item.as_str().and_then(|text| ids.read(text));
        let read: Option<Vec<T>> = self.array(key)?.iter().map(id).collect();
        read.ok_or_else(|| self.wrong(key, "an array of ids"))
    }
}
