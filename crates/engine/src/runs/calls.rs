//! Tool calls: `file_search` and registered functions are answered here, the rest by the client.
//!
//! One rule for all: the step with its calls is durable before any is made, and its outputs are
//! written together. After a crash in between the calls are made again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use docent_core::{
    AssistantTool, Call, ChatMessage, ChatModel, FileSearchResult, FunctionTool, Result, Role, Run,
    RunStep, StepCall, StepDetails, StepStatus, ToolCall, ToolContext, ToolSpec, Usage,
};

use super::code::{self, CODE_INTERPRETER};
use super::events::{Entry, RunEvent, StepDelta};
use super::machine::{Input, transition};
use super::searching;
use super::work::{Halt, Scene, Worker, panicked};
use crate::context::{self, Budget};
use crate::engine::Inner;
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
    let mut calls = calls.to_vec();
    let mut room = PassageRoom::new(worker, model, scene)?;
    let mut usage = Usage::default();
    for (index, call) in calls.iter_mut().enumerate() {
        worker.check_stopped()?;
        usage += answer_one(worker, model, scene, (index, &mut call.call), &mut room)?;
    }
    if usage.total_tokens() > 0 {
        usage += step.usage.unwrap_or_default();
        step.usage = Some(usage);
    }
    if room.kept + room.dropped > 0 {
        let mut context = step.context.unwrap_or_default();
        (context.passages, context.passages_dropped) = (room.kept, room.dropped);
        step.context = Some(context);
    }
    docent_core::crash_point("run.after-search");
    let pending: Vec<ToolCall> = calls.iter().filter_map(pending_call).collect();
    step.details = StepDetails::ToolCalls { calls };
    if pending.is_empty() {
        complete_step(worker, step)?;
        return Ok(Answered::All);
    }
    wait_for_client(worker, step, pending)?;
    Ok(Answered::ClientsTurn)
}

/// Answers one call, if the engine can. What that cost is a model's that wrote queries.
fn answer_one(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
    (index, call): (usize, &mut Call),
    room: &mut PassageRoom,
) -> Result<Usage, Halt> {
    let mut usage = Usage::default();
    match call {
        Call::FileSearch { arguments, results: results @ None, report } => {
            let mut searched = searching::search(worker, model, scene, arguments)?;
            let given = room.fit(searched.found, &|text| model.count_tokens(text));
            searching::mark_given(&mut searched.report, &given);
            usage = searched.usage;
            (*results, *report) = (Some(given), Some(searched.report));
        }
        Call::Function { name, arguments, output: output @ None } => {
            *output = call_function(worker, name, arguments);
        }
        Call::CodeInterpreter { input, outputs: outputs @ None } => {
            let output = call_tool(worker, CODE_INTERPRETER, &code::arguments(input));
            let outputs = outputs.insert(code::outputs(output)).clone();
            let delta = StepDelta::Outputs { index, outputs };
            worker.live.channel.push(Entry::Step(delta));
        }
        _ => {}
    }
    Ok(usage)
}

/// What the engine says to a call of `name`; none if the client must.
fn call_function(worker: &Worker, name: &str, arguments: &str) -> Option<String> {
    if function(&worker.run, name).is_none() {
        return Some(format!("error: there is no tool '{name}'"));
    }
    call_tool(worker, name, arguments)
}

/// What the registered tool `name` says; none if there is none.
fn call_tool(worker: &Worker, name: &str, arguments: &str) -> Option<String> {
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

fn complete_step(worker: &Worker, mut step: RunStep) -> Result<(), Halt> {
    step.status = StepStatus::Completed;
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
        let count = |text: &str| model.count_tokens(text);
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

/// What a model is told of the run's tools.
pub(crate) fn specs(inner: &Inner, run: &Run) -> Vec<ToolSpec> {
    let interpreter = inner.tools.get(CODE_INTERPRETER).map(|tool| tool.spec());
    let specs = run.tools.iter().filter_map(|tool| match tool {
        AssistantTool::CodeInterpreter => {
            code::offered_name(run).map(|name| code::spec(name, interpreter))
        }
        AssistantTool::FileSearch(_) => Some(file_search_spec()),
        AssistantTool::Function(function) => Some(function.spec.clone()),
        _ => None,
    });
    specs.collect()
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

/// What the run said and called so far, as its model sees it.
pub(crate) fn turns(
    run: &Run,
    scene: &Scene,
    said: &dyn Fn(&RunStep) -> Option<String>,
) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    let mut before_calls = String::new();
    let mut search = crate::citations::FIRST_SEARCH;
    for step in scene.steps.iter().filter(|step| step.status == StepStatus::Completed) {
        let StepDetails::ToolCalls { calls } = &step.details else {
            before_calls = said(step).unwrap_or_default();
            continue;
        };
        let mut asked = ChatMessage::new(Role::Assistant, std::mem::take(&mut before_calls));
        asked.tool_calls = calls.iter().filter_map(|call| asked_call(run, call)).collect();
        messages.push(asked);
        for call in calls {
            let mut output = ChatMessage::new(Role::Tool, output_text(&call.call, &mut search));
            output.tool_call_id = Some(call.id);
            messages.push(output);
        }
    }
    messages
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
        Call::CodeInterpreter { outputs, .. } => {
            code::output_text(outputs.as_deref().unwrap_or_default())
        }
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
