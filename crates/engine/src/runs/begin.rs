//! How a run begins: one transaction for its messages, itself, and its thread's lock.

use std::sync::Arc;

use docent_core::{
    Assistant, AssistantId, AssistantTool, Error, Metadata, ResponseFormat, Result, Run, RunId,
    RunStatus, Thread, ThreadId, ToolChoice, ToolResources, Truncation, Write, check_metadata,
};

use docent_retrieval::Attached;

use super::events::{RunEvent, RunStream};
use crate::engine::Engine;
use crate::tables::{self, RUN_DEADLINES, RUN_QUEUE, RUNS, THREAD_RUNS, THREADS};
use crate::threads::{NewMessage, NewThread};

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

    /// Makes a thread and a run on it, both or neither, and follows the run.
    ///
    /// # Errors
    /// As [`create_thread`](Self::create_thread) and [`create_run`](Self::create_run).
    pub fn start_thread_and_run(
        &self,
        thread: NewThread,
        run: NewRun,
    ) -> Result<(Thread, Run, RunStream)> {
        let mut opening = self.inner.opening(thread)?;
        let id = opening.thread.id;
        let (run, stream) =
            self.begin(id, run, |write| self.inner.put_thread(write, &mut opening))?;
        Ok((self.thread(id)?, run, stream))
    }

    fn begin_run(&self, thread: ThreadId, new: NewRun) -> Result<(Run, RunStream)> {
        self.begin(thread, new, |_| Ok(Attached::default()))
    }

    /// Writes the run, after whatever `before` writes for it in the same transaction.
    fn begin(
        &self,
        thread: ThreadId,
        new: NewRun,
        before: impl FnOnce(&mut dyn Write) -> Result<Attached>,
    ) -> Result<(Run, RunStream)> {
        check_metadata(&new.metadata, "metadata")?;
        let inner = &self.inner;
        let id = RunId::new(inner.ids.next_id());
        let messages =
            inner.messages(thread, new.additional_messages.clone(), "additional_messages")?;
        let begun = inner.transact(|write| {
            let before = before(write)?;
            let mut thread = idle_thread(write, thread)?;
            let assistant = tables::assistant(write, new.assistant)?;
            let run = self.new_run(id, &thread, assistant, new);
            let attached = inner.put_messages(write, &mut thread, &messages)?;
            write_new_run(write, thread, &run)?;
            // The channel is there before a worker can see the run.
            let snapshot = Arc::new(run.clone());
            let events = vec![RunEvent::RunCreated(snapshot.clone()), RunEvent::Run(snapshot)];
            let live = inner.live.begin(id, events);
            Ok((run, RunStream::new(live.channel.clone(), 0), before.and(attached)))
        });
        if begun.is_err()
            && let Some(live) = inner.live.get(id)
        {
            inner.live.close(&live);
        }
        let (run, stream, attached) = begun?;
        docent_core::crash_point("run.after-create");
        inner.collections.begin(attached);
        inner.workers.wake(inner);
        Ok((run, stream))
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

fn write_new_run(write: &mut (impl Write + ?Sized), mut thread: Thread, run: &Run) -> Result<()> {
    thread.active_run = Some(run.id);
    THREADS.put(write, &thread.id, &thread)?;
    RUNS.put(write, &run.id, run)?;
    THREAD_RUNS.put(write, &(thread.id, run.id), &())?;
    RUN_QUEUE.put(write, &run.id, &())?;
    RUN_DEADLINES.put(write, &(run.expires_at, run.id), &())
}
