//! Runs: made, followed, cancelled, given their tool outputs.
//!
//! Whatever a client asks for is one transaction here; the work itself is done by
//! workers that claim runs from the queue, and is durable at each step.

pub mod machine;

mod asking;
mod begin;
mod calls;
mod code;
mod ending;
mod events;
mod live;
mod made;
mod mounts;
mod prompt;
pub(crate) mod queue;
mod replay;
mod rewriting;
mod running;
mod searching;
pub(crate) mod summary;
mod turn;
pub(crate) mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use docent_core::{
    Call, CallId, Error, Key, Metadata, Page, PageRequest, Result, Run, RunId, RunStep,
    StepDetails, StepId, StepStatus, ThreadId, Write, check_metadata,
};

pub use begin::NewRun;
pub use code::CODE_INTERPRETER;
pub use events::{MessageDelta, RunEvent, RunStream, StepDelta};
pub(crate) use live::{LiveRuns, Stop};
use machine::{Input, transition};
pub(crate) use work::Worker;

use crate::engine::Engine;
use crate::tables::{self, RUN_LEASES, RUN_QUEUE, RUNS, THREAD_RUNS, parent};

/// The points at which a test may cut the power during a run; see
/// [`crash_point`](docent_core::crash_point).
pub const CRASH_POINTS: &[&str] = &[
    "run.after-create",
    "run.after-claim",
    "run.before-search",
    "run.after-search",
    "run.after-step",
    "run.mid-stream",
    "run.before-message",
    "run.after-message",
    "run.requires-action",
    "run.after-submit",
    "run.cancelling",
];

/// The same for a run that summarizes older messages.
pub const SUMMARY_CRASH_POINTS: &[&str] = &["summary.before-write", "summary.after-write"];

/// The same for runs that have programs run.
pub const PROGRAM_CRASH_POINTS: &[&str] =
    &["program.after-run", "program.after-outputs", "program.after-file"];

/// What the client's function returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmittedOutput {
    /// The call it answers.
    pub call: CallId,
    /// For the model to read.
    pub output: String,
}

impl Engine {
    /// The run `id`.
    pub fn run(&self, id: RunId) -> Result<Run> {
        tables::run(self.inner.store.read()?.as_ref(), id)
    }

    /// Gives a run other metadata, whether it has ended or not.
    pub fn update_run(&self, id: RunId, metadata: Metadata) -> Result<Run> {
        check_metadata(&metadata, "metadata")?;
        self.inner.transact(|write| {
            let run = Run { metadata, ..tables::run(write, id)? };
            RUNS.put(write, &id, &run)?;
            Ok(run)
        })
    }

    /// A thread's runs, a page at a time.
    pub fn runs(&self, thread: ThreadId, request: &PageRequest<RunId>) -> Result<Page<Run>> {
        let read = self.inner.store.read()?;
        tables::thread(read.as_ref(), thread)?;
        let window = request.window(parent(&thread), |run| (thread, *run).to_text());
        let page = THREAD_RUNS.page(read.as_ref(), &window, |_, ()| true)?;
        let runs: Result<Vec<Run>> =
            page.data.iter().map(|((_, run), ())| tables::run(read.as_ref(), *run)).collect();
        Ok(Page { data: runs?, has_more: page.has_more })
    }

    /// A run's steps, in order.
    pub fn run_steps(&self, run: RunId) -> Result<Vec<RunStep>> {
        let read = self.inner.store.read()?;
        tables::run(read.as_ref(), run)?;
        tables::steps(read.as_ref(), run)
    }

    /// A run's steps, a page at a time, in the order they were made.
    pub fn run_steps_page(
        &self,
        run: RunId,
        request: &PageRequest<StepId>,
    ) -> Result<Page<RunStep>> {
        let read = self.inner.store.read()?;
        tables::run(read.as_ref(), run)?;
        let steps = tables::steps(read.as_ref(), run)?;
        for step in request.after.iter().chain(&request.before) {
            let known = steps.iter().any(|other| other.id == *step);
            tables::found(known.then_some(()), "run step", step)?;
        }
        Ok(Page::of(steps, request, |step| step.id))
    }

    /// One step of a run.
    pub fn run_step(&self, run: RunId, step: StepId) -> Result<RunStep> {
        let steps = self.run_steps(run)?;
        tables::found(steps.into_iter().find(|other| other.id == step), "run step", step)
    }

    /// The run's events from its beginning, at any time: those of a run that is over are told
    /// again from the store, where deltas come as one.
    pub fn follow(&self, run: RunId) -> Result<RunStream> {
        self.inner.live.follow(run, self.inner.store.as_ref())
    }

    /// Asks a run to stop. It does at the model's next token, or at once where no worker is on it;
    /// the answer shows it `cancelling`.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) when it has ended or is cancelling already.
    pub fn cancel_run(&self, id: RunId) -> Result<Run> {
        let inner = &self.inner;
        let (run, live) = inner.transact(|write| {
            let mut run = tables::run(write, id)?;
            let next = transition(run.status, Input::Cancel)?;
            let live = inner.live.attach(id, write)?;
            run.status = next;
            run.required_calls.clear();
            RUNS.put(write, &id, &run)?;
            if RUN_LEASES.get(write, &id)?.is_none() {
                RUN_QUEUE.put(write, &id, &())?;
            }
            Ok((run, live))
        })?;
        live.stop(Stop::Cancel);
        docent_core::crash_point("run.cancelling");
        inner.workers.wake(inner);
        Ok(run)
    }

    /// Gives a run that waits for them the outputs of the client's functions, all at once in any
    /// order; a worker goes on with it.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) unless the run requires action,
    /// [`Invalid`](docent_core::ErrorKind::Invalid) unless exactly the pending calls are answered.
    pub fn submit_tool_outputs(&self, run: RunId, outputs: Vec<SubmittedOutput>) -> Result<Run> {
        Ok(self.resume(run, outputs)?.0)
    }

    /// Submits tool outputs and follows the run from there.
    pub fn resume_run(&self, run: RunId, outputs: Vec<SubmittedOutput>) -> Result<RunStream> {
        Ok(self.resume(run, outputs)?.1)
    }

    fn resume(&self, id: RunId, outputs: Vec<SubmittedOutput>) -> Result<(Run, RunStream)> {
        let inner = &self.inner;
        let mut begun = None;
        let resumed = inner.transact(|write| {
            let mut run = tables::run(write, id)?;
            let next = transition(run.status, Input::Submit)?;
            check_outputs(&run, &outputs)?;
            let told = replay::replay(&*write, id)?;
            let step = answer_pending(write, &run, outputs, inner.clock.now())?;
            run.status = next;
            run.required_calls.clear();
            RUNS.put(write, &id, &run)?;
            RUN_QUEUE.put(write, &id, &())?;
            let live = begun.insert(inner.live.begin(id, told));
            let position = live.channel.len();
            let now = vec![RunEvent::Step(Arc::new(step)), RunEvent::Run(Arc::new(run.clone()))];
            live.channel.push_all(now);
            Ok((run, RunStream::new(live.channel.clone(), position)))
        });
        if let (Err(_), Some(live)) = (&resumed, &begun) {
            inner.live.close(live);
        }
        let resumed = resumed?;
        docent_core::crash_point("run.after-submit");
        inner.workers.wake(inner);
        Ok(resumed)
    }
}

/// Whether exactly the pending calls are answered, each once.
fn check_outputs(run: &Run, outputs: &[SubmittedOutput]) -> Result<()> {
    let wanted: Vec<CallId> = run.required_calls.iter().map(|call| call.id).collect();
    let given: Vec<CallId> = outputs.iter().map(|output| output.call).collect();
    let same = wanted.iter().collect::<BTreeSet<_>>() == given.iter().collect::<BTreeSet<_>>();
    if same && given.len() == wanted.len() {
        return Ok(());
    }
    let list = |calls: &[CallId]| {
        let quoted: Vec<String> = calls.iter().map(|call| format!("'{call}'")).collect();
        quoted.join(", ")
    };
    Err(Error::invalid(format!(
        "Expected tool outputs for call_ids [{}], got [{}]",
        list(&wanted),
        list(&given)
    )))
}

/// Writes the outputs into the step that waits for them.
fn answer_pending(
    write: &mut (impl Write + ?Sized),
    run: &Run,
    outputs: Vec<SubmittedOutput>,
    now: docent_core::Timestamp,
) -> Result<RunStep> {
    let open = |step: &RunStep| step.status == StepStatus::InProgress;
    let step = tables::steps(write, run.id)?.into_iter().rev().find(open);
    let mut step = step.ok_or_else(|| {
        Error::corrupt(format!("{} requires action but has no open step", run.id))
    })?;
    let StepDetails::ToolCalls { calls } = &mut step.details else {
        return Err(Error::corrupt(format!("the open step of {} calls no tools", run.id)));
    };
    for SubmittedOutput { call, output } in outputs {
        if let Some(pending) = calls.iter_mut().find(|pending| pending.id == call)
            && let Call::Function { output: slot, .. } = &mut pending.call
        {
            *slot = Some(output);
        }
    }
    step.status = calls::answered_status(&step);
    step.ended_at = Some(now);
    tables::put_step(write, &step)?;
    Ok(step)
}
