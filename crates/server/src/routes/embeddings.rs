//! `/v1/embeddings`: the embedder of the vector stores, for texts of the client's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use docent_core::{Embedder, InputRole};
use docent_engine::Engine;

use super::Answer;
use crate::app::App;
use crate::error::ApiError;
use crate::wire::{self, Object, Query};

/// Every text is embedded as a passage: the API cannot say which ones ask.
const ROLE: InputRole = InputRole::Passage;

pub(crate) async fn create(State(app): State<App>, query: Query, body: Object) -> Answer {
    query.finish()?;
    let asked = wire::read_embeddings(body)?;
    let made = app.call(move |engine| {
        let embedder = embedder_called(engine, &asked.model)?;
        let texts: Vec<&str> = asked.inputs.iter().map(String::as_str).collect();
        let tokens = embedder.count_tokens(&texts, ROLE)?;
        asked.check(embedder.spec(), &tokens)?;
        let made = embedder.embed(&texts, ROLE)?;
        let vectors: Vec<Vec<f32>> = made.iter().map(|made| made.first().to_vec()).collect();
        let tokens = tokens.iter().sum::<usize>() as u64;
        Ok(wire::embeddings(&asked.model, &vectors, asked.encoding, tokens))
    });
    made.await.map(Json)
}

fn embedder_called<'a>(engine: &'a Engine, name: &str) -> Result<&'a Arc<dyn Embedder>, ApiError> {
    let Some(embedder) = engine.collections().embedder() else {
        return Err(ApiError::invalid(
            "This server has no embedder: its vector stores are searched by words alone. Name one \
             as 'embedder' in docent.toml and fetch it with 'docent models pull'.",
        )
        .at("model")
        .code("model_not_found"));
    };
    let known = &embedder.spec().name;
    if known == name {
        return Ok(embedder);
    }
    let mut refused = super::no_such_model(name);
    refused.message = format!("{} Embeddings are made by '{known}'.", refused.message);
    Err(refused)
}
