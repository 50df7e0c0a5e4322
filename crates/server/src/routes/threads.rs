//! `/v1/threads`.

use axum::Json;
use axum::extract::State;
use docent_core::ThreadId;

use super::{Answer, check_resources};
use crate::app::App;
use crate::request::PathIds;
use crate::wire::{self, Object, Query};

pub(super) const ID: &str = "thread_id";

/// An extension: the Assistants API has no list of threads. The page is read row by row, so a
/// filter that fits few of many threads takes longer.
pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Answer {
    let page = query.page::<ThreadId>()?;
    let filter = query.take_pairs("metadata");
    query.finish()?;
    let page = app.call(move |engine| Ok(engine.threads(&filter, &page)?)).await?;
    Ok(Json(wire::listed(&page, wire::thread)))
}

pub(crate) async fn create(State(app): State<App>, body: Object) -> Answer {
    let new = wire::read_new_thread(body)?;
    let made = app.call(move |engine| {
        let files = new.tool_resources.code_files.as_deref().unwrap_or_default();
        let stores = new.tool_resources.vector_stores.as_deref().unwrap_or_default();
        check_resources(engine, files, stores)?;
        Ok(engine.create_thread(new)?)
    });
    let made = made.await?;
    app.ingest().wake();
    Ok(Json(wire::thread(&made)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let id: ThreadId = path.id(ID)?;
    let found = app.call(move |engine| Ok(engine.thread(id)?)).await?;
    Ok(Json(wire::thread(&found)))
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let id: ThreadId = path.id(ID)?;
    let change = wire::read_thread_change(body)?;
    let changed = app.call(move |engine| {
        if let wire::Given::Value(resources) = &change.tool_resources {
            check_resources(engine, resources.code_files(), resources.vector_stores())?;
        }
        Ok(engine.update_thread(id, |thread| change.apply(thread))?)
    });
    Ok(Json(wire::thread(&changed.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let id: ThreadId = path.id(ID)?;
    app.call(move |engine| Ok(engine.delete_thread(id)?)).await?;
    Ok(Json(wire::deleted(id, "thread.deleted")))
}
