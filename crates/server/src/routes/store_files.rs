//! `/v1/vector_stores/{vector_store_id}/files` and `file_batches`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docent_core::{BatchId, FileId, FileStatus, VectorStoreId};
use docent_engine::PageRequest;

use super::{Answer, POLL_AFTER_MS, vector_stores};
use crate::app::App;
use crate::error::ApiError;
use crate::request::PathIds;
use crate::wire::{self, Object, Query};

const FILE: &str = "file_id";
const BATCH: &str = "batch_id";

/// Which page of a list of files, and of which status.
fn read_query(mut query: Query) -> Result<(PageRequest<FileId>, Option<FileStatus>), ApiError> {
    let page = query.page::<FileId>()?;
    let status = query.take("filter").map(|name| wire::read_status(&name)).transpose()?;
    query.finish()?;
    Ok((page, status))
}

pub(crate) async fn list(State(app): State<App>, path: PathIds, query: Query) -> Answer {
    let store: VectorStoreId = path.id(vector_stores::ID)?;
    let (page, status) = read_query(query)?;
    let page = app.call(move |engine| {
        Ok(engine.collections().vector_store_files_page(store, status, &page)?)
    });
    Ok(Json(wire::listed(&page.await?, wire::store_file)))
}

pub(crate) async fn create(
    State(app): State<App>,
    path: PathIds,
    body: Object,
) -> Result<Response, ApiError> {
    let store: VectorStoreId = path.id(vector_stores::ID)?;
    let (file, options) = wire::read_entry(body)?;
    let attached =
        app.call(move |engine| Ok(engine.collections().attach(store, file, options)?)).await?;
    app.ingest().wake();
    Ok(([POLL_AFTER_MS], Json(wire::store_file(&attached))).into_response())
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Result<Response, ApiError> {
    let (store, file) = (path.id(vector_stores::ID)?, path.id(FILE)?);
    let found = app.call(move |engine| Ok(engine.collections().vector_store_file(store, file)?));
    Ok(([POLL_AFTER_MS], Json(wire::store_file(&found.await?))).into_response())
}

pub(crate) async fn update(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let (store, file) = (path.id(vector_stores::ID)?, path.id(FILE)?);
    let attributes = wire::read_attributes_change(body)?;
    let changed = app
        .call(move |engine| Ok(engine.collections().update_attributes(store, file, attributes)?));
    Ok(Json(wire::store_file(&changed.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let store: VectorStoreId = path.id(vector_stores::ID)?;
    let file: FileId = path.id(FILE)?;
    app.call(move |engine| {
        let collections = engine.collections();
        collections.vector_store_file(store, file)?;
        Ok(collections.detach(store, file)?)
    })
    .await?;
    Ok(Json(wire::deleted(file, "vector_store.file.deleted")))
}

pub(crate) async fn content(State(app): State<App>, path: PathIds) -> Answer {
    let (store, file) = (path.id(vector_stores::ID)?, path.id(FILE)?);
    let text = app.call(move |engine| Ok(engine.collections().file_text(store, file)?));
    Ok(Json(wire::file_content(&text.await?)))
}

pub(crate) async fn create_batch(
    State(app): State<App>,
    path: PathIds,
    body: Object,
) -> Result<Response, ApiError> {
    let store: VectorStoreId = path.id(vector_stores::ID)?;
    let files = wire::read_batch(body)?;
    let made =
        app.call(move |engine| Ok(engine.collections().create_batch(store, &files)?)).await?;
    app.ingest().wake();
    Ok(([POLL_AFTER_MS], Json(wire::batch(&made))).into_response())
}

pub(crate) async fn retrieve_batch(
    State(app): State<App>,
    path: PathIds,
) -> Result<Response, ApiError> {
    let (store, id): (VectorStoreId, BatchId) = (path.id(vector_stores::ID)?, path.id(BATCH)?);
    let found = app.call(move |engine| Ok(engine.collections().batch(store, id)?)).await?;
    Ok(([POLL_AFTER_MS], Json(wire::batch(&found))).into_response())
}

pub(crate) async fn cancel_batch(State(app): State<App>, path: PathIds, body: Object) -> Answer {
    let (store, id): (VectorStoreId, BatchId) = (path.id(vector_stores::ID)?, path.id(BATCH)?);
    body.finish()?;
    let cancelled = app.call(move |engine| Ok(engine.collections().cancel_batch(store, id)?));
    Ok(Json(wire::batch(&cancelled.await?)))
}

pub(crate) async fn batch_files(State(app): State<App>, path: PathIds, query: Query) -> Answer {
    let (store, id): (VectorStoreId, BatchId) = (path.id(vector_stores::ID)?, path.id(BATCH)?);
    let (page, status) = read_query(query)?;
    let page =
        app.call(move |engine| Ok(engine.collections().batch_files(store, id, status, &page)?));
    Ok(Json(wire::listed(&page.await?, wire::store_file)))
}
