//! How a run ends: one transaction for its open step, its partial message, itself and its thread.

use std::sync::Arc;

use docent_core::{
    Message, MessageIncomplete, MessageStatus, Result, Run, RunError, RunIncomplete, RunStatus,
    RunStep, StepDetails, StepStatus, Timestamp, Usage, Write,
};

use super::events::RunEvent;
use super::machine::{Input, transition};
use crate::tables::{self, RUN_DEADLINES, RUN_LEASES, RUN_QUEUE, RUNS, THREADS};

/// How a run ends.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Completed,
    Incomplete(RunIncomplete),
    Failed(RunError),
    Cancelled,
    Expired,
}

impl Ending {
    fn input(&self) -> Input {
        match self {
            Self::Completed => Input::Complete,
            Self::Incomplete(_) => Input::Limit,
            Self::Failed(_) => Input::Fail,
            Self::Cancelled => Input::Settle,
            Self::Expired => Input::Expire,
        }
    }

    /// What becomes of a step that was still open. The API knows no incomplete step.
    fn step_status(&self) -> StepStatus {
        match self {
            Self::Completed | Self::Incomplete(_) => StepStatus::Completed,
            Self::Failed(_) => StepStatus::Failed,
            Self::Cancelled => StepStatus::Cancelled,
            Self::Expired => StepStatus::Expired,
        }
    }

    fn message_reason(&self) -> MessageIncomplete {
        match self {
            Self::Incomplete(RunIncomplete::ContentFilter) => MessageIncomplete::ContentFilter,
            Self::Completed | Self::Incomplete(_) => MessageIncomplete::MaxTokens,
            Self::Failed(_) => MessageIncomplete::RunFailed,
            Self::Cancelled => MessageIncomplete::RunCancelled,
            Self::Expired => MessageIncomplete::RunExpired,
        }
    }
}

/// What a worker had in hand when its run ended.
#[derive(Debug, Default)]
pub(crate) struct Unfinished<'a> {
    /// The message it was writing, with all its text.
    pub(crate) message: Option<&'a Message>,
    /// What the turn cost.
    pub(crate) usage: Option<Usage>,
}

/// Ends `run`. A run that was asked to stop is cancelled, whatever else happened to it meanwhile,
/// unless its time was over.
pub(crate) fn end_run(
    write: &mut (impl Write + ?Sized),
    now: Timestamp,
    mut run: Run,
    mut ending: Ending,
    unfinished: &Unfinished<'_>,
) -> Result<Vec<RunEvent>> {
    let mut events = Vec::new();
    if run.status == RunStatus::Cancelling {
        // Told only now: the client that asked saw it in its answer, and followers get it in order.
        events.push(RunEvent::Run(Arc::new(run.clone())));
        if !matches!(ending, Ending::Expired) {
            ending = Ending::Cancelled;
        }
    }
    run.status = transition(run.status, ending.input())?;
    let mut usage = Usage::default();
    for mut step in tables::steps(write, run.id)? {
        if step.status == StepStatus::InProgress {
            events.extend(end_step(write, now, &mut step, &ending, unfinished)?);
        }
        usage += step.usage.unwrap_or_default();
    }
    run.required_calls.clear();
    run.ended_at = Some(now);
    run.usage = Some(usage);
    match ending {
        Ending::Failed(error) => run.last_error = Some(error),
        Ending::Incomplete(reason) => run.incomplete_reason = Some(reason),
        _ => {}
    }
    RUNS.put(write, &run.id, &run)?;
    release(write, &run)?;
    events.push(RunEvent::Run(Arc::new(run)));
    Ok(events)
}

/// Ends a step that was open, and the message it was writing.
fn end_step(
    write: &mut (impl Write + ?Sized),
    now: Timestamp,
    step: &mut RunStep,
    ending: &Ending,
    unfinished: &Unfinished<'_>,
) -> Result<Vec<RunEvent>> {
    let mut events = Vec::new();
    if let StepDetails::MessageCreation { message } = step.details {
        let ours = unfinished.message.filter(|ours| ours.id == message).cloned();
        let message = match ours {
            Some(ours) => ours,
            None => tables::message(write, message)?,
        };
        events.push(break_off(write, now, message, ending.message_reason())?);
    }
    step.status = ending.step_status();
    step.ended_at = Some(now);
    step.usage = unfinished.usage.or(step.usage);
    if let Ending::Failed(error) = ending {
        step.last_error = Some(error.clone());
    }
    tables::put_step(write, step)?;
    events.push(RunEvent::Step(Arc::new(step.clone())));
    Ok(events)
}

/// Writes a message that will not be finished.
pub(crate) fn break_off(
    write: &mut (impl Write + ?Sized),
    now: Timestamp,
    mut message: Message,
    reason: MessageIncomplete,
) -> Result<RunEvent> {
    message.status = MessageStatus::Incomplete;
    message.incomplete_reason = Some(reason);
    message.incomplete_at = Some(now);
    Ok(RunEvent::Message(Arc::new(tables::put_written(write, message)?)))
}

/// Gives up everything that is held for a run, and frees its thread.
fn release(write: &mut (impl Write + ?Sized), run: &Run) -> Result<()> {
    RUN_QUEUE.delete(write, &run.id)?;
    RUN_LEASES.delete(write, &run.id)?;
    RUN_DEADLINES.delete(write, &(run.expires_at, run.id))?;
    if let Some(mut thread) = THREADS.get(write, &run.thread)?
        && thread.active_run == Some(run.id)
    {
        thread.active_run = None;
        THREADS.put(write, &thread.id, &thread)?;
    }
    Ok(())
}
