//! Which path does what, and what every answer has in common.

mod assistants;
mod chat;
mod embeddings;
mod files;
mod messages;
mod models;
mod runs;
mod steps;
mod store_files;
mod threads;
mod vector_stores;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use docent_core::{ErrorKind, FileId, VectorStoreId};
use docent_engine::Engine;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::ids::ApiId;
use crate::keys::DEFAULT_PROJECT;
use crate::leftover::Leftover;
use crate::metrics;
use crate::queries;
use crate::request::invalid_url;

/// What a handler answers.
type Answer = Result<Json<Value>, ApiError>;

/// Every path there is, for whoever may ask.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics::show))
        .method_not_allowed_fallback(wrong_method)
        .with_state(app.clone())
        .merge(project_router(app.clone()))
        .layer(from_fn_with_state(app, attend))
}

/// The paths that every project has; the default project's router hands requests over.
pub(crate) fn project_router(app: App) -> Router {
    Router::new()
        .nest("/v1", v1())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        // Handlers limit what they read themselves.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

fn v1() -> Router<App> {
    Router::new()
        .route("/models", get(models::list))
        // A name may have slashes: `org/model`.
        .route("/models/{*model}", get(models::retrieve))
        .route("/assistants", get(assistants::list).post(assistants::create))
        .route(
            "/assistants/{assistant_id}",
            get(assistants::retrieve).post(assistants::update).delete(assistants::delete),
        )
        .route("/threads", get(threads::list).post(threads::create))
        .route("/threads/runs", post(runs::create_with_thread))
        .route(
            "/threads/{thread_id}",
            get(threads::retrieve).post(threads::update).delete(threads::delete),
        )
        .route("/threads/{thread_id}/messages", get(messages::list).post(messages::create))
        .route(
            "/threads/{thread_id}/messages/{message_id}",
            get(messages::retrieve).post(messages::update).delete(messages::delete),
        )
        .merge(run_routes())
        .merge(vector_store_routes())
        .route("/chat/completions", post(chat::complete))
        .route("/embeddings", post(embeddings::create))
        .route("/files", get(files::list).post(files::create))
        .route("/files/{file_id}", get(files::retrieve).delete(files::delete))
        .route("/files/{file_id}/content", get(files::content))
        .route_layer(from_fn(queries::check))
}

fn run_routes() -> Router<App> {
    Router::new()
        .route("/threads/{thread_id}/runs", get(runs::list).post(runs::create))
        .route("/threads/{thread_id}/runs/{run_id}", get(runs::retrieve).post(runs::update))
        .route("/threads/{thread_id}/runs/{run_id}/cancel", post(runs::cancel))
        .route("/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", post(runs::submit))
        .route("/threads/{thread_id}/runs/{run_id}/steps", get(steps::list))
        .route("/threads/{thread_id}/runs/{run_id}/steps/{step_id}", get(steps::retrieve))
}

fn vector_store_routes() -> Router<App> {
    const STORE: &str = "/vector_stores/{vector_store_id}";
    let below = |path: &str| format!("{STORE}{path}");
    Router::new()
        .route("/vector_stores", get(vector_stores::list).post(vector_stores::create))
        .route(
            STORE,
            get(vector_stores::retrieve).post(vector_stores::update).delete(vector_stores::delete),
        )
        .route(&below("/search"), post(vector_stores::search))
        .route(&below("/files"), get(store_files::list).post(store_files::create))
        .route(
            &below("/files/{file_id}"),
            get(store_files::retrieve).post(store_files::update).delete(store_files::delete),
        )
        .route(&below("/files/{file_id}/content"), get(store_files::content))
        .route(&below("/file_batches"), post(store_files::create_batch))
        .route(&below("/file_batches/{batch_id}"), get(store_files::retrieve_batch))
        .route(&below("/file_batches/{batch_id}/cancel"), post(store_files::cancel_batch))
        .route(&below("/file_batches/{batch_id}/files"), get(store_files::batch_files))
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn nothing_here(method: Method, uri: Uri) -> ApiError {
    invalid_url(method.as_str(), uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("Not allowed to {method} on {}.", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_supported")
}

/// How long clients that poll wait until they ask again.
const POLL_AFTER_MS: (HeaderName, &str) = (HeaderName::from_static("openai-poll-after-ms"), "100");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");

/// Sees to it that a request may ask, and that its answer can be told from others.
async fn attend(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let admitted = match path == "/health" {
        true => Ok(DEFAULT_PROJECT.into()),
        false => admit(&app, &request),
    };
    let (request, leftover) = Leftover::of(request);
    let mut response = match admitted {
        Ok(project) => of_project(&app, &project, request, next).await,
        Err(error) => error.into_response(),
    };
    leftover.read().await;
    let id = request_id();
    let took = begun.elapsed();
    let (millis, status) = (took.as_millis(), response.status().as_u16());
    app.metrics().count_answer(route.as_deref().unwrap_or("none"), &method, status, took);
    tracing::debug!(%method, path, status, %millis, id, "answered");
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from_static("2020-10-01"));
    for (name, value) in [(REQUEST_ID, id), (PROCESSING_MS, millis.to_string())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// The project that a request may ask of.
fn admit(app: &App, request: &Request) -> Result<Arc<str>, ApiError> {
    let default = || Ok(DEFAULT_PROJECT.into());
    app.gate().map_or_else(default, |gate| gate.admit(request.uri(), request.headers()))
}

/// The answer of a project.
async fn of_project(app: &App, project: &str, request: Request, next: Next) -> Response {
    match app.gate() {
        Some(gate) if project != DEFAULT_PROJECT => {
            let answer = gate.answer(project, request).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

fn request_id() -> String {
    let mut bytes = [0; 16];
    // An id that is not unique is of less use, and no reason to refuse the request.
    let _ = getrandom::fill(&mut bytes);
    format!("req_{:032x}", u128::from_le_bytes(bytes))
}

/// Refuses a model that no configuration knows. One that cannot be reached now may be later.
fn check_model(engine: &Engine, name: &str) -> Result<(), ApiError> {
    match engine.models().chat_model(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name: String = name.chars().take(64).collect();
            Err(ApiError::invalid(format!("The requested model '{name}' does not exist."))
                .at("model")
                .code("model_not_found"))
        }
        _ => Ok(()),
    }
}

/// A model that no configuration knows, as everything but assistants is told.
fn no_such_model(name: &str) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    let message = format!("The model `{shown}` does not exist or you do not have access to it.");
    ApiError::not_found(message).at("model").code("model_not_found")
}

/// Refuses files and vector stores that are not there.
fn check_resources(
    engine: &Engine,
    files: &[FileId],
    stores: &[VectorStoreId],
) -> Result<(), ApiError> {
    for file in files {
        engine.collections().file(*file).map_err(|error| missing(error, *file))?;
    }
    for store in stores {
        engine.collections().vector_store(*store).map_err(|error| missing(error, *store))?;
    }
    Ok(())
}

/// The API's words for what the engine did not find.
fn missing<T: ApiId + std::fmt::Display>(error: docent_core::Error, id: T) -> ApiError {
    match error.kind() {
        ErrorKind::NotFound => T::missing(&id.to_string()),
        _ => error.into(),
    }
}
