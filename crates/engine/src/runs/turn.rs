//! One turn of a chat model: its deltas as they come, and what is stored of them.
//!
//! A step begins in the store with the first delta that needs it: a message step with text, a
//! tool step with a call. What was open when a worker died is found again under its id.

mod message;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use docent_core::{
    Call, CallId, ChatDelta, ChatModel, ChatReply, ChatRequest, ContextReport, Error, FileId,
    FinishReason, Message, MessageIncomplete, Profile, Result, RunError, RunErrorCode,
    RunIncomplete, RunStep, StepCall, StepDetails, StepStatus, ToolRequest, Usage, Write,
};

use super::calls::FILE_SEARCH;
use super::code::{self, Program};
use super::ending::{Ending, Unfinished, break_off, end_run};
use super::events::{Entry, RunEvent, StepDelta};
use super::made::{self, Made};
use super::prompt::{Prompt, is_message};
use super::summary;
use super::work::{Cause, Halt, Scene, Worker, panicked};
use crate::citations::{Citer, Sources, Style};
use crate::tables;

/// What the step says of calls that a basic model decided on.
const DECIDED_ONCE: (&str, &str) = (
    "note",
    "the model has the profile basic: it was asked once whether to call a function, and models of \
     this kind often choose badly; one of the profile tools decides for itself",
);

/// Where a step says which model answered instead of the one that was asked for.
const ANSWERED_BY: &str = "answered_by";

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// Tools must be called.
    Again,
    /// The run is complete.
    Done,
}

/// Lets the model speak once.
pub(crate) fn take(
    worker: &Worker,
    model: &dyn ChatModel,
    asked: &str,
    scene: &Scene,
) -> Result<TurnEnd, Halt> {
    let sources = Sources::new(scene.searches());
    let (prompt, spent) = prompt_with_summary(worker, model, scene, &sources)?;
    let run = &worker.run;
    let request = ChatRequest {
        model: asked,
        messages: &prompt.messages,
        tools: &prompt.tools,
        tool_choice: prompt.tool_choice,
        // Several are the rule, which need not be said.
        parallel_tool_calls: (!run.parallel_tool_calls).then_some(false),
        passages: &prompt.passages,
        sampling: prompt.sampling,
        response_format: run.response_format.clone().unwrap_or_default(),
        reasoning_effort: run.reasoning_effort.as_deref(),
    };
    let style = match model.spec().profile {
        Profile::Basic => Style::Passages,
        _ => Style::Results,
    };
    let citer = Citer::new(style, made::links(worker), sources);
    let mut turn = Turn::new(worker, scene, prompt.report, citer)?;
    turn.is_basic = model.spec().profile == Profile::Basic;
    turn.instead = (asked != run.model).then(|| asked.to_owned());
    turn.spent = spent;
    let span = tracing::info_span!(
        "model.chat",
        prompt_tokens = prompt.report.prompt_tokens,
        messages = prompt.report.messages,
        messages_dropped = prompt.report.messages_dropped,
        passages = prompt.report.passages
    );
    let reply = span.in_scope(|| {
        let mut on_delta = |delta| turn.on_delta(delta);
        catch_unwind(AssertUnwindSafe(|| model.chat(&request, &mut on_delta)))
    });
    let reply = reply.unwrap_or_else(|panic| {
        Err(panicked(&format!("chat model {}", model.spec().name), panic.as_ref()))
    });
    turn.finish(reply)
}

/// The prompt; where older messages no longer fit, with a summary of them, and what that cost.
fn prompt_with_summary(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
    sources: &Sources,
) -> Result<(Prompt, Usage), Halt> {
    let prompt = Prompt::new(worker, model, scene, sources, None)?;
    let (summary, spent) = summary::of(worker, model, &prompt)?;
    let Some(summary) = summary else { return Ok((prompt, spent)) };
    match Prompt::new(worker, model, scene, sources, Some(&summary)) {
        // Whatever was wrong, it was not without a summary.
        Err(halt) if !matches!(halt.cause, Cause::Stop(_)) => Ok((prompt, spent)),
        prompt => Ok((prompt?, spent)),
    }
}

/// A turn in progress.
struct Turn<'a> {
    worker: &'a Worker,
    citer: Citer,
    report: ContextReport,
    /// Whether the model is one that is told to call rather than calls.
    is_basic: bool,
    /// The model that answers instead of the one that was asked for.
    instead: Option<String>,
    /// A step that a worker left open when it died.
    left_open: Option<RunStep>,
    writing: Option<(RunStep, Message)>,
    /// Figures of the run that no message shows yet.
    figures: Vec<FileId>,
    /// Files of the run that its messages link.
    made: Made,
    calling: Option<(RunStep, Vec<StepCall>)>,
    /// The programs among those calls.
    programs: BTreeMap<usize, Program>,
    /// Why the model was told to stop.
    halt: Option<Halt>,
    /// How much text came in deltas, in bytes.
    streamed: usize,
    /// What the turn cost before the model spoke.
    spent: Usage,
}

impl<'a> Turn<'a> {
    fn new(worker: &'a Worker, scene: &Scene, report: ContextReport, citer: Citer) -> Result<Self> {
        Ok(Self {
            worker,
            citer,
            report,
            is_basic: false,
            instead: None,
            left_open: scene.open_step().cloned(),
            writing: None,
            figures: made::unshown_figures(scene),
            made: Made::new(worker, scene)?,
            calling: None,
            programs: BTreeMap::new(),
            halt: None,
            streamed: 0,
            spent: Usage::default(),
        })
    }

    fn on_delta(&mut self, delta: ChatDelta) -> ControlFlow<()> {
        if self.halt.is_some() {
            return ControlFlow::Break(());
        }
        let taken = self.worker.check_stopped().and_then(|()| self.take(delta));
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(halt) => {
                self.halt = Some(halt);
                ControlFlow::Break(())
            }
        }
    }

    fn take(&mut self, delta: ChatDelta) -> Result<(), Halt> {
        match delta {
            // Text behind a call belongs to no step the API knows.
            ChatDelta::Text(_) if self.calling.is_some() => Ok(()),
            ChatDelta::Text(text) => {
                self.streamed += text.len();
                let pieces = self.citer.push(&text);
                let delta = self.write(pieces)?;
                self.grow(delta)
            }
            ChatDelta::ToolCall { index, name } => self.begin_call(index, &name),
            ChatDelta::ToolArguments { index, fragment } => {
                self.grow_call(index, &fragment);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Fails a step that a dead worker began and this turn has no use for.
    fn abandon(&self, write: &mut dyn Write, step: Option<RunStep>) -> Result<Vec<RunEvent>> {
        let Some(mut step) = step else { return Ok(Vec::new()) };
        let now = self.worker.inner.clock.now();
        let mut events = Vec::new();
        if let StepDetails::MessageCreation { message } = step.details {
            let message = tables::message(write, message)?;
            events.push(break_off(write, now, message, MessageIncomplete::RunFailed)?);
        }
        step.status = StepStatus::Failed;
        step.ended_at = Some(now);
        step.last_error = Some(RunError {
            code: RunErrorCode::ServerError,
            message: "the process ended while this step was at work".into(),
        });
        tables::put_step(write, &step)?;
        events.push(RunEvent::Step(Arc::new(step)));
        Ok(events)
    }

    fn begin_call(&mut self, index: usize, name: &str) -> Result<(), Halt> {
        self.begin_calls()?;
        let parallel = self.worker.run.parallel_tool_calls;
        let Some((_, calls)) = &mut self.calling else { return Ok(()) };
        if index != calls.len() || index > 0 && !parallel {
            return Ok(());
        }
        let call = match name {
            FILE_SEARCH if self.worker.file_search().is_some() => {
                Call::FileSearch { arguments: String::new(), results: None, report: None }
            }
            name if code::is_program(&self.worker.run, name) => {
                self.programs.insert(index, Program::default());
                Call::CodeInterpreter { input: String::new(), outputs: None }
            }
            name => Call::Function { name: name.into(), arguments: String::new(), output: None },
        };
        let call = StepCall { id: CallId::new(self.worker.inner.ids.next_id()), call };
        calls.push(call.clone());
        self.worker.live.channel.push(Entry::Step(StepDelta::Call { index, call }));
        Ok(())
    }

    fn grow_call(&mut self, index: usize, fragment: &str) {
        match self.programs.get_mut(&index) {
            Some(program) => {
                let more = program.push(fragment);
                self.add_to_call(index, more);
            }
            None => self.add_to_call(index, fragment.to_owned()),
        }
    }

    fn add_to_call(&mut self, index: usize, fragment: String) {
        if fragment.is_empty() {
            return;
        }
        let Some(call) = self.calling.as_mut().and_then(|(_, calls)| calls.get_mut(index)) else {
            return;
        };
        match &mut call.call {
            Call::FileSearch { arguments, .. } | Call::Function { arguments, .. } => {
                arguments.push_str(&fragment);
            }
            Call::CodeInterpreter { input, .. } => input.push_str(&fragment),
            _ => {}
        }
        let delta = StepDelta::Arguments { index, fragment };
        self.worker.live.channel.push(Entry::Step(delta));
    }

    /// Begins the step of this turn's calls; a message that was being written is complete.
    fn begin_calls(&mut self) -> Result<(), Halt> {
        if self.calling.is_some() {
            return Ok(());
        }
        self.write_rest()?;
        let left = self.left_open.take();
        let no_calls = StepDetails::ToolCalls { calls: Vec::new() };
        let (reused, abandoned) = match left {
            Some(step) if !is_message(&step) => (Some(step), None),
            left => (None, left),
        };
        let is_new = reused.is_none();
        let mut step = reused.unwrap_or_else(|| self.worker.step(no_calls));
        step.context = Some(self.report);
        if self.is_basic {
            let (key, note) = DECIDED_ONCE;
            step.metadata.insert(key.to_owned(), note.to_owned());
        }
        self.say_who_answers(&mut step);
        let done = self.writing.take().map(|(step, message)| self.completed(step, message));
        let mut events = self.worker.write(|write, _| {
            let mut events = self.abandon(write, abandoned)?;
            if let Some((step, message)) = &done {
                let message = tables::put_written(write, message.clone())?;
                tables::put_step(write, step)?;
                events.push(RunEvent::Message(Arc::new(message)));
                events.push(RunEvent::Step(Arc::new(step.clone())));
            }
            tables::put_step(write, &step)?;
            Ok(events)
        })?;
        if is_new {
            let told = Arc::new(step.clone());
            events.extend([RunEvent::StepCreated(told.clone()), RunEvent::Step(told)]);
        }
        self.worker.live.channel.push_all(events);
        self.calling = Some((step, Vec::new()));
        Ok(())
    }

    /// Notes a model that answers instead of the one that was asked for.
    fn say_who_answers(&self, step: &mut RunStep) {
        if let Some(instead) = &self.instead {
            step.metadata.insert(ANSWERED_BY.to_owned(), instead.clone());
        }
    }

    /// Stores what the turn came to.
    fn finish(mut self, reply: Result<ChatReply>) -> Result<TurnEnd, Halt> {
        let untouched = self.streamed == 0
            && self.writing.is_none()
            && self.calling.is_none()
            && self.left_open.is_none();
        let ended = self.end(reply);
        ended.map_err(|mut halt| {
            halt.before_any = untouched;
            if self.calling.is_none() {
                self.break_off();
            }
            halt.message = self.writing.take().map(|(_, message)| Box::new(message));
            halt
        })
    }

    fn end(&mut self, reply: Result<ChatReply>) -> Result<TurnEnd, Halt> {
        if let Some(mut halt) = self.halt.take() {
            halt.usage = reply.ok().map(|reply| self.cost(reply.usage));
            return Err(halt);
        }
        let mut reply = reply?;
        reply.usage = self.cost(reply.usage);
        let cut = match reply.finish {
            FinishReason::Length => Some(RunIncomplete::MaxCompletionTokens),
            FinishReason::ContentFilter => Some(RunIncomplete::ContentFilter),
            FinishReason::Cancelled => {
                return Err(Error::internal("the chat model broke off by itself").into());
            }
            _ => None,
        };
        let usage = Some(reply.usage);
        self.catch_up(&reply)
            .and_then(|()| match (cut, self.calling.take()) {
                (Some(reason), _) => Err(Cause::Limit(reason).into()),
                (None, Some((step, calls))) => self.end_with_calls(step, calls, &reply),
                (None, None) => self.end_with_message(&reply),
            })
            .map_err(|halt| Halt { usage, ..halt })
    }

    /// What the whole turn cost, where its reply cost that much.
    fn cost(&self, mut reply: Usage) -> Usage {
        reply += self.spent;
        reply
    }

    /// Takes from the reply what its deltas did not say.
    fn catch_up(&mut self, reply: &ChatReply) -> Result<(), Halt> {
        if let Some(rest) = reply.text.get(self.streamed..).filter(|rest| !rest.is_empty()) {
            self.take(ChatDelta::Text(rest.to_owned()))?;
        }
        for (index, ToolRequest { name, arguments }) in reply.tool_calls.iter().enumerate() {
            if self.calling.as_ref().is_none_or(|(_, calls)| index >= calls.len()) {
                self.begin_call(index, name)?;
                self.grow_call(index, arguments);
            }
        }
        for (index, mut program) in std::mem::take(&mut self.programs) {
            self.add_to_call(index, program.finish());
        }
        Ok(())
    }

    fn end_with_calls(
        &self,
        mut step: RunStep,
        calls: Vec<StepCall>,
        reply: &ChatReply,
    ) -> Result<TurnEnd, Halt> {
        step.details = StepDetails::ToolCalls { calls };
        step.usage = Some(reply.usage);
        self.worker.write(|write, _| tables::put_step(write, &step))?;
        docent_core::crash_point("run.before-search");
        Ok(TurnEnd::Again)
    }

    fn end_with_message(&mut self, reply: &ChatReply) -> Result<TurnEnd, Halt> {
        self.write_rest()?;
        // An answer may be empty; it is an answer all the same.
        self.begin_message()?;
        docent_core::crash_point("run.before-message");
        let Some((step, message)) = &self.writing else { return Ok(TurnEnd::Again) };
        let (mut step, message) = self.completed(step.clone(), message.clone());
        step.usage = Some(reply.usage);
        let now = self.worker.inner.clock.now();
        let events = self.worker.write(|write, run| {
            let message = tables::put_written(write, message)?;
            tables::put_step(write, &step)?;
            let mut events =
                vec![RunEvent::Message(Arc::new(message)), RunEvent::Step(Arc::new(step.clone()))];
            let ending = Ending::Completed;
            events.extend(end_run(write, now, run, ending, &Unfinished::default())?);
            Ok(events)
        })?;
        docent_core::crash_point("run.after-message");
        self.worker.inner.live.publish(&self.worker.live, events);
        Ok(TurnEnd::Done)
    }
}
