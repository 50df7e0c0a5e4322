//! What a template takes of a conversation, and putting the rest into what it takes.

use std::collections::HashMap;

use docent_core::{CallId, ChatMessage, Error, Result, Role, ToolSpec};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Value, context};

use crate::chat::local::tokenizer::Guard;

/// A message whose texts are harmless, and which knows what its template wants to know.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    role: Role,
    content: String,
    calls: Vec<Call>,
    /// For a tool's result: the call's id and the tool's name.
    answers: Option<(String, String)>,
    /// For a system turn of templates that look for tools there.
    tools: Option<String>,
}

#[derive(Clone, Debug)]
struct Call {
    id: String,
    name: String,
    arguments: Value,
}

/// How a template is told of the tools on offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tools {
    /// Not at all.
    #[default]
    No,
    /// As transformers passes them.
    Listed,
    /// As JSON text in the system message (Phi-4-mini).
    InSystem,
}

/// What a template shows the model as it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Takes {
    pub(super) tools: Tools,
    /// A system message at the beginning.
    system: bool,
    /// System messages anywhere.
    late_system: bool,
    /// Calls of tools and their results.
    calls: bool,
    /// Several calls in one message.
    calls_at_once: bool,
    /// Ids of calls are cut to nine letters and digits (Mistral).
    short_ids: bool,
    /// Two messages of the same role in a row.
    repeats: bool,
    /// A conversation that begins with an answer, its question being cut off.
    answer_first: bool,
}

/// Mistral's templates refuse ids of another length.
const SHORT_ID: usize = 9;

pub(super) fn turns(messages: &[ChatMessage], guard: &Guard) -> Vec<Turn> {
    let mut names: HashMap<CallId, &str> = HashMap::new();
    let mut turns = Vec::with_capacity(messages.len());
    for message in messages {
        names.extend(message.tool_calls.iter().map(|call| (call.id, call.name.as_str())));
        let calls = message.tool_calls.iter().map(|call| Call {
            id: call.id.to_string(),
            name: guard.foreign(&call.name),
            arguments: arguments(&call.arguments, guard),
        });
        let answers = message
            .tool_call_id
            .map(|id| (id.to_string(), guard.foreign(names.get(&id).copied().unwrap_or_default())));
        let content = match message.role {
            Role::Assistant => guard.own(&message.content),
            _ => guard.foreign(&message.content),
        };
        turns.push(Turn { calls: calls.collect(), answers, ..Turn::new(message.role, content) });
    }
    turns
}

/// A tool in the form OpenAI gave it and transformers documents.
pub(super) fn tool(tool: &ToolSpec, guard: &Guard) -> Value {
    context! {
        type => "function",
        function => context! {
            name => guard.foreign(&tool.name),
            description => guard.foreign(&tool.description),
            parameters => harmless(&Value::from(Serde(&tool.parameters)), guard),
        },
    }
}

/// Templates go through arguments by name, but a model may have written anything.
fn arguments(text: &str, guard: &Guard) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.kind() == ValueKind::Map => harmless(&value, guard),
        _ => context! { arguments => guard.foreign(text) },
    }
}

/// The same value with its texts and keys made harmless. JSON can spell a control token so that
/// it shows only once it is read.
fn harmless(value: &Value, guard: &Guard) -> Value {
    let items = || value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::String => guard.foreign(value.as_str().unwrap_or_default()).into(),
        ValueKind::Seq => items().map(|item| harmless(&item, guard)).collect(),
        ValueKind::Map => {
            let item = |key: &Value| value.get_item(key).unwrap_or_default();
            let pair = |key: Value| (harmless(&key, guard), harmless(&item(&key), guard));
            Value::from_pairs(items().map(pair))
        }
        _ => value.clone(),
    }
}

impl Turn {
    fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), calls: Vec::new(), answers: None, tools: None }
    }

    pub(super) fn to_value(&self) -> Value {
        let role = match self.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        // Templates ask whether a key is there at all.
        let mut pairs = vec![("role", Value::from(role)), ("content", Value::from(&self.content))];
        if let Some((id, name)) = &self.answers {
            pairs.extend([("name", Value::from(name)), ("tool_call_id", Value::from(id))]);
        }
        if !self.calls.is_empty() {
            pairs.push(("tool_calls", self.calls.iter().map(Call::to_value).collect()));
        }
        pairs.extend(self.tools.iter().map(|tools| ("tools", Value::from(tools))));
        Value::from_pairs(pairs)
    }

    /// Puts `text` in front, a line between.
    fn prepend(&mut self, text: &str) {
        self.content = joined(text, &self.content);
    }
}

impl Call {
    fn to_value(&self) -> Value {
        context! {
            id => self.id.as_str(),
            type => "function",
            function => context! { name => self.name.as_str(), arguments => self.arguments.clone() },
        }
    }
}

fn joined(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first}\n\n{second}"),
    }
}

impl Takes {
    /// Finds out by rendering small conversations: what does not come out is not taken.
    pub(super) fn of(show: impl Fn(&[Turn], &[Value]) -> Result<String>) -> Result<Self> {
        let plain = [user("qz-first")];
        let shows = |turns: &[Turn], tools: &[Value], words: &[&str]| {
            show(turns, tools).is_ok_and(|text| words.iter().all(|word| text.contains(word)))
        };
        if !show(&plain, &[])?.contains("qz-first") {
            return Err(Error::invalid("its chat template cannot show a question"));
        }
        let turns = |turns: &[Turn], words: &[&str]| shows(turns, &[], words);
        let mut takes = Self {
            system: turns(&[system("qz-system"), user("qz-first")], &["qz-system", "qz-first"]),
            late_system: turns(
                &[user("qz-first"), answer("qz-answer"), system("qz-system"), user("qz-last")],
                &["qz-system", "qz-last"],
            ),
            repeats: turns(
                &[
                    user("qz-first"),
                    user("qz-next"),
                    answer("qz-answer"),
                    answer("qz-more"),
                    user("qz-last"),
                ],
                &["qz-first", "qz-next", "qz-answer", "qz-more", "qz-last"],
            ),
            answer_first: turns(&[answer("qz-answer"), user("qz-last")], &["qz-answer", "qz-last"]),
            ..Self::default()
        };
        let told = Turn { tools: Some("qz-tool".into()), ..system("") };
        if shows(&plain, &[probe_tool()], &["qz-tool"]) {
            takes.tools = Tools::Listed;
        } else if turns(&[told, user("qz-first")], &["qz-tool", "qz-first"]) {
            takes.tools = Tools::InSystem;
        }
        takes.find_calls(shows);
        Ok(takes)
    }

    fn find_calls(&mut self, shows: impl Fn(&[Turn], &[Value], &[&str]) -> bool) {
        let words = ["qz-argument-0", "qz-result-0"];
        self.short_ids = false;
        for short in [false, true] {
            let takes = |calls, words: &[&str]| {
                let mut turns = called(calls);
                if short {
                    turns.iter_mut().for_each(shorten_ids);
                }
                shows(&turns, &[probe_tool()], words)
            };
            self.calls = takes(1, &words);
            self.calls_at_once = takes(2, &["qz-argument-1", "qz-result-1"]);
            if self.calls {
                self.short_ids = short;
                return;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn short_ids(&self) -> bool {
        self.short_ids
    }

    /// The same conversation in turns the template takes.
    pub(super) fn fold(&self, mut turns: Vec<Turn>, tools: &[Value]) -> Vec<Turn> {
        if !self.calls {
            turns.iter_mut().for_each(write_out);
        } else if !self.calls_at_once {
            turns = one_call_each(turns);
        }
        if self.short_ids {
            turns.iter_mut().for_each(shorten_ids);
        }
        turns = self.fold_system(turns);
        if !self.repeats {
            turns = join_repeats(turns);
        }
        let first = turns.iter().position(|turn| turn.role != Role::System);
        let begins = first.filter(|first| turns[*first].role == Role::Assistant);
        if let Some(first) = begins.filter(|_| !self.answer_first) {
            turns.insert(first, user("(What was said before is left out.)"));
        }
        if self.tools == Tools::InSystem && !tools.is_empty() {
            tell_in_system(&mut turns, tools);
        }
        turns
    }

    /// System messages the template has no place for go in front of the user's next.
    fn fold_system(&self, turns: Vec<Turn>) -> Vec<Turn> {
        let mut folded: Vec<Turn> = Vec::with_capacity(turns.len());
        let mut waiting = String::new();
        for mut turn in turns {
            match (turn.role, folded.last_mut()) {
                (Role::System, None) if self.system => folded.push(turn),
                (Role::System, Some(_)) if self.late_system => folded.push(turn),
                (Role::System, Some(last)) if last.role == Role::System => {
                    last.content = joined(&last.content, &turn.content);
                }
                (Role::System, _) => waiting = joined(&waiting, &turn.content),
                (Role::User, _) => {
                    turn.prepend(&std::mem::take(&mut waiting));
                    folded.push(turn);
                }
                _ => folded.push(turn),
            }
        }
        if !waiting.is_empty() {
            folded.push(user(waiting));
        }
        folded
    }
}

fn system(content: impl Into<String>) -> Turn {
    Turn::new(Role::System, content)
}

fn user(content: impl Into<String>) -> Turn {
    Turn::new(Role::User, content)
}

fn answer(content: impl Into<String>) -> Turn {
    Turn::new(Role::Assistant, content)
}

fn probe_tool() -> Value {
    let parameters = context! {
        type => "object",
        properties => context! { word => context! { type => "string", description => "A word." } },
        required => vec!["word"],
    };
    let function = context! { name => "qz-tool", description => "Finds.", parameters };
    context! { type => "function", function }
}

/// A conversation in which a tool was called `calls` times at once.
fn called(calls: usize) -> Vec<Turn> {
    let id = |at: usize| format!("call_{at:024}");
    let call = |at: usize| Call {
        id: id(at),
        name: "qz-tool".into(),
        arguments: context! { word => format!("qz-argument-{at}") },
    };
    let result = |at: usize| Turn {
        answers: Some((id(at), "qz-tool".into())),
        ..Turn::new(Role::Tool, format!("qz-result-{at}"))
    };
    let asks = Turn { calls: (0..calls).map(call).collect(), ..answer("") };
    [user("qz-first"), asks].into_iter().chain((0..calls).map(result)).collect()
}

pub(super) fn shorten_ids(turn: &mut Turn) {
    let ids = turn.calls.iter_mut().map(|call| &mut call.id);
    for id in ids.chain(turn.answers.as_mut().map(|(id, _)| id)) {
        // Ids are ASCII. Their end is the part that differs within a conversation.
        *id = id.split_off(id.len().saturating_sub(SHORT_ID));
    }
}

/// Calls and results as plain text.
fn write_out(turn: &mut Turn) {
    for call in std::mem::take(&mut turn.calls) {
        let called = context! { name => call.name, arguments => call.arguments };
        let text = super::python::to_json_text(&called).unwrap_or_default();
        turn.content = joined(&turn.content, &text);
    }
    if turn.role == Role::Tool {
        let tool = turn.answers.take().map_or_else(String::new, |(_, tool)| format!(" {tool}"));
        let content = format!("The tool{tool} returned:\n{}", turn.content);
        *turn = user(content);
    }
}

/// Each call in a message of its own, its result behind it.
fn one_call_each(turns: Vec<Turn>) -> Vec<Turn> {
    let mut results: HashMap<String, Turn> = HashMap::new();
    let (mut rest, mut each) = (Vec::new(), Vec::with_capacity(turns.len()));
    for turn in turns {
        match &turn.answers {
            Some((id, _)) => drop(results.insert(id.clone(), turn)),
            None => rest.push(turn),
        }
    }
    for mut turn in rest {
        let calls = std::mem::take(&mut turn.calls);
        if calls.is_empty() {
            each.push(turn);
            continue;
        }
        for call in calls {
            let content = std::mem::take(&mut turn.content);
            let result = results.remove(&call.id);
            each.push(Turn { calls: vec![call], ..answer(content) });
            each.extend(result);
        }
    }
    each
}

fn join_repeats(turns: Vec<Turn>) -> Vec<Turn> {
    let mut joined_turns: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        match joined_turns.last_mut() {
            Some(last) if last.role == turn.role && turn.role != Role::Tool => {
                last.content = joined(&last.content, &turn.content);
                last.calls.extend(turn.calls);
            }
            _ => joined_turns.push(turn),
        }
    }
    joined_turns
}

fn tell_in_system(turns: &mut Vec<Turn>, tools: &[Value]) {
    if turns.first().is_none_or(|turn| turn.role != Role::System) {
        turns.insert(0, system(""));
    }
    let functions = tools.iter().map(|tool| tool.get_attr("function").unwrap_or_default());
    let functions: Value = functions.collect();
    turns[0].tools = super::python::to_json_text(&functions).ok();
}
