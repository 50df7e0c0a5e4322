//! Searches of a vector store, and the filters in them.

use docent_core::{AttributeValue, Comparison, Filter};
use docent_engine::retrieval::{SearchOptions, rewrite_query};
use serde_json::Value;

use super::fields::{Field, Object, wrong_type};
use crate::error::ApiError;

/// Filters may be nested; deeper than this they would only be there to hurt.
const DEEPEST: usize = 16;

/// What is searched for, and how.
#[derive(Debug)]
pub(crate) struct NewSearch {
    pub(crate) queries: Vec<String>,
    pub(crate) options: SearchOptions,
}

/// Reads a search.
pub(crate) fn read_search(mut body: Object) -> Result<NewSearch, ApiError> {
    let queries = body.required("query", |field| match field.as_word() {
        Some(_) => Ok(vec![field.string()?]),
        None => field.nonempty_array_up_to(50)?.into_iter().map(Field::string).collect(),
    })?;
    let most = body.optional("max_num_results", |field| field.integer(1, 50))?;
    let filter = body.optional("filters", |field| read_filter(field, 0))?;
    let ranking = body.optional("ranking_options", read_ranking)?.unwrap_or_default();
    let rewritten = body.optional("rewrite_query", Field::boolean)?.unwrap_or(false);
    body.finish()?;
    let queries = match rewritten {
        true => queries.iter().flat_map(|query| rewrite_query(query)).collect(),
        false => queries,
    };
    let usual = SearchOptions::default();
    let options = SearchOptions {
        limit: most.unwrap_or(10) as usize,
        filter,
        score_threshold: ranking.score_threshold.unwrap_or(0.0),
        rerank: if ranking.reranks { usual.rerank } else { 0 },
        ..usual
    };
    Ok(NewSearch { queries, options })
}

/// How hits are ranked.
struct Ranking {
    /// Whether the best candidates are looked at again.
    reranks: bool,
    score_threshold: Option<f32>,
}

impl Default for Ranking {
    fn default() -> Self {
        Self { reranks: true, score_threshold: None }
    }
}

fn read_ranking(field: Field) -> Result<Ranking, ApiError> {
    let mut object = field.object()?;
    let known = ["none", "auto", "default-2024-11-15"];
    let ranker = object.optional("ranker", |field| field.word(&known))?;
    let score_threshold = object.optional("score_threshold", |field| field.decimal(0.0, 1.0))?;
    object.finish()?;
    Ok(Ranking { reranks: ranker != Some("none"), score_threshold })
}

fn read_filter(field: Field, depth: usize) -> Result<Filter, ApiError> {
    if depth > DEEPEST {
        return Err(field.refuse("filters are nested too deeply."));
    }
    let mut object = field.object()?;
    let known = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or"];
    let kind = object.required("type", |field| field.word(&known))?;
    let filter = match kind {
        "and" | "or" => {
            let filters = object.required("filters", |field| {
                let items = field.array()?.into_iter();
                items.map(|item| read_filter(item, depth + 1)).collect::<Result<Vec<_>, _>>()
            })?;
            if kind == "and" { Filter::All(filters) } else { Filter::Any(filters) }
        }
        _ => read_comparison(&mut object, kind)?,
    };
    object.finish()?;
    Ok(filter)
}

fn read_comparison(object: &mut Object, kind: &str) -> Result<Filter, ApiError> {
    let key = object.required("key", |field| field.string_up_to(64))?;
    let comparison = match kind {
        "in" | "nin" => {
            let values = object.required("value", |field| {
                field.array()?.into_iter().map(read_value).collect::<Result<Vec<_>, _>>()
            })?;
            let inside = kind == "in";
            return Ok(if inside {
                Filter::In { key, values }
            } else {
                Filter::NotIn { key, values }
            });
        }
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        "lt" => Comparison::Lt,
        _ => Comparison::Lte,
    };
    let value = object.required("value", read_value)?;
    Ok(Filter::Compare { key, comparison, value })
}

fn read_value(field: Field) -> Result<AttributeValue, ApiError> {
    let path = field.path().to_owned();
    match field.into_value() {
        Value::Bool(value) => Ok(AttributeValue::Bool(value)),
        Value::String(value) => Ok(AttributeValue::Text(value)),
        other => other
            .as_f64()
            .map(AttributeValue::Number)
            .ok_or_else(|| wrong_type(&path, "a string, a number or a boolean", &other)),
    }
}
