//! What a model is asked in one turn: instructions, conversation, passages, tools, limits.

use std::collections::BTreeMap;

use docent_core::{
    ChatMessage, ChatModel, ContextReport, Error, FileSearchResult, MessageId, Passage, Profile,
    Read, Result, Run, RunIncomplete, RunStep, Sampling, Seq, StepDetails, ToolChoice, ToolSpec,
};

use super::calls;
use super::code::{self, CODE_INTERPRETER};
use super::summary::Summary;
use super::work::{Cause, Halt, Scene, Worker};
use crate::citations::Sources;
use crate::context::{self, Fixed};
use crate::{history, tables};

/// What the run's programs printed may have this part of a prompt; a program may print more than any
/// model can read.
const PROGRAMS_SHARE: u64 = 4;

/// What a model is asked in one turn.
pub(crate) struct Prompt {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) passages: Vec<Passage>,
    pub(crate) sampling: Sampling,
    pub(crate) report: ContextReport,
    /// Messages that did not fit, newest first.
    pub(crate) dropped: Vec<(Seq, MessageId)>,
}

impl Prompt {
    pub(crate) fn new(
        worker: &Worker,
        model: &dyn ChatModel,
        scene: &Scene,
        sources: &Sources,
        summary: Option<&Summary>,
    ) -> Result<Self, Halt> {
        let run = &worker.run;
        let (tools, tool_choice) = offered_tools(worker, model, scene)?;
        let read = worker.inner.store.read()?;
        let read = read.as_ref();
        // The search that the engine made for a basic model is told by its passages; as a turn it
        // would say all of them twice, in a form such a model does not know. Functions it called
        // are told as turns.
        let budget = calls::budget(run, model, scene);
        let count = worker.count(model);
        let (passages, turns) = match model.spec().profile {
            Profile::Basic => {
                let said = |step: &RunStep| said_in(read, step);
                let scene = scene.of_functions();
                (passages(sources), calls::turns(run, &scene, &BTreeMap::new(), &said))
            }
            _ => {
                let room = budget.prompt_tokens() / PROGRAMS_SHARE;
                let programs = code::shown_outputs(scene, room, &|text| model.count_tokens(text));
                let said = |step: &RunStep| said_in(read, step);
                (Vec::new(), calls::turns(run, scene, &programs, &said))
            }
        };
        let mut prompt = Self {
            messages: Vec::new(),
            tools,
            tool_choice,
            sampling: sampling(worker, scene)?,
            passages,
            report: ContextReport::default(),
            dropped: Vec::new(),
        };
        let fixed = Fixed {
            system: system(run.instructions.as_deref(), &prompt.passages, summary),
            turns,
            extra_tokens: tools_tokens(&prompt.tools, &count),
        };
        let history = history::past(read, run);
        let assembled = context::assemble(fixed, history, run.truncation, budget, &count);
        let assembled = assembled.map_err(|error| too_long(worker, model, error))?;
        let shown = match model.spec().profile {
            Profile::Basic => prompt.passages.len(),
            _ => sources.results().len(),
        };
        let tools = prompt.tools.len() as u64;
        prompt.report = context::report(&assembled, budget, shown as u64, tools);
        prompt.report.messages_summarized = match summary {
            Some(summary) => summary.covered(&assembled.dropped),
            None => 0,
        };
        (prompt.messages, prompt.dropped) = (assembled.messages, assembled.dropped);
        Ok(prompt)
    }
}

/// Why a run ends whose prompt cannot be made short enough: its own limit, if that is what is
/// narrow, or else the model.
fn too_long(worker: &Worker, model: &dyn ChatModel, error: Error) -> Halt {
    let (run, context) = (&worker.run, model.spec().context_tokens as u64);
    match run.max_prompt_tokens.is_some_and(|most| most < context) {
        true => Cause::Limit(RunIncomplete::MaxPromptTokens).into(),
        false => error.context(format!("model {}", run.model)).into(),
    }
}

/// Whether the step wrote a message.
pub(crate) fn is_message(step: &RunStep) -> bool {
    matches!(step.details, StepDetails::MessageCreation { .. })
}

/// The tools the model may call now, and whether it must. A must holds for the first turn: it
/// would never end otherwise. After too many turns with calls none are offered any more.
fn offered_tools(
    worker: &Worker,
    model: &dyn ChatModel,
    scene: &Scene,
) -> Result<(Vec<ToolSpec>, ToolChoice)> {
    let (turns, most) = (scene.tool_turns(), worker.inner.options.max_tool_turns);
    if turns > most {
        return Err(Error::internal(format!(
            "the model called tools in {turns} turns without an answer"
        )));
    }
    let choice = &worker.run.tool_choice;
    if *choice == ToolChoice::None || turns == most {
        return Ok((Vec::new(), ToolChoice::None));
    }
    if model.spec().profile == Profile::Basic {
        return Ok(offered_functions(&worker.run, scene));
    }
    let tools = calls::specs(worker, scene);
    Ok(match turns {
        _ if tools.is_empty() => (tools, ToolChoice::None),
        0 => (tools, named_as_offered(&worker.run, choice)),
        _ => (tools, ToolChoice::Auto),
    })
}

/// A basic model is asked once whether to call a function; what can be searched the engine has
/// searched.
fn offered_functions(run: &Run, scene: &Scene) -> (Vec<ToolSpec>, ToolChoice) {
    let functions = calls::functions(run);
    let choice = match &run.tool_choice {
        _ if functions.is_empty() || scene.steps.iter().any(calls::has_function) => {
            ToolChoice::None
        }
        ToolChoice::Named(name) if functions.iter().all(|tool| tool.name != *name) => {
            ToolChoice::None
        }
        ToolChoice::Required if scene.tool_turns() > 0 => ToolChoice::Auto,
        choice => choice.clone(),
    };
    if choice == ToolChoice::None { (Vec::new(), choice) } else { (functions, choice) }
}

/// The code interpreter has another name for models.
fn named_as_offered(run: &Run, choice: &ToolChoice) -> ToolChoice {
    match (choice, code::offered_name(run)) {
        (ToolChoice::Named(name), Some(offered)) if name == CODE_INTERPRETER => {
            ToolChoice::Named(offered.to_owned())
        }
        _ => choice.clone(),
    }
}

fn sampling(worker: &Worker, scene: &Scene) -> Result<Sampling, Halt> {
    let run = &worker.run;
    let used = scene.usage().completion_tokens;
    let left = run.max_completion_tokens.map(|most| most.saturating_sub(used));
    if left == Some(0) {
        return Err(Cause::Limit(RunIncomplete::MaxCompletionTokens).into());
    }
    Ok(Sampling {
        temperature: run.temperature,
        top_p: run.top_p,
        max_tokens: left.map(|left| usize::try_from(left).unwrap_or(usize::MAX)),
        ..Sampling::default()
    })
}

fn passages(sources: &Sources) -> Vec<Passage> {
    let passage = |(number, result): (usize, &FileSearchResult)| Passage {
        number,
        file: result.chunk.file,
        filename: result.filename.clone(),
        page: result.chunk.chunk.page_start(),
        text: result.chunk.chunk.text.clone(),
        score: result.score,
    };
    (1..).zip(sources.results()).map(passage).collect()
}

/// The instructions, with a summary of what does not fit, and for a basic model the passages. They
/// stand here and not beside the question, so that the last user message is the user's own.
fn system(instructions: Option<&str>, passages: &[Passage], summary: Option<&Summary>) -> String {
    let mut system = instructions.unwrap_or_default().to_owned();
    if let Some(summary) = summary {
        begin_paragraph(&mut system);
        system.push_str(&summary.told());
    }
    if passages.is_empty() {
        return system;
    }
    begin_paragraph(&mut system);
    system.push_str(
        "Answer from the passages below, in the language of the question. After every sentence \
         put the number of the passage it rests on, like [1]. If the passages do not answer the \
         question, say so.",
    );
    for passage in passages {
        let Passage { number, filename, page, text, .. } = passage;
        system.push_str(&format!("\n\n[{number}] ({filename}, p. {page})\n{text}"));
    }
    system
}

fn begin_paragraph(text: &mut String) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
}

fn tools_tokens(tools: &[ToolSpec], count: &dyn Fn(&str) -> usize) -> u64 {
    let tokens = |tool: &ToolSpec| {
        count(&tool.name) + count(&tool.description) + count(&tool.parameters.to_string())
    };
    tools.iter().map(tokens).sum::<usize>() as u64
}

/// What the model said in a message step, if it is one.
fn said_in(read: &dyn Read, step: &RunStep) -> Option<String> {
    let StepDetails::MessageCreation { message } = step.details else { return None };
    Some(tables::message(read, message).ok()?.text())
}
