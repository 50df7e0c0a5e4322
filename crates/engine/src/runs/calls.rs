//! Tool calls: `file_search` and registered functions are answered here, the rest by the client.
//!
//! One rule for all: the step with its calls is durable before any is made, and its outputs are
//! written together, but for those of programs, which are written at once. After a crash in between
//! the calls whose outputs were not written are made again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use docent_core::{
    AssistantTool, Call, CallId, ChatMessage, ChatModel, FileSearchResult, FunctionTool, Result,
    Role, Run, RunStep, StepCall, StepDetails, StepStatus, ToolCall, ToolContext, ToolSpec, Usage,
};

use super::code::{self, CODE_INTERPRETER, Interpreter};
use super::events::RunEvent;
use super::machine::{Input, transition};
use super::work::{Halt, Scene, Worker, panicked};
use super::{mounts, running, searching};
use crate::context::{self, Budget};
use crate::{history, tables};

/// The built-in search's name.
pub(crate) const FILE_SEARCH: &str = "file_search";

/// Who must answer next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nobody: the step is complete.
    All,
    /// The client; the run waits for it and is no longer ours.
    ClientsTurn,
}

/// The same call before it was answered.
pub(crate) fn unanswered(call: &Call) -> Call {
    let mut call = call.clone();
    match &mut call {
        Call::FileSearch { results, report, .. } => (*results, *report) = (None, None),
        Call::Function { output, .. } => *output = None,
        Call::CodeInterpreter { outputs, .. } => *outputs = None,
        _ => {}
    }
    call
}

/// Answers what the engine can answer of an open step's calls, and stores that.
pub(crate) fn answer(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
    step: &RunStep,
    calls: &[StepCall],
) -> Result<Answered, Halt> {
    let mut step = step.clone();
    let mut room = PassageRoom::new(worker, model, scene)?;
    for (index, call) in calls.iter().enumerate() {
        worker.check_stopped()?;
        match &call.call {
            Call::CodeInterpreter { outputs: None, .. } => {
                running::answer(worker, scene, &mut step, index)?;
            }
            _ => answer_one(worker, model, scene, (&mut step, index), &mut room)?,
        }
    }
    docent_core::crash_point("run.after-search");
    let pending: Vec<ToolCall> = calls_of(&step).iter().filter_map(pending_call).collect();
    if pending.is_empty() {
        complete_step(worker, step)?;
        return Ok(Answered::All);
    }
    wait_for_client(worker, step, pending)?;
    Ok(Answered::ClientsTurn)
}

fn calls_of(step: &RunStep) -> &[StepCall] {
    match &step.details {
        StepDetails::ToolCalls { calls } => calls,
        _ => &[],
    }
}

/// Answers one call, if the engine can. What a search cost is a model's that wrote queries.
fn answer_one(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
    (step, index): (&mut RunStep, usize),
    room: &mut PassageRoom,
) -> Result<(), Halt> {
    let StepDetails::ToolCalls { calls } = &mut step.details else { return Ok(()) };
    let Some(call) = calls.get_mut(index) else { return Ok(()) };
    match &mut call.call {
        Call::FileSearch { arguments, results: results @ None, report } => {
            let mut searched = searching::search(worker, model, scene, arguments)?;
            let given = room.fit(searched.found, &|text| model.count_tokens(text));
            searching::mark_given(&mut searched.report, &given);
            (*results, *report) = (Some(given), Some(searched.report));
            note_search(step, room, searched.usage);
        }
        Call::Function { name, arguments, output: output @ None } => {
            *output = call_function(worker, name, arguments);
        }
        _ => {}
    }
    Ok(())
}

/// What a search took of the context, and what its queries cost.
fn note_search(step: &mut RunStep, room: &PassageRoom, mut usage: Usage) {
    if usage.total_tokens() > 0 {
        usage += step.usage.unwrap_or_default();
        step.usage = Some(usage);
    }
    if room.kept + room.dropped > 0 {
        let mut context = step.context.unwrap_or_default();
        (context.passages, context.passages_dropped) = (room.kept, room.dropped);
        step.context = Some(context);
    }
}

/// What the engine says to a call of `name`; none if the client must.
fn call_function(worker: &Worker, name: &str, arguments: &str) -> Option<String> {
    if function(&worker.run, name).is_none() {
        return Some(format!("error: there is no tool '{name}'"));
    }
    call_tool(worker, name, arguments)
}

/// What the registered tool `name` says; none if there is none.
pub(crate) fn call_tool(worker: &Worker, name: &str, arguments: &str) -> Option<String> {
    let tool = worker.inner.tools.get(name)?;
    let context = ToolContext { thread: worker.run.thread, run: worker.run.id };
    let span = tracing::info_span!("tool", name);
    let called = span.in_scope(|| {
        catch_unwind(AssertUnwindSafe(|| tool.call(&context, arguments)))
            .unwrap_or_else(|panic| Err(panicked(&format!("tool {name}"), panic.as_ref())))
    });
    Some(called.map_or_else(|error| format!("error: {error}"), |output| output.text))
}

fn function<'a>(run: &'a Run, name: &str) -> Option<&'a FunctionTool> {
    run.tools.iter().find_map(|tool| match tool {
        AssistantTool::Function(function) if function.spec.name == name => Some(function),
        _ => None,
    })
}

/// A call that only the client can answer, as the run shows it.
fn pending_call(call: &StepCall) -> Option<ToolCall> {
    match &call.call {
        Call::Function { name, arguments, output: None } => {
            Some(ToolCall { id: call.id, name: name.clone(), arguments: arguments.clone() })
        }
        _ => None,
    }
}

/// What becomes of a step whose calls are all answered. One that says why a call could not be made
/// has failed, though its run goes on.
pub(crate) fn answered_status(step: &RunStep) -> StepStatus {
    if step.last_error.is_some() { StepStatus::Failed } else { StepStatus::Completed }
}

fn complete_step(worker: &Worker, mut step: RunStep) -> Result<(), Halt> {
    step.status = answered_status(&step);
    step.ended_at = Some(worker.inner.clock.now());
    worker.write(|write, _| tables::put_step(write, &step))?;
    worker.live.channel.push_all(vec![RunEvent::Step(Arc::new(step))]);
    docent_core::crash_point("run.after-step");
    Ok(())
}

/// Gives the run to the client: nothing of it stays in memory, so a restart loses nothing.
fn wait_for_client(worker: &Worker, step: RunStep, pending: Vec<ToolCall>) -> Result<(), Halt> {
    let run = worker.write(|write, mut run| {
        tables::put_step(write, &step)?;
        run.status = transition(run.status, Input::Await)?;
        run.required_calls = pending;
        tables::RUNS.put(write, &run.id, &run)?;
        tables::RUN_LEASES.delete(write, &run.id)?;
        Ok(run)
    })?;
    worker.inner.live.publish(&worker.live, vec![RunEvent::Run(Arc::new(run))]);
    docent_core::crash_point("run.requires-action");
    Ok(())
}

/// How much of the context is left for passages: half of what instructions and the newest message
/// leave, shared by all searches of the run. The other half is the conversation's.
struct PassageRoom {
    tokens: u64,
    /// How many passages this step's searches gave, and how many did not fit.
    kept: u64,
    dropped: u64,
}

impl PassageRoom {
    fn new(worker: &Worker, model: &dyn ChatModel, scene: &Scene) -> Result<Self, Halt> {
        let count = worker.count(model);
        let budget = budget(&worker.run, model, scene);
        let read = worker.inner.store.read()?;
        let newest = history::newest_first(read.as_ref(), &worker.run).next().transpose()?;
        let instructions = worker.run.instructions.as_deref().unwrap_or_default();
        let needed = count(instructions) + newest.map_or(0, |message| count(&message.text()));
        let free = budget.prompt_tokens().saturating_sub(needed as u64) / 2;
        let found = scene.searches().flat_map(|(_, results)| results);
        let used: u64 =
            found.map(|result| context::passage_tokens(&result.chunk.chunk.text, &count)).sum();
        Ok(Self { tokens: free.saturating_sub(used), kept: 0, dropped: 0 })
    }

    /// The best of `found` that fit. A first passage that does not is clipped rather than dropped:
    /// its beginning is better than nothing.
    fn fit(
        &mut self,
        mut found: Vec<FileSearchResult>,
        count: &dyn Fn(&str) -> usize,
    ) -> Vec<FileSearchResult> {
        let texts = found.iter().map(|result| result.chunk.chunk.text.as_str());
        let mut kept = context::fitting(texts, self.tokens, count);
        if kept == 0
            && let Some(first) = found.first_mut()
        {
            let chunk = &mut first.chunk.chunk;
            chunk.text = context::clip(&chunk.text, self.tokens, count).to_owned();
            kept = usize::from(!chunk.text.is_empty());
        }
        self.dropped += (found.len() - kept) as u64;
        found.truncate(kept);
        for result in &found {
            let tokens = context::passage_tokens(&result.chunk.chunk.text, count);
            self.tokens = self.tokens.saturating_sub(tokens);
        }
        self.kept += kept as u64;
        found
    }
}

/// What the run's next turn may have.
pub(crate) fn budget(run: &Run, model: &dyn ChatModel, scene: &Scene) -> Budget {
    let spec = model.spec();
    let used = scene.usage();
    let left = run.max_completion_tokens.map(|most| most.saturating_sub(used.completion_tokens));
    let answer = left.unwrap_or(u64::MAX).min(spec.max_output_tokens as u64);
    let prompt = run.max_prompt_tokens.map(|most| most.saturating_sub(used.prompt_tokens));
    Budget::new(spec.context_tokens as u64, answer).with_prompt_limit(prompt)
}

/// Whether a function is called in the step.
pub(crate) fn has_function(step: &RunStep) -> bool {
    calls_of(step).iter().any(|call| matches!(call.call, Call::Function { .. }))
}

/// What a model is told of the run's functions.
pub(crate) fn functions(run: &Run) -> Vec<ToolSpec> {
    let specs = run.tools.iter().filter_map(|tool| match tool {
        AssistantTool::Function(function) => Some(function.spec.clone()),
        _ => None,
    });
    specs.collect()
}

/// What a model is told of the run's tools.
pub(crate) fn specs(worker: &Worker, scene: &Scene) -> Vec<ToolSpec> {
    let run = &worker.run;
    let specs = run.tools.iter().filter_map(|tool| match tool {
        AssistantTool::CodeInterpreter => {
            code::offered_name(run).map(|name| code::spec(name, &interpreter(worker, scene)))
        }
        AssistantTool::FileSearch(_) => Some(file_search_spec()),
        AssistantTool::Function(function) => Some(function.spec.clone()),
        _ => None,
    });
    specs.collect()
}

fn interpreter<'a>(worker: &'a Worker, scene: &Scene) -> Interpreter<'a> {
    let inner = &worker.inner;
    if let Some(tool) = inner.tools.get(CODE_INTERPRETER) {
        return Interpreter::Tool(tool.spec());
    }
    let Ok(sessions) = inner.programs.sessions() else { return Interpreter::None };
    let options = sessions.options();
    let mounts = mounts::of(worker, &scene.thread, options);
    Interpreter::Sandbox { spec: sessions.sandbox().spec(), options, mounts }
}

fn file_search_spec() -> ToolSpec {
    let description = "Searches the user's files. Call it before answering anything the files may \
                       know. Write one to five short queries that stand on their own, in the \
                       language of the files if you know it. Each result begins with a marker \
                       like 【4:0†source】: put that marker, unchanged, right after every \
                       sentence that rests on that result.";
    ToolSpec {
        name: FILE_SEARCH.into(),
        description: description.into(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": {
                "queries": {
                    "type": "array",
                    "items": { "type": "string" },
                    "minItems": 1,
                    "maxItems": 5,
                    "description": "What to search for."
                }
            },
            "required": ["queries"],
            "additionalProperties": false
        }),
    }
}

/// What the run said and called so far, as its model sees it. `programs` has what these gave.
pub(crate) fn turns(
    run: &Run,
    scene: &Scene,
    programs: &BTreeMap<CallId, String>,
    said: &dyn Fn(&RunStep) -> Option<String>,
) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    let mut before_calls = String::new();
    let mut search = crate::citations::FIRST_SEARCH;
    for step in scene.steps.iter().filter(|step| is_done(step)) {
        let StepDetails::ToolCalls { calls } = &step.details else {
            before_calls = said(step).unwrap_or_default();
            continue;
        };
        let mut asked = ChatMessage::new(Role::Assistant, std::mem::take(&mut before_calls));
        asked.tool_calls = calls.iter().filter_map(|call| asked_call(run, call)).collect();
        messages.push(asked);
        for call in calls {
            let text = match programs.get(&call.id) {
                Some(text) => text.clone(),
                None => output_text(&call.call, &mut search),
            };
            let mut output = ChatMessage::new(Role::Tool, text);
            output.tool_call_id = Some(call.id);
            messages.push(output);
        }
    }
    messages
}

/// Whether the step came to its end. One that failed by a call did, if all are answered; one that
/// failed because its worker died did not.
fn is_done(step: &RunStep) -> bool {
    let is_answered = |call: &StepCall| match &call.call {
        Call::FileSearch { results, .. } => results.is_some(),
        Call::Function { output, .. } => output.is_some(),
        Call::CodeInterpreter { outputs, .. } => outputs.is_some(),
        _ => false,
    };
    let calls = calls_of(step);
    match step.status {
        StepStatus::Completed => true,
        StepStatus::Failed => !calls.is_empty() && calls.iter().all(is_answered),
        _ => false,
    }
}

fn asked_call(run: &Run, call: &StepCall) -> Option<ToolCall> {
    let (name, arguments) = match &call.call {
        Call::FileSearch { arguments, .. } => (FILE_SEARCH, arguments.clone()),
        Call::Function { name, arguments, .. } => (name.as_str(), arguments.clone()),
        Call::CodeInterpreter { input, .. } => {
            (code::offered_name(run).unwrap_or(CODE_INTERPRETER), code::arguments(input))
        }
        _ => return None,
    };
    Some(ToolCall { id: call.id, name: name.to_owned(), arguments })
}

fn output_text(call: &Call, search: &mut u32) -> String {
    match call {
        Call::FileSearch { results, .. } => {
            *search += 1;
            found_text(*search - 1, results.as_deref().unwrap_or_default())
        }
        Call::Function { output, .. } => output.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// Search results as the model reads and cites them.
fn found_text(search: u32, results: &[FileSearchResult]) -> String {
    if results.is_empty() {
        return "Nothing was found. Say so, or search with other words.".into();
    }
    let entries = results.iter().enumerate().map(|(rank, result)| {
        let chunk = &result.chunk.chunk;
        let marker = crate::citations::marker(search, rank);
        format!("{marker} ({}, p. {})\n{}", result.filename, chunk.page_start(), chunk.text)
    });
    entries.collect::<Vec<_>>().join("\n\n")
}
