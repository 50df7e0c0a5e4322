//! Reading a request's JSON strictly, with the Assistants API's words for what is wrong.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// A JSON object whose fields are taken one by one; what is left in the end is an error.
#[derive(Debug)]
pub(crate) struct Object {
    /// Where it is in the request, ending in a dot; empty for the request itself.
    path: String,
    fields: Map<String, Value>,
}

/// A value and where in the request it is.
#[derive(Debug)]
pub(crate) struct Field {
    path: String,
    value: Value,
}

/// What a partial update says of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given<T> {
    /// Nothing: it stays as it is.
    Absent,
    /// Null: it is cleared.
    Null,
    /// A new value.
    Value(T),
}

impl<T> Given<T> {
    /// Changes `slot` if anything was said of it.
    pub(crate) fn apply(self, slot: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *slot = None,
            Self::Value(value) => *slot = Some(value),
        }
    }

    /// Changes `slot`, which null resets.
    pub(crate) fn apply_or_default(self, slot: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Absent => {}
            Self::Null => *slot = T::default(),
            Self::Value(value) => *slot = value,
        }
    }

    /// The value, if one was given.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, ApiError>;

impl Object {
    /// A request's body. An empty one is an empty object: the clients send none where nothing is
    /// required.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { path: String::new(), fields: Map::new() });
        }
        let value = serde_json::from_slice(body).map_err(|_| not_json())?;
        match value {
            Value::Object(fields) => Ok(Self { path: String::new(), fields }),
            _ => Err(not_json()),
        }
    }

    /// The field `name`, if it is there and not null.
    pub(crate) fn take(&mut self, name: &str) -> Option<Field> {
        self.given(name).value()
    }

    /// The field `name`, telling null from absent.
    pub(crate) fn given(&mut self, name: &str) -> Given<Field> {
        match self.fields.shift_remove(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => Given::Value(Field { path: self.path_of(name), value }),
        }
    }

    /// The field `name`, read by `read`, telling null from absent.
    pub(crate) fn given_as<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Field) -> Result<T>,
    ) -> Result<Given<T>> {
        Ok(match self.given(name) {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Value(field) => Given::Value(read(field)?),
        })
    }

    /// The field `name`, read by `read`, if it is there and not null.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Field) -> Result<T>,
    ) -> Result<Option<T>> {
        self.take(name).map(read).transpose()
    }

    /// The field `name`, which must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Field) -> Result<T>,
    ) -> Result<T> {
        let path = self.path_of(name);
        let Some(field) = self.take(name) else {
            return Err(missing_parameter(&path));
        };
        read(field)
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown_parameter(&self.path_of(name))),
        }
    }

    /// Every field left, in order of its name.
    pub(crate) fn into_fields(self) -> impl Iterator<Item = (String, Field)> {
        let Self { path, fields } = self;
        fields.into_iter().map(move |(name, value)| {
            let path = format!("{path}{name}");
            (name, Field { path, value })
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}

impl Field {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is a string, for fields that may be a word or an object.
    pub(crate) fn as_word(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// What it is, to be looked at before it is read.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// Any JSON, as it is.
    pub(crate) fn into_value(self) -> Value {
        self.value
    }

    pub(crate) fn object(self) -> Result<Object> {
        match self.value {
            Value::Object(fields) => Ok(Object { path: format!("{}.", self.path), fields }),
            other => Err(wrong_type(&self.path, "an object", &other)),
        }
    }

    pub(crate) fn array(self) -> Result<Vec<Field>> {
        let path = self.path;
        match self.value {
            Value::Array(items) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(at, value)| Field { path: format!("{path}[{at}]"), value })
                .collect()),
            other => Err(wrong_type(&path, "an array", &other)),
        }
    }

    /// An array of at most `most` values.
    pub(crate) fn array_up_to(self, most: usize) -> Result<Vec<Field>> {
        let path = self.path.clone();
        let items = self.array()?;
        if items.len() > most {
            return Err(ApiError::invalid(format!(
                "Invalid '{path}': array too long. Expected an array with maximum length {most}, \
                 but got an array with length {} instead.",
                items.len()
            ))
            .at(path)
            .code("array_above_max_length"));
        }
        Ok(items)
    }

    /// An array of one to `most` values.
    pub(crate) fn nonempty_array_up_to(self, most: usize) -> Result<Vec<Field>> {
        let path = self.path.clone();
        let items = self.array_up_to(most)?;
        if items.is_empty() {
            return Err(ApiError::invalid(format!(
                "Invalid '{path}': empty array. Expected an array with minimum length 1, but got \
                 an empty array instead."
            ))
            .at(path)
            .code("empty_array"));
        }
        Ok(items)
    }

    pub(crate) fn string(self) -> Result<String> {
        match self.value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(&self.path, "a string", &other)),
        }
    }

    /// A string of at most `most` characters.
    pub(crate) fn string_up_to(self, most: usize) -> Result<String> {
        let path = self.path.clone();
        let text = self.string()?;
        check_length(&path, &text, most)?;
        Ok(text)
    }

    pub(crate) fn boolean(self) -> Result<bool> {
        match self.value {
            Value::Bool(truth) => Ok(truth),
            other => Err(wrong_type(&self.path, "a boolean", &other)),
        }
    }

    /// A whole number of `least` to `most`.
    pub(crate) fn integer(self, least: u64, most: u64) -> Result<u64> {
        let Value::Number(number) = &self.value else {
            return Err(wrong_type(&self.path, "an integer", &self.value));
        };
        check_integer(&self.path, number, least, most)
    }

    /// A number of `least` to `most`.
    pub(crate) fn decimal(self, least: f64, most: f64) -> Result<f32> {
        let Some(number) = self.value.as_f64() else {
            return Err(wrong_type(&self.path, "a decimal", &self.value));
        };
        let bound = if number < least {
            Some(("below minimum", ">=", least, "decimal_below_min_value"))
        } else if number > most {
            Some(("above maximum", "<=", most, "decimal_above_max_value"))
        } else {
            None
        };
        let Some((side, sign, limit, code)) = bound else { return Ok(number as f32) };
        Err(ApiError::invalid(format!(
            "Invalid '{}': decimal {side} value. Expected a value {sign} {limit}, but got {} \
             instead.",
            self.path, self.value
        ))
        .at(self.path)
        .code(code))
    }

    /// One of the words `known`.
    pub(crate) fn word(self, known: &[&'static str]) -> Result<&'static str> {
        let path = self.path.clone();
        let word = self.string()?;
        known.iter().find(|it| **it == word).copied().ok_or_else(|| {
            ApiError::invalid(format!(
                "Invalid value: '{}'. Supported values are: {}.",
                shown(&word),
                listed(known)
            ))
            .at(path)
            .code("invalid_value")
        })
    }

    /// Refuses the value for a reason of its own.
    pub(crate) fn refuse(&self, reason: &str) -> ApiError {
        ApiError::invalid(format!("Invalid '{}': {reason}", self.path))
            .at(&self.path)
            .code("invalid_value")
    }
}

fn check_integer(path: &str, number: &serde_json::Number, least: u64, most: u64) -> Result<u64> {
    let whole = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    let Some(whole) = whole else {
        return Err(wrong_type(path, "an integer", &Value::Number(number.clone())));
    };
    let (side, sign, limit, code) = if whole < i128::from(least) {
        ("below minimum", ">=", least, "integer_below_min_value")
    } else if whole > i128::from(most) {
        ("above maximum", "<=", most, "integer_above_max_value")
    } else {
        return Ok(number.as_u64().unwrap_or(least));
    };
    Err(ApiError::invalid(format!(
        "Invalid '{path}': integer {side} value. Expected a value {sign} {limit}, but got {whole} \
         instead."
    ))
    .at(path)
    .code(code))
}

/// Refuses text of more than `most` characters.
pub(crate) fn check_length(path: &str, text: &str, most: usize) -> Result<()> {
    // Bytes are never fewer than characters.
    let length = if text.len() > most { text.chars().count() } else { 0 };
    if length <= most {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Invalid '{path}': string too long. Expected a string with maximum length {most}, but got \
         a string with length {length} instead."
    ))
    .at(path)
    .code("string_above_max_length"))
}

pub(crate) fn missing_parameter(path: &str) -> ApiError {
    ApiError::invalid(format!("Missing required parameter: '{path}'."))
        .at(path)
        .code("missing_required_parameter")
}

pub(crate) fn unknown_parameter(path: &str) -> ApiError {
    ApiError::invalid(format!("Unknown parameter: '{path}'.")).at(path).code("unknown_parameter")
}

fn not_json() -> ApiError {
    ApiError::invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't \
         using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was \
         sent was not valid JSON.)",
    )
}

pub(crate) fn wrong_type(path: &str, expected: &str, got: &Value) -> ApiError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ApiError::invalid(format!(
        "Invalid type for '{path}': expected {expected}, but got {got} instead."
    ))
    .at(path)
    .code("invalid_type")
}

/// `'a', 'b', and 'c'`.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [first, last] => format!("{first} and {last}"),
        [rest @ .., last] if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
        all => all.join(", "),
    }
}

/// As much of a client's text as an error repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
