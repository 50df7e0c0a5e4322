//! `/v1/assistants`.

use axum::Json;
use axum::extract::State;
use docent_core::AssistantId;

use super::{Answer, check_model, check_resources};
use crate::app::App;
use crate::request::PathIds;
use crate::wire::{self, Object, Query};

const ID: &str = "assistant_id";

pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Answer {
    let page = query.page::<AssistantId>()?;
    query.finish()?;
    let page = app.call(move |engine| Ok(engine.assistants(&page)?)).await?;
    Ok(Json(wire::listed(&page, wire::assistant)))
}

pub(crate) async fn create(State(app): State<App>, body: Object) -> Answer {
    let new = wire::read_new_assistant(body)?;
    let made = app.call(move |engine| {
        check_model(engine, &new.model)?;
        let files = new.tool_resources.code_files.as_deref().unwrap_or_default();
        let stores = new.tool_resources.vector_stores.as_deref().unwrap_or_default();
        check_resources(engine, files, stores)?;
        Ok(engine.create_assistant(new)?)
    });
    let made = made.await?;
    app.ingest().wake();
    Ok(Json(wire::assistant(&made)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let id: AssistantId = path.id(ID)?;
    let found = app.call(move |engine| Ok(engine.assistant(id)?)).await?;
    Ok(Json(wire::assistant(&found)))
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let id: AssistantId = path.id(ID)?;
    let change = wire::read_assistant_change(body)?;
    let changed = app.call(move |engine| {
        if let Some(model) = &change.model {
            check_model(engine, model)?;
        }
        if let wire::Given::Value(resources) = &change.tool_resources {
            check_resources(engine, resources.code_files(), resources.vector_stores())?;
        }
        Ok(engine.update_assistant(id, |assistant| change.apply(assistant))?)
    });
    Ok(Json(wire::assistant(&changed.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let id: AssistantId = path.id(ID)?;
    app.call(move |engine| Ok(engine.delete_assistant(id)?)).await?;
    Ok(Json(wire::deleted(id, "assistant.deleted")))
}
