//! `/v1/models`: the names of the configuration, and the embedder's.

use axum::Json;
use axum::extract::State;
use docent_core::ErrorKind;
use docent_engine::Engine;
use serde_json::{Value, json};

use super::Answer;
use crate::app::App;
use crate::error::ApiError;
use crate::request::PathIds;
use crate::wire::{self, Query};

pub(crate) async fn list(State(app): State<App>, query: Query) -> Answer {
    query.finish()?;
    let mut names = app.engine().models().names();
    if let Some(embedder) = app.engine().collections().embedder() {
        names.push(embedder.spec().name.clone());
        names.sort();
        names.dedup();
    }
    let data: Vec<Value> = names.iter().map(|name| wire::model(name)).collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

/// A name that is not listed may have a fallback to answer it.
pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let name = path.text("model").to_owned();
    let found = app.call(move |engine| match engine.models().chat_model(&name) {
        Err(error) if error.kind() == ErrorKind::NotFound && !embeds(engine, &name) => {
            let shown: String = name.chars().take(64).collect();
            Err(ApiError::not_found(format!("The model '{shown}' does not exist"))
                .at("model")
                .code("model_not_found"))
        }
        _ => Ok(wire::model(&name)),
    });
    found.await.map(Json)
}

fn embeds(engine: &Engine, name: &str) -> bool {
    engine.collections().embedder().is_some_and(|embedder| embedder.spec().name == name)
}
