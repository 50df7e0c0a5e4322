//! Lists, and the queries that ask for a part of one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use docent_engine::{Order, Page, PageRequest};
use serde_json::{Value, json};

use super::fields::unknown_parameter;
use crate::error::ApiError;
use crate::ids::{self, ApiId};

/// A request's query, whose parameters are taken one by one; what is left is an error.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let values = parameters.entry(name.into_owned()).or_default();
            values.push(Cow::into_owned(value));
        }
        Self(parameters)
    }

    /// The parameter `name`; the last one if it was given several times.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)?.pop()
    }

    /// Every value of the array `name`, in either spelling.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let spelled = [format!("{name}[]"), name.to_owned()];
        spelled.iter().filter_map(|name| self.0.remove(name)).flatten().collect()
    }

    /// Every pair of the object `name`, each spelled `name[key]=value`.
    pub(crate) fn take_pairs(&mut self, name: &str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        self.0.retain(|parameter, values| {
            let inner = parameter.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            let Some(key) = inner.and_then(|rest| rest.strip_suffix(']')) else { return true };
            pairs.extend(values.pop().map(|value| (key.to_owned(), value)));
            false
        });
        pairs
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown_parameter(name)),
        }
    }

    /// Which page of a list is wanted.
    pub(crate) fn page<Id: ApiId>(&mut self) -> Result<PageRequest<Id>, ApiError> {
        self.page_up_to(100, 20)
    }

    /// Which page of a list is wanted that shows at most `most`, usually `usual`.
    pub(crate) fn page_up_to<Id: ApiId>(
        &mut self,
        most: usize,
        usual: usize,
    ) -> Result<PageRequest<Id>, ApiError> {
        let mut cursor =
            |name: &str| self.take(name).map(|text| ids::parse::<Id>(name, &text)).transpose();
        let (after, before) = (cursor("after")?, cursor("before")?);
        let order = match self.take("order").as_deref() {
            None | Some("desc") => Order::Newest,
            Some("asc") => Order::Oldest,
            Some(other) => return Err(not_one_of("order", other, "'asc' and 'desc'")),
        };
        let limit = match self.take("limit") {
            None => usual,
            Some(text) => read_integer("limit", &text, 1, most as u64)? as usize,
        };
        Ok(PageRequest { limit, order, after, before })
    }
}

/// A query parameter that is none of the words there are.
pub(crate) fn not_one_of(param: &str, got: &str, known: &str) -> ApiError {
    let got = super::fields::shown(got);
    ApiError::invalid(format!("Invalid value: '{got}'. Supported values are: {known}."))
        .at(param)
        .code("invalid_value")
}

/// The whole number `text`, of `least` to `most`, that the request calls `param`.
pub(super) fn read_integer(
    param: &str,
    text: &str,
    least: u64,
    most: u64,
) -> Result<u64, ApiError> {
    let Ok(number) = text.parse::<i64>() else {
        return Err(ApiError::invalid(format!(
            "Invalid type for '{param}': expected an integer, but got a string instead."
        ))
        .at(param)
        .code("invalid_type"));
    };
    let (side, sign, bound, code) = match u64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => return Ok(number),
        Ok(number) if number > most => ("above maximum", "<=", most, "integer_above_max_value"),
        _ => ("below minimum", ">=", least, "integer_below_min_value"),
    };
    Err(ApiError::invalid(format!(
        "Invalid '{param}': integer {side} value. Expected a value {sign} {bound}, but got \
         {number} instead."
    ))
    .at(param)
    .code(code))
}

/// A page as answers show it.
pub(crate) fn listed<T>(page: &Page<T>, show: impl FnMut(&T) -> Value) -> Value {
    let data: Vec<Value> = page.data.iter().map(show).collect();
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": page.has_more,
        "data": data,
    })
}

/// The page of `items`, oldest first as they come, that `request` asks for.
///
/// # Errors
/// 404 when the list has no such item to begin at.
pub(crate) fn window<T, Id: ApiId + PartialEq + std::fmt::Display>(
    mut items: Vec<T>,
    request: &PageRequest<Id>,
    id: impl Fn(&T) -> Id,
) -> Result<Page<T>, ApiError> {
    if request.order == Order::Newest {
        items.reverse();
    }
    let place = |cursor: &Id| {
        let at = items.iter().position(|item| id(item) == *cursor);
        at.ok_or_else(|| Id::missing(&cursor.to_string()))
    };
    let start = request.after.as_ref().map(place).transpose()?.map_or(0, |at| at + 1);
    let end = request.before.as_ref().map(place).transpose()?.unwrap_or(items.len()).max(start);
    let has_more = end - start > request.limit;
    // With `before` alone it is the page that ends just before that item.
    let from_end = request.after.is_none() && request.before.is_some();
    let (start, end) = match (has_more, from_end) {
        (false, _) => (start, end),
        (true, true) => (end - request.limit, end),
        (true, false) => (start, start + request.limit),
    };
    Ok(Page { data: items.drain(start..end).collect(), has_more })
}

/// What is answered to a deletion.
pub(crate) fn deleted(id: impl std::fmt::Display, object: &str) -> Value {
    json!({ "id": id.to_string(), "object": object, "deleted": true })
}
