//! A program is run: in its thread's session, on the user's files, and what came of it is kept.
//!
//! Whatever fails here is told to the model, and the run goes on: it may correct the program, or
//! answer without. Only a run that is to stop stops its program.

mod logs;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use docent_core::{
    Call, CodeOutput, Direction, Error, ErrorKind, Execution, ProgramEnd, Result, RunError,
    RunStep, Scan, StepCall, StepDetails,
};

use super::calls;
use super::code::{self, CODE_INTERPRETER};
use super::events::{Entry, StepDelta};
use super::mounts::{self, Mount};
use super::work::{Halt, Scene, Worker, panicked, run_error};
use crate::programs::{Kept, Lease, Sessions};
use crate::tables;

/// What came of a program, before it is kept.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    logs: String,
    /// As PNG.
    figures: Vec<Vec<u8>>,
    /// Why it could not be run at all.
    failure: Option<RunError>,
}

/// Runs the program that is the step's call number `index`, and stores what came of it: after a
/// crash it is not run again.
pub(crate) fn answer(
    worker: &Worker,
    scene: &Scene,
    step: &mut RunStep,
    index: usize,
) -> Result<(), Halt> {
    let Some(program) = program_at(step, index) else { return Ok(()) };
    let outcome = match calls::call_tool(worker, CODE_INTERPRETER, &code::arguments(&program)) {
        Some(logs) => Outcome { logs, ..Outcome::default() },
        None => run(worker, scene, step, &program)?,
    };
    docent_core::crash_point("program.after-run");
    keep(worker, step, index, outcome)
}

fn program_at(step: &RunStep, index: usize) -> Option<String> {
    let StepDetails::ToolCalls { calls } = &step.details else { return None };
    match &calls.get(index)?.call {
        Call::CodeInterpreter { input, .. } => Some(input.clone()),
        _ => None,
    }
}

/// Puts the outcome into the step, its figures into files, and both into the store at once: no
/// crash leaves a file that nothing mentions.
fn keep(worker: &Worker, step: &mut RunStep, index: usize, outcome: Outcome) -> Result<(), Halt> {
    let Outcome { logs, figures, failure } = outcome;
    let names: Vec<String> = (1..=figures.len()).map(|n| format!("figure-{n}.png")).collect();
    let new: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(figures.iter().map(Vec::as_slice)).collect();
    let mut kept = step.clone();
    kept.last_error = kept.last_error.or(failure);
    let mut outputs = Vec::new();
    worker.write_files(&new, |write, files| {
        let text = (!logs.is_empty()).then(|| CodeOutput::Logs { logs: logs.clone() });
        let images = files.iter().map(|file| CodeOutput::Image { file: file.id });
        outputs = text.into_iter().chain(images).collect();
        set_outputs(&mut kept, index, &outputs);
        tables::put_step(write, &kept)
    })?;
    *step = kept;
    if !outputs.is_empty() {
        worker.live.channel.push(Entry::Step(StepDelta::Outputs { index, outputs }));
    }
    docent_core::crash_point("program.after-outputs");
    Ok(())
}

fn set_outputs(step: &mut RunStep, index: usize, given: &[CodeOutput]) {
    let StepDetails::ToolCalls { calls } = &mut step.details else { return };
    if let Some(StepCall { call: Call::CodeInterpreter { outputs, .. }, .. }) = calls.get_mut(index)
    {
        *outputs = Some(given.to_vec());
    }
}

/// Runs it in the sandbox, if there is one.
fn run(worker: &Worker, scene: &Scene, step: &RunStep, program: &str) -> Result<Outcome, Halt> {
    let sessions = match worker.inner.programs.sessions() {
        Ok(sessions) => sessions,
        Err(reason) => return Ok(Outcome::refused(reason)),
    };
    let (owner, thread) = (&worker.inner.owner, worker.run.thread);
    let entered = sessions.enter(owner, thread, &mut || worker.check_stopped())?;
    let Some(mut lease) = entered else { return Ok(Outcome::overloaded(sessions)) };
    let mounts = mounts::of(worker, &scene.thread, sessions.options());
    let ran = run_in(worker, sessions, &mut lease, &mounts, program);
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => return Ok(Outcome::failed(&error)),
    };
    if !matches!(ran.execution.end, ProgramEnd::Lost(_)) {
        lease.keep(worker.inner.clock.now());
    }
    if let Some(halt) = ran.halt {
        return Err(halt);
    }
    let mut notes = ran.missing;
    if ran.is_new && (ran_before(scene, step) || thread_ran_before(worker)?) {
        notes.insert(0, logs::NEW_SESSION.to_owned());
    }
    Ok(Outcome::of(ran.execution, &notes, sessions))
}

/// Whether the run had programs run before this one: they may have left what is not there now.
fn ran_before(scene: &Scene, step: &RunStep) -> bool {
    has_run(step) || scene.programs().next().is_some()
}

/// Whether one of the thread's last runs did. Their session may have been idle for too long, left
/// to another thread, or in a process that is gone.
fn thread_ran_before(worker: &Worker) -> Result<bool> {
    const LOOKED_AT: usize = 20;
    let read = worker.inner.store.read()?;
    let prefix = tables::parent(&worker.run.thread);
    let direction = Direction::Backward;
    let newest = Scan { prefix: &prefix, limit: LOOKED_AT, direction, ..Scan::default() };
    for ((_, run), ()) in tables::THREAD_RUNS.scan(read.as_ref(), newest)? {
        if run != worker.run.id && tables::steps(read.as_ref(), run)?.iter().any(has_run) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a program of the step was run.
fn has_run(step: &RunStep) -> bool {
    let StepDetails::ToolCalls { calls } = &step.details else { return false };
    calls.iter().any(|it| matches!(it.call, Call::CodeInterpreter { outputs: Some(_), .. }))
}

/// A program that was run.
struct Ran {
    execution: Execution,
    /// Whether the session was begun for it.
    is_new: bool,
    /// Files of the user's that it did not find.
    missing: Vec<String>,
    /// Why it was interrupted, if the run is to stop.
    halt: Option<Halt>,
}

/// Runs it in the session, or in another where that was lost while nobody looked.
fn run_in(
    worker: &Worker,
    sessions: &Sessions,
    lease: &mut Lease<'_>,
    mounts: &[Mount],
    program: &str,
) -> Result<Ran> {
    let is_new = lease.kept.is_none();
    let attempt = |lease: &mut Lease<'_>| {
        catch_unwind(AssertUnwindSafe(|| attempt(worker, sessions, lease, mounts, program)))
            .unwrap_or_else(|panic| Err(panicked("the sandbox", panic.as_ref())))
    };
    match attempt(lease) {
        Err(error) if error.kind() == ErrorKind::Conflict && !is_new => {
            tracing::debug!(error = format!("{error:#}"), "a session was lost");
            lease.forget();
            attempt(lease)
        }
        ran => ran,
    }
}

fn attempt(
    worker: &Worker,
    sessions: &Sessions,
    lease: &mut Lease<'_>,
    mounts: &[Mount],
    program: &str,
) -> Result<Ran> {
    let span = tracing::info_span!("program", sandbox = sessions.sandbox().spec().name);
    let _entered = span.enter();
    let is_new = lease.kept.is_none();
    let kept = match lease.kept.take() {
        Some(kept) => kept,
        None => Kept {
            session: sessions.sandbox().open(&sessions.options().limits)?,
            files: BTreeSet::new(),
        },
    };
    let kept = lease.kept.insert(kept);
    let missing = mounts::put(worker, mounts, kept)?;
    let mut halt = None;
    let execution = kept.session.run(program, &mut |_| match worker.check_stopped() {
        Ok(()) => ControlFlow::Continue(()),
        Err(stop) => {
            halt = Some(stop);
            ControlFlow::Break(())
        }
    })?;
    Ok(Ran { execution, is_new, missing, halt })
}

impl Outcome {
    fn of(execution: Execution, notes: &[String], sessions: &Sessions) -> Self {
        let mut notes = notes.to_vec();
        let (figures, left_out) = logs::figures(&execution.images);
        let logs = logs::told(&execution, &sessions.options().limits);
        notes.extend(left_out);
        Self { logs: logs::with_notes(logs, &notes), figures, failure: None }
    }

    fn refused(reason: &str) -> Self {
        let message = format!("no program can be run here: {reason}");
        let failure = Some(run_error(&Error::unavailable(message)));
        Self {
            logs: format!("{} It says why: {reason}", logs::NOT_RUN),
            failure,
            ..Self::default()
        }
    }

    fn overloaded(sessions: &Sessions) -> Self {
        let most = sessions.options().sessions;
        let message = format!("{most} programs run already, the most there may be; try again");
        let error = Error::new(ErrorKind::Overloaded, message);
        let logs = format!("The program was not run: {error}");
        Self { logs, failure: Some(run_error(&error)), ..Self::default() }
    }

    fn failed(error: &Error) -> Self {
        tracing::warn!(error = format!("{error:#}"), "the sandbox failed");
        let logs = format!("The sandbox failed: {error}\n{}", logs::ALL_LOST);
        Self { logs, failure: Some(run_error(error)), ..Self::default() }
    }
}
