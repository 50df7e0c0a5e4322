//! One worker on one run, from its claim to its end.
//!
//! The worker keeps nothing that matters: each round begins with what the store says, so going on
//! after a crash is the same as going on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use docent_core::{
    AssistantTool, Call, CallId, ChatModel, CodeOutput, Error, ErrorKind, File, FileSearchOptions,
    FileSearchResult, Message, Profile, Purpose, Read, Result, Run, RunError, RunErrorCode,
    RunIncomplete, RunStatus, RunStep, StepCall, StepDetails, StepId, StepStatus, Thread,
    ToolChoice, Usage, VectorStoreId, Write,
};
use docent_retrieval::NewFile;

use super::calls::{self, Answered};
use super::ending::{Ending, Unfinished, end_run};
use super::events::RunEvent;
use super::live::{LiveRun, Stop};
use super::queue::{self, Claimed};
use super::searching;
use super::turn::{self, TurnEnd};
use crate::engine::Inner;
use crate::{attachments, tables};

/// Works on a run until it ends, waits for the client, or must be left.
pub(crate) fn work_on(inner: &Arc<Inner>, claimed: Claimed) {
    let Claimed { run, live } = claimed;
    let span = tracing::info_span!("run", run = %run.id, model = %run.model);
    let _entered = span.enter();
    let worker = Worker { inner: inner.clone(), live, run };
    let driven = catch_unwind(AssertUnwindSafe(|| worker.drive()));
    let halt = match driven {
        Ok(Ok(())) => None,
        Ok(Err(halt)) => Some(halt),
        Err(panic) => Some(Halt::from(panicked("the engine", panic.as_ref()))),
    };
    if let Some(halt) = halt
        && let Err(error) = worker.leave(halt)
    {
        // The lease lapses and the run is taken up again, for new followers: these have seen
        // deltas that were never stored.
        tracing::error!(error = format!("{error:#}"), "a run cannot be ended");
        worker.inner.live.close(&worker.live);
    }
    worker.live.working.store(false, Ordering::SeqCst);
}

/// Why a worker stops before the run completes.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) cause: Cause,
    /// The message it was writing.
    pub(crate) message: Option<Box<Message>>,
    /// What the turn cost.
    pub(crate) usage: Option<Usage>,
    /// Whether the model failed before anything of its turn was shown or kept.
    pub(crate) before_any: bool,
}

/// What stopped a worker.
#[derive(Debug)]
pub(crate) enum Cause {
    Stop(Stop),
    Error(Error),
    Limit(RunIncomplete),
}

impl From<Cause> for Halt {
    fn from(cause: Cause) -> Self {
        Self { cause, message: None, usage: None, before_any: false }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Cause::Error(error).into()
    }
}

/// An error for a panic in `who`, with the panic's own words.
pub(crate) fn panicked(who: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("{who} panicked: {}", text.unwrap_or("no message")))
}

/// A worker and the run it is on, as the run was when it was claimed.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) inner: Arc<Inner>,
    pub(crate) live: Arc<LiveRun>,
    pub(crate) run: Run,
}

/// What the store says of a run when a round begins.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) thread: Thread,
    pub(crate) steps: Vec<RunStep>,
}

impl Worker {
    fn drive(&self) -> Result<(), Halt> {
        let mut instead = self.inner.models.fallbacks(&self.run.model).into_iter();
        let (mut asked, mut model) = self.first_model(&mut instead)?;
        attachments::settle(self)?;
        loop {
            self.check_stopped()?;
            let scene = self.scene()?;
            if let Some((step, calls)) = scene.open_calls() {
                match calls::answer(self, model.as_ref(), &scene, step, calls)? {
                    Answered::All => continue,
                    Answered::ClientsTurn => return Ok(()),
                }
            }
            if self.engine_searches(model.as_ref(), &scene) {
                self.begin_search()?;
                continue;
            }
            match turn::take(self, model.as_ref(), &asked, &scene) {
                Ok(TurnEnd::Again) => {}
                Ok(TurnEnd::Done) => return Ok(()),
                // The next one's turn begins anew: its prompt depends on what it is.
                Err(halt) => match self.next_model(&halt, &mut instead) {
                    Some(next) => (asked, model) = next,
                    None => return Err(halt),
                },
            }
        }
    }

    /// The model that was asked for; another where it is not here to be loaded.
    fn first_model(
        &self,
        instead: &mut impl Iterator<Item = String>,
    ) -> Result<(String, Arc<dyn ChatModel>)> {
        let name = &self.run.model;
        match self.inner.models.chat_model(name) {
            Ok(model) => Ok((name.clone(), model)),
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotFound) => {
                self.another_model(&error, instead).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The model to ask instead of one that cannot answer now, and its name.
    fn next_model(
        &self,
        halt: &Halt,
        instead: &mut impl Iterator<Item = String>,
    ) -> Option<(String, Arc<dyn ChatModel>)> {
        let Cause::Error(error) = &halt.cause else { return None };
        let may_pass = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded);
        (halt.before_any && may_pass).then(|| self.another_model(error, instead))?
    }

    fn another_model(
        &self,
        error: &Error,
        instead: &mut impl Iterator<Item = String>,
    ) -> Option<(String, Arc<dyn ChatModel>)> {
        instead.find_map(|name| {
            tracing::warn!(run = %self.run.id, %error, instead = name, "a chat model failed");
            match self.inner.models.chat_model(&name) {
                Ok(model) => Some((name, model)),
                Err(error) => {
                    tracing::warn!(run = %self.run.id, %error, "so did the one instead of it");
                    None
                }
            }
        })
    }

    fn scene(&self) -> Result<Scene> {
        let read = self.inner.store.read()?;
        Ok(Scene {
            thread: tables::thread(read.as_ref(), self.run.thread)?,
            steps: tables::steps(read.as_ref(), self.run.id)?,
        })
    }

    /// How the run may search, if it may.
    pub(crate) fn file_search(&self) -> Option<FileSearchOptions> {
        self.run.tools.iter().find_map(|tool| match tool {
            AssistantTool::FileSearch(options) => Some(*options),
            _ => None,
        })
    }

    /// Where the run searches: the assistant's vector stores, then the thread's.
    pub(crate) fn vector_stores(&self, scene: &Scene) -> Vec<VectorStoreId> {
        let resources = [&self.run.tool_resources, &scene.thread.tool_resources];
        let mut stores: Vec<VectorStoreId> = Vec::new();
        for store in resources.into_iter().filter_map(|r| r.vector_stores.as_ref()).flatten() {
            if !stores.contains(store) {
                stores.push(*store);
            }
        }
        stores
    }

    /// Whether the engine itself must search now, because the model cannot decide to.
    fn engine_searches(&self, model: &dyn ChatModel, scene: &Scene) -> bool {
        model.spec().profile == Profile::Basic
            && self.file_search().is_some()
            && self.run.tool_choice != ToolChoice::None
            && !self.vector_stores(scene).is_empty()
            && scene.searches().next().is_none()
    }

    /// Begins the step of a search that the engine makes with the user's question.
    fn begin_search(&self) -> Result<(), Halt> {
        let queries = searching::queries_of_question(self)?;
        let arguments = serde_json::json!({ "queries": queries }).to_string();
        let id = docent_core::CallId::new(self.inner.ids.next_id());
        let call = Call::FileSearch { arguments, results: None, report: None };
        let call = StepCall { id, call };
        let begun = self.step(StepDetails::ToolCalls { calls: Vec::new() });
        let mut step = begun.clone();
        step.details = StepDetails::ToolCalls { calls: vec![call.clone()] };
        self.write(|write, _| tables::put_step(write, &step))?;
        let begun = Arc::new(begun);
        let delta = super::StepDelta::Call { index: 0, call };
        self.live.channel.push_all(vec![
            RunEvent::StepCreated(begun.clone()),
            RunEvent::Step(begun),
            RunEvent::StepDelta { step: Arc::new(step), delta },
        ]);
        docent_core::crash_point("run.before-search");
        Ok(())
    }

    /// A step that begins now.
    pub(crate) fn step(&self, details: StepDetails) -> RunStep {
        RunStep {
            id: StepId::new(self.inner.ids.next_id()),
            run: self.run.id,
            thread: self.run.thread,
            assistant: self.run.assistant,
            created_at: self.inner.clock.now(),
            status: StepStatus::InProgress,
            details,
            last_error: None,
            ended_at: None,
            usage: None,
            context: None,
            metadata: Default::default(),
        }
    }

    /// Whether the worker must leave the run.
    pub(crate) fn check_stopped(&self) -> Result<(), Halt> {
        if self.inner.clock.now() >= self.run.expires_at {
            return Err(Cause::Stop(Stop::Expire).into());
        }
        match self.live.stopped() {
            Some(stop) => Err(Cause::Stop(stop).into()),
            None => Ok(()),
        }
    }

    /// One transaction on a run that is still ours and not asked to stop.
    pub(crate) fn write<T>(
        &self,
        body: impl FnOnce(&mut dyn Write, Run) -> Result<T>,
    ) -> Result<T, Halt> {
        let mut write = self.inner.store.write()?;
        let run = self.admitted(write.as_ref())?;
        let value = body(write.as_mut(), run)?;
        write.commit()?;
        Ok(value)
    }

    /// One such transaction in which a tool's bytes become files, each under its name: they are
    /// there together with what mentions them, or not at all.
    pub(crate) fn write_files(
        &self,
        new: &[(&str, &[u8])],
        mut body: impl FnMut(&mut dyn Write, &[File]) -> Result<()>,
    ) -> Result<Vec<File>, Halt> {
        let named = |filename| NewFile { filename, purpose: Purpose::AssistantsOutput };
        let new: Vec<_> = new.iter().map(|(filename, bytes)| (named(*filename), *bytes)).collect();
        let mut refused = None;
        let written = self.inner.collections.create_files(&new, &mut |write, files| match self
            .admitted(&*write)
        {
            Ok(_) => body(write, files),
            Err(halt) => {
                refused = Some(halt);
                Err(Error::conflict("the run is to stop"))
            }
        });
        refused.map_or_else(|| Ok(written?), Err)
    }

    /// The run, if it is still ours and not asked to stop.
    fn admitted(&self, read: &(impl Read + ?Sized)) -> Result<Run, Halt> {
        if !queue::holds(&self.inner, read, self.run.id)? {
            return Err(Cause::Stop(Stop::Lost).into());
        }
        let run = tables::run(read, self.run.id)?;
        match run.status {
            RunStatus::Cancelling => Err(Cause::Stop(Stop::Cancel).into()),
            _ => Ok(run),
        }
    }

    /// Ends the run, or leaves it to another.
    fn leave(&self, halt: Halt) -> Result<()> {
        let ending = match halt.cause {
            Cause::Stop(Stop::Cancel) => Ending::Cancelled,
            Cause::Stop(Stop::Expire) => Ending::Expired,
            Cause::Stop(stop @ (Stop::Park | Stop::Lost)) => return self.hand_over(stop),
            Cause::Limit(reason) => Ending::Incomplete(reason),
            Cause::Error(error) => {
                tracing::warn!(error = format!("{error:#}"), "a run failed");
                Ending::Failed(run_error(&error))
            }
        };
        let unfinished = Unfinished { message: halt.message.as_deref(), usage: halt.usage };
        let now = self.inner.clock.now();
        let events = self.inner.transact(|write| {
            if !queue::holds(&self.inner, write, self.run.id)? {
                return Ok(None);
            }
            let run = tables::run(write, self.run.id)?;
            end_run(write, now, run, ending, &unfinished).map(Some)
        })?;
        match events {
            Some(events) => self.inner.live.publish(&self.live, events),
            None => self.inner.live.close(&self.live),
        }
        Ok(())
    }

    fn hand_over(&self, stop: Stop) -> Result<()> {
        let parked = match stop {
            Stop::Park => queue::park(&self.inner, self.run.id),
            _ => Ok(()),
        };
        self.inner.live.close(&self.live);
        parked
    }
}

impl Scene {
    /// The step that is not done, if any. There is never more than one, and it is the last.
    pub(crate) fn open_step(&self) -> Option<&RunStep> {
        self.steps.last().filter(|step| step.status == StepStatus::InProgress)
    }

    /// An open step whose calls are known but not all answered.
    fn open_calls(&self) -> Option<(&RunStep, &[StepCall])> {
        let step = self.open_step()?;
        match &step.details {
            StepDetails::ToolCalls { calls } if !calls.is_empty() => Some((step, calls)),
            _ => None,
        }
    }

    /// Every search of the run with what it found, in order, with the number it is cited by.
    pub(crate) fn searches(&self) -> impl Iterator<Item = (u32, &[FileSearchResult])> {
        let calls = self.steps.iter().flat_map(|step| match &step.details {
            StepDetails::ToolCalls { calls } => calls.as_slice(),
            _ => &[],
        });
        let found = calls.filter_map(|call| match &call.call {
            Call::FileSearch { results, .. } => Some(results.as_deref().unwrap_or_default()),
            _ => None,
        });
        (crate::citations::FIRST_SEARCH..).zip(found)
    }

    /// Every program of the run with what it gave, in order, but for those that are still to run.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (CallId, &[CodeOutput])> {
        let calls = self.steps.iter().flat_map(|step| match &step.details {
            StepDetails::ToolCalls { calls } => calls.as_slice(),
            _ => &[],
        });
        calls.filter_map(|call| match &call.call {
            Call::CodeInterpreter { outputs: Some(outputs), .. } => Some((call.id, &outputs[..])),
            _ => None,
        })
    }

    /// What the steps so far cost.
    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.steps.iter().filter_map(|step| step.usage).for_each(|step| usage += step);
        usage
    }

    /// How many turns called tools.
    pub(crate) fn tool_turns(&self) -> usize {
        let calls = |step: &&RunStep| matches!(step.details, StepDetails::ToolCalls { .. });
        self.steps.iter().filter(calls).count()
    }

    /// The same without the steps in which no function was called.
    pub(crate) fn of_functions(&self) -> Self {
        let steps = self.steps.iter().filter(|step| calls::has_function(step)).cloned().collect();
        Self { thread: self.thread.clone(), steps }
    }
}

/// An error as runs and steps show it.
pub(crate) fn run_error(error: &Error) -> RunError {
    let code = match error.kind() {
        ErrorKind::Overloaded => RunErrorCode::RateLimitExceeded,
        ErrorKind::Invalid => RunErrorCode::InvalidPrompt,
        _ => RunErrorCode::ServerError,
    };
    RunError { code, message: error.to_string() }
}
