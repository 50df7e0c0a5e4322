//! One `file_search` of a run: its queries written, all of them asked at a time, their hits merged.
//!
//! What a model writes in its call stands on its own as a rule: it was told so, and saw the
//! conversation. Where it does not, or nobody but the user wrote anything, queries are completed
//! and split by rules, or by one short call of the model. The report says who wrote what.

use std::thread;

use docent_core::{
    ChatModel, FileSearchResult, Profile, QueryHit, QueryReport, QueryWriter, Result, SearchReport,
    Usage, VectorStoreId,
};
use docent_retrieval::rewrite_query;
use serde::Deserialize;

use super::rewriting;
use super::work::{Halt, Scene, Worker, panicked};
use crate::engine::QueryRewriting;
use crate::history;
use crate::question::{self, Asked};

/// More would only bring in what no query asks for.
pub(super) const MOST_QUERIES: usize = 5;

/// What a search came to.
#[derive(Debug)]
pub(super) struct Searched {
    /// Best first.
    pub(super) found: Vec<FileSearchResult>,
    pub(super) report: SearchReport,
    /// What writing the queries cost.
    pub(super) usage: Usage,
}

/// Searches with every query and merges what they find by rank: each query's first, then each
/// one's second, no passage twice.
pub(super) fn search(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
    arguments: &str,
) -> Result<Searched, Halt> {
    let stores = worker.vector_stores(scene);
    if stores.is_empty() {
        let (report, usage) = (SearchReport::default(), Usage::default());
        return Ok(Searched { found: Vec::new(), report, usage });
    }
    let options = worker.file_search().unwrap_or_default();
    let limit = search_limit(worker, model, options.max_num_results);
    let threshold = options.score_threshold.unwrap_or(0.0);
    let (queries, mut report, usage) = write_queries(worker, model, arguments)?;
    worker.check_stopped()?;
    let lists = search_all(worker, &stores, &queries, limit, threshold)?;
    let reports = queries.into_iter().zip(&lists).map(|(query, (found, took_ms))| {
        let hits = found.iter().map(hit).collect();
        QueryReport { query, took_ms: *took_ms, hits }
    });
    report.queries = reports.collect();
    let found = merged(lists.into_iter().map(|(found, _)| found), limit);
    Ok(Searched { found, report, usage })
}

/// Says of each hit in `report` whether it is among what the model was `given`.
pub(super) fn mark_given(report: &mut SearchReport, given: &[FileSearchResult]) {
    for hit in report.queries.iter_mut().flat_map(|query| &mut query.hits) {
        hit.given = given
            .iter()
            .any(|result| (result.vector_store, result.chunk.id) == (hit.vector_store, hit.chunk));
    }
}

fn hit(result: &FileSearchResult) -> QueryHit {
    QueryHit {
        vector_store: result.vector_store,
        file: result.chunk.file,
        chunk: result.chunk.id,
        score: result.score,
        given: false,
    }
}

/// What each query finds, and in how many milliseconds; all are asked at the same time.
fn search_all(
    worker: &Worker,
    stores: &[VectorStoreId],
    queries: &[String],
    limit: usize,
    threshold: f32,
) -> Result<Vec<(Vec<FileSearchResult>, u64)>> {
    let ask = |query: &String| -> Result<_> {
        let begun = worker.inner.clock.now();
        let found = worker.inner.passages.search(stores, query, limit, threshold)?;
        let took = worker.inner.clock.now().since(begun);
        Ok((found, u64::try_from(took.as_millis()).unwrap_or(u64::MAX)))
    };
    let Some((first, rest)) = queries.split_first() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> = rest.iter().map(|query| scope.spawn(move || ask(query))).collect();
        let mut lists = vec![ask(first)?];
        for other in others {
            let panicked = |panic: Box<_>| panicked("a search", &*panic);
            lists.push(other.join().map_err(panicked)??);
        }
        Ok(lists)
    })
}

fn merged(
    lists: impl Iterator<Item = Vec<FileSearchResult>>,
    limit: usize,
) -> Vec<FileSearchResult> {
    let mut lists: Vec<_> = lists.map(Vec::into_iter).collect();
    let mut merged: Vec<FileSearchResult> = Vec::new();
    loop {
        let round: Vec<_> = lists.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() || merged.len() >= limit {
            break;
        }
        for result in round {
            let key = (result.vector_store, result.chunk.id);
            if !merged.iter().any(|other| (other.vector_store, other.chunk.id) == key) {
                merged.push(result);
            }
        }
    }
    merged.truncate(limit);
    merged
}

fn search_limit(worker: &Worker, model: &dyn ChatModel, asked: Option<u32>) -> usize {
    let options = &worker.inner.options;
    let asked = asked.map_or(options.search_limit, |most| most as usize);
    match model.spec().profile {
        Profile::Basic => asked.min(options.basic_search_limit),
        _ => asked,
    }
}

/// The queries for the user's question, when the engine searches by itself.
pub(super) fn queries_of_question(worker: &Worker) -> Result<Vec<String>> {
    let asked = asked(worker)?;
    Ok(match worker.inner.options.query_rewriting {
        QueryRewriting::Off => vec![asked.as_written()],
        QueryRewriting::Model | QueryRewriting::Rules => asked.queries(),
    })
}

/// The user's last message, and the one before.
fn asked(worker: &Worker) -> Result<Asked> {
    let read = worker.inner.store.read()?;
    let mut asked = Vec::new();
    for message in history::newest_first(read.as_ref(), &worker.run) {
        let message = message?;
        if message.role == docent_core::MessageRole::User {
            asked.push(message.text());
        }
        if asked.len() == 2 {
            break;
        }
    }
    let mut asked = asked.into_iter();
    Ok(Asked { newest: asked.next().unwrap_or_default(), before: asked.next() })
}

/// What to search with, who wrote it, and what that cost.
fn write_queries(
    worker: &Worker,
    model: &dyn ChatModel,
    arguments: &str,
) -> Result<(Vec<String>, SearchReport, Usage), Halt> {
    let asked = asked(worker)?;
    let written = written(arguments);
    let (mut report, mut usage) = (SearchReport::default(), Usage::default());
    let basic = model.spec().profile == Profile::Basic;
    // A basic model writes nothing: the engine did, when it began this search.
    let original = match written.is_empty() || basic {
        true => vec![asked.as_written()],
        false => written.clone(),
    };
    let queries = match worker.inner.options.query_rewriting {
        QueryRewriting::Off => return Ok((original, report, usage)),
        QueryRewriting::Model if !basic && needs_conversation(&written, &asked) => {
            by_model(worker, &written, &mut report, &mut usage)?
        }
        QueryRewriting::Model | QueryRewriting::Rules => None,
    };
    let queries = match queries {
        Some(queries) => queries,
        None if written.is_empty() => asked.queries(),
        None if basic => written,
        None => by_rules(&written, &asked),
    };
    if report.written_by == QueryWriter::Caller && queries != original {
        report.written_by = QueryWriter::Rules;
    }
    Ok((queries, report, usage))
}

/// What the run's model writes when it is asked for queries; none, and a note why, if it fails.
fn by_model(
    worker: &Worker,
    written: &[String],
    report: &mut SearchReport,
    usage: &mut Usage,
) -> Result<Option<Vec<String>>, Halt> {
    let begun = worker.inner.clock.now();
    let rewritten = rewriting::rewrite(worker, written)?;
    let took = worker.inner.clock.now().since(begun);
    report.writing_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    *usage = rewritten.usage;
    match rewritten.queries {
        Ok(queries) => {
            report.written_by = QueryWriter::Model;
            Ok(Some(queries))
        }
        Err(reason) => {
            report.notes.push(format!("rules wrote the queries: {reason}"));
            Ok(None)
        }
    }
}

/// Whether what is to be looked for cannot be told without what was said before.
fn needs_conversation(written: &[String], asked: &Asked) -> bool {
    let leans = match written {
        [] => question::is_elliptic(&asked.newest),
        queries => queries.iter().any(|query| question::points_back(query)),
    };
    leans && asked.before.is_some()
}

/// Queries that ask two things are split, and what points back is completed.
fn by_rules(written: &[String], asked: &Asked) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for query in written {
        let parts = rewrite_query(query);
        let whole = [query.clone()];
        let parts = if parts.len() > 1 { &parts[..] } else { &whole };
        for (at, part) in parts.iter().enumerate() {
            let context = if at == 0 { asked.context_of(part) } else { Some(parts[0].as_str()) };
            let completed = match context.filter(|_| question::points_back(part)) {
                Some(context) => question::completed(part, context),
                None => part.clone(),
            };
            if !queries.contains(&completed) {
                queries.push(completed);
            }
        }
    }
    queries.truncate(MOST_QUERIES);
    queries
}

/// What a model writes to search.
#[derive(Deserialize)]
struct SearchArguments {
    #[serde(default)]
    queries: Vec<String>,
    #[serde(default)]
    query: Option<String>,
}

/// The queries in `arguments`. A model that writes no JSON of that form meant its text as the
/// query.
fn written(arguments: &str) -> Vec<String> {
    let queries = match serde_json::from_str::<SearchArguments>(arguments) {
        Ok(parsed) => parsed.queries.into_iter().chain(parsed.query).collect(),
        Err(_) => vec![arguments.to_owned()],
    };
    bounded(queries)
}

/// The queries that say something, as many and as long as a search may have.
pub(super) fn bounded(mut queries: Vec<String>) -> Vec<String> {
    queries.retain(|query| query.chars().any(char::is_alphanumeric));
    queries.truncate(MOST_QUERIES);
    queries.into_iter().map(|query| question::clipped(&query)).collect()
}
