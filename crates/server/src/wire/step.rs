//! Run steps.

use docent_core::{
    AssistantTool, Call, CodeOutput, ContextReport, FileSearchOptions, FileSearchResult, QueryHit,
    QueryReport, QueryWriter, Run, RunStep, SearchReport, StepCall, StepDetails, StepStatus,
    Timestamp,
};
use serde_json::{Value, json};

use super::format::number;
use super::list::{Query, not_one_of};
use super::run::{last_error, usage};
use super::tools::ranking_options;
use crate::error::ApiError;

/// Whether search results come with their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// They do not.
    #[default]
    Nothing,
    /// They do.
    Content,
}

impl Include {
    /// Reads `include[]`.
    pub(crate) fn read(query: &mut Query) -> Result<Self, ApiError> {
        const CONTENT: &str = "step_details.tool_calls[*].file_search.results[*].content";
        let mut include = Self::Nothing;
        for value in query.take_all("include") {
            if value != CONTENT {
                return Err(not_one_of("include[]", &value, &format!("'{CONTENT}'")));
            }
            include = Self::Content;
        }
        Ok(include)
    }
}

/// How steps are shown: with what was asked for, and by what their run searches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepView {
    include: Include,
    search: FileSearchOptions,
}

impl StepView {
    /// The steps of a run that is not known yet.
    pub(crate) fn new(include: Include) -> Self {
        Self { include, search: FileSearchOptions::default() }
    }

    /// The same for the steps of `run`, which has its tools from its beginning on.
    pub(crate) fn of(self, run: &Run) -> Self {
        let search = run.tools.iter().find_map(|tool| match tool {
            AssistantTool::FileSearch(options) => Some(*options),
            _ => None,
        });
        Self { search: search.unwrap_or_default(), ..self }
    }
}

/// A step as answers show it.
pub(crate) fn step(step: &RunStep, view: StepView) -> Value {
    let ended_as = |status| step.ended_at.filter(|_| step.status == status).map(Timestamp::seconds);
    let (kind, details) = match &step.details {
        StepDetails::ToolCalls { calls } => {
            let calls: Vec<Value> = calls.iter().map(|call| shown_call(call, view)).collect();
            ("tool_calls", json!({ "type": "tool_calls", "tool_calls": calls }))
        }
        StepDetails::MessageCreation { message } => (
            "message_creation",
            json!({ "type": "message_creation", "message_creation": { "message_id": message } }),
        ),
        _ => ("tool_calls", json!({ "type": "tool_calls", "tool_calls": [] })),
    };
    let mut shown = json!({
        "id": step.id,
        "object": "thread.run.step",
        "created_at": step.created_at.seconds(),
        "assistant_id": step.assistant,
        "thread_id": step.thread,
        "run_id": step.run,
        "type": kind,
        "status": status(step.status),
        "step_details": details,
        "last_error": step.last_error.as_ref().map(last_error),
        "expired_at": ended_as(StepStatus::Expired),
        "cancelled_at": ended_as(StepStatus::Cancelled),
        "failed_at": ended_as(StepStatus::Failed),
        "completed_at": ended_as(StepStatus::Completed),
        "metadata": step.metadata,
        "usage": step.usage.map(usage),
    });
    if let Some(report) = &step.context {
        shown["context"] = context(report);
    }
    shown
}

/// What the model was shown, and what was left out: an extension.
fn context(report: &ContextReport) -> Value {
    json!({
        "budget_tokens": report.budget_tokens,
        "prompt_tokens": report.prompt_tokens,
        "tools": report.tools,
        "messages": report.messages,
        "messages_dropped": report.messages_dropped,
        "first_dropped_id": report.first_dropped,
        "last_dropped_id": report.last_dropped,
        "messages_summarized": report.messages_summarized,
        "passages": report.passages,
        "passages_dropped": report.passages_dropped,
    })
}

fn status(status: StepStatus) -> &'static str {
    match status {
        StepStatus::InProgress => "in_progress",
        StepStatus::Cancelled => "cancelled",
        StepStatus::Failed => "failed",
        StepStatus::Completed => "completed",
        StepStatus::Expired => "expired",
    }
}

fn shown_call(call: &StepCall, view: StepView) -> Value {
    match &call.call {
        Call::FileSearch { results, report, .. } => {
            let results = results.iter().flatten().map(|it| search_result(it, view.include));
            let mut shown = json!({
                "id": call.id,
                "type": "file_search",
                "file_search": {
                    "ranking_options": ranking_options(view.search),
                    "results": results.collect::<Vec<_>>(),
                },
            });
            if let (Include::Content, Some(report)) = (view.include, report) {
                shown["file_search"]["report"] = search_report(report);
            }
            shown
        }
        Call::Function { name, arguments, output } => json!({
            "id": call.id,
            "type": "function",
            "function": { "name": name, "arguments": arguments, "output": output },
        }),
        Call::CodeInterpreter { input, outputs } => {
            let outputs: Vec<Value> = outputs.iter().flatten().map(code_output).collect();
            json!({
                "id": call.id,
                "type": "code_interpreter",
                "code_interpreter": { "input": input, "outputs": outputs },
            })
        }
        _ => Value::Null,
    }
}

/// What came of a program, as steps show it.
pub(super) fn code_output(output: &CodeOutput) -> Value {
    match output {
        CodeOutput::Image { file } => json!({ "type": "image", "image": { "file_id": file } }),
        CodeOutput::Logs { logs } => json!({ "type": "logs", "logs": logs }),
        // A kind of output that came after this server has no form in the API.
        _ => json!({ "type": "logs", "logs": "" }),
    }
}

/// What was searched for in place of the question, and what each query found: an extension.
fn search_report(report: &SearchReport) -> Value {
    let hit = |hit: &QueryHit| {
        json!({
            "vector_store_id": hit.vector_store,
            "file_id": hit.file,
            "chunk": hit.chunk.0,
            "score": number(hit.score),
            "given": hit.given,
        })
    };
    let query = |query: &QueryReport| {
        let hits: Vec<Value> = query.hits.iter().map(hit).collect();
        json!({ "query": query.query, "took_ms": query.took_ms, "hits": hits })
    };
    json!({
        "written_by": match report.written_by {
            QueryWriter::Rules => "rules",
            QueryWriter::Model => "model",
            _ => "caller",
        },
        "writing_ms": report.writing_ms,
        "notes": report.notes,
        "queries": report.queries.iter().map(query).collect::<Vec<_>>(),
    })
}

fn search_result(result: &FileSearchResult, include: Include) -> Value {
    let mut shown = json!({
        "file_id": result.chunk.file,
        "file_name": result.filename,
        "score": number(result.score),
    });
    if include == Include::Content {
        shown["content"] = json!([{ "type": "text", "text": result.chunk.chunk.text }]);
    }
    shown
}
