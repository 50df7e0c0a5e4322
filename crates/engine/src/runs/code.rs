//! The code interpreter: how a model is offered it, what program it wrote, who runs that.
//!
//! Docent itself runs no programs. An application that can registers a [`Tool`](docent_core::Tool)
//! named [`CODE_INTERPRETER`]; without one a program is kept in its step and the model is told that
//! it was not run.

mod written;

use docent_core::{AssistantTool, CodeOutput, Run, ToolSpec};
use serde_json::json;

pub(crate) use written::Program;

/// The name of the [`Tool`](docent_core::Tool) that runs the programs models write. Its argument
/// is `{"code": "…"}`, what it returns is the program's output.
pub const CODE_INTERPRETER: &str = "code_interpreter";

/// What models know it by: many were trained on a tool of that name.
const PYTHON: &str = "python";

/// What a model is told that wrote a program which nobody runs.
const NOT_RUN: &str = "This server runs no programs: the code was not executed and nothing came of \
                       it. Do not call this tool again. Answer without it, and say that no code \
                       was run.";

/// The name under which `run` offers it, if it does. A function of the application's own keeps its
/// name.
pub(crate) fn offered_name(run: &Run) -> Option<&'static str> {
    if !run.tools.contains(&AssistantTool::CodeInterpreter) {
        return None;
    }
    let taken = run.tools.iter().any(|tool| match tool {
        AssistantTool::Function(function) => function.spec.name == PYTHON,
        _ => false,
    });
    Some(if taken { CODE_INTERPRETER } else { PYTHON })
}

/// Whether a call of `name` is a program. Models mix up its two names.
pub(crate) fn is_program(run: &Run, name: &str) -> bool {
    offered_name(run).is_some_and(|offered| name == offered || name == CODE_INTERPRETER)
}

/// What a model is told about it: `interpreter` is the tool that runs programs, if there is one.
pub(crate) fn spec(name: &str, interpreter: Option<&ToolSpec>) -> ToolSpec {
    let description = match interpreter {
        Some(spec) if !spec.description.is_empty() => spec.description.clone(),
        Some(_) => "Runs a Python program and returns its output.".to_owned(),
        None => "For Python programs. At present nothing runs them: call it only if you must."
            .to_owned(),
    };
    ToolSpec {
        name: name.to_owned(),
        description,
        parameters: json!({
            "type": "object",
            "properties": { "code": { "type": "string", "description": "The program." } },
            "required": ["code"],
            "additionalProperties": false
        }),
    }
}

/// A program as the argument of its call.
pub(crate) fn arguments(program: &str) -> String {
    json!({ "code": program }).to_string()
}

/// What came of a program that `output` was returned for; none if nothing runs programs.
pub(crate) fn outputs(output: Option<String>) -> Vec<CodeOutput> {
    vec![CodeOutput::Logs { logs: output.unwrap_or_else(|| NOT_RUN.to_owned()) }]
}

/// Outputs as the model reads them.
pub(crate) fn output_text(outputs: &[CodeOutput]) -> String {
    let texts = outputs.iter().map(|output| match output {
        CodeOutput::Logs { logs } => logs.clone(),
        CodeOutput::Image { file } => format!("[image {file}]"),
        _ => String::new(),
    });
    texts.collect::<Vec<_>>().join("\n")
}
