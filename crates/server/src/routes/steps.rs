//! `/v1/threads/{thread_id}/runs/{run_id}/steps`.

use axum::Json;
use axum::extract::State;
use docent_core::{RunId, StepId, ThreadId};

use super::runs::{self, run_of};
use super::{Answer, threads};
use crate::app::App;
use crate::request::PathIds;
use crate::wire::{self, Include, Query};

pub(crate) async fn list(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let (thread, run): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(runs::ID)?);
    let page = query.page::<StepId>()?;
    let include = Include::read(&mut query)?;
    query.finish()?;
    let page = app.call(move |engine| {
        run_of(engine, thread, run)?;
        wire::window(engine.run_steps(run)?, &page, |step| step.id)
    });
    Ok(Json(wire::listed(&page.await?, |step| wire::step(step, include))))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let (thread, run): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(runs::ID)?);
    let id: StepId = path.id("step_id")?;
    let include = Include::read(&mut query)?;
    query.finish()?;
    let found = app.call(move |engine| {
        run_of(engine, thread, run)?;
        Ok(engine.run_step(run, id)?)
    });
    Ok(Json(wire::step(&found.await?, include)))
}
