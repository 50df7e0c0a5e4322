//! `/v1/threads/{thread_id}/messages`.

use axum::Json;
use axum::extract::State;
use docent_core::{Message, MessageId, RunId, ThreadId};
use docent_engine::Engine;

use super::{Answer, missing, threads};
use crate::app::App;
use crate::error::ApiError;
use crate::ids::{self, ApiId};
use crate::request::PathIds;
use crate::wire::{self, Object, Query};

const ID: &str = "message_id";

pub(crate) async fn list(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let thread: ThreadId = path.id(threads::ID)?;
    let page = query.page::<MessageId>()?;
    let run = query.take("run_id").map(|id| ids::parse::<RunId>("run_id", &id)).transpose()?;
    query.finish()?;
    let page = app.call(move |engine| {
        let Some(run) = run else { return Ok(engine.messages(thread, &page)?) };
        Ok(engine.messages_of_run(thread, run, &page)?)
    });
    Ok(Json(wire::listed(&page.await?, wire::message)))
}

pub(crate) async fn create(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let thread: ThreadId = path.id(threads::ID)?;
    let new = wire::read_message(body)?;
    let made = app.call(move |engine| Ok(engine.add_message(thread, new)?)).await?;
    app.ingest().wake();
    Ok(Json(wire::message(&made)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let (thread, id): (ThreadId, MessageId) = (path.id(threads::ID)?, path.id(ID)?);
    let found = app.call(move |engine| message_in(engine, thread, id)).await?;
    Ok(Json(wire::message(&found)))
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let (thread, id): (ThreadId, MessageId) = (path.id(threads::ID)?, path.id(ID)?);
    let metadata = wire::read_attached_metadata(body)?;
    let changed = app.call(move |engine| {
        let message = message_in(engine, thread, id)?;
        let Some(metadata) = metadata else { return Ok(message) };
        Ok(engine.update_message(id, metadata)?)
    });
    Ok(Json(wire::message(&changed.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let (thread, id): (ThreadId, MessageId) = (path.id(threads::ID)?, path.id(ID)?);
    let deleted = app.call(move |engine| {
        message_in(engine, thread, id)?;
        Ok(engine.delete_message(id)?)
    });
    deleted.await?;
    Ok(Json(wire::deleted(id, "thread.message.deleted")))
}

/// The message `id`, which must be in `thread`.
fn message_in(engine: &Engine, thread: ThreadId, id: MessageId) -> Result<Message, ApiError> {
    engine.thread(thread).map_err(|error| missing(error, thread))?;
    let message = engine.message(id)?;
    if message.thread != thread {
        return Err(MessageId::missing(&id.to_string()));
    }
    Ok(message)
}
