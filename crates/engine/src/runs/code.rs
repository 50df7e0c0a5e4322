//! The code interpreter: how a model is offered it, what program it wrote, what it reads of what
//! came of that.
//!
//! Programs are run by a [`Tool`](docent_core::Tool) named [`CODE_INTERPRETER`] if there is one, or
//! else in the [sandbox](crate::Programs). Without either a program is kept in its step and the
//! model is told that it was not run.

mod written;

use std::collections::BTreeMap;

use docent_core::{AssistantTool, CallId, CodeOutput, Run, SANDBOX_DATA, SandboxSpec, ToolSpec};
use serde_json::json;

pub(crate) use written::Program;

use super::mounts::Mount;
use super::work::Scene;
use crate::programs::ProgramOptions;

/// The name of the [`Tool`](docent_core::Tool) that runs the programs models write. Its argument
/// is `{"code": "…"}`, what it returns is the program's output.
pub const CODE_INTERPRETER: &str = "code_interpreter";

/// What models know it by: many were trained on a tool of that name.
const PYTHON: &str = "python";

/// Who runs programs, as a model is told of it.
pub(crate) enum Interpreter<'a> {
    /// The application's tool.
    Tool(&'a ToolSpec),
    /// A sandbox, with these files of the user's.
    Sandbox { spec: &'a SandboxSpec, options: &'a ProgramOptions, mounts: Vec<Mount> },
    /// Nobody.
    None,
}

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

/// What a model is told about it.
pub(crate) fn spec(name: &str, interpreter: &Interpreter<'_>) -> ToolSpec {
    let description = match interpreter {
        Interpreter::Tool(spec) if !spec.description.is_empty() => spec.description.clone(),
        Interpreter::Tool(_) => "Runs a Python program and returns its output.".to_owned(),
        Interpreter::Sandbox { spec, options, mounts } => describe(spec, options, mounts),
        Interpreter::None => {
            "For Python programs. At present nothing runs them: call it only if you must."
                .to_owned()
        }
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

fn describe(sandbox: &SandboxSpec, options: &ProgramOptions, mounts: &[Mount]) -> String {
    let (language, time) = (&sandbox.language, options.limits.time);
    let mut text = format!(
        "Runs a program in {language} and returns what it prints and the value of its last \
         expression, or its traceback: correct the program then and call again. Variables and \
         files are kept from call to call. A program is interrupted after {time:?} and has no \
         network. The user sees its figures by themselves. To hand a file to the user, write it \
         to {SANDBOX_DATA} and link it in your answer, as in \
         [sales.csv](sandbox:{SANDBOX_DATA}/sales.csv)."
    );
    if !sandbox.packages.is_empty() {
        text.push_str(&format!(" There are {}.", sandbox.packages.join(", ")));
    }
    if !mounts.is_empty() {
        text.push_str("\n\nThe user's files:");
        mounts.iter().for_each(|mount| text.push_str(&format!("\n- {mount}")));
    }
    text
}

/// A program as the argument of its call.
pub(crate) fn arguments(program: &str) -> String {
    json!({ "code": program }).to_string()
}

/// What the run's programs gave, by their calls, as the model reads it: together no more than
/// `room` tokens, where the newest has the most. What is too long is cut in its middle, for the
/// ends tell the most: the first lines of a table, the last of a traceback.
pub(crate) fn shown_outputs(
    scene: &Scene,
    mut room: u64,
    count: &dyn Fn(&str) -> usize,
) -> BTreeMap<CallId, String> {
    /// Enough to see what went wrong.
    const LEAST: u64 = 64;
    let mut shown = BTreeMap::new();
    let programs: Vec<_> = scene.programs().collect();
    for (call, outputs) in programs.into_iter().rev() {
        let text = ends(&output_text(outputs), (room / 2).max(LEAST), count);
        room = room.saturating_sub(count(&text) as u64);
        shown.insert(call, text);
    }
    shown
}

fn output_text(outputs: &[CodeOutput]) -> String {
    let texts = outputs.iter().map(|output| match output {
        CodeOutput::Logs { logs } => logs.clone(),
        CodeOutput::Image { file } => format!("[figure {file}; the user sees it]"),
        _ => String::new(),
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    if text.is_empty() { "[The program ended and gave nothing.]".to_owned() } else { text }
}

/// The text, or its two ends, in at most `most` tokens or thereabouts.
fn ends(text: &str, most: u64, count: &dyn Fn(&str) -> usize) -> String {
    /// No text has more bytes for a token on the average; counting a megabyte takes long.
    const BYTES: u64 = 8;
    const FEW: usize = 32;
    let whole = text.len();
    let mut bytes = usize::try_from(most.saturating_mul(BYTES)).unwrap_or(usize::MAX).min(whole);
    loop {
        let shown = if bytes < whole { without_middle(text, bytes) } else { text.to_owned() };
        let tokens = count(&shown) as u64;
        if tokens <= most || bytes < FEW {
            return shown;
        }
        // A little less each time, so that it comes to an end.
        bytes = usize::try_from(bytes as u64 * most / tokens * 7 / 8).unwrap_or(0);
    }
}

fn without_middle(text: &str, bytes: usize) -> String {
    let head = text.floor_char_boundary(bytes / 2);
    let tail = text.ceil_char_boundary(text.len() - bytes / 2);
    let left_out = tail - head;
    format!(
        "{}\n[… {left_out} bytes of output are left out here …]\n{}",
        &text[..head],
        &text[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn long_output_keeps_its_two_ends() {
        let text: String = (0..100_000).map(|number| format!("{number} ")).collect();
        let shown = ends(&text, 100, &words);
        assert!(words(&shown) <= 100, "{}", words(&shown));
        assert!(shown.starts_with("0 1 2 ") && shown.ends_with("99998 99999 "), "{shown}");
        assert!(shown.contains("bytes of output are left out here"));
        assert_eq!(ends("水 泵", 2, &words), "水 泵");
        // A tokenizer for which every byte is dear comes to an end all the same.
        assert!(ends(&"水".repeat(1000), 10, &|text| text.len() * 3).len() < 200);
    }
}
