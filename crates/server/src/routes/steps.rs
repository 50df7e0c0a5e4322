//! `/v1/threads/{thread_id}/runs/{run_id}/steps`.

use axum::Json;
use axum::extract::State;
use docent_core::{RunId, StepId, ThreadId};

use super::runs::{self, run_of};
use super::{Answer, threads};
use crate::app::App;
use crate::request::PathIds;
use crate::wire::{self, Include, Query, StepView};

pub(crate) async fn list(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let (thread, run): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(runs::ID)?);
    let page = query.page::<StepId>()?;
    let include = Include::read(&mut query)?;
    query.finish()?;
    let page = app.call(move |engine| {
        let view = StepView::new(include).of(&run_of(engine, thread, run)?);
        let page = wire::window(engine.run_steps(run)?, &page, |step| step.id)?;
        Ok(wire::listed(&page, |step| wire::step(step, view)))
    });
    page.await.map(Json)
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds, mut query: Query) -> Answer {
    let (thread, run): (ThreadId, RunId) = (path.id(threads::ID)?, path.id(runs::ID)?);
    let id: StepId = path.id("step_id")?;
    let include = Include::read(&mut query)?;
    query.finish()?;
    let found = app.call(move |engine| {
        let view = StepView::new(include).of(&run_of(engine, thread, run)?);
        Ok(wire::step(&engine.run_step(run, id)?, view))
    });
    found.await.map(Json)
}
