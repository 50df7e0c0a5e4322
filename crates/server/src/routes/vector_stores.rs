//! `/v1/vector_stores`: made, read, changed, searched, deleted.

use axum::Json;
use axum::extract::State;
use docent_core::VectorStoreId;

use super::{Answer, ApiError};
use crate::app::App;
use crate::ids::ApiId;
use crate::request::PathIds;
use crate::wire::{self, Object, Query};

pub(super) const ID: &str = "vector_store_id";

pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Answer {
    let page = query.page::<VectorStoreId>()?;
    query.finish()?;
    let page =
        app.call(move |engine| Ok(engine.collections().vector_store_summaries(&page)?)).await?;
    Ok(Json(wire::listed(&page, wire::vector_store)))
}

pub(crate) async fn create(State(app): State<App>, body: Object) -> Answer {
    let new = wire::read_new_vector_store(body)?;
    let made = app
        .call(move |engine| {
            let collections = engine.collections();
            let made = collections.create_vector_store_with(new)?;
            Ok(collections.vector_store_summary(made.id)?)
        })
        .await?;
    app.ingest().wake();
    Ok(Json(wire::vector_store(&made)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let id: VectorStoreId = path.id(ID)?;
    let found = app.call(move |engine| Ok(engine.collections().vector_store_summary(id)?)).await?;
    Ok(Json(wire::vector_store(&found)))
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let id: VectorStoreId = path.id(ID)?;
    let change = wire::read_vector_store_change(body)?;
    let changed = app.call(move |engine| {
        Ok(engine.collections().update_vector_store(id, |store| change.apply(store))?)
    });
    Ok(Json(wire::vector_store(&changed.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let id: VectorStoreId = path.id(ID)?;
    let was_there =
        app.call(move |engine| Ok(engine.collections().delete_vector_store(id)?)).await?;
    if !was_there {
        return Err(VectorStoreId::missing(&id.to_string()));
    }
    Ok(Json(wire::deleted(id, "vector_store.deleted")))
}

pub(crate) async fn search(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let id: VectorStoreId = path.id(ID)?;
    let wire::NewSearch { queries, options } = wire::read_search(body)?;
    let answer = app.call(move |engine| {
        let collections = engine.collections();
        // Words alone would answer too, and nobody could tell why so badly.
        if let Some(reason) = collections.no_vectors(id)? {
            return Err(ApiError::unavailable(format!("Vectors cannot be searched: {reason}.")));
        }
        let asked: Vec<&str> = queries.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for hit in collections.search_any(&[id], &asked, &options)? {
            // A file that left meanwhile is not found any more.
            if let Ok(file) = collections.vector_store_file(id, hit.chunk.file) {
                found.push((hit, file.attributes));
            }
        }
        Ok(wire::found(&queries, &found))
    });
    answer.await.map(Json)
}
