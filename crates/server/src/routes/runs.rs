//! `/v1/threads/{thread_id}/runs`, and `/v1/threads/runs`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docent_core::{Run, RunId, ThreadId};
use docent_engine::{Engine, NewRun};
use serde_json::Value;

use super::{Answer, POLL_AFTER_MS, check_model, check_resources, missing, threads};
use crate::app::App;
use crate::error::ApiError;
use crate::ids::ApiId;
use crate::request::PathIds;
use crate::wire::{self, Include, Object, Query, StepView};

pub(super) const ID: &str = "run_id";

pub(crate) async fn list(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let thread: ThreadId = path.id(threads::ID)?;
    let page = query.page::<RunId>()?;
    query.finish()?;
    let page = app.call(move |engine| Ok(engine.runs(thread, &page)?)).await?;
    Ok(Json(wire::listed(&page, wire::run)))
}

pub(crate) async fn create(
    State(app): State<App>,
    path: PathIds,
    mut query: Query,
    body: Object,
) -> Result<Response, ApiError> {
    let thread: ThreadId = path.id(threads::ID)?;
    let include = Include::read(&mut query)?;
    query.finish()?;
    let (new, streamed) = wire::read_new_run(body)?;
    if streamed {
        let begin = move |engine: &Engine| {
            check_run(engine, &new)?;
            Ok((Vec::new(), StepView::new(include), engine.start_run(thread, new)?))
        };
        return app.stream(begin).await;
    }
    let made = app.call(move |engine| {
        check_run(engine, &new)?;
        Ok(engine.create_run(thread, new)?)
    });
    let made = made.await?;
    app.ingest().wake();
    Ok(polled(wire::run(&made)))
}

pub(crate) async fn create_with_thread(
    State(app): State<App>,
    mut query: Query,
    body: Object,
) -> Result<Response, ApiError> {
    let include = Include::read(&mut query)?;
    query.finish()?;
    let wire::NewThreadAndRun { thread, run, streamed } = wire::read_new_thread_and_run(body)?;
    let begin = move |engine: &Engine| {
        check_run(engine, &run)?;
        let files = thread.tool_resources.code_files.as_deref().unwrap_or_default();
        let stores = thread.tool_resources.vector_stores.as_deref().unwrap_or_default();
        check_resources(engine, files, stores)?;
        Ok(engine.start_thread_and_run(thread, run)?)
    };
    if streamed {
        let begin = move |engine: &Engine| {
            let (thread, _, events) = begin(engine)?;
            Ok((vec![wire::thread_created(&thread)], StepView::new(include), events))
        };
        return app.stream(begin).await;
    }
    let (_, made, _) = app.call(begin).await?;
    app.ingest().wake();
    Ok(polled(wire::run(&made)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Result<Response, ApiError> {
    let (thread, id): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(ID)?);
    let found = app.call(move |engine| run_of(engine, thread, id)).await?;
    Ok(polled(wire::run(&found)))
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let (thread, id): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(ID)?);
    let metadata = wire::read_attached_metadata(body)?;
    let changed = app.call(move |engine| {
        let run = run_of(engine, thread, id)?;
        let Some(metadata) = metadata else { return Ok(run) };
        Ok(engine.update_run(id, metadata)?)
    });
    Ok(Json(wire::run(&changed.await?)))
}

pub(crate) async fn cancel(
    State(app): State<App>,
    path: PathIds,
    body: Object,
) -> Result<Response, ApiError> {
    let (thread, id): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(ID)?);
    body.finish()?;
    let cancelled = app.call(move |engine| {
        run_of(engine, thread, id)?;
        Ok(engine.cancel_run(id)?)
    });
    Ok(polled(wire::run(&cancelled.await?)))
}

pub(crate) async fn submit(
    State(app): State<App>,
    path: PathIds,
    mut query: Query,
    body: Object,
) -> Result<Response, ApiError> {
    let (thread, id): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(ID)?);
    let include = Include::read(&mut query)?;
    query.finish()?;
    let (outputs, streamed) = wire::read_outputs(body)?;
    if streamed {
        let begin = move |engine: &Engine| {
            let view = StepView::new(include).of(&run_of(engine, thread, id)?);
            Ok((Vec::new(), view, engine.resume_run(id, outputs)?))
        };
        return app.stream(begin).await;
    }
    let resumed = app.call(move |engine| {
        run_of(engine, thread, id)?;
        Ok(engine.submit_tool_outputs(id, outputs)?)
    });
    Ok(polled(wire::run(&resumed.await?)))
}

/// The run `id`, which must be of `thread`.
pub(super) fn run_of(engine: &Engine, thread: ThreadId, id: RunId) -> Result<Run, ApiError> {
    engine.thread(thread).map_err(|error| missing(error, thread))?;
    let run = engine.run(id)?;
    if run.thread != thread {
        return Err(RunId::missing(&id.to_string()));
    }
    Ok(run)
}

/// Refuses a run that could only fail: of a model, a file or a vector store that is not there.
fn check_run(engine: &Engine, new: &NewRun) -> Result<(), ApiError> {
    let assistant = engine.assistant(new.assistant)?;
    check_model(engine, new.model.as_ref().unwrap_or(&assistant.model))?;
    let resources = new.tool_resources.as_ref();
    let stores = resources.and_then(|it| it.vector_stores.as_deref()).unwrap_or_default();
    let files = resources.and_then(|it| it.code_files.as_deref()).unwrap_or_default();
    check_resources(engine, files, stores)
}

fn polled(body: Value) -> Response {
    ([POLL_AFTER_MS], Json(body)).into_response()
}
