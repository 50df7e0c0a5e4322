//! `/v1/chat/completions`: the chat models without threads, nothing kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docent_core::{ChatModel, ErrorKind, Profile, ToolChoice};
use docent_engine::Engine;

use crate::app::App;
use crate::error::ApiError;
use crate::wire::{self, Chunks, Completion, NewChat, Object, Query};

pub(crate) async fn complete(
    State(app): State<App>,
    query: Query,
    body: Object,
) -> Result<Response, ApiError> {
    query.finish()?;
    let asked = wire::read_chat(body, app.engine().ids().as_ref())?;
    let name = asked.model.clone();
    let model = app.call(move |engine| model_called(engine, &name)).await?;
    let asked = fitted(asked, model.as_ref())?;
    let (clock, ids) = (app.engine().clock(), app.engine().ids());
    let completion = Completion::new(asked.model.clone(), clock.now(), ids.clone());
    let streamed = asked.streamed;
    let talk = app.talk(model, asked).await?;
    match streamed {
        Some(streaming) => Ok(talk.streamed(Chunks::new(completion, streaming))),
        None => Ok(Json(completion.whole(&talk.whole().await?)).into_response()),
    }
}

fn model_called(engine: &Engine, name: &str) -> Result<Arc<dyn ChatModel>, ApiError> {
    engine.models().chat_model(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => super::no_such_model(name),
        _ => error.into(),
    })
}

/// Refuses tools where the model cannot call any; where none may be called none are offered.
fn fitted(mut asked: NewChat, model: &dyn ChatModel) -> Result<NewChat, ApiError> {
    if asked.tool_choice == ToolChoice::None {
        asked.tools.clear();
        asked.parallel_tool_calls = None;
    }
    if !asked.tools.is_empty() && model.spec().profile == Profile::Basic {
        let name: String = asked.model.chars().take(64).collect();
        return Err(ApiError::invalid(format!(
            "The model '{name}' calls no tools; leave out 'tools', or name a model that does."
        ))
        .at("tools")
        .code("unsupported_parameter"));
    }
    Ok(asked)
}
