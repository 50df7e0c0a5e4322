//! Tool calls of local models: how each family writes them, heard in a stream of text.
//!
//! A model writes text until it begins a call by its family's marker; from there on a grammar lets
//! nothing but a valid call follow, and the call is read as it comes. What looks like a call of
//! another form (in a Markdown block, say) is held back and read when it is whole, by a tolerant
//! reader; one that cannot be read is asked for once more, under the grammar.

mod listener;
mod prompt;
mod reader;
mod tolerant;

use docent_core::{Error, Result, ToolSpec};
use serde_json::{Value, json};

pub(super) use self::listener::{Heard, Listener};
pub(super) use self::prompt::{decision, folded};
pub(super) use self::reader::{CallEvent, CallReader};
pub(super) use self::tolerant::{Found, find_calls};
use super::grammar::Grammar;

/// How a family of models writes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`: Hermes, Qwen, and what models
    /// without a form of their own are told to write.
    Hermes,
    /// `{"name": …, "parameters": {…}}`, alone or behind `<|python_tag|>`: Llama 3.
    Llama,
    /// `[TOOL_CALLS][{"name": …, "arguments": {…}}]`: Mistral.
    Mistral,
    /// `<|tool_call|>[{"name": …, "arguments": {…}}]`: Phi-4-mini.
    Phi,
    /// `functools[{"name": …, "arguments": {…}}]`: Phi-4-mini, by other templates.
    Functools,
}

/// What stands where a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) text: &'static str,
    /// Whether it is one only where nothing was said before.
    pub(super) is_first: bool,
    body: Body,
}

/// What follows a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Calls, each between `<tool_call>` and `</tool_call>`.
    Tagged,
    /// One call.
    Whole,
    /// One call, begun by the marker up to its name.
    Begun,
    /// An array of calls.
    Array,
}

const TAGGED: Marker = Marker { text: "<tool_call>", is_first: false, body: Body::Tagged };
const PYTHON_TAG: Marker = Marker { text: "<|python_tag|>", is_first: false, body: Body::Whole };
const BARE: Marker = Marker { text: "{\"name\":", is_first: true, body: Body::Begun };
const MISTRAL: Marker = Marker { text: "[TOOL_CALLS]", is_first: false, body: Body::Array };
const PHI: Marker = Marker { text: "<|tool_call|>", is_first: false, body: Body::Array };
const FUNCTOOLS: Marker = Marker { text: "functools", is_first: true, body: Body::Array };

impl Family {
    /// By what a chat template that takes tools shows of them.
    pub(super) fn of_template(template: &str) -> Self {
        let markers = [
            ("<tool_call>", Self::Hermes),
            ("[TOOL_CALLS]", Self::Mistral),
            ("<|tool_call|>", Self::Phi),
            ("functools", Self::Functools),
            ("<|python_tag|>", Self::Llama),
            ("\"parameters\":", Self::Llama),
        ];
        let found = markers.iter().find(|(marker, _)| template.contains(marker));
        found.map_or(Self::Hermes, |(_, family)| *family)
    }

    /// What begins a call of this family. Every model may also write what most do.
    pub(super) fn markers(self) -> &'static [Marker] {
        match self {
            Self::Hermes => &[TAGGED],
            Self::Llama => &[PYTHON_TAG, BARE, TAGGED],
            Self::Mistral => &[MISTRAL, TAGGED],
            Self::Phi => &[PHI, TAGGED],
            Self::Functools => &[FUNCTOOLS, TAGGED],
        }
    }

    /// The marker of a call that must be made.
    pub(super) fn marker(self) -> Marker {
        self.markers()[0]
    }

    fn arguments_key(self) -> &'static str {
        if self == Self::Llama { "parameters" } else { "arguments" }
    }
}

/// The tools a request offers, and how its calls have to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) tools: &'a [ToolSpec],
    pub(super) family: Family,
    /// Whether one answer may have several.
    pub(super) several: bool,
}

impl Offer<'_> {
    /// What may follow `marker`.
    pub(super) fn grammar(&self, marker: Marker) -> Result<Grammar> {
        let more = |rule: &str| if self.several { format!("({rule})*") } else { String::new() };
        let start = match marker.body {
            Body::Tagged => format!(
                "start: \"\\n\"? call \"\\n</tool_call>\" {}",
                more("\"\\n<tool_call>\\n\" call \"\\n</tool_call>\"")
            ),
            Body::Whole => "start: \" \"? call".to_owned(),
            Body::Begun => "start: \" \"? call".to_owned(),
            Body::Array => format!("start: \" \"? \"[\" call {} \"]\"", more("\", \" call")),
        };
        let opening = if marker.body == Body::Begun { "" } else { "{\"name\": " };
        self.rules(start, opening)
    }

    /// One call, `{"tool": …, "arguments": {…}}`, or `{"tool": "none"}`.
    pub(super) fn decision_grammar(&self) -> Result<Grammar> {
        let none = quoted("{\"tool\": \"none\"}");
        self.rules(format!("start: call | {none}"), "{\"tool\": ")
    }

    fn rules(&self, start: String, opening: &str) -> Result<Grammar> {
        let key = self.family.arguments_key();
        let mut rules = vec![start];
        let names: Vec<String> = (0..self.tools.len()).map(|at| format!("call_{at}")).collect();
        rules.push(format!("call: {}", names.join(" | ")));
        let mut schemas = Vec::new();
        for (at, tool) in self.tools.iter().enumerate() {
            let name = Value::from(tool.name.as_str());
            let head = quoted(&format!("{opening}{name}, \"{key}\": "));
            rules.push(format!("call_{at}: {head} @arguments_{at} \"}}\""));
            schemas.push((format!("arguments_{at}"), arguments_schema(&tool.parameters)));
        }
        rules.push(String::new());
        Grammar::lark(rules.join("\n"), schemas)
    }

    /// The tool of this name.
    pub(super) fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The same with the tool `name` alone.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) if it is not offered.
    pub(super) fn only(self, name: &str) -> Result<Self> {
        let at = self.tools.iter().position(|tool| tool.name == name);
        let at = at.ok_or_else(|| Error::invalid(format!("no tool {name:?} is offered")))?;
        Ok(Self { tools: &self.tools[at..=at], ..self })
    }
}

/// Arguments are an object, whatever else their schema says.
pub(super) fn arguments_schema(parameters: &Value) -> Value {
    let mut schema = match parameters {
        Value::Object(_) => parameters.clone(),
        _ => json!({}),
    };
    if let Value::Object(keywords) = &mut schema
        && !["type", "$ref", "anyOf", "allOf", "oneOf"]
            .iter()
            .any(|key| keywords.contains_key(*key))
    {
        keywords.insert("type".to_owned(), Value::from("object"));
    }
    schema
}

/// A text in Lark's notation, which is JSON's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_shows_how_its_family_calls() {
        for (template, family) in [
            ("{{- '<tool_call>\\n' }}", Family::Hermes),
            ("{{ '[TOOL_CALLS] [' }}", Family::Mistral),
            ("{{ '<|tool_call|>' }}", Family::Phi),
            ("functools[{{ calls }}]", Family::Functools),
            ("{{- '{\"name\": ' }}{{ '\"parameters\": ' }}", Family::Llama),
            ("{{ message.content }}", Family::Hermes),
        ] {
            assert_eq!(Family::of_template(template), family, "{template}");
        }
    }
}
