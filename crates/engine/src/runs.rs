//! Runs: made, followed, cancelled, given their tool outputs.
//!
//! Whatever a client asks for is one transaction here; the work itself is done by
//! workers that claim runs from the queue, and is durable at each step.

pub mod machine;

mod calls;
mod ending;
mod events;
mod live;
mod prompt;
pub(crate) mod queue;
mod replay;
mod turn;
pub(crate) mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use docent_core::{
    Assistant, AssistantId, AssistantTool, Call, CallId, Error, Key, Message, Metadata,
    ResponseFormat, Result, Run, RunId, RunStatus, RunStep, StepDetails, StepId, StepStatus,
    Thread, ThreadId, ToolChoice, ToolResources, Truncation, Write,
};

pub use events::{MessageDelta, RunEvent, RunStream, StepDelta};
pub(crate) use live::{LiveRuns, Stop};
use machine::{Input, transition};

use crate::engine::Engine;
use crate::page::{Page, PageRequest};
use crate::tables::{
    self, RUN_DEADLINES, RUN_LEASES, RUN_QUEUE, RUNS, THREAD_RUNS, THREADS, Window, parent,
};
use crate::threads::NewMessage;

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

/// What a run is made from; `None` means as the assistant has it.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The assistant.
    pub assistant: AssistantId,
    /// Another model.
    pub model: Option<String>,
    /// Other instructions.
    pub instructions: Option<String>,
    /// More instructions, after the others.
    pub additional_instructions: Option<String>,
    /// Messages that are added to the thread first.
    pub additional_messages: Vec<NewMessage>,
    /// Other tools.
    pub tools: Option<Vec<AssistantTool>>,
    /// Other resources for them.
    pub tool_resources: Option<ToolResources>,
    /// 0 takes the likeliest token.
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that together reach this share.
    pub top_p: Option<f32>,
    /// At most this many tokens of prompt over all turns.
    pub max_prompt_tokens: Option<u64>,
    /// At most this many tokens of answer over all turns.
    pub max_completion_tokens: Option<u64>,
    /// How a long thread is cut.
    pub truncation: Truncation,
    /// Whether the model must call a tool, in its first turn.
    pub tool_choice: ToolChoice,
    /// Whether one turn may ask for several calls.
    pub parallel_tool_calls: bool,
    /// What form the answer takes.
    pub response_format: Option<ResponseFormat>,
    /// How hard a reasoning model should think, in the endpoint's own words.
    pub reasoning_effort: Option<String>,
    /// The application's pairs.
    pub metadata: Metadata,
}

impl NewRun {
    /// A run of `assistant` as it is.
    pub fn new(assistant: AssistantId) -> Self {
        Self {
            assistant,
            model: None,
            instructions: None,
            additional_instructions: None,
            additional_messages: Vec::new(),
            tools: None,
            tool_resources: None,
            temperature: None,
            top_p: None,
            max_prompt_tokens: None,
            max_completion_tokens: None,
            truncation: Truncation::Auto,
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            response_format: None,
            reasoning_effort: None,
            metadata: Metadata::new(),
        }
    }
}

/// What the client's function returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmittedOutput {
    /// The call it answers.
    pub call: CallId,
    /// For the model to read.
    pub output: String,
}

impl Engine {
    /// Makes a run; a worker takes it up at once. Until it ends, its thread takes no message and
    /// no second run.
    ///
    /// # Errors
    /// [`NotFound`](docent_core::ErrorKind::NotFound) for the thread or assistant,
    /// [`Conflict`](docent_core::ErrorKind::Conflict) while another run is active.
    pub fn create_run(&self, thread: ThreadId, new: NewRun) -> Result<Run> {
        Ok(self.begin_run(thread, new)?.0)
    }

    /// Makes a run and follows it.
    pub fn start_run(&self, thread: ThreadId, new: NewRun) -> Result<RunStream> {
        Ok(self.begin_run(thread, new)?.1)
    }

    fn begin_run(&self, thread: ThreadId, new: NewRun) -> Result<(Run, RunStream)> {
        let inner = &self.inner;
        let id = RunId::new(inner.ids.next_id());
        let messages = inner.messages(thread, new.additional_messages.clone())?;
        let begun = inner.transact(|write| {
            let thread = idle_thread(write, thread)?;
            let assistant = tables::assistant(write, new.assistant)?;
            let run = self.new_run(id, &thread, assistant, new);
            write_new_run(write, thread, &run, &messages)?;
            // The channel is there before a worker can see the run.
            let snapshot = Arc::new(run.clone());
            let events = vec![RunEvent::RunCreated(snapshot.clone()), RunEvent::Run(snapshot)];
            let live = inner.live.begin(id, events);
            Ok((run, RunStream::new(live.channel.clone(), 0)))
        });
        if begun.is_err()
            && let Some(live) = inner.live.get(id)
        {
            inner.live.close(&live);
        }
        let begun = begun?;
        docent_core::crash_point("run.after-create");
        inner.workers.wake(inner);
        Ok(begun)
    }

    fn new_run(&self, id: RunId, thread: &Thread, assistant: Assistant, new: NewRun) -> Run {
        let now = self.inner.clock.now();
        let instructions = new.instructions.or(assistant.instructions);
        Run {
            id,
            thread: thread.id,
            assistant: assistant.id,
            created_at: now,
            status: RunStatus::Queued,
            required_calls: Vec::new(),
            last_error: None,
            incomplete_reason: None,
            expires_at: now.plus(self.inner.options.run_lifetime),
            started_at: None,
            ended_at: None,
            model: new.model.unwrap_or(assistant.model),
            instructions: joined(instructions, new.additional_instructions),
            tools: new.tools.unwrap_or(assistant.tools),
            tool_resources: new.tool_resources.unwrap_or(assistant.tool_resources),
            temperature: new.temperature.or(assistant.temperature),
            top_p: new.top_p.or(assistant.top_p),
            max_prompt_tokens: new.max_prompt_tokens,
            max_completion_tokens: new.max_completion_tokens,
            truncation: new.truncation,
            tool_choice: new.tool_choice,
            parallel_tool_calls: new.parallel_tool_calls,
            response_format: new.response_format.or(assistant.response_format),
            reasoning_effort: new.reasoning_effort.or(assistant.reasoning_effort),
            usage: None,
            metadata: new.metadata,
        }
    }

    /// The run `id`.
    pub fn run(&self, id: RunId) -> Result<Run> {
        tables::run(self.inner.store.read()?.as_ref(), id)
    }

    /// A thread's runs, a page at a time.
    pub fn runs(&self, thread: ThreadId, request: &PageRequest<RunId>) -> Result<Page<Run>> {
        let read = self.inner.store.read()?;
        tables::thread(read.as_ref(), thread)?;
        let window = Window {
            prefix: parent(&thread),
            after: request.after.map(|run| (thread, run).to_text()),
            before: request.before.map(|run| (thread, run).to_text()),
            order: request.order,
            limit: request.limit,
        };
        let page = tables::page(&THREAD_RUNS, read.as_ref(), &window)?;
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

fn joined(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{first}\n\n{second}")),
        (first, second) => first.or(second),
    }
}

/// The thread, if no run is active on it.
fn idle_thread(write: &(impl Write + ?Sized), id: ThreadId) -> Result<Thread> {
    let thread = tables::thread(write, id)?;
    match thread.active_run {
        None => Ok(thread),
        Some(run) => Err(Error::conflict(format!("Thread {id} already has an active run {run}."))),
    }
}

fn write_new_run(
    write: &mut (impl Write + ?Sized),
    mut thread: Thread,
    run: &Run,
    messages: &[Message],
) -> Result<()> {
    messages.iter().try_for_each(|message| tables::put_message(write, message))?;
    thread.active_run = Some(run.id);
    THREADS.put(write, &thread.id, &thread)?;
    RUNS.put(write, &run.id, run)?;
    THREAD_RUNS.put(write, &(thread.id, run.id), &())?;
    RUN_QUEUE.put(write, &run.id, &())?;
    RUN_DEADLINES.put(write, &(run.expires_at, run.id), &())
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
    step.status = StepStatus::Completed;
    step.ended_at = Some(now);
    tables::put_step(write, &step)?;
    Ok(step)
}
